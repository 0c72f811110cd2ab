// The payloads of internal queries and of the answers to them: key requests, key responses and
// ballots, through machines that ask and that are asked.
//
// input = kind byte*    kind is taken modulo 6

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "absl/strings/string_view.h"
#include "serf/base/bytes.h"
#include "serf/keys.h"
#include "serf/query.h"
#include "serf/serf.h"
#include "serf/testing/fuzz_bounds.h"
#include "serf/testing/node/lone_serf.h"
#include "serf/testing/test_crypto.h"
#include "serf/wire/ids.h"
#include "serf/wire/msgpack.h"
#include "serf/wire/serf_messages.h"

namespace {

using serf::testkit::LoneSerf;

serf::Config Encrypted() {
  serf::Config config = LoneSerf::DefaultConfig();
  serf::testkit::Encrypt(config.swim, serf::ByteVector(16, 1));
  // Packets are in the clear, so that the fuzzer can read them.
  config.swim.verify_incoming = false;
  config.swim.verify_outgoing = false;
  config.swim.enable_compression = false;
  return config;
}

void Check(bool holds) {
  if (!holds) std::abort();
}

// A member sends a query with this payload.
void FuzzQuery(absl::string_view name, serf::ByteView payload) {
  LoneSerf self(Encrypted());
  self.PeerAlive("a");
  const serf::Endpoint endpoint = LoneSerf::EndpointOf("a");
  serf::wire::QueryMessage query;
  query.ltime = serf::wire::LamportTime(5);
  query.addr = endpoint.address.bytes();
  query.port = endpoint.port;
  query.source_node = "a";
  query.timeout_ns = serf::Duration(std::chrono::seconds(10)).count();
  query.name = name;
  query.payload = payload;
  self.Receive(query);
  Check(self.serf().state() == serf::Serf::State::kAlive);
  // The primary key stays, whatever the query asks for.
  const auto keys = self.serf().config().swim.keyring->keys();
  Check(!keys.empty() && keys.size() <= 2);
}

// The query of this node that is being gossiped.
serf::QueryId FindQuery(LoneSerf& self) {
  constexpr absl::string_view kStart =
      "\x8b\xa4"
      "Addr";
  self.RunFor(std::chrono::seconds(1));
  for (const LoneSerf::Packet& packet : self.TakePackets()) {
    const std::size_t at = serf::AsText(packet.bytes).find(kStart);
    if (at == absl::string_view::npos) continue;
    serf::wire::DecodeScratch scratch;
    serf::wire::QueryMessage query;
    if (Decode(serf::ByteView(packet.bytes).subspan(at), query, scratch) ==
        serf::wire::DecodeResult::kOk) {
      return {query.ltime, query.id};
    }
  }
  std::abort();
}

void Answer(LoneSerf& self, serf::QueryId query, serf::ByteView payload) {
  serf::wire::QueryResponseMessage response;
  response.ltime = query.time;
  response.id = query.number;
  response.from = "a";
  response.payload = payload;
  self.Receive(response);
}

void FuzzKeyResponse(serf::ByteView payload) {
  LoneSerf self(Encrypted());
  self.PeerAlive("a");
  const serf::RequestId request = self.ManageKeys(serf::KeyOperation::kList);
  Answer(self, FindQuery(self), payload);
  self.RunFor(std::chrono::seconds(10));
  Check(self.Result(request) != "pending");
  const serf::KeyOutcome& outcome = self.Keys(request);
  Check(outcome.responses == 2 && outcome.errors <= 1);
}

// Another node claims the name, and the only voter answers with these bytes.
void FuzzBallot(serf::ByteView payload) {
  LoneSerf self;
  self.PeerAlive("a");
  self.RunFor(std::chrono::seconds(5));
  self.TakePackets();
  const auto versions = serf::wire::VersionVector{1, 5, 2, 2, 5, 5}.ToBytes();
  const serf::IpAddress elsewhere = serf::IpAddress::V4(10, 6, 6, 6);
  serf::wire::Alive alive;
  alive.incarnation = serf::wire::Incarnation(9);
  alive.node = "self";
  alive.addr = elsewhere.bytes();
  alive.port = 7946;
  alive.vsn = versions;
  serf::ByteVector packet;
  Encode(alive, packet);
  self.ReceivePacket(packet);
  Answer(self, FindQuery(self), payload);
  self.RunFor(std::chrono::seconds(10));
  // The node shuts down only after a readable vote for another node.
  serf::wire::DecodeScratch scratch;
  serf::wire::ConflictResponse response;
  const bool readable =
      !payload.empty() && payload.front() == 6 &&
      Decode(payload.subspan(1), response, scratch) == serf::wire::DecodeResult::kOk;
  Check(readable || self.serf().state() == serf::Serf::State::kAlive);
}

// A whole machine with a peer, for eleven seconds of its time, with all its output.
constexpr serf::testkit::FuzzBounds kBounds = {
    .total = {512, 1 << 20},
    .peak = {128, 512 << 10},
    .work = {100, 30000},
};

void Fuzz(serf::ByteView input) {
  if (input.empty()) return;
  const serf::ByteView payload = input.subspan(1);
  switch (input[0] % 6) {
    case 0:
      FuzzQuery(serf::KeyQueryName(serf::KeyOperation::kInstall), payload);
      break;
    case 1:
      FuzzQuery(serf::KeyQueryName(serf::KeyOperation::kUse), payload);
      break;
    case 2:
      FuzzQuery(serf::KeyQueryName(serf::KeyOperation::kRemove), payload);
      break;
    case 3:
      FuzzQuery(serf::kConflictQuery, payload);
      break;
    case 4:
      FuzzKeyResponse(payload);
      break;
    default:
      FuzzBallot(payload);
      break;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return serf::testkit::FuzzWithin(kBounds, data, size, Fuzz);
}
