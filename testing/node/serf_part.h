#ifndef SERF_TESTING_NODE_SERF_PART_H_
#define SERF_TESTING_NODE_SERF_PART_H_

// SerfPart: the surroundings of one part of the Serf layer, for tests: a SerfContext, a swim::Node
// that receives from peers and never sends, and the member tracker that follows that node. A
// fixture derives from it, adds the part, and takes its results.
//
//   class QueryIssuerTest : public ::testing::Test, protected testkit::SerfPart { ... };
//
//   AddPeer("a");
//   issuer_.Send(now_, "uptime", "", {});
//   EXPECT_THAT(TakeSent(), SizeIs(1));
//
// Do not use it to test several parts together: testkit::LoneSerf has the whole machine.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "serf/base/bytes.h"
#include "serf/base/endpoint.h"
#include "serf/base/time.h"
#include "serf/config.h"
#include "serf/context/context.h"
#include "serf/event.h"
#include "serf/judgement.h"
#include "serf/machine/swim_config.h"
#include "serf/member.h"
#include "serf/members/member_tracker.h"
#include "serf/swim/delegate.h"
#include "serf/swim/node.h"
#include "serf/swim/node_info.h"
#include "serf/swim/outbox.h"
#include "serf/tags.h"
#include "serf/testing/node/line_logger.h"
#include "serf/testing/node/peers.h"
#include "serf/testing/node/result_text.h"

namespace serf::testkit {

class SerfPart : private swim::Delegate {
 protected:
  // A configuration with which nothing happens by itself.
  static Config Quiet() {
    Config config = Config::Lan();
    config.swim.probe_interval = Duration::zero();
    config.swim.push_pull_interval = Duration::zero();
    return config;
  }

  // The node is "self", at 10.0.0.1:7946, and has started.
  explicit SerfPart(Config config = Quiet())
      : config_(Complete(std::move(config), log_)),
        node_(config_.swim, *this),
        context_(config_, node_),
        members_(context_) {
    node_.Start(now_, out_);
    TakeEvents();
  }

  // --- messages that the node receives ---

  void AddPeer(absl::string_view name, const Tags& tags = {}) { Hear(peers_.Alive(name, tags)); }
  void AddPeers(const std::vector<std::string>& names) {
    for (const std::string& name : names) AddPeer(name);
  }
  // Adds a peer at an address other than that of its name, or with an older SWIM protocol.
  void AddPeerAt(absl::string_view name, const Endpoint& endpoint, std::uint8_t protocol_max = 5) {
    Hear(peers_.AliveAt(name, endpoint, {}, protocol_max));
  }
  void KillPeer(absl::string_view name) { Hear(peers_.Gone(name, /*announced=*/false)); }
  // The peer announces its departure.
  void PeerLeaves(absl::string_view name) { Hear(peers_.Gone(name, /*announced=*/true)); }

  // --- time ---

  void Pass(Duration duration) { now_ += duration; }

  // --- results ---

  swim::MemberIndex IndexOf(absl::string_view name) const { return node_.Find(name).value(); }
  const swim::NodeInfo& InfoOf(absl::string_view name) const { return node_.info(IndexOf(name)); }
  MemberStatus Status(absl::string_view name) const {
    const auto member = members_.Find(name);
    return member ? member->status : MemberStatus::kNone;
  }
  // The member events since the last call.
  std::vector<std::string> TakeEvents() {
    std::vector<std::string> lines;
    members_.events().Drain([&](const MemberEvent& event) { lines.push_back(TextOf(event)); });
    return lines;
  }
  // The messages to single nodes since the last call.
  std::vector<SerfContext::Message> TakeSent() {
    std::vector<SerfContext::Message> sent;
    context_.outgoing.Drain([&](SerfContext::Message m) { sent.push_back(std::move(m)); });
    return sent;
  }
  std::vector<std::unique_ptr<Judgement>> TakeJudgements() {
    std::vector<std::unique_ptr<Judgement>> judgements;
    context_.judgements.Drain(
        [&](std::unique_ptr<Judgement> j) { judgements.push_back(std::move(j)); });
    return judgements;
  }
  // The name of the member at this address; the address if there is none.
  std::string NameAt(const Endpoint& endpoint) const {
    std::string name = endpoint.ToString();
    node_.ForEachMember([&](swim::MemberIndex member) {
      if (node_.info(member).endpoint() == endpoint) name = std::string(node_.info(member).name());
    });
    return name;
  }

  Instant now_ = Instant{} + std::chrono::hours(1);
  LineLogger log_;
  Config config_;
  swim::Node node_;
  SerfContext context_;
  MemberTracker members_;

 private:
  static Config Complete(Config config, LineLogger& log) {
    config.swim.name = "self";
    config.swim.advertise = {IpAddress::V4(10, 0, 0, 1), 7946};
    config.swim.logger = &log;
    CompleteSwimConfig(config).IgnoreError();
    return config;
  }
  void Hear(ByteView packet) {
    node_.OnDatagram(now_, Peers::EndpointOf("somebody"), packet, out_);
    out_.Clear();
  }

  // --- swim::Delegate ---
  void OnNodeJoin(Instant now, swim::MemberIndex m) override { members_.OnNodeJoin(now, m); }
  void OnNodeLeave(Instant now, swim::MemberIndex m) override { members_.OnNodeLeave(now, m); }
  void OnNodeUpdate(Instant, swim::MemberIndex m) override { members_.OnNodeUpdate(m); }
  void OnNodePurged(Instant now, swim::MemberIndex m) override { members_.OnNodePurged(now, m); }
  void OnConflict(Instant, swim::MemberIndex, const Endpoint&) override {}
  void OnUserMessage(Instant, const Endpoint&, ByteView, swim::Spread) override {}
  std::size_t DrawBroadcasts(std::size_t, std::size_t, std::vector<ByteView>&,
                             swim::BroadcastQueue::Packet) override {
    return 0;
  }
  swim::BroadcastsWaiting QueuedBroadcasts() const override { return {}; }
  std::unique_ptr<swim::StateWriter> WriteLocalState(bool) override {
    return std::make_unique<swim::ShortState>(ByteVector());
  }
  bool MergeRemoteState(Instant, const swim::RemoteState&) override { return true; }
  void AppendAckPayload(ByteVector&) override {}
  void OnPingComplete(Instant, swim::MemberIndex, Duration, ByteView) override {}
  void OnLeaveBroadcast(Instant) override {}
  void OnUpdateBroadcast(Instant) override {}

  Peers peers_;
  swim::Outbox out_;
};

}  // namespace serf::testkit

#endif  // SERF_TESTING_NODE_SERF_PART_H_
