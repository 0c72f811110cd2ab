#ifndef SERF_RPC_LOG_HISTORY_H_
#define SERF_RPC_LOG_HISTORY_H_

// LogHistory: the last lines of an agent's log, of all levels, for monitors that come later
// (spec/agent.md 1.9.3). Lines are shared with the monitors' queues, never copied.
//
//   const LogLinePtr line = MakeLogLine(LogLevel::kInfo, "2013/12/03 13:06:53 [INFO] agent: ...");
//   history.Append(line);
//   server.OnLog(line);

#include <cstddef>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "serf/base/logger.h"
#include "serf/rpc/protocol.h"

namespace serf::rpc {

// A line of the log with its time stamp, without the line feed at its end.
struct LogLine {
  std::optional<LogLevel> level;  // none: passes every filter
  std::string text;
};

using LogLinePtr = std::shared_ptr<const LogLine>;

// Takes one line feed off the end of `text`, if there is one, and cuts what is beyond kLogLineMax.
inline LogLinePtr MakeLogLine(std::optional<LogLevel> level, absl::string_view text) {
  if (!text.empty() && text.back() == '\n') text.remove_suffix(1);
  const bool cut = text.size() > kLogLineMax;
  return std::make_shared<const LogLine>(
      LogLine{level, absl::StrCat(text.substr(0, kLogLineMax), cut ? "..." : "")});
}

// "TRACE" to "ERR".
inline std::optional<LogLevel> ParseLogLevel(absl::string_view text) {
  for (const LogLevel level :
       {LogLevel::kTrace, LogLevel::kDebug, LogLevel::kInfo, LogLevel::kWarn, LogLevel::kError}) {
    if (text == LogLevelName(level)) return level;
  }
  return std::nullopt;
}

class LogHistory {
 public:
  // Drops the oldest lines beyond kLogHistoryMax and kLogHistoryBytesMax.
  void Append(LogLinePtr line) {
    bytes_ += line->text.size();
    lines_.push_back(std::move(line));
    while (lines_.size() > kLogHistoryMax || bytes_ > kLogHistoryBytesMax) {
      bytes_ -= lines_.front()->text.size();
      lines_.pop_front();
    }
  }

  // Oldest first.
  std::vector<LogLinePtr> Lines() const { return {lines_.begin(), lines_.end()}; }

 private:
  std::deque<LogLinePtr> lines_;
  std::size_t bytes_ = 0;
};

}  // namespace serf::rpc

#endif  // SERF_RPC_LOG_HISTORY_H_
