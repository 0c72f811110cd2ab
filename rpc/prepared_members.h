// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_RPC_PREPARED_MEMBERS_H_
#define SERF_RPC_PREPARED_MEMBERS_H_

// PreparedMembers: the reply to `members` or `members-filtered`, which another thread than that of
// the connection may make. Internal to rpc/. Source: docs/protocol/agent.md 1.7.

#include <cstddef>
#include <functional>
#include <optional>
#include <span>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "msgpack/sbuffer.hpp"
#include "serf/member.h"
#include "serf/rpc/encode.h"
#include "serf/rpc/member_filter.h"
#include "serf/rpc/protocol.h"
#include "serf/rpc/service.h"

namespace serf::rpc {

struct PreparedMembers {
  // Makes the reply: the members that the request asks for; without a request, all.
  void Fill(const Service::MemberSource& members, const Service::MayGoOn& may_go_on) {
    if (!request) {
      BeginReply(members.size);
      Writer writer(body);
      return members.for_each([&](const Member& member) {
        Encode(writer, member);
        return true;
      });
    }
    const absl::StatusOr<MemberFilter> filter = MemberFilter::Compile(*request);
    if (!filter.ok()) return Fail(filter.status());
    // The reply begins with the number of members.
    msgpack::sbuffer rows;
    Writer writer(rows);
    std::size_t wanted = 0;
    members.for_each([&](const Member& member) {
      if (filter->Matches(member)) {
        Encode(writer, member);
        ++wanted;
      }
      if (!may_go_on()) status = absl::ResourceExhaustedError(kFilterTooSlow);
      return status.ok();
    });
    if (!status.ok()) return Fail(status);
    BeginReply(wanted);
    body.write(rows.data(), rows.size());
  }
  // The same for members that stand side by side.
  void Fill(std::span<const Member> members) {
    const auto for_each = [members](const std::function<bool(const Member&)>& f) {
      for (const Member& member : members) {
        if (!f(member)) return;
      }
    };
    Fill({members.size(), for_each}, [] { return true; });
  }

  // Makes an error reply. It has a body too, because Go Serf's client expects one after any error
  // of its own.
  void Fail(const absl::Status& why) {
    status = why;
    BeginReply(0);
  }

  std::optional<MembersFilteredRequest> request;
  absl::Status status;
  msgpack::sbuffer body;

 private:
  void BeginReply(std::size_t members) {
    Writer writer(body);
    BeginMembersReply(writer, members);
  }
};

}  // namespace serf::rpc

#endif  // SERF_RPC_PREPARED_MEMBERS_H_
