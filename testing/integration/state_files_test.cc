// Tests agents whose files lie as in containers: mounted one by one, in a read-only folder, on a
// full disk. The test has its own mounts.

#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "serf/testing/agents/agent_process.h"
#include "serf/testing/agents/container_folder.h"
#include "serf/testing/agents/own_files.h"
#include "serf/testing/agents/own_files_main.h"
#include "serf/testing/agents/process.h"
#include "serf/testing/agents/programs.h"
#include "serf/testing/integration/workshop.h"

namespace serf::testkit {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;

// The unit in which tmpfs allocates.
constexpr std::size_t kPage = 4096;
constexpr char kKey[] = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
constexpr char kOther[] = "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=";

class StateFilesTest : public ::testing::Test {
 protected:
  AgentProcess Start(std::vector<std::string> flags) {
    return AgentProcess({.program = OurSerf(), .name = "a", .flags = std::move(flags)});
  }
  // Runs `serf WORDS` and returns the exit code. said_ holds the output.
  std::optional<int> Serf(const AgentProcess& agent, std::vector<std::string> words) {
    words.insert(words.begin(), OurSerf());
    words.insert(words.begin() + 2, absl::StrCat("-rpc-addr=", agent.rpc()));
    Process process(words);
    const std::optional<int> code = process.Wait();
    said_ = absl::StrCat(process.out(), process.err());
    return code;
  }
  // The lines of a long life, enough for a compaction at once.
  static std::string LongSnapshot() {
    std::string text;
    for (int i = 0; text.size() < 140'000; ++i) {
      absl::StrAppend(&text, "alive: old 127.0.0.1:1\nnot-alive: old\nevent-clock: ", i, "\n");
    }
    return text;
  }

  Workshop workshop_;
  ContainerFolder folder_{workshop_.folder()};
  std::string said_;
};

// `docker run -v keys.json:/keys.json -v tags.json:/tags.json`: rename() fails with EBUSY.
TEST_F(StateFilesTest, MountedOneByOne) {
  for (const char* name : {"keys.json", "tags.json", "snapshot"}) {
    folder_.Write(name, "");
  }
  ASSERT_TRUE(MakeReadOnly(folder_.path()));
  ASSERT_TRUE(folder_.Mount("keys.json", absl::StrCat("[\"", kKey, "\"]")));
  ASSERT_TRUE(folder_.Mount("tags.json", "{}"));
  ASSERT_TRUE(folder_.Mount("snapshot", LongSnapshot()));
  AgentProcess agent = Start({"-keyring-file=" + folder_.PathOf("keys.json"),
                              "-tags-file=" + folder_.PathOf("tags.json"),
                              "-snapshot=" + folder_.PathOf("snapshot")});
  ASSERT_TRUE(agent.WaitUntilRunning()) << agent.log();
  EXPECT_EQ(Serf(agent, {"keys", absl::StrCat("-install=", kOther)}), 0) << said_;
  EXPECT_THAT(folder_.ReadOnHost("keys.json"), HasSubstr(kOther));
  EXPECT_EQ(Serf(agent, {"keys", absl::StrCat("-use=", kOther)}), 0) << said_;
  EXPECT_EQ(Serf(agent, {"keys", absl::StrCat("-remove=", kKey)}), 0) << said_;
  EXPECT_EQ(folder_.ReadOnHost("keys.json"), absl::StrCat("[\n  \"", kOther, "\"\n]"));
  EXPECT_EQ(Serf(agent, {"tags", "-set=role=web"}), 0) << said_;
  EXPECT_EQ(folder_.ReadOnHost("tags.json"), "{\n  \"role\": \"web\"\n}");
  EXPECT_TRUE(
      agent.process().WaitUntil([&] { return folder_.ReadOnHost("snapshot").size() < 1000; }));
  EXPECT_EQ(Serf(agent, {"leave"}), 0) << said_;
  EXPECT_EQ(agent.process().Wait(), 0);
  EXPECT_THAT(folder_.ReadOnHost("snapshot"), HasSubstr("\nleave\n"));
  EXPECT_THAT(agent.log(), ::testing::Not(HasSubstr("[ERR]")));
}

// With a snapshot on a full disk the node works, and reports that its leave is not on record.
TEST_F(StateFilesTest, ALeaveThatTheDiskHasNoRoomFor) {
  ASSERT_TRUE(folder_.MountDisk("64k"));
  // The agent's first line fills a page to the byte.
  const std::string address = NextLoopbackAddress();
  const std::string first = absl::StrCat("alive: a ", address, ":7946\n");
  const std::string before = absl::StrCat("#", std::string(kPage - first.size() - 2, 'x'), "\n");
  folder_.Write("snapshot", before);
  AgentProcess agent({.program = OurSerf(),
                      .name = "a",
                      .flags = {"-snapshot=" + folder_.PathOf("snapshot")},
                      .address = address});
  ASSERT_TRUE(agent.WaitUntilRunning()) << agent.log();
  ASSERT_TRUE(
      agent.process().WaitUntil([&] { return folder_.Read("snapshot") == before + first; }));
  ASSERT_TRUE(folder_.FillDisk());
  EXPECT_NE(Serf(agent, {"leave"}), 0);
  EXPECT_THAT(said_, HasSubstr("failed to record it in the snapshot"));
  EXPECT_TRUE(agent.process().Wait().has_value());
  EXPECT_THAT(agent.log(), HasSubstr("[ERR] serf: failed to flush leave to snapshot: write "
                                     "snapshot: no space left on device"));
  EXPECT_EQ(folder_.Read("snapshot"), before + first);
}

// The agent writes the lines that fit, as Go Serf does, and the rest soon after there is room. No
// line is lost, and none waits for the next attempt to write the whole file.
TEST_F(StateFilesTest, AFullDiskTakesWhatFitsAndLaterTheRest) {
  ASSERT_TRUE(folder_.MountDisk("64k"));
  const std::string address = NextLoopbackAddress();
  const std::string first = absl::StrCat("alive: a ", address, ":7946\n");
  constexpr std::size_t kRoom = 20;  // of the page, for one line more
  const std::string before =
      absl::StrCat("#", std::string(kPage - first.size() - 2 - kRoom, 'x'), "\n");
  folder_.Write("snapshot", before);
  AgentProcess agent({.program = OurSerf(),
                      .name = "a",
                      .flags = {"-snapshot=" + folder_.PathOf("snapshot")},
                      .address = address});
  ASSERT_TRUE(agent.WaitUntilRunning()) << agent.log();
  const auto text = [&] { return folder_.Read("snapshot"); };
  ASSERT_TRUE(agent.process().WaitUntil([&] { return text() == before + first; }));
  ASSERT_TRUE(folder_.FillDisk());
  EXPECT_EQ(Serf(agent, {"event", "one"}), 0) << said_;
  EXPECT_TRUE(agent.process().WaitUntil([&] {
    return text() == before + first + "event-clock: 1\n";
  })) << text();
  for (const char* const name : {"two", "three"}) EXPECT_EQ(Serf(agent, {"event", name}), 0);
  EXPECT_TRUE(
      agent.WaitForLog("[ERR] serf: Failed to update snapshot: write snapshot: no space "
                       "left on device\n"))
      << agent.log();
  // The one attempt to write a smaller file ends before there is room: else it would succeed.
  EXPECT_TRUE(agent.WaitForLog("[ERR] serf: Compaction failed, will reattempt after 30s: "))
      << agent.log();
  // A further attempt to append may be in between, and then takes back what did not fit.
  const std::string fits = absl::StrCat(before, first, "event-clock: 1\n");
  EXPECT_TRUE(absl::StartsWith(text(), fits));
  EXPECT_TRUE(agent.process().WaitUntil([&] { return text() == fits; })) << text();
  const auto freed = std::chrono::steady_clock::now();
  folder_.FreeDisk(2 * kPage);
  EXPECT_TRUE(agent.process().WaitUntil([&] {
    return absl::StartsWith(text(), fits + "event-clock: ") &&
           absl::EndsWith(text(), "\nevent-clock: 3\n");
  })) << text();
  EXPECT_LT(std::chrono::steady_clock::now() - freed, std::chrono::seconds(10));
  EXPECT_TRUE(
      agent.WaitForLog("[INFO] serf: The disk has room again: the snapshot has all that was "
                       "to be written\n"))
      << agent.log();
}

// A crash within a change leaves a copy of the keys.
TEST_F(StateFilesTest, ACopyThatACrashLeftIsRemoved) {
  folder_.Write("keys.json", absl::StrCat("[\"", kKey, "\"]"));
  folder_.Write("keys.json.serf-new", "[");
  AgentProcess agent = Start({"-keyring-file=" + folder_.PathOf("keys.json")});
  ASSERT_TRUE(agent.WaitUntilRunning()) << agent.log();
  EXPECT_FALSE(std::filesystem::exists(folder_.PathOf("keys.json.serf-new")));
}

TEST_F(StateFilesTest, TheNullDeviceIsASnapshotThatNobodyWants) {
  AgentProcess agent = Start({"-snapshot=/dev/null"});
  ASSERT_TRUE(agent.WaitUntilRunning()) << agent.log();
  EXPECT_EQ(Serf(agent, {"leave"}), 0) << said_;
  EXPECT_EQ(agent.process().Wait(), 0);
  struct stat info = {};
  ASSERT_EQ(::stat("/dev/null", &info), 0);
  EXPECT_TRUE(S_ISCHR(info.st_mode));
}

}  // namespace
}  // namespace serf::testkit

int main(int argc, char** argv) { return serf::testkit::RunTestsWithOwnFiles(argc, argv); }
