// Any push/pull body is read record by record, or refused at its first fault.

#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "serf/base/bytes.h"
#include "serf/testing/fuzz_bounds.h"
#include "serf/wire/msgpack.h"
#include "serf/wire/push_pull_reader.h"
#include "serf/wire/swim_messages.h"

namespace serf::wire {
namespace {

void Try(ByteView body) {
  PushPullReader reader(body);
  std::int64_t records = 0;
  for (PushPullNode node; reader.Next(node); ++records) {
    ByteVector again;
    Encode(node, again);
    DecodeScratch scratch;
    PushPullNode decoded;
    if (Decode(again, decoded, scratch) != DecodeResult::kOk) std::abort();
    if (decoded.name != node.name || Check(decoded) != Check(node)) std::abort();
  }
  if (records > static_cast<std::int64_t>(body.size())) std::abort();
  if (reader.result() != DecodeResult::kOk) return;
  if (records != reader.header().nodes) std::abort();
  if (static_cast<std::int64_t>(reader.user_state().size()) != reader.header().user_state_len) {
    std::abort();
  }
}

// A record of one byte is encoded with all its fields.
constexpr testkit::FuzzBounds kBounds = {
    .total = {512, 8 << 10},
    .peak = {64, 8 << 10},
    .work = {30, 4000},
};

void Fuzz(ByteView input) {
  if (!input.empty()) Try(input.subspan(1));
}

}  // namespace
}  // namespace serf::wire

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return serf::testkit::FuzzWithin(serf::wire::kBounds, data, size, serf::wire::Fuzz);
}
