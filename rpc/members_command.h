// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_RPC_MEMBERS_COMMAND_H_
#define SERF_RPC_MEMBERS_COMMAND_H_

// MembersCommand: a request `members` or `members-filtered` and the members of its moment. It
// writes the body of the reply, on any thread. AskMembers() takes the body from a cache instead, if
// nothing has changed since another client asked. Internal to rpc/. Source: docs/protocol/agent.md
// 1.7.

#include <cstddef>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "msgpack/sbuffer.hpp"
#include "serf/base/bytes.h"
#include "serf/base/time.h"
#include "serf/member_listing.h"
#include "serf/rpc/encode.h"
#include "serf/rpc/member_filter.h"
#include "serf/rpc/protocol.h"
#include "serf/rpc/reply_cache.h"
#include "serf/rpc/service.h"

namespace serf::rpc {

struct MembersCommand {
  // The most members that are sorted and encoded at once, in a millisecond or two.
  static constexpr std::size_t kAtOnceMax = 1024;

  // Reading the processor's clock takes longer than matching a plain expression once.
  static constexpr std::size_t kLookEvery = 16;

  // True if Write() takes so little time that it may run on the connection's thread.
  bool IsCheap() const {
    return members.size() <= kAtOnceMax && (!filter || MemberFilter::IsCheap(*filter, members));
  }

  // Appends the body of the reply, or returns the error that the client gets.
  absl::Status Write(const Service::MayGoOn& may_go_on, msgpack::sbuffer& out) const {
    std::vector<MemberListing::RowIndex> rows = members.SortedRows();
    MemberView member;
    if (filter) {
      const absl::StatusOr<MemberFilter> compiled = MemberFilter::Compile(*filter);
      if (!compiled.ok()) return compiled.status();
      std::size_t wanted = 0;
      for (std::size_t i = 0; i < rows.size(); ++i) {
        if (i % kLookEvery == 0 && !may_go_on()) {
          return absl::ResourceExhaustedError(kFilterTooSlow);
        }
        members.Describe(rows[i], member);
        if (compiled->Matches(member)) rows[wanted++] = rows[i];
      }
      rows.resize(wanted);
    }
    Writer writer(out);
    BeginMembersReply(writer, rows.size());
    for (const MemberListing::RowIndex row : rows) {
      members.Describe(row, member);
      Encode(writer, member);
    }
    return absl::OkStatus();
  }

  std::optional<MembersFilteredRequest> filter;  // none: all members
  MemberListing members;
};

// Calls `done` with the body of the reply, or the error: now, or when another thread has written
// it. Clients that ask for the same while nothing changes share one body. `body` is the body of the
// request.
inline void AskMembers(Instant now, Service& service, const std::shared_ptr<ReplyCache>& replies,
                       ByteView body, std::optional<MembersFilteredRequest> filter,
                       ReplyCache::Done done) {
  // `serf members` asks with a filter in which nothing is given.
  if (filter && filter->tags.empty() && filter->status.empty() && filter->name.empty()) {
    filter.reset();
  }
  const ReplyCache::Request request{filter ? Command::kMembersFiltered : Command::kMembers,
                                    filter ? AsText(body) : absl::string_view()};
  const ReplyCache::Version version = service.MembersVersion();
  if (const SharedBody kept = replies->Find(now, request, version)) {
    return done(absl::OkStatus(), kept);
  }
  if (replies->Await(request, version, done)) return;
  struct Making {
    MembersCommand command;
    std::shared_ptr<msgpack::sbuffer> body;
    absl::Status status;
  };
  auto making = std::make_shared<Making>(Making{
      {std::move(filter), service.ListMembers()}, replies->TakeBuffer(request), absl::OkStatus()});
  if (making->command.IsCheap()) {
    making->status = making->command.Write([] { return true; }, *making->body);
    if (making->status.ok()) replies->Keep(now, request, version, making->body);
    return done(making->status, making->body);
  }
  const ReplyCache::Ticket ticket = replies->Begin(request, version, std::move(done));
  service.RunAside(
      [making](const Service::MayGoOn& may_go_on) {
        making->status = making->command.Write(may_go_on, *making->body);
      },
      [now, ticket, making, weak = std::weak_ptr<ReplyCache>(replies)](bool ran) {
        const std::shared_ptr<ReplyCache> cache = weak.lock();
        if (cache == nullptr) return;
        if (!ran) making->status = absl::ResourceExhaustedError(kTooBusy);
        cache->End(now, ticket, making->status, making->body);
      });
}

}  // namespace serf::rpc

#endif  // SERF_RPC_MEMBERS_COMMAND_H_
