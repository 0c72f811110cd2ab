// Any bytes expand within their bound or are refused, and any bytes survive the round trip.

#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "serf/base/bytes.h"
#include "serf/testing/fuzz_bounds.h"
#include "serf/wire/lzw.h"

namespace serf::wire {
namespace {

constexpr std::size_t kExpandedMax = 1 << 16;

void Fuzz(ByteView bytes) {
  static LzwEncoder encoder;
  static LzwDecoder decoder;
  ByteVector expanded;
  const LzwResult result = decoder.Decode(bytes, kExpandedMax, expanded);
  if (expanded.size() > kExpandedMax) std::abort();
  ByteVector compressed;
  if (!encoder.Encode(bytes, 2 * bytes.size() + 16, compressed)) std::abort();
  ByteVector again;
  if (decoder.Decode(compressed, bytes.size(), again) != LzwResult::kOk) std::abort();
  if (again != ByteVector(bytes.begin(), bytes.end())) std::abort();
  if (result != LzwResult::kOk) return;
  // This encoder reproduces what another encoder made.
  compressed.clear();
  again.clear();
  if (!encoder.Encode(expanded, 2 * expanded.size() + 16, compressed)) std::abort();
  if (decoder.Decode(compressed, expanded.size(), again) != LzwResult::kOk) std::abort();
  if (again != expanded) std::abort();
}

// Expanded up to kExpandedMax; the result is compressed and expanded again, into vectors that
// double.
constexpr testkit::FuzzBounds kBounds = {
    .total = {16, 16 * kExpandedMax},
    .peak = {8, 8 * kExpandedMax},
    .work = {4, 30000},
};

}  // namespace
}  // namespace serf::wire

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return serf::testkit::FuzzWithin(serf::wire::kBounds, data, size, serf::wire::Fuzz);
}
