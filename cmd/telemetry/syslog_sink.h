#ifndef SERF_CMD_TELEMETRY_SYSLOG_SINK_H_
#define SERF_CMD_TELEMETRY_SYSLOG_SINK_H_

// SyslogSink: sends log entries to the system's log daemon over its local socket.
//
//   <PRI>Mmm dd hh:mm:ss serf[PID]: TEXT LF      PRI = facility * 8 + severity
//
// ::syslog() does not serve, because it blocks as long as the daemon does, and would block the
// node. Source: docs/protocol/agent.md 2.12.

#include <sys/socket.h>
#include <sys/un.h>
#include <syslog.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <ctime>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "serf/base/logger.h"

namespace serf::cmd {

class SyslogSink {
 public:
  // OK if a facility has this name.
  static absl::Status CheckFacility(absl::string_view facility);

  // `facility` may have any case: "daemon", "LOCAL0". Connects to the first of `sockets` that
  // answers; by default those of common systems. Error: "Syslog setup failed: ...".
  static absl::StatusOr<SyslogSink> Create(absl::string_view facility,
                                           std::vector<std::string> sockets = {
                                               "/dev/log", "/var/run/syslog", "/var/run/log"});

  ~SyslogSink() { Close(); }
  SyslogSink(SyslogSink&& other) noexcept
      : facility_(other.facility_),
        sockets_(std::move(other.sockets_)),
        fd_(std::exchange(other.fd_, -1)),
        stream_(other.stream_) {}
  SyslogSink& operator=(SyslogSink&&) = delete;

  // Sends a line as GlogLogger prints it, without its time and level. A line that the daemon does
  // not take at once, or after one new connection, is lost.
  void Write(LogLevel level, absl::string_view line);

 private:
  SyslogSink(int facility, std::vector<std::string> sockets)
      : facility_(facility), sockets_(std::move(sockets)) {}

  bool Connect();
  bool Connect(const std::string& path, int type);
  bool Send(const std::string& message) const;
  void Close() {
    if (fd_ >= 0) ::close(std::exchange(fd_, -1));
  }

  const int facility_;
  const std::vector<std::string> sockets_;
  int fd_ = -1;
  bool stream_ = false;
};

namespace syslog_sink_internal {

// The number LOG_... of the name, or -1.
inline int Facility(absl::string_view name) {
  const struct {
    absl::string_view name;
    int value;
  } kFacilities[] = {
      {"KERN", LOG_KERN},     {"USER", LOG_USER},         {"MAIL", LOG_MAIL},
      {"DAEMON", LOG_DAEMON}, {"AUTH", LOG_AUTH},         {"SYSLOG", LOG_SYSLOG},
      {"LPR", LOG_LPR},       {"NEWS", LOG_NEWS},         {"UUCP", LOG_UUCP},
      {"CRON", LOG_CRON},     {"AUTHPRIV", LOG_AUTHPRIV}, {"FTP", LOG_FTP},
      {"LOCAL0", LOG_LOCAL0}, {"LOCAL1", LOG_LOCAL1},     {"LOCAL2", LOG_LOCAL2},
      {"LOCAL3", LOG_LOCAL3}, {"LOCAL4", LOG_LOCAL4},     {"LOCAL5", LOG_LOCAL5},
      {"LOCAL6", LOG_LOCAL6}, {"LOCAL7", LOG_LOCAL7},
  };
  for (const auto& facility : kFacilities) {
    if (absl::EqualsIgnoreCase(name, facility.name)) return facility.value;
  }
  return -1;
}

// Each level is one step less severe than its name says, as in Go Serf.
inline int Severity(LogLevel level) {
  switch (level) {
    case LogLevel::kTrace:
      return LOG_DEBUG;
    case LogLevel::kDebug:
      return LOG_INFO;
    case LogLevel::kInfo:
      return LOG_NOTICE;
    case LogLevel::kWarn:
      return LOG_WARNING;
    default:
      return LOG_ERR;
  }
}

}  // namespace syslog_sink_internal

inline absl::Status SyslogSink::CheckFacility(absl::string_view facility) {
  if (syslog_sink_internal::Facility(facility) >= 0) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("Syslog setup failed: invalid syslog facility: ", facility));
}

inline absl::StatusOr<SyslogSink> SyslogSink::Create(absl::string_view facility,
                                                     std::vector<std::string> sockets) {
  if (absl::Status status = CheckFacility(facility); !status.ok()) return status;
  SyslogSink sink(syslog_sink_internal::Facility(facility), std::move(sockets));
  if (!sink.Connect()) {
    return absl::UnavailableError("Syslog setup failed: Unix syslog delivery error");
  }
  return sink;
}

inline bool SyslogSink::Connect() {
  Close();
  for (const int type : {SOCK_DGRAM, SOCK_STREAM}) {
    for (const std::string& path : sockets_) {
      if (Connect(path, type)) return true;
    }
  }
  return false;
}

inline bool SyslogSink::Connect(const std::string& path, int type) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof(address.sun_path)) return false;
  std::memcpy(address.sun_path, path.data(), path.size());
  const int fd = ::socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return false;
  if (::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    ::close(fd);
    return false;
  }
  fd_ = fd;
  stream_ = type == SOCK_STREAM;
  return true;
}

inline bool SyslogSink::Send(const std::string& message) const {
  const ssize_t sent = ::send(fd_, message.data(), message.size(), MSG_NOSIGNAL);
  // A part of a message would spoil the next one on a stream. A full queue does not mean a broken
  // connection.
  if (sent < 0) return errno == EAGAIN || errno == EINTR || errno == EMSGSIZE;
  return !stream_ || static_cast<std::size_t>(sent) == message.size();
}

inline void SyslogSink::Write(LogLevel level, absl::string_view line) {
  const std::size_t text = line.find("] ");
  if (text != absl::string_view::npos) line.remove_prefix(text + 2);
  const std::time_t now = std::time(nullptr);
  std::tm tm{};
  ::localtime_r(&now, &tm);
  char stamp[32];
  const std::size_t stamp_size = std::strftime(stamp, sizeof(stamp), "%b %e %H:%M:%S", &tm);
  const std::string message =
      absl::StrCat("<", facility_ | syslog_sink_internal::Severity(level), ">",
                   absl::string_view(stamp, stamp_size), " serf[", ::getpid(), "]: ", line, "\n");
  if (fd_ >= 0 && Send(message)) return;
  if (Connect()) Send(message);
}

}  // namespace serf::cmd

#endif  // SERF_CMD_TELEMETRY_SYSLOG_SINK_H_
