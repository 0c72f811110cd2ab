#include "serf/transport/snapshot_file_writer.h"

#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <chrono>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "serf/transport/disk_queue.h"

namespace serf::transport {
namespace {

class SnapshotFileWriterTest : public ::testing::Test {
 protected:
  SnapshotFileWriterTest() : path_(absl::StrCat(::testing::TempDir(), "/writer-", ::getpid())) {}
  ~SnapshotFileWriterTest() override { ::unlink(path_.c_str()); }

  SnapshotStore Open() {
    SnapshotStore store{std::make_unique<PosixSnapshotFileSystem>(), nullptr};
    auto opened = SnapshotFile::Open(*store.system, path_, false, nullptr);
    EXPECT_TRUE(opened.ok()) << opened.status();
    store.file = std::move(opened->file);
    return store;
  }
  SnapshotFileWriter::OnDone Note() {
    return [this](const absl::Status& status) { answers_.push_back(status.code()); };
  }
  // Lets the disk finish, and its answers arrive.
  void Drain() {
    ASSERT_TRUE(disk_.Drain(std::chrono::seconds(30)));
    io_.poll();
  }
  std::string Text() const {
    std::ifstream in(path_);
    return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  }

  asio::io_context io_;
  DiskQueue disk_{io_};
  std::vector<absl::StatusCode> answers_;
  std::string path_;
};

TEST_F(SnapshotFileWriterTest, AllIsWrittenInOrderAndAnswered) {
  std::string want = "clock: 0\n";
  {
    SnapshotFileWriter writer(disk_, Open(), Note());
    writer.Submit({SnapshotOp::Kind::kAppend, "clock: 99\n"});
    writer.Submit({SnapshotOp::Kind::kReplace, "clock: 0\n"});
    for (int i = 1; i <= 1000; ++i) {
      writer.Submit({SnapshotOp::Kind::kAppend, absl::StrCat("clock: ", i, "\n")});
      absl::StrAppend(&want, "clock: ", i, "\n");
    }
  }
  Drain();
  EXPECT_EQ(answers_, std::vector(1002, absl::StatusCode::kOk));
  EXPECT_EQ(Text(), want);
}

TEST_F(SnapshotFileWriterTest, FailuresAreAnsweredAndNotTheEnd) {
  SnapshotFileWriter writer(disk_, Open(), Note());
  ASSERT_EQ(::unlink(path_.c_str()), 0);
  writer.Submit({SnapshotOp::Kind::kAppend, "clock: 1\n"});
  writer.Submit({SnapshotOp::Kind::kReplace, "clock: 2\n"});
  writer.Submit({SnapshotOp::Kind::kAppend, "clock: 3\n"});
  Drain();
  EXPECT_EQ(answers_, (std::vector{absl::StatusCode::kNotFound, absl::StatusCode::kOk,
                                   absl::StatusCode::kOk}));
  EXPECT_EQ(Text(), "clock: 2\nclock: 3\n");
}

}  // namespace
}  // namespace serf::transport
