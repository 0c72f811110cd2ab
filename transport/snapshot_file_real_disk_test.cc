// Tests SnapshotFile on the real disk: permissions, links, devices, and files that cannot be
// opened.

#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <iterator>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "serf/snapshot_op.h"
#include "serf/transport/snapshot_file.h"
#include "serf/transport/snapshot_file_system.h"

namespace serf::transport {
namespace {

class RealDiskTest : public ::testing::Test {
 protected:
  RealDiskTest() : path_(absl::StrCat(::testing::TempDir(), "/snapshot-", ::getpid())) {}
  ~RealDiskTest() override {
    ::unlink(path_.c_str());
    ::unlink(absl::StrCat(path_, ".compact").c_str());
  }

  SnapshotFile::Opened Open() {
    auto opened = SnapshotFile::Open(system_, path_, false, nullptr);
    EXPECT_TRUE(opened.ok()) << opened.status();
    return *std::move(opened);
  }
  std::string Text() const {
    std::ifstream in(path_);
    return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  }
  unsigned Permissions() const {
    struct stat stat = {};
    EXPECT_EQ(::stat(path_.c_str(), &stat), 0);
    return stat.st_mode & 07777u;
  }

  PosixSnapshotFileSystem system_;
  std::string path_;
};

TEST_F(RealDiskTest, AppendsReplacesAndReadsAgain) {
  std::string large;
  for (int i = 0; i < 5000; ++i) absl::StrAppend(&large, "alive: node-", i, " 10.0.0.1:7946\n");
  {
    const SnapshotFile::Opened opened = Open();
    EXPECT_EQ(opened.state.size, 0u);
    ASSERT_TRUE(opened.file->Append("clock: 1\n").ok());
    ASSERT_TRUE(opened.file->Replace(large).ok());
    ASSERT_TRUE(opened.file->Append("clock: 2\n").ok());
  }
  EXPECT_EQ(Text(), absl::StrCat(large, "clock: 2\n"));
  const SnapshotFile::Opened opened = Open();
  EXPECT_EQ(opened.state.alive.size(), 5000u);
  EXPECT_EQ(opened.state.size, large.size() + 9);
  EXPECT_NE(::access(absl::StrCat(path_, ".compact").c_str(), F_OK), 0);
}

TEST_F(RealDiskTest, PermissionsStay) {
  {
    const SnapshotFile::Opened opened = Open();
    EXPECT_EQ(Permissions() & ~0644u, 0u);
    ASSERT_TRUE(opened.file->Replace("clock: 1\n").ok());
    EXPECT_EQ(Permissions() & ~0644u, 0u);
  }
  ASSERT_EQ(::chmod(path_.c_str(), 0600), 0);
  const SnapshotFile::Opened opened = Open();
  ASSERT_TRUE(opened.file->Replace("clock: 2\n").ok());
  EXPECT_EQ(Permissions(), 0600u);
}

// A folder that takes no new file, because a folder has the new file's name.
TEST_F(RealDiskTest, WhatCannotBeReplacedIsWrittenOver) {
  const std::string blocked = absl::StrCat(path_, ".compact");
  std::string large;
  for (int i = 0; i < 5000; ++i) absl::StrAppend(&large, "alive: node-", i, " 10.0.0.1:7946\n");
  const SnapshotFile::Opened opened = Open();
  ASSERT_EQ(::mkdir(blocked.c_str(), 0700), 0);
  struct stat before = {};
  ASSERT_EQ(::stat(path_.c_str(), &before), 0);
  ASSERT_TRUE(opened.file->Append(large).ok());
  ASSERT_TRUE(opened.file->Replace("alive: a 10.0.0.1:7946\n").ok());
  EXPECT_EQ(Text(), "alive: a 10.0.0.1:7946\n");
  ASSERT_TRUE(opened.file->Append("clock: 2\n").ok());
  EXPECT_EQ(Text(), "alive: a 10.0.0.1:7946\nclock: 2\n");
  struct stat after = {};
  ASSERT_EQ(::stat(path_.c_str(), &after), 0);
  EXPECT_EQ(before.st_ino, after.st_ino);
  ::rmdir(blocked.c_str());
}

TEST_F(RealDiskTest, ALinkStaysOne) {
  const std::string link = absl::StrCat(path_, ".link");
  ASSERT_EQ(::symlink(path_.c_str(), link.c_str()), 0);  // to nothing, yet
  {
    auto opened = SnapshotFile::Open(system_, link, false, nullptr);
    ASSERT_TRUE(opened.ok()) << opened.status();
    ASSERT_TRUE(opened->file->Append("clock: 1\n").ok());
    ASSERT_TRUE(opened->file->Replace("clock: 2\n").ok());
    ASSERT_TRUE(opened->file->Append("clock: 3\n").ok());
  }
  struct stat stat = {};
  EXPECT_EQ(::lstat(link.c_str(), &stat), 0);
  EXPECT_TRUE(S_ISLNK(stat.st_mode));
  EXPECT_EQ(Text(), "clock: 2\nclock: 3\n");
  ::unlink(link.c_str());
}

// The null device, for a snapshot that nobody wants; Go Serf accepts it too.
TEST_F(RealDiskTest, TheNullDeviceKeepsNothing) {
  auto opened = SnapshotFile::Open(system_, "/dev/null", false, nullptr);
  ASSERT_TRUE(opened.ok()) << opened.status();
  EXPECT_TRUE(opened->file->Apply({SnapshotOp::Kind::kAppend, "clock: 1\n"}).ok());
  EXPECT_TRUE(opened->file->Apply({SnapshotOp::Kind::kReplace, "clock: 1\n"}).ok());
  struct stat stat = {};
  ASSERT_EQ(::stat("/dev/null", &stat), 0);
  EXPECT_TRUE(S_ISCHR(stat.st_mode));
}

TEST_F(RealDiskTest, DeletedUnderway) {
  const SnapshotFile::Opened opened = Open();
  ASSERT_TRUE(opened.file->Append("clock: 1\n").ok());
  ASSERT_EQ(::unlink(path_.c_str()), 0);
  EXPECT_EQ(opened.file->Append("clock: 2\n").message(),
            absl::StrCat("stat ", path_, ": no such file or directory"));
  ASSERT_TRUE(opened.file->Replace("clock: 3\n").ok());
  ASSERT_TRUE(opened.file->Append("clock: 4\n").ok());
  EXPECT_EQ(Text(), "clock: 3\nclock: 4\n");
}

TEST_F(RealDiskTest, WhatCannotBeOpened) {
  EXPECT_EQ(SnapshotFile::Open(system_, "no/such/dir/snap", false, nullptr).status().message(),
            "failed to open snapshot: open no/such/dir/snap: no such file or directory");
  EXPECT_EQ(SnapshotFile::Open(system_, "/", false, nullptr).status().message(),
            "failed to open snapshot: open /: is a directory");
  ASSERT_EQ(::mkfifo(path_.c_str(), 0600), 0);
  EXPECT_EQ(SnapshotFile::Open(system_, path_, false, nullptr).status().message(),
            absl::StrCat("failed to open snapshot: open ", path_, ": not a regular file"));
}

TEST_F(RealDiskTest, ACheckTellsWhatOpeningWouldAndLeavesNothing) {
  EXPECT_TRUE(SnapshotFile::Check(system_, path_).ok());
  EXPECT_NE(::access(path_.c_str(), F_OK), 0);
  EXPECT_EQ(SnapshotFile::Check(system_, "no/such/dir/snap").message(),
            "failed to open snapshot: open no/such/dir/snap: no such file or directory");
  EXPECT_TRUE(SnapshotFile::Check(system_, "/dev/null").ok());
  const std::string target = path_ + ".compact";
  ASSERT_EQ(::symlink(target.c_str(), path_.c_str()), 0);
  EXPECT_TRUE(SnapshotFile::Check(system_, path_).ok());
  EXPECT_EQ(system_.Resolve(path_), path_) << "the link still leads nowhere";
  std::ofstream(target) << "torn";
  EXPECT_TRUE(SnapshotFile::Check(system_, path_).ok());
  EXPECT_EQ(Text(), "torn");
}

// A device that is always full.
TEST_F(RealDiskTest, FullDevice) {
  ASSERT_EQ(::symlink("/dev/full", path_.c_str()), 0);
  const auto file = system_.OpenOrCreate(path_, 0600);
  ASSERT_TRUE(file.ok());
  EXPECT_EQ(system_.Write(*file, "x").status().message(),
            "write snapshot: no space left on device");
  system_.Close(*file);
}

}  // namespace
}  // namespace serf::transport
