#ifndef SERF_BASE_LOGGER_H_
#define SERF_BASE_LOGGER_H_

// Logger: where the library's log lines go. A null Logger* is silent. The library never logs by
// other means; cmd/ puts glog behind it.
//
//   Log(config.logger, LogLevel::kInfo, "serf: EventMemberJoin: ", name, " ", address);

#include <cstdint>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace serf {

// Serf's levels, ascending (spec/agent.md 2.12).
enum class LogLevel : std::uint8_t { kTrace, kDebug, kInfo, kWarn, kError };

// "TRACE", "DEBUG", "INFO", "WARN", "ERR": as in the brackets of a log line.
inline constexpr absl::string_view LogLevelName(LogLevel level) {
  switch (level) {
    case LogLevel::kTrace:
      return "TRACE";
    case LogLevel::kDebug:
      return "DEBUG";
    case LogLevel::kInfo:
      return "INFO";
    case LogLevel::kWarn:
      return "WARN";
    case LogLevel::kError:
      return "ERR";
  }
  return "";
}

class Logger {
 public:
  virtual ~Logger() = default;

  // False if lines of this level go nowhere; saves the caller from formatting them.
  virtual bool Enabled(LogLevel level) const = 0;

  // `text` is the line without time and level: "serf: EventMemberJoin: a 10.0.0.1". Control
  // characters in it may come from the network; the implementation escapes them.
  virtual void Write(LogLevel level, absl::string_view text) = 0;
};

template <typename... Args>
void Log(Logger* logger, LogLevel level, const Args&... args) {
  if (logger != nullptr && logger->Enabled(level)) logger->Write(level, absl::StrCat(args...));
}

}  // namespace serf

#endif  // SERF_BASE_LOGGER_H_
