#ifndef SERF_TESTING_VECTORS_VECTORS_H_
#define SERF_TESTING_VECTORS_VECTORS_H_

// The recorded bytes that pin the wire formats: memberlist.json and serf.json beside this file.
// Source of their formats: docs/protocol/membership.md 11, docs/protocol/serf.md 0.3.
//
//   for (const auto& vector : testkit::LoadVectors("serf.json")) {
//     const ByteVector bytes = testkit::Unhex(vector["hex"]);

#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <stdexcept>
#include <string>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "nlohmann/json.hpp"
#include "serf/base/bytes.h"

namespace serf::testkit {

// The path of a data file of the repository: among a test's runfiles, or below the current folder
// when the program was started by hand in the repository.
inline std::string DataPath(absl::string_view path_in_repository) {
  const char* const root = std::getenv("TEST_SRCDIR");
  const char* const workspace = std::getenv("TEST_WORKSPACE");
  if (root == nullptr || workspace == nullptr) return std::string(path_in_repository);
  return absl::StrCat(root, "/", workspace, "/", path_in_repository);
}

// The array of vectors in testing/vectors/FILE. If the file is missing, an exception fails the
// test.
inline nlohmann::json LoadVectors(absl::string_view file) {
  const std::string path = DataPath(absl::StrCat("testing/vectors/", file));
  std::ifstream in(path);
  if (!in) throw std::runtime_error(absl::StrCat("no test data at ", path));
  return nlohmann::json::parse(in);
}

// Decodes lower-case digits, as the vectors have them.
inline ByteVector Unhex(absl::string_view hex) {
  const auto digit = [](char c) { return c <= '9' ? c - '0' : c - 'a' + 10; };
  ByteVector bytes;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
    bytes.push_back(static_cast<std::uint8_t>(digit(hex[i]) << 4 | digit(hex[i + 1])));
  }
  return bytes;
}

inline std::string Hex(ByteView bytes) { return absl::BytesToHexString(AsText(bytes)); }

}  // namespace serf::testkit

#endif  // SERF_TESTING_VECTORS_VECTORS_H_
