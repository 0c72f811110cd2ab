#include "serf/cmd/terminal.h"

#include <unistd.h>

#include <csignal>
#include <string>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace serf::cmd {
namespace {

class TerminalTest : public testing::Test {
 protected:
  TerminalTest() { EXPECT_EQ(::pipe(fds_), 0); }
  ~TerminalTest() override {
    CloseReader();
    ::close(fds_[1]);
  }

  // What the reader finds.
  std::string Read() {
    std::string text(1 << 20, '\0');
    const ssize_t size = ::read(fds_[0], text.data(), text.size());
    text.resize(size > 0 ? static_cast<std::size_t>(size) : 0);
    return text;
  }

  void CloseReader() {
    if (fds_[0] >= 0) ::close(fds_[0]);
    fds_[0] = -1;
  }

  int fds_[2] = {-1, -1};
};

TEST_F(TerminalTest, LooksLikeSerf) {
  Terminal terminal(fds_[1]);
  terminal.Output("Serf agent running!");
  terminal.Info("Join completed.");
  terminal.Info("");
  EXPECT_EQ(Read(), "==> Serf agent running!\n    Join completed.\n\n");
}

TEST_F(TerminalTest, KeepsWhatAStalledReaderDoesNotTake) {
  Terminal terminal(fds_[1]);
  int stalls = 0;
  terminal.set_on_stalled([&] { ++stalls; });
  std::string expected;
  for (int i = 0; i < 5000; ++i) {  // a pipe holds 64 KiB
    terminal.Info(absl::StrCat("line ", i));
    absl::StrAppend(&expected, "    line ", i, "\n");
  }
  EXPECT_EQ(stalls, 1);
  std::string got;
  for (bool empty = false; !empty;) {
    absl::StrAppend(&got, Read());
    empty = terminal.Flush();
  }
  absl::StrAppend(&got, Read());
  EXPECT_EQ(got, expected);
}

TEST_F(TerminalTest, KeepsNoMoreThanItsLimit) {
  Terminal terminal(fds_[1]);
  const std::string line(100'000, 'x');
  for (int i = 0; i < 30; ++i) terminal.Info(line);
  std::string got;
  for (bool empty = false; !empty;) {
    absl::StrAppend(&got, Read());
    empty = terminal.Flush();
  }
  absl::StrAppend(&got, Read());
  EXPECT_LE(got.size(), Terminal::kPendingMax + (std::size_t{64} << 10));
  EXPECT_EQ(got.size() % (line.size() + 5), 0u);  // whole lines
}

TEST_F(TerminalTest, SurvivesTheEndOfTheReader) {
  Terminal terminal(fds_[1]);
  ::signal(SIGPIPE, SIG_IGN);
  CloseReader();
  terminal.Output("nobody reads this");
  EXPECT_TRUE(terminal.Flush());
}

}  // namespace
}  // namespace serf::cmd
