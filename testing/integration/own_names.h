#ifndef SERF_TESTING_INTEGRATION_OWN_NAMES_H_
#define SERF_TESTING_INTEGRATION_OWN_NAMES_H_

// CoverNames: makes the resolver of a test and its children know localhost, and ask a server at
// 127.0.0.1:53 (name_server.h) for all other names.
//
//   int main(int argc, char** argv) {
//     return serf::testkit::RunTestsWithOwnFiles(argc, argv, serf::testkit::CoverNames);
//   }

#include <filesystem>
#include <fstream>
#include <string>
#include <utility>

#include "gtest/gtest.h"
#include "serf/testing/agents/own_files.h"

namespace serf::testkit {

// Gives the resolver a table with both addresses of localhost ("six" is ::1 alone) and the server,
// with a timeout longer than any test, and hides the system's cache of names. Call it after
// MoveToOwnFiles(). Returns false if the system does not allow it.
inline bool CoverNames() {
  const std::pair<const char*, const char*> kFiles[] = {
      {"nsswitch.conf", "hosts: files dns\n"},
      {"hosts", "::1 localhost\n127.0.0.1 localhost\n::1 six\n"},
      {"resolv.conf", "nameserver 127.0.0.1\noptions timeout:30 attempts:5\n"}};
  for (const auto& [name, text] : kFiles) {
    const std::string path = std::string("/etc/") + name;
    const std::string other = ::testing::TempDir() + "/" + name;
    std::ofstream(other) << text;
    if (std::filesystem::exists(path) && !CoverFile(path, other)) return false;
  }
  const char* const cache = "/run/nscd";
  return !std::filesystem::exists(cache) || CoverFolder(cache);
}

}  // namespace serf::testkit

#endif  // SERF_TESTING_INTEGRATION_OWN_NAMES_H_
