// Tests state files in containers: files that are mount points, in folders that are read-only or
// full. The test has its own mounts.

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <string>

#include "gtest/gtest.h"
#include "serf/cmd/files/file_text.h"
#include "serf/testing/agents/container_folder.h"
#include "serf/testing/agents/own_files.h"
#include "serf/testing/agents/own_files_main.h"
#include "serf/testing/temporary_folder.h"

namespace serf::cmd {
namespace {

using serf::testkit::MakeReadOnly;

class MountedFilesTest : public ::testing::Test {
 protected:
  MountedFilesTest() { folder_.Write("file", "covered"); }

  const testkit::TemporaryFolder root_;
  testkit::ContainerFolder folder_{root_.path()};
  const std::string path_ = folder_.PathOf("file");
};

// `docker run -v /etc/keys.json:/keys.json`, or a Kubernetes subPath: rename() fails with EBUSY.
TEST_F(MountedFilesTest, AMountedFileIsWrittenInPlace) {
  ASSERT_TRUE(folder_.Mount("file", "old text"));
  ASSERT_EQ(::chmod(folder_.HostPathOf("file").c_str(), 0640), 0);
  for (const char* text : {"a text that is longer than the old one", "short", ""}) {
    const absl::Status status = WriteTextFile(path_, text);
    ASSERT_TRUE(status.ok()) << status;
    EXPECT_EQ(folder_.ReadOnHost("file"), text);
    EXPECT_EQ(folder_.Read("file"), text);
    EXPECT_EQ(folder_.files(), 1u);
  }
  struct stat info {};
  ASSERT_EQ(::stat(folder_.HostPathOf("file").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0640u);
}

// A container with a read-only root, and single files that the agent may write to.
TEST_F(MountedFilesTest, InAReadOnlyFolder) {
  ASSERT_TRUE(MakeReadOnly(folder_.path()));
  EXPECT_EQ(WriteTextFile(path_, "new").message(), "open " + path_ + ": read-only file system");
  EXPECT_EQ(WriteTextFile(folder_.PathOf("none"), "new").message(),
            "open " + folder_.PathOf("none") + ": read-only file system");
  ASSERT_TRUE(folder_.Mount("file", "old text"));
  const absl::Status status = WriteTextFile(path_, "new");
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_EQ(folder_.ReadOnHost("file"), "new");
}

// A configuration map: the file itself is read-only.
TEST_F(MountedFilesTest, AReadOnlyFileIsLeftAlone) {
  ASSERT_TRUE(MakeReadOnly(path_));
  EXPECT_EQ(WriteTextFile(path_, "new").message(), "open " + path_ + ": read-only file system");
  EXPECT_EQ(folder_.Read("file"), "covered");
  EXPECT_EQ(folder_.files(), 1u);
}

// On a full disk the old text stays, whichever way WriteTextFile() tried.
TEST_F(MountedFilesTest, AFullDiskKeepsTheOldText) {
  ASSERT_TRUE(folder_.MountDisk("64k"));
  const std::string old(3000, 'o');
  ASSERT_TRUE(WriteTextFile(path_, old).ok());
  ASSERT_TRUE(folder_.FillDisk());
  const std::string larger(20'000, 'n');
  for (const bool several_names : {false, true}) {
    if (several_names) {
      ASSERT_EQ(::link(path_.c_str(), folder_.PathOf("other").c_str()), 0);
    }
    EXPECT_EQ(WriteTextFile(path_, larger).message(),
              "write " + path_ + ": no space left on device");
    EXPECT_EQ(folder_.Read("file"), old);
    EXPECT_EQ(folder_.files(), several_names ? 3u : 2u);
  }
  std::filesystem::remove(folder_.PathOf("filler"));
  EXPECT_TRUE(WriteTextFile(path_, larger).ok());
  EXPECT_EQ(folder_.Read("file"), larger);
}

}  // namespace
}  // namespace serf::cmd

int main(int argc, char** argv) { return serf::testkit::RunTestsWithOwnFiles(argc, argv); }
