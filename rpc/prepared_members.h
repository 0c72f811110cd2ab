// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_RPC_PREPARED_MEMBERS_H_
#define SERF_RPC_PREPARED_MEMBERS_H_

// PreparedMembers: the reply to `members` or `members-filtered`, which another thread than that of
// the connection may make. Internal to rpc/. Source: docs/protocol/agent.md 1.7.

#include <cstddef>
#include <optional>
#include <span>
#include <vector>

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
  void Fill(std::span<const Member> members, const Service::MayGoOn& may_go_on) {
    if (!request) {
      Writer writer(body);
      return EncodeMembersReply(writer, members);
    }
    std::vector<const Member*> wanted;
    const absl::StatusOr<MemberFilter> filter = MemberFilter::Compile(*request);
    status = filter.status();
    for (std::size_t i = 0; status.ok() && i < members.size(); ++i) {
      if (filter->Matches(members[i])) wanted.push_back(&members[i]);
      if (!may_go_on()) status = absl::ResourceExhaustedError(kFilterTooSlow);
    }
    if (!status.ok()) return Fail(status);
    Writer writer(body);
    EncodeMembersReply(writer, wanted);
  }

  // Makes an error reply. It has a body too, because Go Serf's client expects one after any error
  // of its own.
  void Fail(const absl::Status& why) {
    status = why;
    Writer writer(body);
    EncodeMembersReply(writer, std::span<const Member>());
  }

  std::optional<MembersFilteredRequest> request;
  absl::Status status;
  msgpack::sbuffer body;
};

}  // namespace serf::rpc

#endif  // SERF_RPC_PREPARED_MEMBERS_H_
