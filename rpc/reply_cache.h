// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_RPC_REPLY_CACHE_H_
#define SERF_RPC_REPLY_CACHE_H_

// ReplyCache: the bodies of replies that clients ask for again and again, encoded once for as long
// as what they show does not change, and shared by all connections. Internal to rpc/; one thread,
// but a finished body may be read on any.
//
//   if (const SharedBody body = replies.Find(now, request, version)) return Send(body);
//   if (replies.Await(now, request, version, done)) return;   // another connection has asked
//   auto body = replies.TakeBuffer(request);
//   Encode(..., *body);                                       // at once, or on another thread
//   replies.Keep(now, request, version, body);
//
// A version is a number that changes whenever the body would (Service::MembersVersion()). Without
// one the cache keeps only the memory, for the next body.

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "msgpack/sbuffer.hpp"
#include "serf/base/time.h"
#include "serf/rpc/protocol.h"

namespace serf::rpc {

using SharedBody = std::shared_ptr<const msgpack::sbuffer>;

class ReplyCache {
 public:
  // The most replies: the plain commands, and the filters of a dozen scripts.
  static constexpr std::size_t kRepliesMax = 16;
  // The most bytes of all replies: 100,000 members without tags have 11 MB. A larger reply is only
  // shared by those who wait for it.
  static constexpr std::size_t kBytesMax = std::size_t{16} << 20;
  // A larger reply is given up after kKeepTime in which nobody asks for it. Small ones take no more
  // together than the output of one connection.
  static constexpr std::size_t kSmall = std::size_t{16} << 10;
  // The most large replies: the listing of all members, and that of a filter. A client that asks
  // with many filters takes no more memory.
  static constexpr std::ptrdiff_t kLargeMax = 2;
  static constexpr Duration kKeepTime = std::chrono::seconds(1);

  // A command and the bytes of its body.
  struct Request {
    Command command;
    absl::string_view body;
  };
  using Version = std::optional<std::uint64_t>;
  // Receives a body, or the error that the client gets instead of it.
  using Done = std::function<void(const absl::Status&, const SharedBody&)>;
  // Names a body that is being made.
  using Ticket = std::uint64_t;

  ReplyCache() = default;
  // `wake` is called when NextDeadline() may have come nearer.
  explicit ReplyCache(std::function<void()> wake) : wake_(std::move(wake)) {}

  // The body of this request at this version; null if the cache does not have it.
  SharedBody Find(Instant now, const Request& request, Version version) {
    const auto found = Find(request);
    if (!version || found == kept_.end() || found->version != version) return nullptr;
    found->used = now;
    return found->body;
  }

  // Memory for a new body: that of an older one, if nobody reads it.
  std::shared_ptr<msgpack::sbuffer> TakeBuffer(const Request& request) {
    const auto found = Find(request);
    if (found == kept_.end() || found->body.use_count() > 1) {
      return std::make_shared<msgpack::sbuffer>(kInitial);
    }
    std::shared_ptr<msgpack::sbuffer> body = std::move(found->body);
    kept_.erase(found);
    body->clear();
    return body;
  }

  void Keep(Instant now, const Request& request, Version version,
            std::shared_ptr<msgpack::sbuffer> body) {
    if (const auto found = Find(request); found != kept_.end()) kept_.erase(found);
    // It would only drive out the others.
    if (body->size() + request.body.size() > kBytesMax) return;
    if (body->size() <= kSmall) {
      // Its memory may be that of a large one, which OnTimer() would not give up.
      auto fitting = std::make_shared<msgpack::sbuffer>(std::max(body->size(), kInitial));
      fitting->write(body->data(), body->size());
      body = std::move(fitting);
    }
    kept_.push_back({request.command, std::string(request.body), version, now, std::move(body)});
    const auto is_large = [](const Kept& kept) { return !kept.is_small(); };
    while (std::count_if(kept_.begin(), kept_.end(), is_large) > kLargeMax) DropOldest(is_large);
    while (kept_.size() > kRepliesMax || bytes() > kBytesMax) {
      DropOldest([](const Kept&) { return true; });
    }
    if (wake_) wake_();
  }

  // --- bodies that another thread makes ---

  // Calls `done` with the body that is being made for such a request; false if none is.
  bool Await(const Request& request, Version version, Done done) {
    for (Making& making : making_) {
      if (!version || making.version != version || !making.IsFor(request)) continue;
      making.waiting.push_back(std::move(done));
      return true;
    }
    return false;
  }
  // A body is going to be made. End() follows, and calls `done`.
  Ticket Begin(const Request& request, Version version, Done done) {
    making_.push_back({++last_, request.command, std::string(request.body), version, {}});
    making_.back().waiting.push_back(std::move(done));
    return last_;
  }
  // `now` may be the time of the request. `body` may be null after an error.
  void End(Instant now, Ticket ticket, const absl::Status& status,
           const std::shared_ptr<msgpack::sbuffer>& body) {
    const auto found = std::find_if(making_.begin(), making_.end(), [ticket](const Making& making) {
      return making.ticket == ticket;
    });
    const Making made = std::move(*found);
    making_.erase(found);
    if (status.ok()) Keep(now, {made.command, made.request}, made.version, body);
    for (const Done& done : made.waiting) done(status, body);
  }

  // --- time ---

  Instant NextDeadline() const {
    Instant next = kNever;
    for (const Kept& kept : kept_) {
      if (!kept.is_small()) next = std::min(next, kept.used + kKeepTime);
    }
    return next;
  }
  void OnTimer(Instant now) {
    std::erase_if(kept_, [now](const Kept& kept) {
      return !kept.is_small() && now >= kept.used + kKeepTime;
    });
  }

  // The memory of all replies that the cache keeps.
  std::size_t bytes() const {
    std::size_t bytes = 0;
    for (const Kept& kept : kept_) bytes += kept.body->size() + kept.request.size();
    return bytes;
  }

 private:
  // A reply with a few members fits.
  static constexpr std::size_t kInitial = 512;

  struct Kept {
    Command command;
    std::string request;
    Version version;
    Instant used;
    std::shared_ptr<msgpack::sbuffer> body;

    bool is_small() const { return body->size() + request.size() <= kSmall; }
  };
  struct Making {
    Ticket ticket;
    Command command;
    std::string request;
    Version version;
    std::vector<Done> waiting;

    bool IsFor(const Request& other) const {
      return command == other.command && request == other.body;
    }
  };

  std::vector<Kept>::iterator Find(const Request& request) {
    return std::find_if(kept_.begin(), kept_.end(), [&request](const Kept& kept) {
      return kept.command == request.command && kept.request == request.body;
    });
  }

  // Drops that of the chosen replies, of which there is one, for which nobody has asked longest.
  template <typename IsChosen>
  void DropOldest(IsChosen is_chosen) {
    auto oldest = kept_.end();
    for (auto it = kept_.begin(); it != kept_.end(); ++it) {
      if (is_chosen(*it) && (oldest == kept_.end() || it->used < oldest->used)) oldest = it;
    }
    kept_.erase(oldest);
  }

  const std::function<void()> wake_;
  std::vector<Kept> kept_;
  std::list<Making> making_;
  Ticket last_ = 0;
};

}  // namespace serf::rpc

#endif  // SERF_RPC_REPLY_CACHE_H_
