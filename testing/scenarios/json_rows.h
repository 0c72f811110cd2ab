#ifndef SERF_TESTING_SCENARIOS_JSON_ROWS_H_
#define SERF_TESTING_SCENARIOS_JSON_ROWS_H_

// The JSON file of a program that measures: a list with an object for each row.

#include <cstddef>
#include <cstdio>
#include <string>
#include <vector>

namespace serf::testkit {

// False, and the reason is printed, if the file cannot be written.
inline bool WriteJsonRows(const std::string& path, const std::vector<std::string>& rows) {
  std::FILE* file = std::fopen(path.c_str(), "w");
  if (file == nullptr) {
    std::perror(path.c_str());
    return false;
  }
  std::fprintf(file, "[\n");
  for (std::size_t i = 0; i < rows.size(); ++i) {
    std::fprintf(file, "%s%s\n", rows[i].c_str(), i + 1 < rows.size() ? "," : "");
  }
  std::fprintf(file, "]\n");
  if (std::fclose(file) == 0) return true;
  std::perror(path.c_str());
  return false;
}

}  // namespace serf::testkit

#endif  // SERF_TESTING_SCENARIOS_JSON_ROWS_H_
