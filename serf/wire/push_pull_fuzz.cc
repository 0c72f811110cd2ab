// Any push/pull body is read record by record, or refused where it ends to make sense.

#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "serf/base/bytes.h"
#include "serf/wire/msgpack.h"
#include "serf/wire/stream_frame.h"
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

}  // namespace
}  // namespace serf::wire

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size > 0) serf::wire::Try(serf::ByteView(data + 1, size - 1));
  return 0;
}
