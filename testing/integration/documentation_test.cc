// Tests the documentation: it lists every option, and its examples run.

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "gtest/gtest.h"
#include "serf/base/time.h"
#include "serf/cmd/daemon/agent_config.h"
#include "serf/cmd/daemon/agent_options.h"
#include "serf/cmd/daemon/config_file.h"
#include "serf/rpc/client.h"
#include "serf/testing/agents/agent_process.h"
#include "serf/testing/agents/process.h"
#include "serf/testing/agents/programs.h"
#include "serf/testing/integration/workshop.h"

namespace serf::testkit {
namespace {

std::string Read(const char* variable) {
  std::ifstream file(ProgramFromEnvironment(variable));
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

// The words in backquotes in the tables that begin with a dash.
std::set<std::string> DocumentedFlags(const std::string& document) {
  std::set<std::string> flags;
  for (const absl::string_view line : absl::StrSplit(document, '\n')) {
    if (!absl::StartsWith(line, "| `-")) continue;
    const absl::string_view cell = line.substr(2, line.find('|', 2) - 2);
    for (const absl::string_view word : absl::StrSplit(cell, absl::ByAnyChar("`, "))) {
      if (absl::StartsWith(word, "-")) flags.insert(std::string(word));
    }
  }
  return flags;
}

TEST(DocumentationTest, AllKeysOfFiles) {
  const std::string document = Read("AGENT_OPTIONS");
  const std::vector<std::string> keys = cmd::ConfigKeys();
  EXPECT_GT(keys.size(), 80u);
  for (const std::string& key : keys) {
    EXPECT_TRUE(absl::StrContains(document, absl::StrCat("`", key, "`"))) << key;
  }
}

// The kind of a value, as the documentation names it.
absl::string_view KindOf(const cmd::AgentOption& option) {
  const auto is = [&](auto field) { return std::holds_alternative<decltype(field)>(option.field); };
  using cmd::AgentConfig;
  if (is(static_cast<bool AgentConfig::*>(nullptr)) ||
      is(static_cast<std::optional<bool> AgentConfig::*>(nullptr))) {
    return "bool";
  }
  if (is(static_cast<std::int64_t AgentConfig::*>(nullptr))) return "number";
  if (is(static_cast<Duration AgentConfig::*>(nullptr))) return "duration";
  return is(static_cast<std::string AgentConfig::*>(nullptr)) ? "" : "list of ";
}

// Each option has a row, with its flag, its key and the kind of its value.
TEST(DocumentationTest, OptionsAreThoseOfTheTable) {
  const std::string document = Read("AGENT_OPTIONS");
  for (const cmd::AgentOption& option : cmd::kAgentOptions) {
    const auto quoted = [](absl::string_view word, absl::string_view dash) {
      return word.empty() ? std::string() : absl::StrCat("`", dash, word, "`");
    };
    const std::string flag = quoted(option.flag, "-");
    const std::string key = quoted(option.key, "");
    bool found = false;
    for (const absl::string_view line : absl::StrSplit(document, '\n')) {
      const std::vector<absl::string_view> cells = absl::StrSplit(line, '|');
      // "| flag | key | type | default | range | meaning |", or the same without flags.
      if (cells.size() < 7 || !absl::StartsWith(line, "| ")) continue;
      const std::size_t first = cells.size() == 8 ? 1 : 0;
      const bool has_flag = first == 0 ? flag.empty() : absl::StrContains(cells[1], flag);
      if (!has_flag || !absl::StrContains(cells[first + 1], key)) continue;
      const absl::string_view type = absl::StripAsciiWhitespace(cells[first + 2]);
      const absl::string_view kind = KindOf(option);
      found = kind.empty() ? type != "bool" && type != "number" && type != "duration" &&
                                 !absl::StartsWith(type, "list")
                           : absl::StartsWith(type, kind);
      if (found) break;
    }
    EXPECT_TRUE(found) << flag << " " << key;
  }
}

TEST(DocumentationTest, FlagsAreThoseOfTheAgentAndOfItsHelp) {
  const std::set<std::string> documented = DocumentedFlags(Read("AGENT_OPTIONS"));
  EXPECT_GE(documented.size(), 30u);
  for (const std::string& flag : documented) {
    // The word after the flag ends the run.
    Process agent({OurSerf(), "agent", absl::StrCat(flag, "=1"), "---end"});
    EXPECT_EQ(agent.Wait(), 1);
    EXPECT_EQ(agent.err(), "bad flag syntax: ---end\n") << flag;
  }
  Process help({OurSerf(), "agent", "-help"});
  EXPECT_EQ(help.Wait(), 0);
  std::set<std::string> helped;
  for (const absl::string_view line : absl::StrSplit(help.err(), '\n')) {
    if (!absl::StartsWith(line, "  -")) continue;
    // The part before the explanation.
    const absl::string_view flags = line.substr(2, line.find("  ", 2) - 2);
    for (const absl::string_view word : absl::StrSplit(flags, absl::ByAnyChar(" ,="))) {
      if (absl::StartsWith(word, "-")) helped.insert(std::string(word));
    }
  }
  EXPECT_EQ(helped, documented);
}

TEST(DocumentationTest, LoadBalancer) {
  const std::string script =
      std::filesystem::absolute(ProgramFromEnvironment("LOAD_BALANCER")).string();
  Workshop workshop;
  const std::string folder = workshop.folder().string();
  const std::string handler = absl::StrCat(
      "member-join,member-update,member-leave,member-failed,member-reap=", "BALANCER_DIR=", folder,
      " BALANCER_RELOAD='echo reloaded >>", folder, "/reloads' PATH=/usr/bin:/bin sh ", script);
  AgentProcess balancer({.program = OurSerf(),
                         .name = "lb",
                         .flags = {"-event-handler=" + handler, "-log-level=debug"}});
  ASSERT_TRUE(balancer.WaitUntilRunning());
  const auto has = [&](const std::vector<std::string>& servers) {
    std::string expected = "backend web\n    balance roundrobin\n";
    for (const std::string& server : servers) {
      absl::StrAppend(&expected, "    server ", server, " check\n");
    }
    const bool got =
        balancer.process().WaitUntil([&] { return workshop.Read("web.cfg") == expected; });
    EXPECT_TRUE(got) << "want:\n"
                     << expected << "got:\n"
                     << workshop.Read("web.cfg") << balancer.log();
    return got;
  };
  const auto add = [&](const std::string& name, std::vector<std::string> tags) {
    tags.push_back("-join=" + balancer.gossip());
    return AgentProcess::Options{.program = OurSerf(), .name = name, .flags = tags};
  };
  AgentProcess web1(add("web-1", {"-tag=role=web", "-tag=port=8080"}));
  const std::string first = absl::StrCat("web-1 ", web1.options().address, ":8080");
  ASSERT_TRUE(has({first}));
  // An agent with another role, and one whose name tries to be more than a name.
  AgentProcess db(add("db-1", {"-tag=role=db"}));
  AgentProcess odd(add("x 1.2.3.4:5", {"-tag=role=web"}));
  AgentProcess web2(add("web-2", {"-tag=role=web", "-tag=port=80;evil"}));
  const std::string second = absl::StrCat("web-2 ", web2.options().address, ":80");
  ASSERT_TRUE(has({first, second}));

  // A change of tags, a leave and a failure.
  rpc::Client client;
  ASSERT_TRUE(client.Connect(web2.rpc()).ok());
  ASSERT_TRUE(client.UpdateTags({{"port", "81"}}, {}).ok());
  ASSERT_TRUE(has({first, absl::StrCat("web-2 ", web2.options().address, ":81")}));
  web2.Interrupt();
  ASSERT_TRUE(has({first}));
  web1.Kill();
  ASSERT_TRUE(has({}));
  // The handler informs the balancer after it has written the file, once for each of these changes.
  const std::size_t told = 5 * std::string("reloaded\n").size();
  EXPECT_TRUE(balancer.process().WaitUntil([&] { return workshop.Read("reloads").size() >= told; }))
      << workshop.Read("reloads");
  EXPECT_FALSE(absl::StrContains(balancer.log(), "Error invoking script")) << balancer.log();
}

}  // namespace
}  // namespace serf::testkit
