#ifndef SERF_TESTING_INTEGRATION_WORKSHOP_H_
#define SERF_TESTING_INTEGRATION_WORKSHOP_H_

// Workshop: an empty folder in which the test and its programs work, because recorded runs name
// their files without a folder. The destructor removes it.

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "absl/strings/string_view.h"

namespace serf::testkit {

class Workshop {
 public:
  Workshop() : home_(std::filesystem::current_path()) {
    // Relative paths of the old folder must still work from the new one.
    if (std::getenv("TEST_SRCDIR") == nullptr) {
      ::setenv("TEST_SRCDIR", home_.c_str(), 1);
      ::setenv("TEST_WORKSPACE", ".", 1);
    }
    for (const char* variable : {"SERF_PROGRAM", "SERF_DEBIAN_PROGRAM"}) {
      const char* const path = std::getenv(variable);
      if (path != nullptr) ::setenv(variable, std::filesystem::absolute(path).c_str(), 1);
    }
    std::string pattern = std::filesystem::temp_directory_path() / "serfXXXXXX";
    folder_ = ::mkdtemp(pattern.data());
    std::filesystem::current_path(folder_);
  }
  ~Workshop() {
    std::filesystem::current_path(home_);
    std::filesystem::remove_all(folder_);
  }

  Workshop(const Workshop&) = delete;
  Workshop& operator=(const Workshop&) = delete;

  const std::filesystem::path& folder() const { return folder_; }

  void Write(const std::string& name, absl::string_view text, bool executable = false) const {
    const std::filesystem::path path = folder_ / name;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path) << text;
    if (executable) std::filesystem::permissions(path, std::filesystem::perms::owner_all);
  }

  // The content of a file; empty if there is no such file.
  std::string Read(const std::string& name) const {
    std::ifstream file(folder_ / name);
    return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  }

 private:
  const std::filesystem::path home_;
  std::filesystem::path folder_;
};

}  // namespace serf::testkit

#endif  // SERF_TESTING_INTEGRATION_WORKSHOP_H_
