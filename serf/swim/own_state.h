// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_SWIM_OWN_STATE_H_
#define SERF_SWIM_OWN_STATE_H_

// OwnState: what this node sends in a push/pull: every known member and the delegate's state, as
// the payload of a stream. It is built in portions and kept for a moment: all peers that ask before
// anything changed get the same bytes, so that many of them cost little more than one.
//
//   auto payload = own_state.Get(now, join, portion);    // null: once more in another turn
//
// Source: docs/protocol/membership.md 3.4.

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "serf/base/bytes.h"
#include "serf/base/logger.h"
#include "serf/base/portion.h"
#include "serf/base/time.h"
#include "serf/swim/delegate.h"
#include "serf/swim/member_table.h"
#include "serf/swim/membership.h"
#include "serf/swim/node_context.h"
#include "serf/swim/node_info.h"
#include "serf/wire/lzw.h"
#include "serf/wire/stream_frame.h"
#include "serf/wire/swim_messages.h"

namespace serf::swim {

class OwnState {
 public:
  using Payload = std::shared_ptr<const ByteVector>;

  // How long a payload is used if nothing changes. It may list members that were forgotten so
  // lately, and its memory is free again soon.
  static constexpr Duration kKeepTime = std::chrono::seconds(2);

  OwnState(NodeContext& context, const Membership& membership)
      : context_(context), membership_(membership) {}

  // The payload as of now or, in a large cluster, as of the turns since the first call. Null if the
  // portion is used up: call it again.
  Payload Get(Instant now, bool join, Portion& portion);

  Instant NextDeadline() const { return kept_.empty() ? kNever : kept_.front().until; }
  void OnTimer(Instant now) {
    std::erase_if(kept_, [now](const Kept& kept) { return kept.until <= now; });
  }

 private:
  // What a payload was made of.
  struct Version {
    std::uint64_t members = 0;
    std::optional<std::uint64_t> state;
    friend bool operator==(const Version&, const Version&) = default;
  };
  struct Build {
    Version version;
    std::unique_ptr<StateWriter> writer;  // of the user state; null: it is complete
    ByteVector user_state;
    std::vector<MemberIndex> members;  // to send
    std::size_t next = 0;              // the next of `members`
    std::int64_t count = 0;            // members sent
    bool is_encoded = false;
    ByteVector header;
    ByteVector records;
    std::unique_ptr<wire::LzwEncoder> encoder;
    std::size_t packed = 0;  // bytes of header, records and user state
    ByteVector deflated;
  };
  struct Kept {
    bool join;
    Version version;
    ByteVector user_state;
    Payload payload;
    Instant until;
  };

  // What it costs to encode a member besides its bytes, and to compress a byte.
  static constexpr std::size_t kMemberCost = 64;
  static constexpr std::size_t kPackCost = 4;
  static constexpr std::size_t kPiece = 8 << 10;
  // Header, type bytes, and the overhead of encryption.
  static constexpr std::size_t kOverhead = 256;
  // With more members the message may exceed what the receiver accepts. Then this node's record
  // goes first, and as many others as fit; they differ each time.
  static constexpr std::size_t kSurelyFitting = 16'384;

  // The most bytes of header, records and user state that peers accept.
  std::size_t SizeMax() const {
    const bool sealed = context_.keyed() && context_.config.verify_outgoing;
    return (sealed && !context_.config.enable_compression ? std::size_t{wire::kStreamFrameMax}
                                                          : wire::kStreamBodyMax) -
           kOverhead;
  }
  bool FitsFrame(const ByteVector& payload) const {
    return !context_.keyed() || payload.size() + kOverhead <= wire::kStreamFrameMax;
  }

  // Null if no kept payload matches.
  Payload FindKept(bool join, const Version& version, const ByteVector& user_state) const;
  std::unique_ptr<Build> Start(Instant now, Version version, ByteVector user_state) const;
  // False if the portion is used up.
  bool Encode(Build& build, bool join, std::size_t size_max, Portion& portion) const;
  bool Pack(Build& build, Portion& portion) const;
  ByteVector Finish(Build& build) const;

  NodeContext& context_;
  const Membership& membership_;
  std::vector<Kept> kept_;                        // by age
  std::array<std::unique_ptr<Build>, 2> builds_;  // by `join`
  // The limit that a bad compression has taught; until then SizeMax().
  std::size_t size_max_ = std::numeric_limits<std::size_t>::max();
};

inline OwnState::Payload OwnState::Get(Instant now, bool join, Portion& portion) {
  std::unique_ptr<Build>& build = builds_[join ? 1 : 0];
  if (build == nullptr) {
    OnTimer(now);
    const Version version{membership_.version(), context_.delegate.LocalStateVersion()};
    if (version.state) {
      if (Payload kept = FindKept(join, version, {})) return kept;
    }
    build = std::make_unique<Build>();
    build->version = version;
    build->writer = context_.delegate.WriteLocalState(join);
  }
  if (build->writer != nullptr) {
    if (!build->writer->Continue(portion, build->user_state)) return nullptr;
    if (!build->version.state) {
      if (Payload kept = FindKept(join, build->version, build->user_state)) {
        build = nullptr;
        return kept;
      }
    }
    std::erase_if(kept_, [join](const Kept& kept) { return kept.join == join; });
    build = Start(now, build->version, std::move(build->user_state));
  }
  for (;;) {
    const std::size_t size_max = std::min(size_max_, SizeMax());
    if (!Encode(*build, join, size_max, portion) || !Pack(*build, portion)) return nullptr;
    auto payload = std::make_shared<const ByteVector>(Finish(*build));
    if (!FitsFrame(*payload)) {
      // It did not compress well. Half of it certainly fits.
      size_max_ = build->packed / 2;
      build = Start(now, build->version, std::move(build->user_state));
      continue;
    }
    if (build->version.state) build->user_state = ByteVector();
    kept_.push_back({join, build->version, std::move(build->user_state), payload, now + kKeepTime});
    build = nullptr;
    return payload;
  }
}

inline OwnState::Payload OwnState::FindKept(bool join, const Version& version,
                                            const ByteVector& user_state) const {
  for (const Kept& kept : kept_) {
    if (kept.join == join && kept.version == version && kept.user_state == user_state) {
      return kept.payload;
    }
  }
  return nullptr;
}

inline std::unique_ptr<OwnState::Build> OwnState::Start(Instant now, Version version,
                                                        ByteVector user_state) const {
  auto build = std::make_unique<Build>();
  build->version = version;
  if (user_state.size() <= static_cast<std::size_t>(wire::kUserStateMax)) {
    build->user_state = std::move(user_state);
  } else {
    Log(context_.config.logger, LogLevel::kError, "memberlist: Local user state of ",
        user_state.size(), " bytes is larger than the limit (", wire::kUserStateMax, ")");
  }
  build->members.reserve(membership_.known());
  membership_.table().ForEach([&](MemberIndex m) {
    if (!membership_.is_forgotten(now, m)) build->members.push_back(m);
  });
  if (build->members.size() > kSurelyFitting) {
    context_.rng.Shuffle(build->members);
    const auto self = std::find(build->members.begin(), build->members.end(), membership_.self());
    if (self != build->members.end()) std::iter_swap(build->members.begin(), self);
  }
  return build;
}

inline bool OwnState::Encode(Build& build, bool join, std::size_t size_max,
                             Portion& portion) const {
  if (build.is_encoded) return true;
  const MemberTable& table = membership_.table();
  for (; build.next < build.members.size(); ++build.next) {
    if (portion.empty()) return false;
    const MemberIndex member = build.members[build.next];
    if (!table.Contains(member)) continue;  // purged meanwhile
    const MemberTable::Row& row = table.row(member);
    const NodeInfo& info = *row.info;
    const auto versions = info.versions().ToBytes();
    const std::size_t before = build.records.size();
    wire::Encode(wire::PushPullNode{.name = info.name(),
                                    .addr = info.endpoint().address.bytes(),
                                    .port = info.endpoint().port,
                                    .meta = info.meta().empty() ? ByteView() : info.meta(),
                                    .incarnation = row.incarnation,
                                    .state = static_cast<std::int64_t>(row.state),
                                    .vsn = versions},
                 build.records);
    portion.Spend(build.records.size() - before + kMemberCost);
    if (build.records.size() + build.user_state.size() > size_max) {
      build.records.resize(before);
      Log(context_.config.logger, LogLevel::kWarn,
          "memberlist: Local state is larger than the "
          "limit: telling of ",
          build.count, " of ", build.members.size(), " members");
      break;
    }
    ++build.count;
  }
  wire::Encode(
      wire::PushPullHeader{.nodes = build.count,
                           .user_state_len = static_cast<std::int64_t>(build.user_state.size()),
                           .join = join},
      build.header);
  build.is_encoded = true;
  return true;
}

inline bool OwnState::Pack(Build& build, Portion& portion) const {
  if (!context_.config.enable_compression) return true;
  if (build.encoder == nullptr) {
    build.encoder = std::make_unique<wire::LzwEncoder>();
    build.encoder->Start(build.deflated);
  }
  std::size_t skip = build.packed;
  for (const ByteVector* part : {&build.header, &build.records, &build.user_state}) {
    for (; skip < part->size();) {
      if (portion.empty()) return false;
      const ByteView rest = ByteView(*part).subspan(skip);
      const ByteView piece = rest.first(std::min(rest.size(), kPiece));
      build.encoder->Add(piece, build.deflated);
      build.packed += piece.size();
      skip += piece.size();
      portion.Spend(piece.size() * kPackCost);
    }
    skip -= part->size();
  }
  build.encoder->Finish(build.deflated);
  return true;
}

inline ByteVector OwnState::Finish(Build& build) const {
  ByteVector payload;
  if (context_.config.enable_compression) {
    wire::Encode(wire::CompressMessage{.algo = wire::kCompressLzw, .buf = build.deflated}, payload);
    return payload;
  }
  payload = std::move(build.records);
  payload.insert(payload.begin(), build.header.begin(), build.header.end());
  Append(payload, build.user_state);
  return payload;
}

}  // namespace serf::swim

#endif  // SERF_SWIM_OWN_STATE_H_
