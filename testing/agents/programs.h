#ifndef SERF_TESTING_AGENTS_PROGRAMS_H_
#define SERF_TESTING_AGENTS_PROGRAMS_H_

// The programs that tests run. A test's BUILD rule names them:
//
//   data = ["//cmd:serf"],
//   env = {"SERF_PROGRAM": "$(rootpath //cmd:serf)"},

#include <cstdio>
#include <cstdlib>
#include <string>

namespace serf::testkit {

// The path in an environment variable. Ends the test program if the variable is missing.
inline std::string ProgramFromEnvironment(const char* variable) {
  const char* const path = std::getenv(variable);
  if (path == nullptr) {
    std::fprintf(stderr, "%s does not name a program\n", variable);
    std::abort();
  }
  return path;
}

// The program //cmd:serf.
inline std::string OurSerf() { return ProgramFromEnvironment("SERF_PROGRAM"); }

// Go Serf's program, @debian_serf//:serf.
inline std::string DebianSerf() { return ProgramFromEnvironment("SERF_DEBIAN_PROGRAM"); }

}  // namespace serf::testkit

#endif  // SERF_TESTING_AGENTS_PROGRAMS_H_
