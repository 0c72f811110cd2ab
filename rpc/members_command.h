// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_RPC_MEMBERS_COMMAND_H_
#define SERF_RPC_MEMBERS_COMMAND_H_

// MembersCommand: a request `members` or `members-filtered` and the members of its moment. It
// writes the reply, on any thread. Internal to rpc/. Source: docs/protocol/agent.md 1.7.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "msgpack/sbuffer.hpp"
#include "serf/member_listing.h"
#include "serf/rpc/encode.h"
#include "serf/rpc/member_filter.h"
#include "serf/rpc/protocol.h"
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

  // Appends the whole reply. Returns the error that it reports to the client.
  absl::Status Write(const Service::MayGoOn& may_go_on, msgpack::sbuffer& out) const {
    std::vector<MemberListing::RowIndex> rows = members.SortedRows();
    MemberView member;
    if (filter) {
      const absl::StatusOr<MemberFilter> compiled = MemberFilter::Compile(*filter);
      if (!compiled.ok()) return WriteError(compiled.status(), out);
      std::size_t wanted = 0;
      for (std::size_t i = 0; i < rows.size(); ++i) {
        if (i % kLookEvery == 0 && !may_go_on()) {
          return WriteError(absl::ResourceExhaustedError(kFilterTooSlow), out);
        }
        members.Describe(rows[i], member);
        if (compiled->Matches(member)) rows[wanted++] = rows[i];
      }
      rows.resize(wanted);
    }
    Writer writer(out);
    Begin(writer, {}, rows.size());
    for (const MemberListing::RowIndex row : rows) {
      members.Describe(row, member);
      Encode(writer, member);
    }
    return absl::OkStatus();
  }

  // Appends an error reply. It has a body too, because Go Serf's client expects one after any error
  // of its own.
  absl::Status WriteError(absl::Status why, msgpack::sbuffer& out) const {
    Writer writer(out);
    Begin(writer, why.message(), 0);
    return why;
  }

  std::uint64_t seq = 0;
  std::optional<MembersFilteredRequest> filter;  // none: all members
  MemberListing members;

 private:
  void Begin(Writer& writer, absl::string_view error, std::size_t size) const {
    Encode(writer, ResponseHeader{error, seq});
    BeginMembersReply(writer, size);
  }
};

}  // namespace serf::rpc

#endif  // SERF_RPC_MEMBERS_COMMAND_H_
