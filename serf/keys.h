// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_KEYS_H_
#define SERF_KEYS_H_

// Operations on the keyrings of all members, and how one ended. A cluster with a keyring encrypts
// all traffic. A key has 16, 24 or 32 bytes (AES-128, AES-192, AES-256): raw bytes in requests,
// base64 (RFC 4648, padded) in results.
//
// To rotate the key, take three steps, each after the one before has succeeded on all members:
//
//   host->AsyncManageKeys(KeyOperation::kInstall, new_key, 0, ...);
//   host->AsyncManageKeys(KeyOperation::kUse, new_key, 0, ...);
//   host->AsyncManageKeys(KeyOperation::kRemove, old_key, 0, ...);
//
// A member that misses a step and later the removal of the old key cannot decrypt the others.
//
// Source: docs/protocol/serf.md 6.9.

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace serf {

// What to do on every member.
enum class KeyOperation : std::uint8_t {
  // Adds a key. Members can decrypt with it from then on. A key that is there is not an error.
  kInstall,
  // Makes an installed key the primary one, which encrypts.
  kUse,
  // Forgets a key. Members refuse to remove their primary key. A key that is not there is not an
  // error.
  kRemove,
  // Lists the keys of every member. Changes nothing.
  kList,
};

// The name of the internal query of an operation. The text lives as long as the program.
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

// How a key operation ended on the members. All parts count, also when the status is an error.
struct KeyOutcome {
  // OK if all live members did it. Aborted: some reported an error or did not answer. Other errors
  // leave all keyrings unchanged.
  absl::Status status = {};
  // Errors and warnings, by the name of the member.
  std::map<std::string, std::string> messages = {};
  // How many members were alive when the operation began.
  std::size_t nodes = 0;
  // How many of them answered, and how many of the answers were errors.
  std::size_t responses = 0;
  std::size_t errors = 0;
  // For kList: how many members have each key, by its base64 text.
  std::map<std::string, std::size_t> keys = {};
  // For kList: how many members have each key as the primary one. "" stands for members of releases
  // that do not report it.
  std::map<std::string, std::size_t> primary_keys = {};
};

}  // namespace serf

#endif  // SERF_KEYS_H_
