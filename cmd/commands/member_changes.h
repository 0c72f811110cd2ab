#ifndef SERF_CMD_COMMANDS_MEMBER_CHANGES_H_
#define SERF_CMD_COMMANDS_MEMBER_CHANGES_H_

// What differs between two lists of members, as `serf members -watch` prints it: one line a change.
//
//   for (const MemberChange& change : MemberChanges(before, after)) Print(ChangeText(change,
//   time));
//
// Pure functions; any thread may call them.

#include <compare>
#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "serf/cmd/text/json_text.h"
#include "serf/cmd/text/quote.h"
#include "serf/member.h"

namespace serf::cmd {

struct MemberChange {
  // The status of a member that is new or has another one than before; "update": its tags, address
  // or versions changed; "gone": it is not in the list any more.
  absl::string_view what;
  const Member* member = nullptr;  // as it is now; of one that is gone as it was
};

// By name. Both lists are sorted by name, each name once; the changes point into them.
std::vector<MemberChange> MemberChanges(std::span<const Member> before,
                                        std::span<const Member> after);

// "2026-11-30T14:02:18Z failed db-2 10.0.0.12:7946 role=db" and LF; controls are escaped.
std::string ChangeText(const MemberChange& change, absl::string_view time);

// The same as an object on one line.
std::string ChangeJson(const MemberChange& change, absl::string_view time);

namespace member_changes_internal {

inline bool SameDetails(const Member& a, const Member& b) {
  const wire::VersionVector& v = a.versions;
  const wire::VersionVector& w = b.versions;
  return a.endpoint == b.endpoint && a.tags == b.tags && v.protocol_min == w.protocol_min &&
         v.protocol_max == w.protocol_max && v.protocol_cur == w.protocol_cur &&
         v.delegate_min == w.delegate_min && v.delegate_max == w.delegate_max &&
         v.delegate_cur == w.delegate_cur;
}

}  // namespace member_changes_internal

inline std::vector<MemberChange> MemberChanges(std::span<const Member> before,
                                               std::span<const Member> after) {
  std::vector<MemberChange> changes;
  std::size_t old = 0;
  for (const Member& member : after) {
    for (; old < before.size() && before[old].name < member.name; ++old) {
      changes.push_back({"gone", &before[old]});
    }
    const bool known = old < before.size() && before[old].name == member.name;
    if (!known || before[old].status != member.status) {
      changes.push_back({MemberStatusName(member.status), &member});
    } else if (!member_changes_internal::SameDetails(before[old], member)) {
      changes.push_back({"update", &member});
    }
    if (known) ++old;
  }
  for (; old < before.size(); ++old) changes.push_back({"gone", &before[old]});
  return changes;
}

inline std::string ChangeText(const MemberChange& change, absl::string_view time) {
  const Member& member = *change.member;
  std::string text = absl::StrCat(time, " ", change.what, " ", EscapeControls(member.name), " ",
                                  member.endpoint.ToString());
  if (!member.tags.empty()) {
    absl::StrAppend(&text, " ",
                    EscapeControls(absl::StrJoin(member.tags, ",", absl::PairFormatter("="))));
  }
  text += '\n';
  return text;
}

inline std::string ChangeJson(const MemberChange& change, absl::string_view time) {
  const Member& member = *change.member;
  return absl::StrCat("{\"time\": ", JsonQuote(time), ", \"change\": \"", change.what,
                      "\", \"name\": ", JsonQuote(member.name), ", \"addr\": \"",
                      member.endpoint.ToString(), "\", \"port\": ", member.endpoint.port,
                      ", \"tags\": ", JsonObject(member.tags), ", \"status\": \"",
                      MemberStatusName(member.status), "\"}\n");
}

}  // namespace serf::cmd

#endif  // SERF_CMD_COMMANDS_MEMBER_CHANGES_H_
