// What a module that depends on ours can do: run the machine, be a member, drive an agent.
#include "serf/member.h"

#include <boost/asio/io_context.hpp>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "serf/base/endpoint.h"
#include "serf/config.h"
#include "serf/join.h"
#include "serf/outbox.h"
#include "serf/rpc/client.h"
#include "serf/serf.h"
#include "serf/transport/host.h"

namespace {

TEST(Module, RunsTheMachine) {
  serf::Config config = serf::Config::Lan();
  config.swim.name = "machine";
  config.swim.advertise = *serf::Endpoint::Parse("127.0.0.1:7946");
  absl::StatusOr<std::unique_ptr<serf::Serf>> node = serf::Serf::Create(config);
  ASSERT_TRUE(node.ok()) << node.status();
  serf::Outbox out;
  (*node)->Start(serf::Instant{}, out);
  EXPECT_EQ((*node)->LocalMember().name, "machine");
}

// Starts the program, and returns the RPC address that it prints.
std::string RpcAddressOf(std::FILE* program) {
  const std::string label = "RPC addr: '";
  char line[256];
  while (std::fgets(line, sizeof(line), program) != nullptr) {
    const std::string text = line;
    const std::size_t at = text.find(label);
    if (at == std::string::npos) continue;
    const std::size_t begin = at + label.size();
    return text.substr(begin, text.find('\'', begin) - begin);
  }
  return "";
}

TEST(Module, JoinsTheProgramAndAsksIt) {
  const char* const path = std::getenv("SERF_PROGRAM");
  ASSERT_NE(path, nullptr);
  std::FILE* const program = popen(
      absl::StrCat(path, " agent -node=program -bind=127.0.0.1:0 -rpc-addr=127.0.0.1:0").c_str(),
      "r");
  ASSERT_NE(program, nullptr);
  const std::string rpc = RpcAddressOf(program);
  ASSERT_NE(rpc, "") << "the program has ended";
  serf::rpc::Client client;
  ASSERT_TRUE(client.Connect(rpc).ok());
  absl::StatusOr<std::vector<serf::Member>> members = client.Members();
  ASSERT_TRUE(members.ok()) << members.status();
  ASSERT_EQ(members->size(), 1u);

  boost::asio::io_context io;
  serf::transport::HostOptions options;
  options.config = serf::Config::Lan();
  options.config.swim.name = "embedder";
  options.bind = *serf::Endpoint::Parse("127.0.0.1:0");
  auto host = serf::transport::Host::Create(io, std::move(options));
  ASSERT_TRUE(host.ok()) << host.status();
  (*host)->Start();
  absl::Status joined = absl::UnknownError("still joining");
  (*host)->AsyncJoin({members->front().endpoint.ToString()}, {},
                     [&](const serf::JoinResult& result) {
                       joined = result.status;
                       io.stop();
                     });
  io.run_for(std::chrono::seconds(20));
  EXPECT_TRUE(joined.ok()) << joined;
  members = client.Members();
  ASSERT_TRUE(members.ok()) << members.status();
  EXPECT_EQ(members->size(), 2u);

  EXPECT_TRUE(client.Leave().ok());
  EXPECT_EQ(pclose(program), 0);
}

}  // namespace
