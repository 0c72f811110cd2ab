// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_SWIM_STREAMING_NODE_H_
#define SERF_SWIM_STREAMING_NODE_H_

// StreamingNode: a Node whose streams a test opens, feeds and reads by hand.

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "serf/base/bytes.h"
#include "serf/base/endpoint.h"
#include "serf/base/time.h"
#include "serf/swim/config.h"
#include "serf/swim/counters.h"
#include "serf/swim/joins.h"
#include "serf/swim/node.h"
#include "serf/swim/outbox.h"
#include "serf/swim/test_net.h"
#include "serf/wire/ids.h"
#include "serf/wire/message_type.h"
#include "serf/wire/msgpack.h"
#include "serf/wire/push_pull_reader.h"
#include "serf/wire/stream_frame.h"
#include "serf/wire/swim_messages.h"

namespace serf::swim {

inline constexpr wire::VersionVector kGood{1, 5, 2, 0, 0, 0};

inline Config Calm() {
  Config config = Config::Lan();
  config.probe_interval = Duration::zero();
  config.push_pull_interval = Duration::zero();
  config.gossip_interval = Duration::zero();
  return config;
}

struct Record {
  std::string name;
  std::int64_t state = 0;
  std::uint32_t incarnation = 1;
  Endpoint endpoint = TestNet::EndpointOf(7);
  std::optional<wire::VersionVector> versions = kGood;
  std::size_t vsn_size = 6;
};

inline ByteVector PushPull(const std::vector<Record>& records, bool join,
                           absl::string_view state = {}) {
  ByteVector bytes;
  wire::Encode(wire::PushPullHeader{.nodes = static_cast<std::int64_t>(records.size()),
                                    .user_state_len = static_cast<std::int64_t>(state.size()),
                                    .join = join},
               bytes);
  for (const Record& r : records) {
    const auto vsn = r.versions.value_or(wire::VersionVector()).ToBytes();
    wire::Encode(
        wire::PushPullNode{.name = r.name,
                           .addr = r.endpoint.address.bytes(),
                           .port = r.endpoint.port,
                           .meta = {},
                           .incarnation = wire::Incarnation(r.incarnation),
                           .state = r.state,
                           .vsn = r.versions ? ByteView(vsn).first(r.vsn_size) : ByteView()},
        bytes);
  }
  Append(bytes, AsBytes(state));
  return bytes;
}

// Fixtures derive from it.
class StreamingNode {
 protected:
  StreamingNode() : StreamingNode(Calm()) {}
  explicit StreamingNode(const Config& config) : host_(net_.Add(1, config)) {
    host_.delegate.events.clear();
  }

  // What the node did with a stream in one input.
  struct Reaction {
    bool closed = false;
    ByteVector bytes;  // written
  };

  template <typename Input>
  Reaction React(const Input& input) {
    Reaction reaction;
    net_.Do(host_, [&](Node& node, Instant now, Outbox& out) {
      input(node, now, out);
      std::set<StreamId> gone;
      for (const Outbox::StreamOp& op : out.stream_ops()) {
        if (op.kind == Outbox::StreamOp::Kind::kClose) {
          gone.insert(op.stream);
          reaction.closed = true;
        }
        if (op.kind == Outbox::StreamOp::Kind::kDial) {
          dialled_ = op.stream;
          dialled_to_ = op.to;
        }
        if (op.kind == Outbox::StreamOp::Kind::kWrite) {
          assert(!gone.contains(op.stream));
          Append(reaction.bytes, out.bytes(op));
        }
      }
    });
    return reaction;
  }
  StreamId Accept(int from = 9) {
    std::optional<StreamId> id;
    React([&](Node& node, Instant now, Outbox& out) {
      id = node.OnStreamAccepted(now, {TestNet::EndpointOf(from).address, 40000}, out);
    });
    assert(id.has_value());
    return id.value_or(StreamId());
  }
  Reaction Feed(StreamId id, ByteView bytes) {
    return React(
        [&](Node& node, Instant now, Outbox& out) { node.OnStreamBytes(now, id, bytes, out); });
  }
  Reaction Connect(StreamId id) {
    return React(
        [&](Node& node, Instant now, Outbox& out) { node.OnStreamConnected(now, id, out); });
  }
  Reaction Closed(StreamId id, const absl::Status& reason = absl::OkStatus()) {
    return React(
        [&](Node& node, Instant now, Outbox& out) { node.OnStreamClosed(now, id, reason, out); });
  }
  void Join(const std::vector<Endpoint>& targets) {
    std::vector<JoinTarget> list;
    for (const Endpoint& e : targets) list.push_back({e.ToString(), e});
    React([&](Node& node, Instant now, Outbox& out) { node.Join(now, std::move(list), out); });
  }

  // An answer or a request as text: "push-pull join=1 n1@1:0 state=abc", "ack 5", "err ...".
  static std::string Text(ByteView bytes, bool initiator) {
    wire::StreamReader reader({.initiator = initiator});
    if (bytes.empty()) return "";
    if (reader.Feed(bytes) != wire::StreamStatus::kUnit) return "malformed";
    wire::DecodeScratch scratch;
    const wire::StreamUnit& unit = reader.unit();
    if (unit.type == wire::MessageType::kAck || unit.type == wire::MessageType::kPing) {
      wire::Ping ping;  // reads the SeqNo of an ack as well
      if (wire::Decode(unit.body, ping, scratch) != wire::DecodeResult::kOk) return "malformed";
      return absl::StrCat(unit.type == wire::MessageType::kAck ? "ack " : "ping ",
                          ping.seq_no.value(), ping.node.empty() ? "" : " ", ping.node);
    }
    if (unit.type == wire::MessageType::kError) {
      wire::ErrorMessage error;
      if (wire::Decode(unit.body, error, scratch) != wire::DecodeResult::kOk) return "malformed";
      return absl::StrCat("err ", error.error);
    }
    if (unit.type == wire::MessageType::kUser) return absl::StrCat("user ", AsText(unit.body));
    wire::PushPullReader content(unit);
    std::string text = absl::StrCat("push-pull join=", content.header().join);
    std::set<std::string> nodes;
    for (wire::PushPullNode node; content.Next(node);) {
      nodes.insert(absl::StrCat(" ", node.name, "@", node.incarnation.value(), ":", node.state));
    }
    for (const std::string& n : nodes) text += n;
    if (!content.user_state().empty())
      absl::StrAppend(&text, " state=", AsText(content.user_state()));
    return text;
  }

  std::string StateOf(const std::string& name) const {
    const auto member = host_.node->Find(name);
    if (!member) return "unknown";
    const char* const names[] = {"alive", "suspect", "dead", "left"};
    return absl::StrCat(names[static_cast<int>(host_.node->state(*member))], " ",
                        host_.node->incarnation(*member).value());
  }
  const Counters& counters() const { return host_.node->counters(); }

  TestNet net_;
  TestNet::Host& host_;
  StreamId dialled_;
  Endpoint dialled_to_;
};

}  // namespace serf::swim

#endif  // SERF_SWIM_STREAMING_NODE_H_
