#ifndef SERF_SERF_FWD_H_
#define SERF_SERF_FWD_H_

// Names for headers that only pass references; include the header of what you use.

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
