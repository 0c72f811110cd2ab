// The parsers of queries that untrusted bytes reach: filters, relays, and answers.
//
//   input = kind byte*    kind is taken modulo 4

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "serf/base/bytes.h"
#include "serf/base/time.h"
#include "serf/judgement.h"
#include "serf/queries/query_filter.h"
#include "serf/serf.h"
#include "serf/tags.h"
#include "serf/testing/fuzz_bounds.h"
#include "serf/testing/node/lone_serf.h"
#include "serf/wire/list_view.h"
#include "serf/wire/message_type.h"
#include "serf/wire/serf_messages.h"

namespace {

// Two filters, the first of which is the input. Both must pass, or neither.
void FuzzFilters(serf::ByteView bytes) {
  const serf::ByteVector other = {0, 0x91, 0xa4, 's', 'e', 'l', 'f'};
  const std::vector<serf::ByteView> filters = {bytes, other};
  int warnings = 0;
  const auto warn = [&warnings](const std::string&) { ++warnings; };
  serf::QueryFilters judge;
  std::vector<serf::TagExpression> open;
  const bool passes =
      judge.Judge(serf::Instant(), serf::wire::ListView<serf::ByteView>(filters), "self",
                  {{"role", "web"}}, open, warn) == serf::QueryFilters::Verdict::kPasses;
  std::size_t size = 0;
  for (const serf::TagExpression& each : open) size += each.tag.size() + each.expression.size();
  if (size > bytes.size()) std::abort();
  if (passes && warnings > 0) std::abort();
}

void FuzzTags(serf::ByteView bytes) {
  serf::Tags tags;
  static_cast<void>(serf::DecodeTags(bytes, tags));
  std::size_t size = 0;
  for (const auto& [key, value] : tags) size += key.size() + value.size();
  if (size > bytes.size() + serf::kRoleTag.size()) std::abort();
}

// A message of this type about the node's only query.
void FuzzMessage(serf::wire::SerfMessageType type, serf::ByteView bytes) {
  serf::testkit::LoneSerf self;
  self.PeerAlive("a");
  static_cast<void>(self.SendQuery("q", "", {.request_ack = true, .finish_early = true}));
  serf::ByteVector message = {static_cast<std::uint8_t>(type)};
  serf::Append(message, bytes);
  self.ReceiveBytes(message);
  if (self.serf().state() != serf::Serf::State::kAlive) std::abort();
}

// A machine with a peer. An expression takes as much memory as a compiled one may have, and RE2
// three times that while it compiles.
constexpr serf::testkit::FuzzBounds kBounds = {
    .total = {512, 8 << 20},
    .peak = {128, 4 << 20},
    .work = {100, 150000},
};

void Fuzz(serf::ByteView input) {
  if (input.empty()) return;
  const serf::ByteView bytes = input.subspan(1);
  switch (input[0] % 4) {
    case 0:
      FuzzFilters(bytes);
      break;
    case 1:
      FuzzTags(bytes);
      break;
    case 2:
      FuzzMessage(serf::wire::SerfMessageType::kRelay, bytes);
      break;
    default:
      FuzzMessage(serf::wire::SerfMessageType::kQueryResponse, bytes);
      break;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return serf::testkit::FuzzWithin(kBounds, data, size, Fuzz);
}
