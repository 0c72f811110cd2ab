// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_RPC_LOG_HISTORY_H_
#define SERF_RPC_LOG_HISTORY_H_

// LogHistory: the last lines of an agent's log, of all levels, for monitors that begin later. Lines
// are shared with the monitors' queues, and never copied.
//
//   const LogLinePtr line = MakeLogLine(LogLevel::kInfo, "2013/12/03 13:06:53 [INFO] agent: ...");
//   history.Append(line);
//   server.OnLog(line);
//
// A Service returns Lines() from LogHistory(). One thread; the lines themselves may be read on any.
//
// Source: docs/protocol/agent.md 1.9.3.

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

// A line of the log with its time, and without the line feed at its end.
struct LogLine {
  // Without a level the line passes every filter.
  std::optional<LogLevel> level;
  std::string text;
};

using LogLinePtr = std::shared_ptr<const LogLine>;

// Makes a line. Removes one line feed at the end of `text`, and cuts what is beyond kLogLineMax
// bytes.
inline LogLinePtr MakeLogLine(std::optional<LogLevel> level, absl::string_view text) {
  if (!text.empty() && text.back() == '\n') text.remove_suffix(1);
  const bool cut = text.size() > kLogLineMax;
  return std::make_shared<const LogLine>(
      LogLine{level, absl::StrCat(text.substr(0, kLogLineMax), cut ? "..." : "")});
}

// The level with this name, "TRACE" to "ERR" in upper case. Nothing for other texts.
inline std::optional<LogLevel> ParseLogLevel(absl::string_view text) {
  for (const LogLevel level :
       {LogLevel::kTrace, LogLevel::kDebug, LogLevel::kInfo, LogLevel::kWarn, LogLevel::kError}) {
    if (text == LogLevelName(level)) return level;
  }
  return std::nullopt;
}

class LogHistory {
 public:
  // Adds a line, which must not be null. Drops the oldest lines beyond kLogHistoryMax lines or
  // kLogHistoryBytesMax bytes.
  void Append(LogLinePtr line) {
    bytes_ += line->text.size();
    lines_.push_back(std::move(line));
    while (lines_.size() > kLogHistoryMax || bytes_ > kLogHistoryBytesMax) {
      bytes_ -= lines_.front()->text.size();
      lines_.pop_front();
    }
  }

  // The lines, oldest first.
  std::vector<LogLinePtr> Lines() const { return {lines_.begin(), lines_.end()}; }

 private:
  std::deque<LogLinePtr> lines_;
  std::size_t bytes_ = 0;
};

}  // namespace serf::rpc

#endif  // SERF_RPC_LOG_HISTORY_H_
