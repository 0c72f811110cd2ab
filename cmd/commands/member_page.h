#ifndef SERF_CMD_COMMANDS_MEMBER_PAGE_H_
#define SERF_CMD_COMMANDS_MEMBER_PAGE_H_

// What the pages of `serf members -watch` and `serf top` have in common: counts, colors, times.

#include <array>
#include <cstddef>
#include <ctime>
#include <span>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "serf/cmd/commands/screen.h"
#include "serf/member.h"

namespace serf::cmd {

// "members 31: 29 alive  0 leaving  1 failed  1 left".
inline std::string CountsText(std::span<const Member> members) {
  std::array<std::size_t, 5> counts{};
  for (const Member& member : members) ++counts[static_cast<std::size_t>(member.status) % 5];
  std::string text = absl::StrCat("members ", members.size(), ":");
  const char* separator = " ";
  for (const MemberStatus status :
       {MemberStatus::kAlive, MemberStatus::kLeaving, MemberStatus::kFailed, MemberStatus::kLeft}) {
    absl::StrAppend(&text, separator, counts[static_cast<std::size_t>(status)], " ",
                    MemberStatusName(status));
    separator = "  ";
  }
  return text;
}

// The color of a member's line; empty: none.
inline absl::string_view StatusColor(MemberStatus status) {
  switch (status) {
    case MemberStatus::kFailed:
      return kRed;
    case MemberStatus::kLeaving:
      return kYellow;
    case MemberStatus::kLeft:
      return kDim;
    default:
      return "";
  }
}

namespace member_page_internal {

inline std::string Format(const std::tm& time, const char* format) {
  std::array<char, 32> text;
  return {text.data(), std::strftime(text.data(), text.size(), format, &time)};
}

}  // namespace member_page_internal

// Now, for programs: "2026-11-30T14:02:18Z".
inline std::string TimeText() {
  const std::time_t now = std::time(nullptr);
  std::tm fields{};
  ::gmtime_r(&now, &fields);
  return member_page_internal::Format(fields, "%Y-%m-%dT%H:%M:%SZ");
}

// Now, for the user: "14:02:18", local time.
inline std::string ClockText() {
  const std::time_t now = std::time(nullptr);
  std::tm fields{};
  ::localtime_r(&now, &fields);
  return member_page_internal::Format(fields, "%H:%M:%S");
}

}  // namespace serf::cmd

#endif  // SERF_CMD_COMMANDS_MEMBER_PAGE_H_
