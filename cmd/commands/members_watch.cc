#include "serf/cmd/commands/members_watch.h"

#include <unistd.h>

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/system/error_code.hpp>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "serf/base/time.h"
#include "serf/cmd/command.h"
#include "serf/cmd/commands/client_flags.h"
#include "serf/cmd/commands/member_changes.h"
#include "serf/cmd/commands/member_feed.h"
#include "serf/cmd/commands/member_list.h"
#include "serf/cmd/commands/member_page.h"
#include "serf/cmd/commands/screen.h"
#include "serf/member.h"

namespace serf::cmd {
namespace {

// How long the command waits for more events before it reads the list: short enough that a human
// sees no delay, long enough that a flood of joins of 10,000 members costs the agent little.
constexpr std::chrono::milliseconds kSettle{50};
constexpr std::chrono::milliseconds kSettleMax{250};

// The shortest -interval: four readings a second.
constexpr std::chrono::milliseconds kIntervalMin{250};

class MembersWatch {
 public:
  explicit MembersWatch(const MembersWatchOptions& options)
      : options_(options), page_(!options.json && ::isatty(STDOUT_FILENO) == 1) {}

  int Run() {
    MemberFeed::Options feed = {.address = AgentAddressFromFlags(),
                                .client = ClientOptionsFromFlags(),
                                .filter = options_.filter,
                                .settle = kSettle,
                                .settle_max = kSettleMax};
    if (options_.interval > Duration::zero()) {
      feed.refresh = std::max<Duration>(options_.interval, kIntervalMin);
    }
    feed_ = std::make_shared<MemberFeed>(io_, std::move(feed));
    feed_->on_members = [this](std::vector<Member> members) { OnMembers(std::move(members)); };
    feed_->on_end = [this](const absl::Status& why) { OnEnd(why); };
    feed_->Start();
    io_.run();
    screen_.reset();
    if (!reason_.empty()) members_ ? PrintError(reason_) : Print(reason_);
    return exit_code_;
  }

 private:
  void OnMembers(std::vector<Member> members) {
    const auto by_name = [](const Member& a, const Member& b) { return a.name < b.name; };
    if (!absl::c_is_sorted(members, by_name)) absl::c_sort(members, by_name);
    // The page first: it treats the signals that the command does not catch.
    if (page_ && !screen_) screen_.emplace();
    if (!members_) CatchSignals();
    if (!page_) {
      if (members_ && !PrintChanges(members)) return Stop(kExitFailure);
      members_ = std::move(members);
      return;
    }
    members_ = std::move(members);
    Draw();
  }

  // False: nobody reads them any more.
  bool PrintChanges(const std::vector<Member>& members) {
    const std::string time = TimeText();
    std::string text;
    for (const MemberChange& change : MemberChanges(*members_, members)) {
      text += options_.json ? ChangeJson(change, time) : ChangeText(change, time);
    }
    if (text.empty()) return true;
    options_.json ? PrintRaw(text) : Print(text);
    return std::fflush(stdout) == 0;
  }

  void Draw() {
    std::vector<ScreenLine> lines = {
        {absl::StrCat(feed_->agent(), "  ", ClockText(), "  ", CountsText(*members_)),
         Color(kBold)},
        {}};
    const Screen::Size size = Screen::Measure();
    const std::size_t room = size.rows > lines.size() + 1 ? size.rows - lines.size() - 1 : 1;
    const std::vector<Member>& all = *members_;
    const std::size_t shown = std::min(room, all.size());
    const std::string table = MemberTable({all.data(), shown}, options_.detailed);
    std::size_t row = 0;
    for (const absl::string_view line : absl::StrSplit(table, '\n')) {
      if (row == shown) break;
      lines.push_back({std::string(line), Color(StatusColor(all[row++].status))});
    }
    if (shown < all.size())
      lines.push_back({absl::StrCat("... and ", all.size() - shown, " more")});
    screen_->Draw(lines);
  }

  absl::string_view Color(absl::string_view color) const { return options_.color ? color : ""; }

  void OnEnd(const absl::Status& why) {
    reason_ = absl::StrCat(absl::string_view(why.message()), "\n");
    Stop(kExitFailure);
  }

  // Only from the first list on: until then a name look-up may be under way, which only the end of
  // the process ends.
  void CatchSignals() {
    signals_.add(SIGINT);
    if (page_) signals_.add(SIGWINCH);
    WaitForSignal();
  }

  void WaitForSignal() {
    signals_.async_wait([this](const boost::system::error_code& error, int signal) {
      if (error) return;
      if (signal == SIGINT) return Stop(kExitSuccess);
      Draw();
      WaitForSignal();
    });
  }

  void Stop(int exit_code) {
    exit_code_ = exit_code;
    feed_->Close();
    io_.stop();
  }

  const MembersWatchOptions options_;
  const bool page_;
  boost::asio::io_context io_{1};
  boost::asio::signal_set signals_{io_};
  std::shared_ptr<MemberFeed> feed_;
  std::optional<std::vector<Member>> members_;
  std::optional<Screen> screen_;
  std::string reason_;
  int exit_code_ = kExitFailure;
};

}  // namespace

int WatchMembers(const MembersWatchOptions& options) { return MembersWatch(options).Run(); }

}  // namespace serf::cmd
