#include "serf/transport/snapshot_file_writer.h"

#include <unistd.h>

#include <atomic>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace serf::transport {
namespace {

class SnapshotFileWriterTest : public ::testing::Test {
 protected:
  SnapshotFileWriterTest() : path_(absl::StrCat(::testing::TempDir(), "/writer-", ::getpid())) {}
  ~SnapshotFileWriterTest() override { ::unlink(path_.c_str()); }

  std::unique_ptr<SnapshotFile> Open() {
    auto opened = SnapshotFile::Open(system_, path_, false, nullptr);
    EXPECT_TRUE(opened.ok()) << opened.status();
    return std::move(opened->file);
  }
  std::string Text() const {
    std::ifstream in(path_);
    return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  }

  PosixSnapshotFileSystem system_;
  std::string path_;
};

TEST_F(SnapshotFileWriterTest, EndsWhenAllIsWrittenInOrderAndAnswered) {
  std::atomic<int> done = 0;
  std::string want = "clock: 0\n";
  {
    SnapshotFileWriter writer(Open(), [&](const absl::Status& status) {
      EXPECT_TRUE(status.ok()) << status;
      ++done;
    });
    writer.Submit({SnapshotOp::Kind::kAppend, "clock: 99\n"});
    writer.Submit({SnapshotOp::Kind::kReplace, "clock: 0\n"});
    for (int i = 1; i <= 1000; ++i) {
      writer.Submit({SnapshotOp::Kind::kAppend, absl::StrCat("clock: ", i, "\n")});
      absl::StrAppend(&want, "clock: ", i, "\n");
    }
  }
  EXPECT_EQ(done, 1002);
  EXPECT_EQ(Text(), want);
}

TEST_F(SnapshotFileWriterTest, FailuresAreAnsweredAndNotTheEnd) {
  std::vector<absl::StatusCode> answers;
  {
    SnapshotFileWriter writer(
        Open(), [&](const absl::Status& status) { answers.push_back(status.code()); });
    ASSERT_EQ(::unlink(path_.c_str()), 0);
    writer.Submit({SnapshotOp::Kind::kAppend, "clock: 1\n"});
    writer.Submit({SnapshotOp::Kind::kReplace, "clock: 2\n"});
    writer.Submit({SnapshotOp::Kind::kAppend, "clock: 3\n"});
  }
  EXPECT_EQ(answers, (std::vector{absl::StatusCode::kNotFound, absl::StatusCode::kOk,
                                  absl::StatusCode::kOk}));
  EXPECT_EQ(Text(), "clock: 2\nclock: 3\n");
}

}  // namespace
}  // namespace serf::transport
