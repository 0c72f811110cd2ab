// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_SERF_FWD_H_
#define SERF_SERF_FWD_H_

// Forward declarations, for headers that only pass references or pointers. They cost less to
// compile than the headers themselves. Include the header of each type that you use: "serf/serf.h",
// "serf/config.h", "serf/event.h", "serf/member.h", "serf/outbox.h", "serf/tags.h".

#include <cstdint>
#include <functional>
#include <map>
#include <string>

namespace serf {

class Logger;
class Outbox;
class Serf;
struct Completion;
struct Config;
struct Counters;
struct Endpoint;
struct Member;
struct MemberEvent;
struct UserEvent;
enum class MemberStatus : std::uint8_t;
using Tags = std::map<std::string, std::string, std::less<>>;

}  // namespace serf

#endif  // SERF_SERF_FWD_H_
