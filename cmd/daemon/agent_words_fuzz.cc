// Parses the words that users write in flags, with any content. A word is accepted, or refused with
// a reason. A value that has a text form is the same after it was written and read again. The first
// byte chooses the kind of word.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "gflags/gflags.h"
#include "serf/base/base64.h"
#include "serf/base/endpoint.h"
#include "serf/base/host_port.h"
#include "serf/base/time.h"
#include "serf/cmd/daemon/agent_tuning.h"
#include "serf/cmd/events/event_spec.h"
#include "serf/cmd/flags.h"
#include "serf/cmd/tag_flag.h"
#include "serf/cmd/text/duration.h"
#include "serf/testing/fuzz_bounds.h"
#include "serf/transport/bind_address.h"
#include "serf/transport/net/system_names.h"

DEFINE_string(fuzz_text, "", "");
DEFINE_bool(fuzz_bool, false, "");
DEFINE_int64(fuzz_number, 0, "");
DEFINE_string(fuzz_duration, "0", "");

namespace {

void Require(bool condition) {
  if (!condition) std::abort();
}

// An error must have a text.
template <typename T>
bool Taken(const absl::StatusOr<T>& result) {
  Require(result.ok() || !result.status().message().empty());
  return result.ok();
}

void ReadDuration(absl::string_view text) {
  const auto duration = serf::cmd::ParseDuration(text);
  if (!Taken(duration)) return;
  const auto again = serf::cmd::ParseDuration(serf::FormatDuration(*duration));
  Require(again.ok() && *again == *duration);
}

void ReadAddress(absl::string_view text) {
  // A book of names and services that does not ask the system.
  const serf::names::Book book = {
      [](const std::string& host) -> serf::names::Addresses {
        if (host.size() % 2 != 0) return absl::NotFoundError("no such host");
        return std::vector<serf::IpAddress>{serf::IpAddress::V4(192, 0, 2, 1)};
      },
      [](const std::string& service, const char*) -> std::optional<std::uint16_t> {
        if (service.size() % 2 == 0) return std::uint16_t{80};
        return std::nullopt;
      }};
  const auto address = serf::transport::ParseBindAddress(text, 7946, book);
  if (Taken(address)) {
    const auto again = serf::transport::ParseBindAddress(address->endpoint.ToString(), 7946, book);
    Require(again.ok() && again->endpoint == address->endpoint);
  }
  const auto parts = serf::SplitHostPort(text);
  if (Taken(parts)) {
    const auto again = serf::SplitHostPort(serf::JoinHostPort(parts->host, parts->port));
    Require(again.ok() && again->host == parts->host && again->port == parts->port);
  }
}

void ReadFlags(absl::string_view text) {
  std::vector<std::string> list;
  const std::vector<serf::cmd::Flag> flags = {
      {.name = "text", .gflag = "fuzz_text"},
      {.name = "bool", .gflag = "fuzz_bool"},
      {.name = "number", .gflag = "fuzz_number"},
      {.name = "duration", .gflag = "fuzz_duration", .duration = true},
      {.name = "list", .list = &list},
  };
  const std::vector<std::string> words = absl::StrSplit(text, '\n');
  const auto rest = serf::cmd::ParseFlags(flags, words);
  if (!Taken(rest)) return;
  Require(rest->size() <= words.size() && list.size() <= words.size());
  Require(serf::cmd::ParseDuration(FLAGS_fuzz_duration).ok());
}

void ReadTag(absl::string_view text) {
  const auto tags = serf::cmd::ParseTags({std::string(text)});
  if (Taken(tags)) Require(tags->size() == 1);
}

void ReadEventSpec(absl::string_view text) {
  const auto scripts = serf::cmd::ParseEventScripts({std::string(text)});
  if (!Taken(scripts)) return;
  Require(!scripts->empty());
  for (const auto& script : *scripts) Require(text.find(script.command) != text.npos);
}

// A word may have one byte, and becomes a string in two lists.
constexpr serf::testkit::FuzzBounds kBounds = {
    .total = {512, 16 << 10},
    .peak = {256, 16 << 10},
    .work = {4, 3000},
};

void Fuzz(serf::ByteView input) {
  if (input.empty()) return;
  const absl::string_view text = serf::AsText(input.subspan(1));
  switch (input[0]) {
    case 'd':
      ReadDuration(text);
      break;
    case 'a':
      ReadAddress(text);
      break;
    case 'f':
      ReadFlags(text);
      break;
    case 't':
      ReadTag(text);
      break;
    case 'e':
      ReadEventSpec(text);
      break;
    case 'c':
      Taken(serf::cmd::ParseAddressBlock(text));
      break;
    case 'k':
      Taken(serf::DecodeBase64(text));
      break;
    default:
      break;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return serf::testkit::FuzzWithin(kBounds, data, size, Fuzz);
}
