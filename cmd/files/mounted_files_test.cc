// State files as containers have them: files that are mount points themselves, in folders that are
// read-only or full. The test has mounts of its own.

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "gtest/gtest.h"
#include "serf/cmd/files/file_text.h"
#include "serf/testing/own_files.h"
#include "serf/testing/own_network.h"

namespace serf::cmd {
namespace {

using serf::testing::CoverFile;
using serf::testing::CoverFolder;
using serf::testing::MakeReadOnly;

std::string TextOf(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

class MountedFilesTest : public ::testing::Test {
 protected:
  MountedFilesTest() {
    std::string pattern = std::filesystem::path(::testing::TempDir()) / "mountedXXXXXX";
    root_ = ::mkdtemp(pattern.data());
    folder_ = root_ + "/folder";
    path_ = folder_ + "/file";
    source_ = root_ + "/source";
    std::filesystem::create_directory(folder_);
    std::ofstream(path_) << "covered";
    std::ofstream(source_) << "old text";
  }

  std::size_t Files() const {
    return static_cast<std::size_t>(
        std::distance(std::filesystem::directory_iterator(folder_), {}));
  }

  std::string root_;
  std::string folder_;
  std::string path_;    // where the source is mounted
  std::string source_;  // on the host, so to speak
};

// `docker run -v /etc/keys.json:/keys.json`, or a Kubernetes subPath: a rename says EBUSY.
TEST_F(MountedFilesTest, AMountedFileIsWrittenInPlace) {
  ASSERT_EQ(::chmod(source_.c_str(), 0640), 0);
  ASSERT_TRUE(CoverFile(path_, source_));
  for (const char* text : {"a text that is longer than the old one", "short", ""}) {
    const absl::Status status = WriteTextFile(path_, text);
    ASSERT_TRUE(status.ok()) << status;
    EXPECT_EQ(TextOf(source_), text);
    EXPECT_EQ(TextOf(path_), text);
    EXPECT_EQ(Files(), 1u);
  }
  struct stat info {};
  ASSERT_EQ(::stat(source_.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0640u);
}

// A container with a read-only root, and single files that it may write to.
TEST_F(MountedFilesTest, InAReadOnlyFolder) {
  ASSERT_TRUE(MakeReadOnly(folder_));
  EXPECT_EQ(WriteTextFile(path_, "new").message(), "open " + path_ + ": read-only file system");
  EXPECT_EQ(WriteTextFile(folder_ + "/none", "new").message(),
            "open " + folder_ + "/none: read-only file system");
  ASSERT_TRUE(CoverFile(path_, source_));
  const absl::Status status = WriteTextFile(path_, "new");
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_EQ(TextOf(source_), "new");
}

// A configuration map: the file itself is read-only.
TEST_F(MountedFilesTest, AReadOnlyFileIsLeftAlone) {
  ASSERT_TRUE(MakeReadOnly(path_));
  EXPECT_EQ(WriteTextFile(path_, "new").message(), "open " + path_ + ": read-only file system");
  EXPECT_EQ(TextOf(path_), "covered");
  EXPECT_EQ(Files(), 1u);
}

// On a full disk the old text stays, whichever way was tried.
TEST_F(MountedFilesTest, AFullDiskKeepsTheOldText) {
  ASSERT_TRUE(CoverFolder(folder_, "64k"));
  const std::string old(3000, 'o');
  ASSERT_TRUE(WriteTextFile(path_, old).ok());
  std::FILE* const filler = std::fopen((folder_ + "/filler").c_str(), "w");
  ASSERT_NE(filler, nullptr);
  std::setbuf(filler, nullptr);
  while (std::fwrite("0123456789abcdef", 16, 1, filler) == 1) continue;
  std::fclose(filler);
  const std::string larger(20'000, 'n');
  for (const bool several_names : {false, true}) {
    if (several_names) {
      ASSERT_EQ(::link(path_.c_str(), (folder_ + "/other").c_str()), 0);
    }
    EXPECT_EQ(WriteTextFile(path_, larger).message(),
              "write " + path_ + ": no space left on device");
    EXPECT_EQ(TextOf(path_), old);
    EXPECT_EQ(Files(), several_names ? 3u : 2u);
  }
  std::filesystem::remove(folder_ + "/filler");
  EXPECT_TRUE(WriteTextFile(path_, larger).ok());
  EXPECT_EQ(TextOf(path_), larger);
}

}  // namespace
}  // namespace serf::cmd

int main(int argc, char** argv) {
  serf::testing::MoveToOwnNetwork();
  if (!serf::testing::MoveToOwnFiles()) {
    std::perror("no mounts of its own");
    return 1;
  }
  ::testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
