#ifndef SERF_KEYS_H_
#define SERF_KEYS_H_

// Operations on the keyrings of all nodes, and what came of one. Keys are 16, 24 or 32 bytes here
// and base64 (RFC 4648, padded) in results. Source: spec/serf.md 6.9.
//
// To rotate: install the new key, use it, remove the old one; each when the one before has
// succeeded on all nodes.

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>

#include "absl/strings/string_view.h"

namespace serf {

enum class KeyOperation : std::uint8_t {
  kInstall,  // add a key, which can decrypt from then on
  kUse,      // make a key the primary one, which encrypts
  kRemove,   // forget a key; not the primary one
  kList,
};

// The name of the internal query.
inline constexpr absl::string_view KeyQueryName(KeyOperation operation) {
  switch (operation) {
    case KeyOperation::kInstall:
      return "_serf_install-key";
    case KeyOperation::kUse:
      return "_serf_use-key";
    case KeyOperation::kRemove:
      return "_serf_remove-key";
    case KeyOperation::kList:
      return "_serf_list-keys";
  }
  return "";
}

struct KeyOutcome {
  std::map<std::string, std::string> messages;  // by node: errors and warnings
  std::size_t nodes = 0;                        // that live
  std::size_t responses = 0;
  std::size_t errors = 0;
  std::map<std::string, std::size_t> keys;          // of kList: how many nodes have each
  std::map<std::string, std::size_t> primary_keys;  // "" stands for nodes that did not say
};

}  // namespace serf

#endif  // SERF_KEYS_H_
