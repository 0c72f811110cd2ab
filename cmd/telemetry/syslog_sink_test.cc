// Tests syslog over sockets of the test's own.

#include "serf/cmd/telemetry/syslog_sink.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "serf/base/logger.h"
#include "serf/testing/temporary_folder.h"
#include "serf/testing/vectors/vectors.h"

namespace serf::cmd {
namespace {

using ::testing::MatchesRegex;

class SyslogSinkTest : public ::testing::Test {
 protected:
  SyslogSinkTest() { path_ = folder_ + "/log"; }
  ~SyslogSinkTest() override {
    if (fd_ >= 0) ::close(fd_);
  }

  // Starts the test's daemon.
  void Listen(int type) {
    if (fd_ >= 0) ::close(fd_);
    std::filesystem::remove(path_);
    fd_ = ::socket(AF_UNIX, type, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path_.c_str(), path_.size());
    ASSERT_EQ(::bind(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
    if (type == SOCK_STREAM) {
      ASSERT_EQ(::listen(fd_, 1), 0);
    }
  }
  std::string Receive() const { return Receive(fd_); }
  static std::string Receive(int fd) {
    pollfd ready{fd, POLLIN, 0};
    if (::poll(&ready, 1, 10'000) != 1) return "(nothing)";
    std::string text(1024, '\0');
    const ssize_t size = ::recv(fd, text.data(), text.size(), 0);
    text.resize(size < 0 ? 0 : static_cast<std::size_t>(size));
    return text;
  }

  // The printed entries in the form that the sink receives: from the time stamp up to the last LF.
  static std::vector<std::string> Entries(const std::string& out) {
    std::vector<std::string> entries;
    bool inside = false;
    for (const absl::string_view line : absl::StrSplit(out, '\n')) {
      if (absl::StartsWith(line, "    2")) {
        inside = true;
        entries.emplace_back(line.substr(4));
      } else if (absl::StartsWith(line, "==>")) {
        inside = false;
      } else if (inside) {
        absl::StrAppend(&entries.back(), "\n", line);
      }
    }
    return entries;
  }
  static LogLevel LevelOf(const std::string& entry) {
    for (const LogLevel level : {LogLevel::kDebug, LogLevel::kInfo, LogLevel::kWarn}) {
      if (absl::StrContains(entry, absl::StrCat(" [", LogLevelName(level), "] "))) return level;
    }
    return LogLevel::kError;
  }
  // "<29>Nov 23 04:01:47 serf[123]: TEXT" without the parts that differ from run to run.
  static std::string WithoutStamp(const std::string& datagram) {
    const std::size_t priority_end = datagram.find('>');
    const std::size_t stamp_end = datagram.find("]: ");
    if (priority_end == std::string::npos || stamp_end == std::string::npos) return datagram;
    return datagram.substr(0, priority_end + 1) + datagram.substr(stamp_end + 3);
  }

  const testkit::TemporaryFolder temporary_{testkit::kShortParent};
  const std::string& folder_ = temporary_.path();
  std::string path_;
  int fd_ = -1;
};

constexpr char kStamp[] = "[A-Z][a-z][a-z] [ 0-9][0-9] [0-9]+:[0-9]+:[0-9]+ serf.[0-9]+.: ";

TEST_F(SyslogSinkTest, SendsLinesWithoutTimeAndLevel) {
  Listen(SOCK_DGRAM);
  auto sink = SyslogSink::Create("daemon", {path_});
  ASSERT_TRUE(sink.ok()) << sink.status();
  sink->Write(LogLevel::kInfo, "2026/11/23 04:01:47 [INFO] agent: Serf agent starting");
  EXPECT_THAT(Receive(),
              MatchesRegex(absl::StrCat("<29>", kStamp, "agent: Serf agent starting\n")));
  const struct {
    LogLevel level;
    const char* priority;
  } kCases[] = {{LogLevel::kTrace, "<31>"},
                {LogLevel::kDebug, "<30>"},
                {LogLevel::kWarn, "<28>"},
                {LogLevel::kError, "<27>"}};
  for (const auto& c : kCases) {
    sink->Write(c.level, "no level");
    EXPECT_THAT(Receive(), MatchesRegex(absl::StrCat(c.priority, kStamp, "no level\n")));
  }
}

TEST_F(SyslogSinkTest, ConnectsAgainAfterARestartOfTheDaemon) {
  Listen(SOCK_DGRAM);
  auto sink = SyslogSink::Create("LOCAL0", {folder_ + "/none", path_});
  ASSERT_TRUE(sink.ok());
  Listen(SOCK_DGRAM);
  sink->Write(LogLevel::kWarn, "x");
  EXPECT_THAT(Receive(), MatchesRegex(absl::StrCat("<132>", kStamp, "x\n")));
}

TEST_F(SyslogSinkTest, UsesAStreamIfThereIsNoOther) {
  Listen(SOCK_STREAM);
  auto sink = SyslogSink::Create("local7", {path_});
  ASSERT_TRUE(sink.ok());
  const int connection = ::accept(fd_, nullptr, nullptr);
  sink->Write(LogLevel::kError, "x");
  EXPECT_THAT(Receive(connection), MatchesRegex(absl::StrCat("<187>", kStamp, "x\n")));
  ::close(connection);
}

TEST_F(SyslogSinkTest, NeverBlocks) {
  Listen(SOCK_DGRAM);
  auto sink = SyslogSink::Create("daemon", {path_});
  ASSERT_TRUE(sink.ok());
  for (int i = 0; i < 10'000; ++i) sink->Write(LogLevel::kInfo, "nobody reads this");
}

// The recorded entries are those that Go Serf's agent sent.
TEST_F(SyslogSinkTest, EntriesAsRecorded) {
  for (const auto& [name, facility] :
       {std::pair{"agent-syslog", "daemon"}, std::pair{"agent-syslog-warn", "LOCAL0"}}) {
    const nlohmann::json recorded =
        serf::testkit::LoadVectors(absl::StrCat("cli/", std::string(name), ".json"));
    const std::vector<std::string> entries = Entries(recorded["stdout"].get<std::string>());
    Listen(SOCK_DGRAM);
    auto sink = SyslogSink::Create(facility, {path_});
    ASSERT_TRUE(sink.ok());
    const auto datagrams = recorded["syslog_datagrams"].get<std::vector<std::string>>();
    ASSERT_GE(datagrams.size(), 2u);
    ASSERT_GE(entries.size(), datagrams.size());
    for (std::size_t i = 0; i < datagrams.size(); ++i) {
      sink->Write(LevelOf(entries[i]), entries[i]);
      EXPECT_EQ(WithoutStamp(Receive()), WithoutStamp(datagrams[i])) << name;
    }
  }
}

TEST_F(SyslogSinkTest, Errors) {
  EXPECT_EQ(std::string(SyslogSink::Create("NOPE", {path_}).status().message()),
            "Syslog setup failed: invalid syslog facility: NOPE");
  EXPECT_EQ(std::string(SyslogSink::Create("daemon", {path_}).status().message()),
            "Syslog setup failed: Unix syslog delivery error");
}

}  // namespace
}  // namespace serf::cmd
