// Any bytes decode as each message of the SWIM layer or are refused; what decodes can be encoded,
// and that is a fixed point.

#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "serf/base/bytes.h"
#include "serf/testing/fuzz_bounds.h"
#include "serf/wire/msgpack.h"
#include "serf/wire/swim_messages.h"

namespace serf::wire {
namespace {

template <typename Message>
void Try(ByteView body, std::size_t type_bytes) {
  DecodeScratch scratch;
  Message message;
  if (Decode(body, message, scratch) != DecodeResult::kOk) return;
  if (scratch.consumed() > body.size()) std::abort();
  ByteVector once;
  Encode(message, once);
  DecodeScratch scratch_again;
  Message again;
  if (Decode(ByteView(once).subspan(type_bytes), again, scratch_again) != DecodeResult::kOk) {
    std::abort();
  }
  if (scratch_again.consumed() != once.size() - type_bytes) std::abort();
  ByteVector twice;
  Encode(again, twice);
  if (once != twice) std::abort();
}

void TryAll(ByteView body) {
  Try<Ping>(body, 1);
  Try<IndirectPing>(body, 1);
  Try<Ack>(body, 1);
  Try<Nack>(body, 1);
  Try<Suspect>(body, 1);
  Try<Dead>(body, 1);
  Try<Alive>(body, 1);
  Try<PushPullHeader>(body, 1);
  Try<PushPullNode>(body, 0);
  Try<UserHeader>(body, 1);
  Try<ErrorMessage>(body, 1);
  Try<CompressMessage>(body, 1);
}

// Decodes each input as each of twelve messages, and encodes twice what decodes.
constexpr testkit::FuzzBounds kBounds = {
    .total = {256, 32 << 10},
    .peak = {64, 16 << 10},
    .work = {30, 5000},
};

void Fuzz(ByteView input) {
  if (!input.empty()) TryAll(input.subspan(1));
}

}  // namespace
}  // namespace serf::wire

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return serf::testkit::FuzzWithin(serf::wire::kBounds, data, size, serf::wire::Fuzz);
}
