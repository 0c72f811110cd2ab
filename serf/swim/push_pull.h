// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_SWIM_PUSH_PULL_H_
#define SERF_SWIM_PUSH_PULL_H_

// Push/pull: the exchange of whole tables between two nodes, which repairs what gossip missed.
// PushPullMerge merges the state of another node, in portions; own_state.h builds that of this
// node. Source: docs/protocol/membership.md 3.4, 4.6, 4.7.
//
//   PushPullMerge merge(context, membership, role, peer, unit);
//   while (!merge.Continue(now, false, portion)) next turn;
//
// A merge leaves out nodes that this node cannot talk to, and continues with the others. In Go Serf
// a single record without versions makes the merge fail as a whole, forever. A merge is refused
// * if none of the nodes that the peer knows as alive is compatible,
// * if a record is malformed,
// * if a joining node brings a record without versions: this cluster need not know it.

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "serf/base/bytes.h"
#include "serf/base/endpoint.h"
#include "serf/base/portion.h"
#include "serf/base/time.h"
#include "serf/swim/config.h"
#include "serf/swim/delegate.h"
#include "serf/swim/member_table.h"
#include "serf/swim/membership.h"
#include "serf/swim/node_context.h"
#include "serf/swim/node_info.h"
#include "serf/swim/state_rules.h"
#include "serf/wire/msgpack.h"
#include "serf/wire/push_pull_reader.h"
#include "serf/wire/stream_frame.h"
#include "serf/wire/swim_messages.h"

namespace serf::swim {

class PushPullMerge {
 public:
  // The unit is a peer's request, or its answer to this node's. Its bytes must outlive the merge.
  enum class Role : std::uint8_t { kRequest, kAnswer };
  // `peer` is the stream's other end.
  PushPullMerge(NodeContext& context, Membership& membership, Role role, const Endpoint& peer,
                const wire::StreamUnit& unit)
      : context_(context),
        membership_(membership),
        role_(role),
        peer_(peer),
        unit_(unit),
        reader_(unit),
        join_(reader_.header().join),
        newcomer_(role == Role::kRequest && join_) {}

  PushPullMerge(const PushPullMerge&) = delete;
  PushPullMerge& operator=(const PushPullMerge&) = delete;

  // Without a value the portion is used up. Else OK, or why nothing was merged: "Node 'b' protocol
  // version (6) is incompatible: [1, 5]", ... The delegate takes one state at a time: not this one
  // while `state_waits`.
  std::optional<absl::Status> Continue(Instant now, bool state_waits, Portion& portion);

  // True once all records are merged: the delegate's state remains.
  bool is_at_state() const { return stage_ == Stage::kState; }

  // Bytes of memory that are in use. A state that the unit does not hold is inflated as a whole,
  // but that of one merge at a time.
  std::size_t held() const { return reader_.held(); }

 private:
  enum class Stage : std::uint8_t { kVerify, kApply, kState };
  // The cost of a record besides its bytes: of looking at it, and of merging it, which may add a
  // member and report an event.
  static constexpr std::size_t kVerifyCost = 64;
  static constexpr std::size_t kApplyCost = 1024;

  // Reads all records once. An error if they must not be merged.
  std::optional<absl::Status> Verify(Portion& portion);
  absl::Status VerifyRecord(const wire::PushPullNode& record);
  // Asks the merge filter, which sees all records at once.
  absl::Status AskFilter() const;
  void Apply(Instant now, const wire::PushPullNode& record);

  bool IsLive(absl::string_view name) const {
    const std::optional<MemberIndex> member = membership_.table().Find(name);
    return member && membership_.table().state(*member) == NodeState::kAlive;
  }

  // OK if each of two nodes understands what the other one speaks; else why not, in Go Serf's
  // words.
  static absl::Status Compatible(absl::string_view name, const wire::VersionVector& versions,
                                 absl::string_view own_name, const wire::VersionVector& own);

  // True if the record describes the peer itself: the connection comes from the address, or was
  // dialled to the very endpoint, that the record announces.
  bool IsOwnWord(const wire::PushPullNode& record) const {
    const std::optional<IpAddress> address = IpAddress::FromBytes(record.addr);
    if (!address) return false;
    return role_ == Role::kRequest
               ? SameHost(peer_.address, *address)
               : SameHostAndPort(peer_, {*address, context_.PortOf(record.port)});
  }

  NodeContext& context_;
  Membership& membership_;
  Role role_;
  Endpoint peer_;
  wire::StreamUnit unit_;
  Stage stage_ = Stage::kVerify;
  wire::PushPullReader reader_;
  bool join_;
  bool newcomer_;  // the peer joins by way of this node
  absl::Status incompatible_;
  bool any_compatible_ = false;
  bool state_begun_ = false;  // whether the delegate has seen the state
};

inline std::optional<absl::Status> PushPullMerge::Continue(Instant now, bool state_waits,
                                                           Portion& portion) {
  if (stage_ == Stage::kVerify) {
    if (std::optional<absl::Status> status = Verify(portion)) {
      if (!status->ok()) return status;
    } else {
      return std::nullopt;
    }
    // The filter sees all records at once, so it suits small clusters.
    if (join_ && context_.config.merge_filter) {
      if (absl::Status status = AskFilter(); !status.ok()) return status;
    }
    reader_.Restart();
    stage_ = Stage::kApply;
  }
  if (stage_ == Stage::kApply) {
    wire::PushPullNode record;
    for (;;) {
      if (portion.empty()) return std::nullopt;
      if (!reader_.Next(record, portion)) {
        if (reader_.is_done()) break;
        continue;
      }
      Apply(now, record);
      portion.Spend(reader_.consumed() + kApplyCost);
    }
    stage_ = Stage::kState;
  }
  const bool has_state = reader_.header().user_state_len > 0;
  if (has_state && (state_waits || !reader_.ReadState(portion))) return std::nullopt;
  const ByteView state = reader_.user_state();
  if (has_state &&
      !context_.delegate.MergeRemoteState(now, {.bytes = state,
                                                .join = join_,
                                                .dialled = role_ == Role::kAnswer,
                                                .peer = peer_,
                                                .first = !std::exchange(state_begun_, true)})) {
    return std::nullopt;
  }
  ++context_.counters.push_pulls_merged;
  return absl::OkStatus();
}

inline std::optional<absl::Status> PushPullMerge::Verify(Portion& portion) {
  wire::PushPullNode record;
  for (;;) {
    if (portion.empty()) return std::nullopt;
    if (!reader_.Next(record, portion)) {
      if (reader_.is_done()) break;
      continue;
    }
    if (absl::Status status = VerifyRecord(record); !status.ok()) return status;
    portion.Spend(reader_.consumed() + kVerifyCost);
  }
  if (reader_.result() != wire::DecodeResult::kOk) {
    return absl::InvalidArgumentError(
        absl::StrCat("failed to decode: ", wire::DecodeResultName(reader_.result())));
  }
  return any_compatible_ ? absl::OkStatus() : incompatible_;
}

inline absl::Status PushPullMerge::VerifyRecord(const wire::PushPullNode& record) {
  const NodeInfo& own = membership_.table().info(membership_.self());
  if (record.vsn.empty()) {
    if (!newcomer_) return absl::OkStatus();
    return Compatible(record.name, wire::VersionVector(), own.name(), own.versions());
  }
  if (record.vsn.size() < wire::VersionVector::kSize) {
    return absl::InvalidArgumentError(absl::StrCat("Node '", Shown(record.name),
                                                   "' has an incomplete version vector of ",
                                                   record.vsn.size(), " bytes"));
  }
  if (MergeRule(record.state) != MergeAs::kAlive) return absl::OkStatus();
  const wire::VersionVector versions = *wire::VersionVector::FromBytes(record.vsn);
  if (!AreSaneVersions(versions)) return absl::OkStatus();
  absl::Status status = Compatible(record.name, versions, own.name(), own.versions());
  if (status.ok()) {
    any_compatible_ = true;
  } else if (incompatible_.ok()) {
    incompatible_ = std::move(status);
  }
  return absl::OkStatus();
}

inline absl::Status PushPullMerge::Compatible(absl::string_view name,
                                              const wire::VersionVector& versions,
                                              absl::string_view own_name,
                                              const wire::VersionVector& own) {
  CommonVersions common;
  if (AreSaneVersions(versions)) common.Add(versions);
  common.Add(own);
  const struct {
    absl::string_view name;
    const wire::VersionVector& versions;
  } nodes[] = {{name, versions}, {own_name, own}};
  for (const auto& node : nodes) {
    if (!common.AdmitsProtocol(node.versions)) {
      return absl::FailedPreconditionError(absl::StrCat(
          "Node '", Shown(node.name), "' protocol version (", node.versions.protocol_cur,
          ") is incompatible: [", common.protocol_min(), ", ", common.protocol_max(), "]"));
    }
    if (!common.AdmitsDelegate(node.versions)) {
      return absl::FailedPreconditionError(absl::StrCat(
          "Node '", Shown(node.name), "' delegate protocol version (", node.versions.delegate_cur,
          ") is incompatible: [", common.delegate_min(), ", ", common.delegate_max(), "]"));
    }
  }
  return absl::OkStatus();
}

inline absl::Status PushPullMerge::AskFilter() const {
  // The reader's views end with the next record, so the filter gets copies.
  struct Copy {
    std::string name;
    ByteVector meta;
    RemoteNode node;
  };
  std::vector<Copy> copies;
  wire::PushPullReader reader(unit_);
  for (wire::PushPullNode record; reader.Next(record);) {
    const std::optional<IpAddress> address = IpAddress::FromBytes(record.addr);
    if (!address || MergeRule(record.state) == MergeAs::kIgnore) continue;
    Copy copy{std::string(record.name), ByteVector(record.meta.begin(), record.meta.end()), {}};
    copy.node.endpoint = {*address, context_.PortOf(record.port)};
    copy.node.versions = wire::VersionVector::FromBytes(record.vsn).value_or(wire::VersionVector());
    copy.node.state = static_cast<NodeState>(record.state);
    copies.push_back(std::move(copy));
  }
  std::vector<RemoteNode> nodes;
  nodes.reserve(copies.size());
  for (const Copy& copy : copies) {
    nodes.push_back(copy.node);
    nodes.back().name = copy.name;
    nodes.back().meta = copy.meta;
  }
  return context_.config.merge_filter(nodes);
}

inline void PushPullMerge::Apply(Instant now, const wire::PushPullNode& record) {
  switch (MergeRule(record.state)) {
    case MergeAs::kAlive: {
      const NodeInfo& own = membership_.table().info(membership_.self());
      const auto versions = wire::VersionVector::FromBytes(record.vsn);
      // Senseless versions are counted below; here a node is left out that this node cannot talk
      // to.
      if (versions && AreSaneVersions(*versions) && !AreCompatible(*versions, own.versions())) {
        ++context_.counters.dropped_versions;
        return;
      }
      const bool was_live = IsLive(record.name);
      membership_.OnAlive(now,
                          {.incarnation = record.incarnation,
                           .node = record.name,
                           .addr = record.addr,
                           .port = record.port,
                           .meta = record.meta,
                           .vsn = record.vsn},
                          IsOwnWord(record));
      if (newcomer_ && !was_live && IsLive(record.name)) {
        membership_.targets().OnPulled(now, *membership_.table().Find(record.name));
      }
      return;
    }
    case MergeAs::kSuspect:
      return membership_.OnSuspect(now,
                                   {.incarnation = record.incarnation,
                                    .node = record.name,
                                    .from = membership_.table().info(membership_.self()).name()});
    case MergeAs::kLeft:
      return membership_.OnDead(
          now, {.incarnation = record.incarnation, .node = record.name, .from = record.name});
    case MergeAs::kIgnore:
      return;
  }
}

}  // namespace serf::swim

#endif  // SERF_SWIM_PUSH_PULL_H_
