// Any stream gives the same result whatever its pieces, on both sides, with and without label and
// keys; the push/pulls among them can be read to their end.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "serf/base/bytes.h"
#include "serf/testing/fuzz_bounds.h"
#include "serf/wire/aead.h"
#include "serf/wire/message_type.h"
#include "serf/wire/msgpack.h"
#include "serf/wire/openssl_aead.h"
#include "serf/wire/push_pull_reader.h"
#include "serf/wire/stream_frame.h"
#include "serf/wire/swim_messages.h"

namespace serf::wire {
namespace {

Keyring MakeRing() {
  Keyring ring;
  for (const std::size_t size : {std::size_t{32}, std::size_t{16}}) {
    Keyring::Key key(size);
    for (std::size_t i = 0; i < size; ++i) key[i] = static_cast<std::uint8_t>(i);
    if (!ring.Add(key).ok()) std::abort();
  }
  return ring;
}

void Feed(StreamReader& reader, ByteView bytes, std::size_t piece) {
  while (!bytes.empty() && reader.status() == StreamStatus::kNeedMore) {
    reader.Feed(bytes.first(std::min(piece, bytes.size())));
    bytes = bytes.subspan(std::min(piece, bytes.size()));
  }
  reader.FeedEnd();
}

void ReadPushPull(const StreamUnit& unit) {
  PushPullReader reader(unit);
  for (PushPullNode node; reader.Next(node);) Check(node);
  if (reader.result() != DecodeResult::kOk || !reader.ReadState()) std::abort();
  if (unit.deflated.empty() && reader.user_state().size() > unit.body.size()) std::abort();
}

void Fuzz(ByteView bytes) {
  static const Keyring ring = MakeRing();
  static OpensslAead aead;
  StreamOptions cases[] = {
      {},
      {.keyring = &ring, .aead = &aead},
      {.label = "blue", .keyring = &ring, .aead = &aead, .verify_incoming = false},
  };
  for (StreamOptions& options : cases) {
    for (const bool initiator : {false, true}) {
      options.initiator = initiator;
      StreamReader whole(options);
      Feed(whole, bytes, bytes.size());
      if (whole.status() == StreamStatus::kNeedMore) std::abort();
      StreamReader pieces(options);
      Feed(pieces, bytes, 1 + bytes.size() / 16);
      if (pieces.status() != whole.status()) std::abort();
      if (whole.status() == StreamStatus::kFailed) continue;
      if (!std::ranges::equal(whole.unit().body, pieces.unit().body)) std::abort();
      if (!std::ranges::equal(whole.unit().deflated, pieces.unit().deflated)) std::abort();
      if (whole.unit().type == MessageType::kPushPull) ReadPushPull(whole.unit());
    }
  }
}

// The stream is read twelve times, by two readers at a time, which hold as much as a stream may,
// and then by a third one, which may hold the state of a push/pull.
constexpr testkit::FuzzBounds kBounds = {
    .total = {12 * (kInflationMax + 8), 12 * kInflationFree + (256 << 10)},
    .peak = {kInflationMax + 16, 3 * kInflatedHeldMax + (256 << 10)},
    .work = {600, 100000},
};

}  // namespace
}  // namespace serf::wire

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return serf::testkit::FuzzWithin(serf::wire::kBounds, data, size, serf::wire::Fuzz);
}
