// Measures what an RPC call costs: in the agent's session alone, and over loopback with a client.
//   bazel run -c opt //rpc:rpc_benchmark

#include <benchmark/benchmark.h>

#include <boost/asio/io_context.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "serf/base/bytes.h"
#include "serf/base/time.h"
#include "serf/event.h"
#include "serf/member.h"
#include "serf/query.h"
#include "serf/rpc/client_io.h"
#include "serf/rpc/client_session.h"
#include "serf/rpc/protocol.h"
#include "serf/rpc/server_io.h"
#include "serf/rpc/server_session.h"
#include "serf/rpc/stream_event.h"
#include "serf/testing/rpc/fake_service.h"

namespace serf::rpc {
namespace {

constexpr Instant kNow = Instant(std::chrono::seconds(1));

// A service whose members are listed beforehand. Like an agent, it copies the listing for each
// request.
class Members : public FakeService {
 public:
  explicit Members(std::int64_t count) {
    for (std::int64_t i = 0; i < count; ++i) {
      Member member = TestMember(absl::StrCat("node-", i));
      member.tags = {{"role", "web"}, {"dc", "east-1"}};
      members.push_back(std::move(member));
    }
    listing_ = ListingOf(members);
  }
  MemberListing ListMembers() override { return listing_; }

 private:
  MemberListing listing_;
};

// Bytes in, bytes out.
void BM_ServerSessionMembers(benchmark::State& state) {
  Members service(state.range(0));
  ServerSession session(kNow, service, {});
  ClientSession client;
  client.Handshake(kNow, [](absl::Status) {});
  session.OnBytes(kNow, client.Output());
  session.OnWritten(kNow, session.Output().size());
  client.OnWritten(client.Output().size());
  client.Members(kNow, [](absl::StatusOr<std::vector<Member>>) {});
  const ByteVector request(client.Output().begin(), client.Output().end());
  for (auto _ : state) {
    session.OnBytes(kNow, request);
    const ByteView out = session.Output();
    benchmark::DoNotOptimize(out.data());
    session.OnWritten(kNow, out.size());
  }
}
BENCHMARK(BM_ServerSessionMembers)->Arg(1)->Arg(50)->Arg(1000)->Arg(10'000);

// With the client's session.
void BM_SessionsMembers(benchmark::State& state) {
  Members service(state.range(0));
  ServerSession session(kNow, service, {});
  ClientSession client;
  const auto exchange = [&] {
    session.OnBytes(kNow, client.Output());
    client.OnWritten(client.Output().size());
    const ByteView out = session.Output();
    client.OnBytes(out);
    session.OnWritten(kNow, out.size());
  };
  client.Handshake(kNow, [](absl::Status) {});
  exchange();
  std::size_t received = 0;
  for (auto _ : state) {
    client.Members(kNow, [&](absl::StatusOr<std::vector<Member>> m) { received += m->size(); });
    exchange();
  }
  if (received != state.iterations() * static_cast<std::size_t>(state.range(0))) {
    state.SkipWithError("members are missing");
  }
}
BENCHMARK(BM_SessionsMembers)->Arg(1)->Arg(50)->Arg(10'000);

// Both ends on one thread, with the system calls.
void BM_LoopbackMembers(benchmark::State& state) {
  boost::asio::io_context io(1);
  Members service(state.range(0));
  Server server(io, service, {});
  if (!server.Listen("127.0.0.1:0").ok()) {
    state.SkipWithError("cannot listen");
    return;
  }
  AsyncClient client(io, {});
  int done = 0;
  client.AsyncConnect(server.local_endpoint()->ToString(), [&](absl::Status status) {
    if (status.ok()) ++done;
  });
  while (done == 0) io.run_one();
  for (auto _ : state) {
    const int before = done;
    client.AsyncMembers([&](absl::StatusOr<std::vector<Member>> m) { done += m.ok() ? 1 : 1000; });
    while (done == before) io.run_one();
  }
}
BENCHMARK(BM_LoopbackMembers)->Arg(1)->Arg(50)->Arg(10'000);

// An event to many streams; the result is per record.
void BM_StreamRecords(benchmark::State& state) {
  FakeService service;
  std::vector<std::unique_ptr<ServerSession>> sessions;
  for (std::int64_t i = 0; i < state.range(0); ++i) {
    sessions.push_back(std::make_unique<ServerSession>(kNow, service, ServerSession::Options{}));
    ClientSession client;
    client.Handshake(kNow, [](absl::Status) {});
    client.Stream(
        kNow, "member-join,user:deploy", [](absl::StatusOr<EventRecord>) {},
        [](absl::StatusOr<ClientSession::Seq>) {});
    sessions.back()->OnBytes(kNow, client.Output());
    sessions.back()->OnWritten(kNow, sessions.back()->Output().size());
  }
  const Event event = MemberEvent{MemberEventKind::kJoin, {TestMember("node")}};
  for (auto _ : state) {
    const auto shared = std::make_shared<const StreamEvent>(event);
    for (const auto& session : sessions) {
      session->OnEvent(kNow, shared);
      session->OnWritten(kNow, session->Output().size());
    }
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(BM_StreamRecords)->Arg(1)->Arg(100);

// The answers to a query, each an acknowledgement and a response; the result is per record.
void BM_QueryAnswers(benchmark::State& state) {
  const std::int64_t nodes = state.range(0);
  FakeService service;
  ServerSession session(kNow, service, {});
  ClientSession client;
  std::int64_t records = 0;
  const auto exchange = [&] {
    session.OnBytes(kNow, client.Output());
    client.OnWritten(client.Output().size());
    for (ByteView out = session.Output(); !out.empty(); out = session.Output()) {
      client.OnBytes(out);
      session.OnWritten(kNow, out.size());
    }
  };
  client.Handshake(kNow, [](absl::Status) {});
  for (auto _ : state) {
    client.SendQuery(
        kNow, "load", "", {}, [&](absl::StatusOr<AnswerRecord> a) { records += a.ok(); },
        [](absl::StatusOr<ClientSession::Seq>) {});
    exchange();
    for (std::int64_t i = 0; i < nodes; ++i) {
      service.TellAnswer(QueryUpdate::Kind::kAck, "node-1234");
      service.TellAnswer(QueryUpdate::Kind::kResponse, "node-1234", "0.53 0.48 0.51");
    }
    service.TellAnswer(QueryUpdate::Kind::kDone);
    exchange();
  }
  if (records != state.iterations() * (2 * nodes + 1)) state.SkipWithError("answers are missing");
  state.SetItemsProcessed(records);
}
BENCHMARK(BM_QueryAnswers)->Arg(50)->Arg(10'000);

}  // namespace
}  // namespace serf::rpc
