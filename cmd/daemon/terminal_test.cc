#include "serf/cmd/daemon/terminal.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <condition_variable>
#include <csignal>
#include <cstddef>
#include <cstdlib>
#include <filesystem>
#include <iterator>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace serf::cmd {
namespace {

using Clock = std::chrono::steady_clock;

// Far less than any time that a caller waits for the reader, and far more than a write takes on a
// busy machine.
constexpr std::chrono::milliseconds kAtOnce{500};

// The two ends of a standard output.
struct Ends {
  int reader = -1;
  int writer = -1;
};

Ends OpenPipe() {
  int fds[2];
  EXPECT_EQ(::pipe2(fds, O_CLOEXEC), 0);
  return {fds[0], fds[1]};
}

Ends OpenSockets() {
  int fds[2];
  EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
  return {fds[0], fds[1]};
}

// A terminal whose text arrives unchanged.
Ends OpenTerminal() {
  const int reader = ::posix_openpt(O_RDWR | O_NOCTTY);
  EXPECT_EQ(::grantpt(reader), 0);
  EXPECT_EQ(::unlockpt(reader), 0);
  std::array<char, 64> name;
  EXPECT_EQ(::ptsname_r(reader, name.data(), name.size()), 0);
  const int writer = ::open(name.data(), O_RDWR | O_NOCTTY | O_CLOEXEC);
  termios settings;
  EXPECT_EQ(::tcgetattr(writer, &settings), 0);
  ::cfmakeraw(&settings);
  EXPECT_EQ(::tcsetattr(writer, TCSANOW, &settings), 0);
  return {reader, writer};
}

class TerminalTest : public testing::Test {
 protected:
  TerminalTest() { ::signal(SIGPIPE, SIG_IGN); }
  ~TerminalTest() override {
    terminal_ = nullptr;
    CloseReader();
    ::close(ends_.writer);
  }

  void Open(Ends ends) {
    ends_ = ends;
    terminal_ = std::make_unique<Terminal>(ends_.writer);
  }

  // Waits until the reader has found `size` bytes.
  std::string Read(std::size_t size) const {
    std::string text;
    std::array<char, 4096> buffer;
    while (text.size() < size) {
      const ssize_t got = ::read(ends_.reader, buffer.data(), buffer.size());
      if (got <= 0) break;
      text.append(buffer.data(), static_cast<std::size_t>(got));
    }
    return text;
  }

  void CloseReader() {
    if (ends_.reader >= 0) ::close(ends_.reader);
    ends_.reader = -1;
  }

  // How long the last wait took.
  Clock::duration End() {
    const Clock::time_point start = Clock::now();
    terminal_ = nullptr;
    return Clock::now() - start;
  }

  // Writes more than any reader's buffer holds, without waiting. Returns the text.
  std::string Fill() {
    std::string text;
    for (int i = 0; i < 40'000; ++i) {
      const Clock::time_point start = Clock::now();
      terminal_->Info(absl::StrCat("line ", i));
      EXPECT_LT(Clock::now() - start, kAtOnce);
      absl::StrAppend(&text, "    line ", i, "\n");
    }
    return text;
  }

  static int Threads() {
    return static_cast<int>(
        std::distance(std::filesystem::directory_iterator("/proc/self/task"), {}));
  }

  Ends ends_;
  std::unique_ptr<Terminal> terminal_;
};

TEST_F(TerminalTest, LooksLikeSerf) {
  Open(OpenPipe());
  terminal_->Output("Serf agent running!");
  terminal_->Info("Join completed.");
  terminal_->Info("");
  const std::string text = "==> Serf agent running!\n    Join completed.\n\n";
  EXPECT_EQ(Read(text.size()), text);
}

TEST_F(TerminalTest, NoReaderIsWaitedForWhileItRuns) {
  for (const auto open : {OpenPipe, OpenSockets, OpenTerminal}) {
    Open(open());
    const std::string text = Fill();
    EXPECT_EQ(Read(text.size()), text);
    EXPECT_LT(End(), kAtOnce);
    CloseReader();
    ::close(ends_.writer);
  }
}

// A process that shares the descriptor may have made it non-blocking.
TEST_F(TerminalTest, ANonBlockingDescriptorLosesNothing) {
  Open(OpenPipe());
  ASSERT_EQ(::fcntl(ends_.writer, F_SETFL, O_NONBLOCK), 0);
  const std::string text = Fill();
  EXPECT_EQ(Read(text.size()), text);
}

TEST_F(TerminalTest, KeepsNoMoreThanItsLimit) {
  Open(OpenPipe());
  const int pipe_size = ::fcntl(ends_.writer, F_GETPIPE_SZ);  // the pipe keeps that much, too
  ASSERT_GT(pipe_size, 0);
  const std::string line(100'000, 'x');
  for (int i = 0; i < 30; ++i) terminal_->Info(line);
  std::string got;
  std::thread reader([this, &got] { got = Read(std::string::npos); });
  terminal_ = nullptr;
  ::close(ends_.writer);
  reader.join();
  EXPECT_LE(got.size(), Terminal::kPendingMax + static_cast<std::size_t>(pipe_size));
  EXPECT_EQ(got.size() % (line.size() + 5), 0u);  // whole lines
  EXPECT_GT(got.size(), Terminal::kPendingMax / 2);
}

TEST_F(TerminalTest, AReaderThatStandsStillHasALastSecond) {
  for (const auto open : {OpenPipe, OpenSockets, OpenTerminal}) {
    Open(open());
    Fill();
    const Clock::duration waited = End();
    EXPECT_GE(waited, Terminal::kLastWait);
    EXPECT_LT(waited, Terminal::kLastWait + kAtOnce);
    // The thread's last write fails.
    CloseReader();
    ::close(ends_.writer);
  }
}

// No part of a text that is too long is written.
TEST_F(TerminalTest, WritesWholeTextsOnly) {
  Open(OpenPipe());
  terminal_->Text(std::string(Terminal::kPendingMax + 1, 'x'));
  terminal_->Text("after it");
  EXPECT_EQ(Read(8), "after it");
}

// What a pipe or a socket takes at once needs no thread, if the kernel can write so.
TEST_F(TerminalTest, WhatFitsNeedsNoThread) {
  for (const auto open : {OpenPipe, OpenSockets}) {
    Open(open());
    const iovec piece{const_cast<char*>("?"), 1};
    const bool can = ::pwritev2(ends_.writer, &piece, 1, -1, RWF_NOWAIT) == 1;
    if (can) {
      EXPECT_EQ(Read(1), "?");
    }
    const int threads = Threads();
    for (int i = 0; i < 3; ++i) {
      terminal_->Text("text");
      if (can) {
        EXPECT_EQ(Threads(), threads);
      }
      EXPECT_EQ(Read(4), "text");
    }
    CloseReader();
    terminal_ = nullptr;
    ::close(ends_.writer);
  }
}

// Between two entries the thread ends, and the next entry starts another one.
TEST_F(TerminalTest, AnIdleThreadEnds) {
  Open(OpenTerminal());
  for (const char* text : {"a", "b"}) {
    terminal_->Text(text);
    EXPECT_EQ(Read(1), text);
    const Clock::time_point end = Clock::now() + std::chrono::seconds(30);
    while (Threads() > 1 && Clock::now() < end) std::this_thread::yield();
    EXPECT_EQ(Threads(), 1);
  }
}

// The deadline applies to all that is left, not to each piece.
TEST_F(TerminalTest, ASlowReaderHasNoMore) {
  Open(OpenPipe());
  Fill();
  std::mutex mutex;
  std::condition_variable changed;
  bool ended = false;
  std::thread reader([&] {
    std::array<char, 512> buffer;
    std::unique_lock<std::mutex> lock(mutex);
    while (!changed.wait_for(lock, std::chrono::milliseconds(50), [&] { return ended; })) {
      EXPECT_GT(::read(ends_.reader, buffer.data(), buffer.size()), 0);
    }
  });
  EXPECT_LT(End(), Terminal::kLastWait + kAtOnce);
  {
    const std::lock_guard<std::mutex> lock(mutex);
    ended = true;
  }
  changed.notify_all();
  reader.join();
}

TEST_F(TerminalTest, TheEndOfTheReaderIsNoEnd) {
  Open(OpenPipe());
  CloseReader();
  terminal_->Output("nobody reads this");
  EXPECT_LT(End(), kAtOnce);
}

}  // namespace
}  // namespace serf::cmd
