#include "serf/testing/sim/world.h"

#include <algorithm>
#include <cassert>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <optional>
#include <utility>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "serf/base/bytes.h"
#include "serf/base/endpoint.h"
#include "serf/base/time.h"
#include "serf/config.h"
#include "serf/event.h"
#include "serf/outbox.h"
#include "serf/query.h"
#include "serf/serf.h"
#include "serf/snapshot_op.h"
#include "serf/swim/node_info.h"
#include "serf/testing/sim/link_model.h"
#include "serf/testing/sim/node_disk.h"
#include "serf/testing/sim/virtual_disk.h"
#include "serf/testing/sim/virtual_streams.h"
#include "serf/testing/sim/world_observer.h"
#include "serf/testing/sim/world_requests.h"

namespace serf::testkit {

template class WorldRequests<World>;

World::World(std::uint64_t seed)
    : rng_(seed), now_(std::chrono::hours(1)), last_fault_(now_), streams_(links_, rng_) {}

World::~World() {
  observers_.clear();  // the observers may be gone already
  for (std::uint32_t i = 0; i < slots_.size(); ++i) {
    if (slots_[i].serf != nullptr) StopMachine(NodeId(i));
  }
}

NodeId World::Add(Config config, bool rejoin_after_leave) {
  const NodeId node(static_cast<std::uint32_t>(slots_.size()));
  Slot slot;
  slot.endpoint = EndpointOf(node);
  config.swim.advertise = slot.endpoint;
  config.swim.node_infos = pool_;
  if (config.snapshot) slot.disk = std::make_unique<NodeDisk>(rng_.Next());
  slot.rejoin_after_leave = rejoin_after_leave;
  slot.config = std::move(config);
  if (logger_ != nullptr) {
    slot.logger = std::make_unique<NodeLogger>(*this, slot.config.swim.name, *logger_);
    slot.config.swim.logger = slot.logger.get();
  }
  slots_.push_back(std::move(slot));
  StartMachine(node);
  return node;
}

void World::StartMachine(NodeId node) {
  Slot& slot = slots_[node.value()];
  // Any error here is a mistake of the test.
  const auto check = [](const absl::Status& status) {
    if (status.ok()) return;
    std::fprintf(stderr, "World: %s\n", status.ToString().c_str());
    std::abort();
  };
  slot.config.swim.seed = rng_.Next();
  if (slot.disk != nullptr) {
    auto state = slot.disk->Open(slot.rejoin_after_leave, slot.config.swim.logger);
    check(state.status());
    slot.config.snapshot = *std::move(state);
    for (Observer* o : observers_) o->OnRecovered(node, *slot.config.snapshot);
  }
  auto serf = Serf::Create(slot.config);
  check(serf.status());
  slot.serf = *std::move(serf);
  slot.running_since = now_;
  trace_.Mix(static_cast<std::uint64_t>(node.value()));
  for (Observer* o : observers_) o->OnStart(node);
  slot.serf->Start(now_, out_);
  Finish(node);
}

void World::StopMachine(NodeId node) {
  Slot& slot = slots_[node.value()];
  for (Observer* o : observers_) o->OnStop(node);
  events_.Remove(slot.timer);
  slot.serf.reset();
}

void World::Crash(NodeId node, VirtualDisk::Loss loss) {
  if (!is_up(node)) return;
  EndProcess(node);
  Slot& slot = slots_[node.value()];
  if (slot.disk != nullptr) slot.disk->End(loss, rng_);
}

void World::EndProcess(NodeId node) {
  Slot& slot = slots_[node.value()];
  StopMachine(node);
  if (std::exchange(slot.paused, false)) --paused_;
  slot.held_bytes = 0;
  slot.free_at = now_;
  events_.Remove(slot.disk_timer);
  slot.disk_works = false;
  // Everything that waited in the buffers is lost.
  for (const WorldEvent& event : std::exchange(slot.held, {})) {
    if (event.kind != EventKind::kDisk) events_.Push(now_, event);
  }
  Schedule(streams_.CrashNode(now_, node));
}

void World::Shutdown(NodeId node) {
  Call(node, [](Serf& serf, Instant now, Outbox& out) { serf.Shutdown(now, out); });
}

void World::Restart(NodeId node) {
  assert(!is_up(node));
  StartMachine(node);
}

void World::Pause(NodeId node) {
  Slot& slot = slots_[node.value()];
  if (slot.serf == nullptr || slot.paused) return;
  slot.paused = true;
  ++paused_;
  events_.Remove(slot.timer);
  last_fault_ = now_;
}

void World::Resume(NodeId node) {
  Slot& slot = slots_[node.value()];
  if (!slot.paused) return;
  slot.paused = false;
  slot.running_since = now_;
  --paused_;
  last_fault_ = now_;
  slot.held_bytes = 0;
  slot.free_at = now_;
  // Overdue timers come first: a process that continues finds its timers expired.
  slot.serf->OnTimer(now_, out_);
  Finish(node);
  const std::vector<WorldEvent> held = std::exchange(slot.held, {});
  for (const WorldEvent& event : held) Handle(event);
}

void World::After(Duration delay, std::function<void()> action) {
  auto index = static_cast<std::uint32_t>(actions_.size());
  if (free_actions_.empty()) {
    actions_.emplace_back();
  } else {
    index = free_actions_.back();
    free_actions_.pop_back();
  }
  actions_[index] = std::move(action);
  events_.Push(now_ + delay, {EventKind::kCall, NodeId(), index});
}

bool World::Step() {
  if (events_.empty()) return false;
  NoteFault();
  assert(events_.next() >= now_);
  now_ = events_.next();
  NoteFault();
  const WorldEvent event = events_.Pop();
  if (!events_.empty()) Prefetch(events_.Top());
  ++steps_;
  Handle(event);
  return true;
}

void World::Prefetch(const WorldEvent& event) const {
  if (event.kind != EventKind::kDatagram && event.kind != EventKind::kDeadline) return;
  const auto* machine =
      reinterpret_cast<const std::uint8_t*>(slots_[event.node.value()].serf.get());
  if (machine == nullptr) return;
  constexpr std::size_t kCacheLine = 64;
  for (std::size_t i = 0; i < sizeof(Serf); i += kCacheLine) __builtin_prefetch(machine + i);
}

void World::RunFor(Duration duration) {
  const Instant end = now_ + duration;
  while (events_.next() <= end) Step();
  NoteFault();
  now_ = end;
  NoteFault();
}

bool World::RunUntil(const std::function<bool()>& done, Duration limit) {
  const Instant end = now_ + limit;
  while (!done()) {
    if (events_.next() > end) {
      RunFor(end - now_);
      return done();
    }
    Step();
  }
  return true;
}

bool World::RunUntil(const std::function<bool()>& done, Duration limit, Duration period) {
  const Instant end = now_ + limit;
  while (!done()) {
    if (now_ >= end) return false;
    RunFor(std::min(period, end - now_));
  }
  return true;
}

std::optional<NodeId> World::FindNode(absl::string_view name) const {
  for (std::uint32_t i = 0; i < slots_.size(); ++i) {
    if (slots_[i].config.swim.name == name) return NodeId(i);
  }
  return std::nullopt;
}

const Completion* World::completion(RequestId request) const {
  const auto it = completions_.find(request);
  return it == completions_.end() ? nullptr : &it->second;
}

void World::Handle(const WorldEvent& event) {
  if (event.kind == EventKind::kStream) {
    const VirtualStreams::Arrival arrival = streams_.Arrive(now_, event.index, [this](NodeId n) {
      return !is_up(n)      ? VirtualStreams::Host::kDown
             : is_paused(n) ? VirtualStreams::Host::kPaused
                            : VirtualStreams::Host::kUp;
    });
    Schedule(arrival.due);
    if (arrival.kind == VirtualStreams::Arrival::Kind::kHeld) {
      slots_[arrival.node.value()].held.push_back(event);
      return;
    }
    HandleStream(arrival);
    return;
  }
  if (event.kind == EventKind::kCall) {
    free_actions_.push_back(event.index);
    std::exchange(actions_[event.index], nullptr)();
    return;
  }
  if (event.kind == EventKind::kDatagram) return HandleDatagram(event);
  if (event.kind == EventKind::kDisk) return HandleDisk(event.node);
  Slot& slot = slots_[event.node.value()];
  assert(slot.serf != nullptr && !slot.paused);
  slot.timer = TimerHandle();
  slot.serf->OnTimer(now_, out_);
  Finish(event.node);
}

void World::HandleDatagram(const WorldEvent& event) {
  const NodeId node = event.node;
  const std::uint32_t index = event.index;
  Slot& slot = slots_[node.value()];
  if (!slot.paused && slot.service > Duration::zero() && !event.served) {
    slot.free_at = std::max(slot.free_at, now_) + slot.service;
    events_.Push(slot.free_at, {EventKind::kDatagram, node, index, /*served=*/true});
    return;
  }
  if (slot.paused) {
    const std::size_t size = packets_[index].bytes.size();
    if (slot.held_bytes + size <= kSocketBufferMax) {
      slot.held_bytes += size;
      slot.held.push_back({EventKind::kDatagram, node, index});
      return;
    }
    ++links_.counters().buffer_overflows;
  } else if (slot.serf == nullptr) {
    ++links_.counters().undeliverable;
  } else {
    const Packet& packet = packets_[index];
    ++links_.counters().delivered;
    links_.counters().bytes_delivered += packet.bytes.size();
    trace_.Mix(static_cast<std::uint64_t>(now_.time_since_epoch().count()));
    trace_.Mix(static_cast<std::uint64_t>(node.value()));
    trace_.Mix(packet.bytes);
    slot.serf->OnDatagram(now_, packet.from, packet.bytes, out_);
    Finish(node);
  }
  free_packets_.push_back(index);
}

void World::HandleDisk(NodeId node) {
  Slot& slot = slots_[node.value()];
  slot.disk_timer = TimerHandle();
  if (slot.paused) {
    slot.held.push_back({EventKind::kDisk, node, 0});
    return;
  }
  slot.disk_works = false;
  const absl::Status status = slot.disk->Finish();
  for (Observer* o : observers_) o->OnSnapshotDone(node, status);
  slot.serf->OnSnapshotDone(now_, status, out_);
  Finish(node);
}

void World::HandleStream(const VirtualStreams::Arrival& arrival) {
  using Kind = VirtualStreams::Arrival::Kind;
  if (arrival.kind == Kind::kNothing) return;
  Slot& slot = slots_[arrival.node.value()];
  trace_.Mix(static_cast<std::uint64_t>(now_.time_since_epoch().count()));
  trace_.Mix(static_cast<std::uint64_t>(arrival.node.value()) << 8 |
             static_cast<std::uint64_t>(arrival.kind));
  trace_.Mix(arrival.bytes);
  switch (arrival.kind) {
    case Kind::kAccept: {
      const std::optional<swim::StreamId> id =
          slot.serf->OnStreamAccepted(now_, arrival.from, out_);
      for (Observer* o : observers_) {
        if (id) o->OnAccept(arrival.node, *id, arrival.from);
      }
      Schedule(id ? streams_.Accepted(now_, arrival.connection, *id)
                  : streams_.Rejected(now_, arrival.connection));
      break;
    }
    case Kind::kConnected:
      slot.serf->OnStreamConnected(now_, arrival.stream, out_);
      break;
    case Kind::kBytes:
      slot.serf->OnStreamBytes(now_, arrival.stream, arrival.bytes, out_);
      break;
    case Kind::kClosed:
      slot.serf->OnStreamClosed(now_, arrival.stream, arrival.reason, out_);
      break;
    case Kind::kNothing:
    case Kind::kHeld:
      return;
  }
  Finish(arrival.node);
}

void World::Finish(NodeId node) {
  for (const swim::Outbox::Datagram& d : out_.datagrams()) Send(node, d.to, out_.bytes(d));
  for (const swim::Outbox::StreamOp& op : out_.stream_ops()) CarryOut(node, op);
  Tell(node);
  out_.Clear();
  SetDeadline(node);
  for (Observer* o : observers_) o->OnTransition(node);
  Slot& slot = slots_[node.value()];
  if (slot.serf->state() == Serf::State::kShutdown) {
    EndProcess(node);
    while (slot.disk != nullptr && !slot.disk->idle()) static_cast<void>(slot.disk->Finish());
    if (slot.disk != nullptr) slot.disk->End(VirtualDisk::Loss::kNothing, rng_);
    return;
  }
  if (slot.disk != nullptr && !slot.disk->idle() && !slot.disk_works) {
    slot.disk_works = true;
    slot.disk_timer =
        events_.Push(now_ + kDiskLatency + rng_.Below(kDiskJitter), {EventKind::kDisk, node, 0});
  }
}

void World::Tell(NodeId node) {
  for (const Event& event : out_.events()) {
    trace_.Mix(static_cast<std::uint64_t>(event.index()));
    if (const auto* user = std::get_if<UserEvent>(&event)) trace_.Mix(user->payload);
    for (Observer* o : observers_) o->OnEvent(node, event);
  }
  for (const Completion& completion : out_.completions()) {
    completions_[completion.request] = completion;
    for (Observer* o : observers_) o->OnCompletion(node, completion);
  }
  for (const QueryUpdate& update : out_.query_updates()) {
    trace_.Mix(static_cast<std::uint64_t>(update.kind));
    trace_.Mix(update.payload);
    for (Observer* o : observers_) o->OnQueryUpdate(node, update);
  }
  for (const SnapshotOp& op : out_.snapshot_ops()) {
    trace_.Mix(op.text);
    for (Observer* o : observers_) o->OnSnapshotOp(node, op);
    slots_[node.value()].disk->Push(op);
  }
  for (std::unique_ptr<Judgement>& judgement : out_.judgements()) {
    judgement->Run([] { return Duration::zero(); });
    After(kJudgementTime, [this, node, judged = std::shared_ptr<Judgement>(std::move(judgement))] {
      HandleJudgement(node, judged);
    });
  }
}

void World::HandleJudgement(NodeId node, std::shared_ptr<Judgement> judgement) {
  if (!is_up(node)) return;
  if (is_paused(node)) {
    After(kJudgementTime, [this, node, judgement] { HandleJudgement(node, judgement); });
    return;
  }
  Call(node,
       [&](Serf& serf, Instant now, Outbox& out) { serf.OnQueryJudged(now, *judgement, out); });
}

Endpoint World::EndpointOf(NodeId node) {
  const std::uint32_t host = node.value() + 1;
  return {IpAddress::V4(10, static_cast<std::uint8_t>(host >> 16),
                        static_cast<std::uint8_t>(host >> 8), static_cast<std::uint8_t>(host)),
          7946};
}

std::optional<NodeId> World::NodeAt(const Endpoint& endpoint) const {
  const ByteView ip = endpoint.address.bytes();
  if (ip.size() != IpAddress::kV4Size) return std::nullopt;
  const std::uint32_t host =
      std::uint32_t{ip[1]} << 16 | std::uint32_t{ip[2]} << 8 | std::uint32_t{ip[3]};
  const NodeId node(host - 1);
  const bool exists = host > 0 && host <= slots_.size() && endpoint == EndpointOf(node);
  return exists ? std::optional(node) : std::nullopt;
}

void World::Send(NodeId from, const Endpoint& to, ByteView bytes) {
  for (Observer* o : observers_) o->OnSend(from, to, bytes);
  const std::optional<NodeId> target = NodeAt(to);
  if (!target) {
    ++links_.counters().undeliverable;
    return;
  }
  const LinkModel::Fate fate = links_.Judge(from, *target, bytes.size(), rng_);
  for (std::size_t i = 0; i < fate.copies; ++i) {
    std::uint32_t index = static_cast<std::uint32_t>(packets_.size());
    if (free_packets_.empty()) {
      packets_.emplace_back();
    } else {
      index = free_packets_.back();
      free_packets_.pop_back();
    }
    packets_[index].from = endpoint(from);
    packets_[index].bytes.assign(bytes.begin(), bytes.end());
    events_.Push(now_ + fate.delays[i], {EventKind::kDatagram, *target, index});
  }
}

void World::CarryOut(NodeId node, const swim::Outbox::StreamOp& op) {
  using Kind = swim::Outbox::StreamOp::Kind;
  for (Observer* o : observers_) o->OnStreamOp(node, op, out_.bytes(op));
  switch (op.kind) {
    case Kind::kDial:
      Schedule(streams_.Dial(now_, node, op.stream, endpoint(node), op.to, NodeAt(op.to)));
      return;
    case Kind::kWrite:
      Schedule(streams_.Write(now_, node, op.stream, out_.bytes(op)));
      return;
    case Kind::kClose:
      Schedule(streams_.Close(now_, node, op.stream));
      return;
  }
}

void World::Schedule(const VirtualStreams::Dues& dues) {
  for (const VirtualStreams::Due& due : dues) {
    events_.Push(due.at, {EventKind::kStream, NodeId(), due.direction});
  }
}

void World::SetDeadline(NodeId node) {
  Slot& slot = slots_[node.value()];
  const Instant deadline = slot.paused ? kNever : slot.serf->NextDeadline();
  if (deadline == kNever) {
    events_.Remove(slot.timer);
    return;
  }
  // A deadline in the past is due now.
  const Instant at = std::max(deadline, now_);
  if (events_.IsLive(slot.timer)) {
    if (events_.deadline(slot.timer) != at) events_.Reschedule(slot.timer, at);
    return;
  }
  slot.timer = events_.Push(at, {EventKind::kDeadline, node, 0});
}

}  // namespace serf::testkit
