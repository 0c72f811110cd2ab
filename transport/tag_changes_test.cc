#include "serf/transport/tag_changes.h"

#include <boost/asio/io_context.hpp>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "gtest/gtest.h"
#include "serf/outbox.h"
#include "serf/tags.h"
#include "serf/testing/run_until.h"
#include "serf/transport/disk_queue.h"

namespace serf::transport {
namespace {

// A node with tags, and a disk that always writes them.
class TagChangesTest : public ::testing::Test {
 protected:
  TagChanges::Node Node() {
    return {[this] { return std::weak_ptr<void>(owner_); }, [this] { return tags_; },
            [](const Tags&) { return absl::OkStatus(); },
            [this](Tags tags, TagChanges::Done done) {
              tags_ = std::move(tags);
              done(Completion());
            }};
  }
  void Set(const std::string& tag) {
    changes_.Add([tag](Tags& tags) { tags[tag] = "x"; }, [this](const Completion&) { ++done_; });
  }

  asio::io_context io_{1};
  DiskQueue disk_{io_};
  Tags tags_;
  int done_ = 0;
  std::shared_ptr<int> owner_ = std::make_shared<int>();
  TagChanges changes_{disk_, [](const Tags&) { return absl::OkStatus(); }, Node()};
};

TEST_F(TagChangesTest, EachEditsWhatTheEarlierOnesLeft) {
  Set("a");
  Set("b");
  EXPECT_TRUE(tags_.empty());
  for (int i = 0; i < 2; ++i) {
    ASSERT_TRUE(disk_.Drain(testkit::kPatience));
    io_.poll();
    io_.restart();
  }
  EXPECT_EQ(tags_, (Tags{{"a", "x"}, {"b", "x"}}));
  EXPECT_EQ(done_, 2);
}

// Another thread drops the last reference to the owner while the disk's answer is on its way.
TEST_F(TagChangesTest, NothingIsTouchedAfterTheEndOfTheOwner) {
  Set("a");
  ASSERT_TRUE(disk_.Drain(testkit::kPatience));
  owner_ = nullptr;
  EXPECT_EQ(io_.poll(), 1u);
  EXPECT_TRUE(tags_.empty());
  EXPECT_EQ(done_, 0);
}

}  // namespace
}  // namespace serf::transport
