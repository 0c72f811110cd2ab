#ifndef SERF_TESTING_TEMPORARY_FOLDER_H_
#define SERF_TESTING_TEMPORARY_FOLDER_H_

// TemporaryFolder: a new folder that is removed with all that is in it.
//
//   TemporaryFolder folder;
//   std::ofstream(folder.path() + "/config.json") << "{}";

#include <gtest/gtest.h>
#include <stdlib.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <system_error>

namespace serf::testkit {

// A parent for folders that Unix sockets stand in: the test's own folder may have too long a path.
inline constexpr char kShortParent[] = "/tmp";

class TemporaryFolder {
 public:
  // Aborts if it cannot be made.
  explicit TemporaryFolder(const std::string& parent = ::testing::TempDir())
      : path_(std::filesystem::path(parent) / "serfXXXXXX") {
    if (::mkdtemp(path_.data()) == nullptr) {
      std::perror(path_.c_str());
      std::abort();
    }
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace serf::testkit

#endif  // SERF_TESTING_TEMPORARY_FOLDER_H_
