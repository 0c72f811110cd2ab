#ifndef SERF_TESTING_AGENTS_OWN_FILES_MAIN_H_
#define SERF_TESTING_AGENTS_OWN_FILES_MAIN_H_

// RunTestsWithOwnFiles: the main() of a test program that has a network and mounts of its own
// (own_network.h, own_files.h).
//
//   int main(int argc, char** argv) {
//     return serf::testkit::RunTestsWithOwnFiles(argc, argv);
//   }

#include <cstdio>

#include "gtest/gtest.h"
#include "serf/testing/agents/own_files.h"
#include "serf/testing/agents/own_network.h"

namespace serf::testkit {

// Whether RunTestsWithOwnFiles() got a network of its own.
inline bool has_own_network = false;

// `cover` replaces files of the system before the first test. It returns false if that fails.
inline int RunTestsWithOwnFiles(
    int argc, char** argv, bool (*cover)() = [] { return true; }) {
  has_own_network = MoveToOwnNetwork();
  if (!MoveToOwnFiles() || !cover()) {
    std::perror("this test needs files of its own in place of the system's");
    return 1;
  }
  ::testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}

}  // namespace serf::testkit

#endif  // SERF_TESTING_AGENTS_OWN_FILES_MAIN_H_
