#ifndef SERF_TESTING_AGENTS_AGENT_PROCESS_H_
#define SERF_TESTING_AGENTS_AGENT_PROCESS_H_

// AgentProcess: a running `serf agent`, this project's or Go Serf's, on a loopback address of its
// own.
//
//   AgentProcess a({.program = OurSerf(), .name = "a"});
//   AgentProcess b({.program = DebianSerf(), .name = "b", .flags = {"-join=" + a.gossip()}});
//   ASSERT_TRUE(b.WaitUntilRunning());
//   EXPECT_TRUE(a.WaitForMembers({{"a", "alive"}, {"b", "alive"}}));
//   a.Interrupt();
//   EXPECT_EQ(a.process().Wait(), 0);

#include <unistd.h>

#include <atomic>
#include <csignal>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "serf/member.h"
#include "serf/rpc/client.h"
#include "serf/testing/agents/process.h"

namespace serf::testkit {

// An address in 127.0.0.0/8 that no other agent of this process has, and that agents of other
// processes hardly have. So tests that share a host do not meet, and can use the default ports.
inline std::string NextLoopbackAddress() {
  static std::atomic<unsigned> count = 0;
  const unsigned id = static_cast<unsigned>(::getpid());
  const unsigned n = ++count;
  // Leaves 127.0.*.* to other programs. The last byte is neither 0 nor 255.
  return absl::StrCat("127.", 1 + (id >> 8) % 250, ".", (id + n / 250) % 256, ".", 1 + n % 250);
}

// Name to status, "alive", as `serf members` lists them.
using MemberStates = std::map<std::string, std::string>;

class AgentProcess {
 public:
  struct Options {
    std::string program;
    std::string name;
    std::vector<std::string> flags = {};  // besides -node, -bind, -rpc-addr and -profile
    std::string profile = "local";        // the profile with the fastest timing
    std::string address = NextLoopbackAddress();
  };

  explicit AgentProcess(Options options)
      : options_(std::move(options)), process_(std::make_unique<Process>(CommandLine())) {}

  const Options& options() const { return options_; }
  const std::string& name() const { return options_.name; }
  // The addresses for -join and -rpc-addr.
  std::string gossip() const { return absl::StrCat(options_.address, ":7946"); }
  std::string rpc() const { return absl::StrCat(options_.address, ":7373"); }
  Process& process() { return *process_; }
  std::string log() const { return process_->out(); }

  // Waits until the banner is complete. The log follows it.
  bool WaitUntilRunning() const {
    return process_->WaitForOutput("==> Log data will now stream in as it occurs:\n");
  }

  // Waits until the log or the banner contains `text`.
  bool WaitForLog(absl::string_view text) const { return process_->WaitForOutput(text); }

  // The members that the agent lists over RPC. Empty while RPC cannot be reached.
  std::vector<Member> Members() const;
  MemberStates States() const;

  // Waits until the agent lists exactly these members.
  bool WaitForMembers(const MemberStates& expected) const;
  bool WaitUntil(const std::function<bool(const std::vector<Member>&)>& condition) const;

  void Interrupt() { process_->Signal(SIGINT); }
  void Kill() { process_->Kill(); }
  // Ends the agent if it still runs, and starts it again at the same address, with another program
  // if one is given.
  void Restart(std::vector<std::string> flags, std::string program = "") {
    options_.flags = std::move(flags);
    if (!program.empty()) options_.program = std::move(program);
    process_ = nullptr;
    process_ = std::make_unique<Process>(CommandLine());
  }

 private:
  std::vector<std::string> CommandLine() const {
    std::vector<std::string> words = {options_.program,
                                      "agent",
                                      absl::StrCat("-node=", options_.name),
                                      absl::StrCat("-bind=", gossip()),
                                      absl::StrCat("-rpc-addr=", rpc()),
                                      absl::StrCat("-profile=", options_.profile)};
    words.insert(words.end(), options_.flags.begin(), options_.flags.end());
    return words;
  }

  Options options_;
  std::unique_ptr<Process> process_;
};

inline std::vector<Member> AgentProcess::Members() const {
  rpc::Client client;
  if (!client.Connect(rpc()).ok()) return {};
  absl::StatusOr<std::vector<Member>> members = client.Members();
  if (!members.ok()) return {};
  return *std::move(members);
}

inline MemberStates AgentProcess::States() const {
  MemberStates states;
  for (const Member& member : Members()) {
    states[member.name] = std::string(MemberStatusName(member.status));
  }
  return states;
}

inline bool AgentProcess::WaitForMembers(const MemberStates& expected) const {
  return WaitUntil([&expected](const std::vector<Member>& members) {
    if (members.size() != expected.size()) return false;
    for (const Member& member : members) {
      const auto found = expected.find(member.name);
      if (found == expected.end() || found->second != MemberStatusName(member.status)) return false;
    }
    return true;
  });
}

inline bool AgentProcess::WaitUntil(
    const std::function<bool(const std::vector<Member>&)>& condition) const {
  return process_->WaitUntil([&] { return condition(Members()); });
}

}  // namespace serf::testkit

#endif  // SERF_TESTING_AGENTS_AGENT_PROCESS_H_
