#ifndef SERF_CMD_COMMANDS_MEMBER_LIST_H_
#define SERF_CMD_COMMANDS_MEMBER_LIST_H_

// The members of a cluster as text and as JSON. Source: docs/protocol/agent.md 4.10.

#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "nlohmann/json.hpp"
#include "serf/cmd/text/json_text.h"
#include "serf/cmd/text/table.h"
#include "serf/member.h"

namespace serf::cmd {

// One line per member: name, address, status, tags; `detailed` adds the protocol versions.
inline std::string MemberTable(std::span<const Member> members, bool detailed) {
  Table table;
  for (const Member& member : members) {
    std::vector<std::string> row = {member.name, member.endpoint.ToString(),
                                    std::string(MemberStatusName(member.status)),
                                    absl::StrJoin(member.tags, ",", absl::PairFormatter("="))};
    if (detailed) {
      const wire::VersionVector& versions = member.versions;
      row.push_back(absl::StrCat("Protocol Version: ", versions.delegate_cur));
      row.push_back(absl::StrCat("Available Protocol Range: [", versions.delegate_min, ", ",
                                 versions.delegate_max, "]"));
    }
    table.AddRow(row);
  }
  return table.ToString();
}

// {"members": [...]}; the list is null if there are no members.
inline std::string MemberJson(std::span<const Member> members) {
  nlohmann::ordered_json list;
  for (const Member& member : members) {
    nlohmann::ordered_json entry;
    entry["name"] = member.name;
    entry["addr"] = member.endpoint.ToString();
    entry["port"] = member.endpoint.port;
    entry["tags"] = nlohmann::ordered_json::object();
    for (const auto& [key, value] : member.tags) entry["tags"][key] = value;
    entry["status"] = std::string(MemberStatusName(member.status));
    entry["protocol"]["max"] = member.versions.delegate_max;
    entry["protocol"]["min"] = member.versions.delegate_min;
    entry["protocol"]["version"] = member.versions.delegate_cur;
    list.push_back(std::move(entry));
  }
  nlohmann::ordered_json result;
  result["members"] = std::move(list);
  return ToJsonText(result);
}

}  // namespace serf::cmd

#endif  // SERF_CMD_COMMANDS_MEMBER_LIST_H_
