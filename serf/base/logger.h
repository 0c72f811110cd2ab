// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_BASE_LOGGER_H_
#define SERF_BASE_LOGGER_H_

// Logger: where the library's log lines go. An application implements it, and passes a pointer in
// swim::Config::logger. A null pointer means silence. The library does not log by other means.
//
//   class StderrLogger : public serf::Logger {
//    public:
//     bool Enabled(serf::LogLevel level) const override { return level >= serf::LogLevel::kInfo; }
//     void Write(serf::LogLevel level, absl::string_view text) override {
//       std::cerr << '[' << serf::LogLevelName(level) << "] " << Escaped(text) << '\n';
//     }
//   };
//
// A logger must outlive everything that has a pointer to it. With transport::Host that is the
// io_context's run, because a Host finishes its work there.

#include <cstdint>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace serf {

// The levels of Serf, ascending (docs/protocol/agent.md 2.12).
enum class LogLevel : std::uint8_t { kTrace, kDebug, kInfo, kWarn, kError };

// The name of a level, as in the brackets of a log line: "TRACE", "DEBUG", "INFO", "WARN", "ERR".
// The text lives as long as the program.
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

// The extension point. A node calls both methods on the thread that drives it. A logger that
// several nodes or threads share must be thread-safe. The methods must not block, must not throw,
// and must not call the node.
class Logger {
 public:
  virtual ~Logger() = default;

  // Whether lines of this level go anywhere. False saves the caller from formatting them.
  virtual bool Enabled(LogLevel level) const = 0;

  // Writes one line. `text` has neither time nor level nor line feed at its end, for example "serf:
  // EventMemberJoin: a 10.0.0.1". It is valid during the call. It may hold control characters from
  // the network: the logger must escape them.
  virtual void Write(LogLevel level, absl::string_view text) = 0;
};

// Formats the arguments as absl::StrCat() does, and writes them as one line if anybody reads it:
//
//   Log(config.logger, LogLevel::kInfo, "serf: EventMemberJoin: ", name, " ", address);
template <typename... Args>
void Log(Logger* logger, LogLevel level, const Args&... args) {
  if (logger != nullptr && logger->Enabled(level)) logger->Write(level, absl::StrCat(args...));
}

}  // namespace serf

#endif  // SERF_BASE_LOGGER_H_
