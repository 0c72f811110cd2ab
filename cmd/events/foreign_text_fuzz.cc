// Passes texts of other nodes to scripts, terminals, logs and JSON. The texts stay the same, and
// nothing reads them as a line, a field, a variable or a command for a terminal.
//
// input = length byte*{length} byte*    two texts

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/string_view.h"
#include "nlohmann/json.hpp"
#include "serf/base/bytes.h"
#include "serf/cmd/events/script_event.h"
#include "serf/cmd/text/json_text.h"
#include "serf/cmd/text/quote.h"
#include "serf/event.h"
#include "serf/member.h"
#include "serf/testing/fuzz_bounds.h"
#include "serf/wire/ids.h"

namespace {

void Require(bool condition) {
  if (!condition) std::abort();
}

bool IsLayout(char c) { return c == '\n' || c == '\t'; }

void Show(absl::string_view text) {
  for (const char c : serf::cmd::EscapeForTerminal(text)) {
    Require(IsLayout(c) || !absl::ascii_iscntrl(static_cast<unsigned char>(c)));
  }
  for (const char c : serf::cmd::EscapeControls(text)) {
    Require(!absl::ascii_iscntrl(static_cast<unsigned char>(c)));
  }
  const std::string quoted = serf::cmd::Quote(text);
  Require(quoted.size() >= 2 && quoted.front() == '"' && quoted.back() == '"');
  Require(std::none_of(quoted.begin(), quoted.end(),
                       [](char c) { return absl::ascii_iscntrl(static_cast<unsigned char>(c)); }));
  Require(nlohmann::json::accept(serf::cmd::JsonQuote(text)));
}

// Uses both texts as names of members, and as the name and the value of a tag.
void TellScripts(const std::string& one, const std::string& other) {
  serf::Member member;
  member.name = one;
  member.tags[one] = other;
  member.tags["role"] = other;
  const std::string input =
      serf::cmd::MakeScriptEvent(serf::MemberEvent{serf::MemberEventKind::kJoin, {member, member}},
                                 member)
          .input;
  Require(std::count(input.begin(), input.end(), '\n') == 2);
  Require(std::count(input.begin(), input.end(), '\t') == 6);

  const serf::cmd::ScriptEvent event = serf::cmd::MakeScriptEvent(
      serf::UserEvent{serf::wire::LamportTime(1), one, other, false}, member);
  Require(absl::StartsWith(event.input, other) && event.input.size() <= other.size() + 1);
  for (const std::string& word : serf::cmd::ScriptEnvironment(event)) {
    if (!absl::StartsWith(word, "SERF_")) continue;
    const absl::string_view name = absl::string_view(word).substr(0, word.find('='));
    Require(std::all_of(name.begin(), name.end(), [](char c) {
      return absl::ascii_isupper(static_cast<unsigned char>(c)) ||
             absl::ascii_isdigit(static_cast<unsigned char>(c)) || c == '_';
    }));
  }
}

// A byte may become an escape of ten bytes, in several texts, and the environment is copied.
constexpr serf::testkit::FuzzBounds kBounds = {
    .total = {512, 256 << 10},
    .peak = {256, 256 << 10},
    .work = {20, 10000},
};

void Fuzz(serf::ByteView input) {
  if (input.empty()) return;
  const std::size_t length = std::min<std::size_t>(input[0], input.size() - 1);
  const std::string one(serf::AsText(input.subspan(1, length)));
  const std::string other(serf::AsText(input.subspan(1 + length)));
  Show(one);
  Show(other);
  TellScripts(one, other);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return serf::testkit::FuzzWithin(kBounds, data, size, Fuzz);
}
