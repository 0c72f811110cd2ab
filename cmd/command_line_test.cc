#include "serf/cmd/command_line.h"

#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace serf::cmd {
namespace {

std::vector<std::string> ran;

int RunJoin(std::span<const std::string> args) {
  ran.assign(args.begin(), args.end());
  ran.insert(ran.begin(), "join");
  return 7;
}

int RunVersion(std::span<const std::string>) {
  ran = {"version"};
  return kExitSuccess;
}

constexpr Command kJoin = {"join", "Tell Serf agent to join cluster", "Usage: serf join", RunJoin};
constexpr Command kVersion = {"version", "Prints the Serf version", "", RunVersion};
constexpr const Command* kCommands[] = {&kJoin, &kVersion};

constexpr char kGeneralHelp[] =
    "Usage: serf [--version] [--help] <command> [<args>]\n\n"
    "Available commands are:\n"
    "    join       Tell Serf agent to join cluster\n"
    "    version    Prints the Serf version\n\n";

struct Outcome {
  int exit_code;
  std::vector<std::string> ran;
  std::string err;
};

Outcome RunLine(const std::vector<std::string>& args) {
  ran.clear();
  testing::internal::CaptureStderr();
  const int code = RunCommandLine(kCommands, args);
  return {code, ran, testing::internal::GetCapturedStderr()};
}

using Words = std::vector<std::string>;

TEST(CommandLineTest, RunsTheCommandWithTheWordsAfterIt) {
  const Outcome got = RunLine({"join", "-x", "y", "--", "-h"});
  EXPECT_EQ(got.exit_code, 7);
  EXPECT_EQ(got.ran, (Words{"join", "-x", "y", "--", "-h"}));
}

TEST(CommandLineTest, VersionAnywhere) {
  for (const Words& args : {Words{"-v"}, Words{"--version"}, Words{"join", "a", "-v"},
                            Words{"nosuch", "--", "--version"}, Words{"version"}}) {
    const Outcome got = RunLine(args);
    EXPECT_EQ(got.exit_code, 0);
    EXPECT_EQ(got.ran, Words{"version"});
  }
}

TEST(CommandLineTest, GeneralHelp) {
  for (const Words& args : {Words{"-h"}, Words{"-help"}, Words{"--help"}, Words{"-x", "-h"}}) {
    const Outcome got = RunLine(args);
    EXPECT_EQ(got.exit_code, 0);
    EXPECT_EQ(got.err, kGeneralHelp);
  }
}

TEST(CommandLineTest, NoSuchCommand) {
  for (const Words& args : {Words{}, Words{"nosuch"}, Words{"nosuch", "--help"}, Words{"-version"},
                            Words{"--", "join"}, Words{"--", "-h"}}) {
    const Outcome got = RunLine(args);
    EXPECT_EQ(got.exit_code, 127);
    EXPECT_EQ(got.err, kGeneralHelp);
    EXPECT_EQ(got.ran, Words{});
  }
}

TEST(CommandLineTest, CommandHelp) {
  for (const Words& args : {Words{"join", "-h"}, Words{"-h", "join"}, Words{"-x", "join", "--help"},
                            Words{"join", "-name=x", "-help"}}) {
    const Outcome got = RunLine(args);
    EXPECT_EQ(got.exit_code, 0);
    EXPECT_EQ(got.err, "Usage: serf join\n");
  }
}

TEST(CommandLineTest, FlagsBeforeTheCommand) {
  const Outcome got = RunLine({"-foo", "join"});
  EXPECT_EQ(got.exit_code, 1);
  EXPECT_EQ(got.err,
            "Invalid flags before the subcommand. If these flags are for\n"
            "the subcommand, please put them after the subcommand.\n\n"
            "Usage: serf join\n");
}

}  // namespace
}  // namespace serf::cmd
