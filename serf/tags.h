#ifndef SERF_TAGS_H_
#define SERF_TAGS_H_

// Tags: what a member says of itself, "role" -> "web". Sorted, so that equal tags have equal bytes.
// Source: spec/serf.md 7.1.

#include <functional>
#include <map>
#include <string>

namespace serf {

using Tags = std::map<std::string, std::string, std::less<>>;

}  // namespace serf

#endif  // SERF_TAGS_H_
