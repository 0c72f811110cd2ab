#ifndef SERF_TESTING_INTEGRATION_RECORDED_AGENTS_H_
#define SERF_TESTING_INTEGRATION_RECORDED_AGENTS_H_

// The agents that the recorded commands talk to: alpha, and beta beside it, at the recorded ports
// and at the address of this process.
//
//   const auto alpha = StartAlpha({"-tag=role=web"});
//   const auto beta = StartBeta(*alpha);
//   ExpectAsRecorded({"members", "members-json"});

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "serf/testing/agents/process.h"
#include "serf/testing/agents/programs.h"
#include "serf/testing/integration/transcript.h"

namespace serf::testkit {

inline void ExpectAsRecorded(const std::vector<const char*>& names) {
  for (const char* name : names) {
    const Transcript transcript(name);
    EXPECT_EQ(transcript.Run(), transcript.expected()) << name;
  }
}

// Returns when the agent runs.
inline std::unique_ptr<Process> StartAgent(std::vector<std::string> flags,
                                           const Process::Environment& environment = {}) {
  flags.insert(flags.begin(), {OurSerf(), "agent"});
  for (std::string& flag : flags) flag = Localize(flag);
  auto agent = std::make_unique<Process>(flags, environment);
  EXPECT_TRUE(agent->WaitForOutput("==> Log data will now stream")) << agent->out();
  return agent;
}

inline std::unique_ptr<Process> StartAlpha(std::vector<std::string> more = {}) {
  more.insert(more.begin(), {"-node=alpha", "-bind=127.0.0.1:23121", "-rpc-addr=127.0.0.1:23221",
                             "-profile=local"});
  return StartAgent(std::move(more));
}

// Starts beta and lets it join alpha. Returns when both know it.
inline std::unique_ptr<Process> StartBeta(const Process& alpha,
                                          std::vector<std::string> more = {}) {
  more.insert(more.begin(), {"-node=beta", "-bind=127.0.0.1:23122", "-rpc-addr=127.0.0.1:23222",
                             "-profile=local", "-tag=role=db", "-join=127.0.0.1:23121"});
  auto beta = StartAgent(std::move(more));
  EXPECT_TRUE(alpha.WaitForOutput("serf: EventMemberJoin: beta ")) << alpha.out();
  return beta;
}

}  // namespace serf::testkit

#endif  // SERF_TESTING_INTEGRATION_RECORDED_AGENTS_H_
