#ifndef SERF_CMD_TELEMETRY_GLOG_LOGGER_H_
#define SERF_CMD_TELEMETRY_GLOG_LOGGER_H_

// GlogLogger: the library's Logger over glog, with entries that look like Serf's: "2013/10/21
// 18:57:15 [INFO] agent: Serf agent starting".
//
//   GlogLogger logger(std::bind_front(&Terminal::Info, &terminal));
//   logger.set_level(LogLevel::kInfo);
//   Log(&logger, LogLevel::kInfo, "agent: Serf agent starting");
//   logger.OpenGate();
//
// An entry takes three ways: through the level filter and the gate to `print`; through the level
// filter to syslog; and unfiltered into a ring and to the listener. `serf monitor` gets past
// entries from the ring, and later ones from the listener.
//
// An entry that is only recorded does not pass through glog, which costs some microseconds and a
// look at /etc/localtime: members of a busy cluster hear thousands of messages a second, and each
// makes an entry.
//
// Threads: any thread may log; entries are serialised. All other calls on one thread. Source:
// docs/protocol/agent.md 2.12.

#include <ctime>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "glog/logging.h"
#include "serf/base/logger.h"
#include "serf/cmd/text/quote.h"
#include "serf/rpc/log_history.h"

namespace serf::cmd {

class GlogLogger final : public Logger, private google::LogSink {
 public:
  // The most entries that the gate holds, far more than a start-up logs. Beyond it the oldest ones
  // are dropped.
  static constexpr std::size_t kHeldBackMax = 4096;

  explicit GlogLogger(std::function<void(absl::string_view)> print) : print_(std::move(print)) {
    FLAGS_log_prefix = false;
  }

  GlogLogger(const GlogLogger&) = delete;
  GlogLogger& operator=(const GlogLogger&) = delete;

  // Monitors see every level, so every entry has a reader.
  bool Enabled(LogLevel) const override { return true; }

  // Escapes control characters: one call makes one line.
  void Write(LogLevel level, absl::string_view text) override { Send(level, EscapeControls(text)); }

  // For texts of the agent itself that have several lines (join errors). Escapes nothing.
  void WriteLines(LogLevel level, absl::string_view text) { Send(level, text); }

  // Prints entries of this level and above.
  void set_level(LogLevel level);

  // Prints the entries that the gate held; later ones are printed at once.
  void OpenGate();

  // The last entries of all levels, oldest first.
  std::vector<rpc::LogLinePtr> History() const;

  // Receives each entry that passes the level filter, whether the gate is open or not. It must not
  // log.
  void set_syslog(std::function<void(LogLevel, absl::string_view)> syslog) {
    syslog_ = std::move(syslog);
  }

  // Receives each entry after it was recorded, on the thread that logs. It may log itself.
  void set_listener(std::function<void(const rpc::LogLinePtr&)> listener) {
    listener_ = std::move(listener);
  }

 private:
  void Send(LogLevel level, absl::string_view text);

  // Prints and records an entry: "[INFO] agent: ...".
  void Take(LogLevel level, absl::string_view entry);

  // Overrides google::LogSink. It runs under glog's own lock, so it must not log.
  inline void send(google::LogSeverity, const char*, const char*, int,
                   const google::LogMessageTime& time, const char* message, size_t size) override;

  // "[WARN] serf: ..." has the level WARN, which Send() wrote there.
  static LogLevel LevelOf(absl::string_view message);

  const std::function<void(absl::string_view)> print_;
  std::function<void(const rpc::LogLinePtr&)> listener_;
  std::function<void(LogLevel, absl::string_view)> syslog_;
  mutable std::mutex mutex_;  // guards the members below
  LogLevel level_ = LogLevel::kInfo;
  bool open_ = false;
  std::deque<rpc::LogLinePtr> held_back_;
  std::time_t second_ = -1;  // that of `stamp_`
  std::string stamp_;
  rpc::LogHistory history_;
  std::vector<rpc::LogLinePtr> unheard_;  // recorded, not yet given to the listener
};

inline void GlogLogger::set_level(LogLevel level) {
  const std::lock_guard<std::mutex> lock(mutex_);
  level_ = level;
}

inline void GlogLogger::OpenGate() {
  const std::lock_guard<std::mutex> lock(mutex_);
  open_ = true;
  for (const rpc::LogLinePtr& line : held_back_) print_(line->text);
  held_back_.clear();
}

inline std::vector<rpc::LogLinePtr> GlogLogger::History() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return history_.Lines();
}

inline void GlogLogger::Send(LogLevel level, absl::string_view text) {
  const std::string entry = absl::StrCat("[", LogLevelName(level), "] ", text);
  bool printed = false;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    printed = level >= level_;
    if (!printed) Take(level, entry);
  }
  if (printed) {
    const google::LogSeverity severity = level >= LogLevel::kError  ? google::GLOG_ERROR
                                         : level == LogLevel::kWarn ? google::GLOG_WARNING
                                                                    : google::GLOG_INFO;
    // Sends to this sink only: no files, nothing on standard error.
    google::LogMessage(__FILE__, __LINE__, severity, this, /*also_send_to_log=*/false).stream()
        << entry;
  }
  std::vector<rpc::LogLinePtr> unheard;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    unheard.swap(unheard_);
  }
  for (const rpc::LogLinePtr& line : unheard) listener_(line);
}

inline void GlogLogger::send(google::LogSeverity, const char*, const char*, int,
                             const google::LogMessageTime&, const char* message, size_t size) {
  // glog removed one LF from the text, and MakeLogLine() removes the one that is added here.
  const std::string entry = absl::StrCat(absl::string_view(message, size), "\n");
  const std::lock_guard<std::mutex> lock(mutex_);
  Take(LevelOf(entry), entry);
}

inline void GlogLogger::Take(LogLevel level, absl::string_view entry) {
  if (const std::time_t now = std::time(nullptr); now != second_) {
    second_ = now;
    std::tm tm{};
    ::tzset();  // the system's time zone may change
    ::localtime_r(&now, &tm);
    const auto two = [](int number) { return absl::Dec(number, absl::kZeroPad2); };
    stamp_ = absl::StrCat(absl::Dec(tm.tm_year + 1900, absl::kZeroPad4), "/", two(tm.tm_mon + 1),
                          "/", two(tm.tm_mday), " ", two(tm.tm_hour), ":", two(tm.tm_min), ":",
                          two(tm.tm_sec), " ");
  }
  const rpc::LogLinePtr line = rpc::MakeLogLine(level, absl::StrCat(stamp_, entry));
  if (level >= level_ && syslog_) syslog_(level, line->text);
  if (level >= level_ && open_) print_(line->text);
  if (level >= level_ && !open_) {
    held_back_.push_back(line);
    if (held_back_.size() > kHeldBackMax) held_back_.pop_front();
  }
  if (listener_) unheard_.push_back(line);
  history_.Append(line);
}

inline LogLevel GlogLogger::LevelOf(absl::string_view message) {
  const absl::string_view name = message.substr(1, message.find(']') - 1);
  for (const LogLevel level :
       {LogLevel::kTrace, LogLevel::kDebug, LogLevel::kInfo, LogLevel::kWarn}) {
    if (name == LogLevelName(level)) return level;
  }
  return LogLevel::kError;
}

}  // namespace serf::cmd

#endif  // SERF_CMD_TELEMETRY_GLOG_LOGGER_H_
