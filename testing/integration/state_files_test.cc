// Agents whose files lie as containers have them: mounted one by one, in a read-only folder, on a
// full disk. The test has mounts of its own.

#include <sys/stat.h>
#include <unistd.h>

#include <cstddef>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "serf/testing/agent_process.h"
#include "serf/testing/integration/workshop.h"
#include "serf/testing/own_files.h"
#include "serf/testing/own_network.h"
#include "serf/testing/process.h"
#include "serf/testing/programs.h"

namespace serf::testing {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;

// What tmpfs gives a file at a time.
constexpr std::size_t kPage = 4096;
constexpr char kKey[] = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
constexpr char kOther[] = "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=";

class StateFilesTest : public ::testing::Test {
 protected:
  StateFilesTest() {
    std::filesystem::create_directory(folder());
    std::filesystem::create_directory(workshop_.folder() / "host");
  }
  ~StateFilesTest() override { Uncover(folder()); }

  std::string folder() const { return workshop_.folder() / "container"; }
  std::string InFolder(const std::string& name) const { return folder() + "/" + name; }

  // A file outside, mounted into the folder.
  void Mount(const std::string& name, const std::string& text) {
    workshop_.Write("host/" + name, text);
    ASSERT_TRUE(CoverFile(InFolder(name), workshop_.folder() / "host" / name));
  }
  std::string Outside(const std::string& name) const { return workshop_.Read("host/" + name); }

  AgentProcess Start(std::vector<std::string> flags) {
    return AgentProcess({.program = OurSerf(), .name = "a", .flags = std::move(flags)});
  }
  // `serf WORDS`; the exit code. What it said stands in said_.
  std::optional<int> Serf(const AgentProcess& agent, std::vector<std::string> words) {
    words.insert(words.begin(), OurSerf());
    words.insert(words.begin() + 2, absl::StrCat("-rpc-addr=", agent.rpc()));
    Process process(words);
    const std::optional<int> code = process.Wait();
    said_ = absl::StrCat(process.out(), process.err());
    return code;
  }
  // Lines of a long life, enough for a compaction at once.
  static std::string LongSnapshot() {
    std::string text;
    for (int i = 0; text.size() < 140'000; ++i) {
      absl::StrAppend(&text, "alive: old 127.0.0.1:1\nnot-alive: old\nevent-clock: ", i, "\n");
    }
    return text;
  }

  Workshop workshop_;
  std::string said_;
};

// `docker run -v keys.json:/keys.json -v tags.json:/tags.json`: a rename says EBUSY.
TEST_F(StateFilesTest, MountedOneByOne) {
  for (const char* name : {"keys.json", "tags.json", "snapshot"}) {
    workshop_.Write(absl::StrCat("container/", name), "");
  }
  ASSERT_TRUE(MakeReadOnly(folder()));
  Mount("keys.json", absl::StrCat("[\"", kKey, "\"]"));
  Mount("tags.json", "{}");
  Mount("snapshot", LongSnapshot());
  AgentProcess agent =
      Start({"-keyring-file=" + InFolder("keys.json"), "-tags-file=" + InFolder("tags.json"),
             "-snapshot=" + InFolder("snapshot")});
  ASSERT_TRUE(agent.WaitUntilRunning()) << agent.log();
  EXPECT_EQ(Serf(agent, {"keys", absl::StrCat("-install=", kOther)}), 0) << said_;
  EXPECT_THAT(Outside("keys.json"), HasSubstr(kOther));
  EXPECT_EQ(Serf(agent, {"keys", absl::StrCat("-use=", kOther)}), 0) << said_;
  EXPECT_EQ(Serf(agent, {"keys", absl::StrCat("-remove=", kKey)}), 0) << said_;
  EXPECT_EQ(Outside("keys.json"), absl::StrCat("[\n  \"", kOther, "\"\n]"));
  EXPECT_EQ(Serf(agent, {"tags", "-set=role=web"}), 0) << said_;
  EXPECT_EQ(Outside("tags.json"), "{\n  \"role\": \"web\"\n}");
  EXPECT_TRUE(agent.process().WaitUntil([&] { return Outside("snapshot").size() < 1000; }));
  EXPECT_EQ(Serf(agent, {"leave"}), 0) << said_;
  EXPECT_EQ(agent.process().Wait(), 0);
  EXPECT_THAT(Outside("snapshot"), HasSubstr("\nleave\n"));
  EXPECT_THAT(agent.log(), ::testing::Not(HasSubstr("[ERR]")));
}

// A snapshot on a full disk: the node works, and tells that its leave is not on record.
TEST_F(StateFilesTest, ALeaveThatTheDiskHasNoRoomFor) {
  ASSERT_TRUE(CoverFolder(folder(), "64k"));
  // With the agent's first line a page is full, to the byte.
  const std::string address = NextLoopbackAddress();
  const std::string first = absl::StrCat("alive: a ", address, ":7946\n");
  const std::string before = absl::StrCat("#", std::string(kPage - first.size() - 2, 'x'), "\n");
  workshop_.Write("container/snapshot", before);
  AgentProcess agent({.program = OurSerf(),
                      .name = "a",
                      .flags = {"-snapshot=" + InFolder("snapshot")},
                      .address = address});
  ASSERT_TRUE(agent.WaitUntilRunning()) << agent.log();
  ASSERT_TRUE(agent.process().WaitUntil(
      [&] { return workshop_.Read("container/snapshot") == before + first; }));
  {
    std::ofstream filler(InFolder("filler"));
    while (filler << std::string(kPage, 'x') << std::flush) continue;
  }
  EXPECT_NE(Serf(agent, {"leave"}), 0);
  EXPECT_THAT(said_, HasSubstr("failed to record it in the snapshot"));
  EXPECT_TRUE(agent.process().Wait().has_value());
  EXPECT_THAT(agent.log(), HasSubstr("[ERR] serf: failed to flush leave to snapshot: write "
                                     "snapshot: no space left on device"));
  EXPECT_EQ(workshop_.Read("container/snapshot"), before + first);
}

// What a crash within a change left is a copy of the keys.
TEST_F(StateFilesTest, ACopyThatACrashLeftIsRemoved) {
  workshop_.Write("container/keys.json", absl::StrCat("[\"", kKey, "\"]"));
  workshop_.Write("container/keys.json.serf-new", "[");
  AgentProcess agent = Start({"-keyring-file=" + InFolder("keys.json")});
  ASSERT_TRUE(agent.WaitUntilRunning()) << agent.log();
  EXPECT_FALSE(std::filesystem::exists(InFolder("keys.json.serf-new")));
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
}  // namespace serf::testing

int main(int argc, char** argv) {
  serf::testing::MoveToOwnNetwork();
  if (!serf::testing::MoveToOwnFiles()) {
    std::perror("no mounts of its own");
    return 1;
  }
  ::testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
