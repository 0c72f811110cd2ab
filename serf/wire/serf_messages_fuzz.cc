// Any bytes decode as each of the Serf layer's messages or are refused; what decodes can be
// encoded, and that is a fixed point.

#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "absl/strings/string_view.h"
#include "serf/base/bytes.h"
#include "serf/testing/fuzz_bounds.h"
#include "serf/wire/coordinate_message.h"
#include "serf/wire/msgpack.h"
#include "serf/wire/serf_messages.h"

namespace serf::wire {
namespace {

inline void EncodeAny(const NodeFilter& filter, ByteVector& out) { EncodeFilter(filter, out); }
inline void EncodeAny(const TagFilter& filter, ByteVector& out) { EncodeFilter(filter, out); }
template <typename Message>
void EncodeAny(const Message& message, ByteVector& out) {
  Encode(message, out);
}

template <typename Message>
void Try(ByteView body) {
  DecodeScratch scratch;
  Message message;
  if (Decode(body, message, scratch) != DecodeResult::kOk) return;
  if (scratch.consumed() > body.size()) std::abort();
  ByteVector once;
  EncodeAny(message, once);
  DecodeScratch scratch_again;
  Message again;
  if (Decode(ByteView(once).subspan(1), again, scratch_again) != DecodeResult::kOk) std::abort();
  if (scratch_again.consumed() != once.size() - 1) std::abort();
  ByteVector twice;
  EncodeAny(again, twice);
  if (once != twice) std::abort();
}

void Fuzz(ByteView bytes) {
  std::size_t tag_bytes = 0;
  DecodeTags(bytes, [&](absl::string_view name, absl::string_view value) {
    tag_bytes += name.size() + value.size();
  });
  if (tag_bytes > bytes.size() + 4) std::abort();
  if (bytes.empty()) return;
  const ByteView body = bytes.subspan(1);
  Try<LeaveMessage>(body);
  Try<JoinMessage>(body);
  Try<PushPullState>(body);
  Try<UserEventMessage>(body);
  Try<QueryMessage>(body);
  Try<QueryResponseMessage>(body);
  Try<RelayHeader>(body);
  Try<ConflictResponse>(body);
  Try<KeyRequest>(body);
  Try<KeyResponse>(body);
  Try<NodeFilter>(body);
  Try<TagFilter>(body);
  Try<CoordinateMessage>(body);
}

// Decodes each input as each of thirteen messages, and encodes twice what decodes.
constexpr testkit::FuzzBounds kBounds = {
    .total = {512, 32 << 10},
    .peak = {128, 32 << 10},
    .work = {60, 8000},
};

}  // namespace
}  // namespace serf::wire

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return serf::testkit::FuzzWithin(serf::wire::kBounds, data, size, serf::wire::Fuzz);
}
