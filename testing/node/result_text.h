#ifndef SERF_TESTING_NODE_RESULT_TEXT_H_
#define SERF_TESTING_NODE_RESULT_TEXT_H_

// The results of the Serf layer as lines, for tests.

#include <string>

#include "absl/strings/str_cat.h"
#include "serf/event.h"
#include "serf/member.h"
#include "serf/query.h"

namespace serf::testkit {

// "member-join a alive".
inline std::string TextOf(const MemberEvent& event) {
  std::string line(MemberEventName(event.kind));
  for (const Member& member : event.members) {
    absl::StrAppend(&line, " ", member.name, " ", MemberStatusName(member.status));
  }
  return line;
}

// "ack a", "response a: payload", "done".
inline std::string TextOf(const QueryUpdate& update) {
  switch (update.kind) {
    case QueryUpdate::Kind::kAck:
      return absl::StrCat("ack ", update.from);
    case QueryUpdate::Kind::kResponse:
      return absl::StrCat("response ", update.from, ": ", update.payload);
    case QueryUpdate::Kind::kDone:
      return "done";
  }
  return "";
}

}  // namespace serf::testkit

#endif  // SERF_TESTING_NODE_RESULT_TEXT_H_
