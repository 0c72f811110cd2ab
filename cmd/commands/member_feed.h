#ifndef SERF_CMD_COMMANDS_MEMBER_FEED_H_
#define SERF_CMD_COMMANDS_MEMBER_FEED_H_

// MemberFeed: the members of an agent, again after each change. It connects once, reads the
// members, and reads them again when events have settled. Every change is in the next list,
// whatever events the agent merged or dropped. Works with agents of Go Serf.
//
//   const auto feed = std::make_shared<MemberFeed>(io, options);
//   feed->on_members = [](std::vector<Member> members) { ... };
//   feed->on_end = [](const absl::Status& why) { ... };  // make another one to connect again
//   feed->Start();
//
// One thread, that of the io_context. The handlers are set before Start(), and not called after
// Close().

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/system/error_code.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "serf/base/time.h"
#include "serf/member.h"
#include "serf/rpc/client.h"
#include "serf/rpc/client_io.h"
#include "serf/rpc/protocol.h"
#include "serf/rpc/service.h"

namespace serf::cmd {

class MemberFeed : public std::enable_shared_from_this<MemberFeed> {
 public:
  struct Options {
    std::string address;        // "HOST:PORT" or "unix:/PATH"
    rpc::ClientOptions client;  // the key
    rpc::MembersFilteredRequest filter;
    // Kinds of events. Empty: one list, without those after it.
    std::string events = "member-join,member-leave,member-failed,member-update,member-reap";
    // The list is read so long after the last event of a series, and at the latest so long after
    // the first: a flood of changes postpones no news forever.
    Duration settle = std::chrono::milliseconds(500);
    Duration settle_max = std::chrono::seconds(5);
    // The list is read anew after so long without an event, so that a connection whose other end is
    // gone is noticed, and changes that make no event ("leaving") are seen. Zero: never.
    Duration refresh = std::chrono::seconds(30);
  };

  MemberFeed(boost::asio::io_context& io, Options options)
      : options_(std::move(options)), client_(io, options_.client), settled_(io), refresh_(io) {}

  // A list, in the agent's order.
  std::function<void(std::vector<Member>)> on_members;
  // An event as it comes, before the list that has its outcome. Optional.
  std::function<void(const rpc::EventRecord&)> on_event;
  // Once: the connection cannot be used any more. The message is a line to print; InvalidArgument:
  // the agent refuses the request, and would again.
  std::function<void(const absl::Status&)> on_end;

  void Start();
  // Ends the connection without a call of on_end.
  void Close() {
    End();
    client_.Close();
  }

  // The name of the agent's node; known before the first list. Empty: the agent does not say it.
  const std::string& agent() const { return agent_; }
  // The connection, for further requests.
  rpc::AsyncClient& client() { return client_; }

 private:
  void OpenStream();
  void OnEvent(const absl::StatusOr<rpc::EventRecord>& event);
  void Read();
  void OnList(absl::StatusOr<std::vector<Member>> members);
  void WaitToRefresh();
  void End() {
    ended_ = true;
    settled_.cancel();
    refresh_.cancel();
  }
  void Fail(absl::string_view what, const absl::Status& status, bool refused = false);

  const Options options_;
  rpc::AsyncClient client_;
  boost::asio::steady_timer settled_;
  boost::asio::steady_timer refresh_;
  std::string agent_;
  std::chrono::steady_clock::time_point first_;  // of the events that settle
  bool settling_ = false;
  bool reading_ = false;
  bool again_ = false;  // events have settled meanwhile
  bool ended_ = false;
};

inline void MemberFeed::Start() {
  client_.AsyncConnect(options_.address, [self = shared_from_this()](const absl::Status& status) {
    if (!status.ok()) return self->Fail("Error connecting to Serf agent: ", status);
    self->client_.AsyncStats([self](const absl::StatusOr<rpc::StatsSections>& stats) {
      if (!stats.ok()) return self->Fail("Error querying agent: ", stats.status());
      if (const auto section = stats->find("agent"); section != stats->end()) {
        const auto name = section->second.find("name");
        if (name != section->second.end()) self->agent_ = name->second;
      }
      self->OpenStream();
    });
  });
}

inline void MemberFeed::OpenStream() {
  if (ended_) return;
  if (options_.events.empty()) return Read();
  client_.AsyncStream(
      options_.events,
      [self = shared_from_this()](const absl::StatusOr<rpc::EventRecord>& event) {
        self->OnEvent(event);
      },
      [self = shared_from_this()](const absl::StatusOr<rpc::ClientSession::Seq>& opened) {
        if (!opened.ok()) return self->Fail("Error starting stream: ", opened.status());
        // Only now, so that no change falls between the list and the events.
        self->Read();
      });
}

inline void MemberFeed::OnEvent(const absl::StatusOr<rpc::EventRecord>& event) {
  if (!event.ok()) return Fail("The agent ended the connection: ", event.status());
  if (ended_) return;
  if (on_event) on_event(*event);
  const auto now = std::chrono::steady_clock::now();
  if (!std::exchange(settling_, true)) first_ = now;
  settled_.expires_at(std::min(now + options_.settle, first_ + options_.settle_max));
  settled_.async_wait([self = shared_from_this()](const boost::system::error_code& error) {
    if (error || self->ended_) return;
    self->settling_ = false;
    self->Read();
  });
}

inline void MemberFeed::Read() {
  if (ended_) return;
  if (std::exchange(reading_, true)) {
    again_ = true;
    return;
  }
  refresh_.cancel();
  client_.AsyncMembersFiltered(
      options_.filter, [self = shared_from_this()](absl::StatusOr<std::vector<Member>> members) {
        self->OnList(std::move(members));
      });
}

inline void MemberFeed::OnList(absl::StatusOr<std::vector<Member>> members) {
  reading_ = false;
  if (!members.ok()) {
    const bool gone =
        absl::IsUnavailable(members.status()) || absl::IsDeadlineExceeded(members.status());
    return Fail("Error retrieving members: ", members.status(), !gone);
  }
  if (ended_) return;
  on_members(*std::move(members));
  if (ended_) return;
  if (std::exchange(again_, false)) return Read();
  WaitToRefresh();
}

inline void MemberFeed::WaitToRefresh() {
  if (options_.events.empty() || options_.refresh == Duration::zero()) return;
  refresh_.expires_after(options_.refresh);
  refresh_.async_wait([self = shared_from_this()](const boost::system::error_code& error) {
    if (!error) self->Read();
  });
}

inline void MemberFeed::Fail(absl::string_view what, const absl::Status& status, bool refused) {
  if (ended_) return;
  End();
  client_.Close();
  const std::string text = absl::StrCat(what, absl::string_view(status.message()));
  on_end(refused ? absl::InvalidArgumentError(text) : absl::UnavailableError(text));
}

}  // namespace serf::cmd

#endif  // SERF_CMD_COMMANDS_MEMBER_FEED_H_
