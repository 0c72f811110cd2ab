#ifndef SERF_TESTING_WORLD_H_
#define SERF_TESTING_WORLD_H_

// World: any number of Serf machines in one process, in virtual time, over a simulated network.
// It is a driver like transport::Host, and runs the very class that an agent runs. A seed names a
// run exactly.
//
//   World world(42);
//   const NodeId a = world.Add("a");
//   const NodeId b = world.Add("b");
//   const RequestId join = world.Join(b, {a});
//   world.RunUntil([&] { return world.serf(a).member_count() == 2; }, seconds(5));
//   world.Crash(b);
//   world.links().Partition({{a}, {b}});
//
// One event at a time: a deadline of a node, or something that arrives at a node. An input's
// effects are scheduled, never carried out at once. Events of the same instant happen in the order
// in which they were scheduled.

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "serf/base/bytes.h"
#include "serf/base/endpoint.h"
#include "serf/base/logger.h"
#include "serf/base/rng.h"
#include "serf/base/time.h"
#include "serf/base/timer_heap.h"
#include "serf/config.h"
#include "serf/event.h"
#include "serf/outbox.h"
#include "serf/serf.h"
#include "serf/swim/node_info.h"
#include "serf/testing/link_model.h"
#include "serf/testing/trace_hash.h"
#include "serf/testing/virtual_streams.h"

namespace serf::testing {

class World {
 public:
  // Looks on. Called within World's own calls: don't change the World from here.
  class Observer {
   public:
    virtual ~Observer() = default;
    // A machine was created for `node`, or is about to be destroyed.
    virtual void OnStart(NodeId /*node*/) {}
    virtual void OnStop(NodeId /*node*/) {}
    // The machine told the application.
    virtual void OnEvent(NodeId /*node*/, const Event& /*event*/) {}
    virtual void OnCompletion(NodeId /*node*/, const Completion& /*completion*/) {}
    // A datagram leaves a node, whatever becomes of it.
    virtual void OnSend(NodeId /*node*/, const Endpoint& /*to*/, ByteView /*bytes*/) {}
    // A node dials, writes (these bytes) or closes; or somebody's dial reached it.
    virtual void OnStreamOp(NodeId /*node*/, const swim::Outbox::StreamOp& /*op*/,
                            ByteView /*bytes*/) {}
    virtual void OnAccept(NodeId /*node*/, swim::StreamId /*stream*/, const Endpoint& /*from*/) {}
    // An input was handled; all calls above for it came before.
    virtual void OnTransition(NodeId /*node*/) {}
  };

  explicit World(std::uint64_t seed);
  World(const World&) = delete;
  World& operator=(const World&) = delete;
  ~World();

  // --- nodes ---

  // Creates a node and starts it, at 10.0.0.1:7946 and up. World sets the address, the seed and
  // the pool of `config`; the configuration must be valid.
  NodeId Add(Config config);
  NodeId Add(absl::string_view name, Config config = Config::Lan()) {
    config.swim.name = std::string(name);
    return Add(std::move(config));
  }
  // Kills the process: its connections are reset, its address refuses.
  void Crash(NodeId node);
  // Starts a crashed node afresh at the same address: it remembers nothing.
  void Restart(NodeId node);
  // Stops the process without killing it: what arrives waits, as far as the socket's buffer goes.
  void Pause(NodeId node);
  void Resume(NodeId node);

  RequestId Join(NodeId node, const std::vector<NodeId>& targets, bool ignore_old = false);
  RequestId JoinEndpoints(NodeId node, std::vector<swim::JoinTarget> targets, bool ignore_old);
  RequestId Leave(NodeId node);
  RequestId RemoveFailedNode(NodeId node, absl::string_view name, bool prune);
  RequestId SetTags(NodeId node, Tags tags);
  // For what has no method here: calls input(machine, now, outbox) as one transition of the node.
  template <typename Input>
  void Call(NodeId node, Input&& input) {
    Slot& slot = slots_[node.value()];
    assert(slot.serf != nullptr);
    input(*slot.serf, now_, out_);
    Finish(node);
  }
  RequestId NewRequest() { return RequestId(next_request_++); }

  // --- time ---

  // One event. False if nothing will ever happen.
  bool Step();
  void RunFor(Duration duration);
  // Runs until done() holds, which is asked after each event; false if `limit` passes first.
  bool RunUntil(const std::function<bool()>& done, Duration limit);
  // The same, but asks every `period` only: for conditions that are costly.
  bool RunUntil(const std::function<bool()>& done, Duration limit, Duration period);

  // --- views ---
  Instant now() const { return now_; }
  LinkModel& links() { return links_; }
  const LinkModel& links() const { return links_; }
  std::size_t size() const { return slots_.size(); }
  bool is_up(NodeId node) const { return slots_[node.value()].serf != nullptr; }
  bool is_paused(NodeId node) const { return slots_[node.value()].paused; }
  // The node must be up.
  Serf& serf(NodeId node) {
    assert(is_up(node));
    return *slots_[node.value()].serf;
  }
  const Serf& serf(NodeId node) const {
    assert(is_up(node));
    return *slots_[node.value()].serf;
  }
  const std::string& name(NodeId node) const { return slots_[node.value()].config.swim.name; }
  const Endpoint& endpoint(NodeId node) const { return slots_[node.value()].endpoint; }
  std::optional<NodeId> FindNode(absl::string_view name) const;
  // How a request ended; none while it runs.
  const Completion* completion(RequestId request) const;
  // When a cut, a partition, loss or a pause was last active. Crashes are no faults of the others.
  Instant last_fault() const { return last_fault_; }
  std::uint64_t steps() const { return steps_; }
  // Of all that happened so far.
  std::uint64_t trace_hash() const { return trace_.value(); }

  // `observer` must outlive the last call of the World; its destructor makes none.
  void AddObserver(Observer* observer) { observers_.push_back(observer); }
  // Nodes added from now on log here, each line behind the time in seconds and the node's name.
  void SetLogger(Logger* logger) { logger_ = logger; }

 private:
  enum class EventKind : std::uint8_t { kDeadline, kDatagram, kStream };

  struct WorldEvent {
    EventKind kind = EventKind::kDeadline;
    NodeId node;              // whom it reaches; of kStream: none
    std::uint32_t index = 0;  // of kDatagram: the packet; of kStream: the event of the streams
  };

  struct Packet {
    Endpoint from;
    ByteVector bytes;
  };

  class NodeLogger : public Logger {
   public:
    NodeLogger(const World& world, std::string name, Logger& to)
        : world_(world), name_(std::move(name)), to_(to) {}
    bool Enabled(LogLevel level) const override { return to_.Enabled(level); }
    void Write(LogLevel level, absl::string_view text) override {
      to_.Write(level,
                absl::StrCat(ToSeconds(world_.now_.time_since_epoch()), " ", name_, ": ", text));
    }

   private:
    const World& world_;
    std::string name_;
    Logger& to_;
  };

  struct Slot {
    Config config;
    std::unique_ptr<NodeLogger> logger;
    Endpoint endpoint;
    std::unique_ptr<Serf> serf;  // null while crashed
    TimerHandle timer;
    bool paused = false;
    std::size_t held_bytes = 0;
    std::vector<WorldEvent> held;  // what arrived while paused
  };

  // As a socket's default buffer (net.core.rmem_default of Linux).
  static constexpr std::size_t kSocketBufferMax = 212'992;

  void StartMachine(NodeId node);
  void StopMachine(NodeId node);
  void Handle(const WorldEvent& event);
  void HandleDatagram(NodeId node, std::uint32_t packet);
  void HandleStream(const VirtualStreams::Arrival& arrival);
  // Carries out what is in the outbox after an input of `node`, and looks at its next deadline.
  void Finish(NodeId node);
  void Send(NodeId from, const Endpoint& to, ByteView bytes);
  void CarryOut(NodeId node, const swim::Outbox::StreamOp& op);
  void Schedule(const VirtualStreams::Dues& dues);
  void SetDeadline(NodeId node);
  void NoteFault() {
    if (paused_ > 0 || links_.IsFaulty()) last_fault_ = now_;
  }

  Rng rng_;
  Instant now_;
  Instant last_fault_;
  std::shared_ptr<swim::NodeInfoPool> pool_ = std::make_shared<swim::NodeInfoPool>();
  LinkModel links_;
  VirtualStreams streams_;
  std::vector<Slot> slots_;
  absl::flat_hash_map<Endpoint, NodeId> by_endpoint_;
  TimerHeap<WorldEvent> events_;
  std::vector<Packet> packets_;
  std::vector<std::uint32_t> free_packets_;
  Outbox out_;
  std::map<RequestId, Completion> completions_;
  std::vector<Observer*> observers_;
  Logger* logger_ = nullptr;
  TraceHash trace_;
  std::uint64_t next_request_ = 1;
  std::uint64_t steps_ = 0;
  int paused_ = 0;
};

// --- bodies ---

inline World::World(std::uint64_t seed)
    : rng_(seed), now_(std::chrono::hours(1)), last_fault_(now_), streams_(links_, rng_) {}

inline World::~World() {
  observers_.clear();  // they may be gone already
  for (std::uint32_t i = 0; i < slots_.size(); ++i) {
    if (slots_[i].serf != nullptr) StopMachine(NodeId(i));
  }
}

inline NodeId World::Add(Config config) {
  const NodeId node(static_cast<std::uint32_t>(slots_.size()));
  const std::uint32_t host = node.value() + 1;
  Slot slot;
  slot.endpoint = {
      IpAddress::V4(10, static_cast<std::uint8_t>(host >> 16), static_cast<std::uint8_t>(host >> 8),
                    static_cast<std::uint8_t>(host)),
      7946};
  config.swim.advertise = slot.endpoint;
  config.swim.node_infos = pool_;
  slot.config = std::move(config);
  if (logger_ != nullptr) {
    slot.logger = std::make_unique<NodeLogger>(*this, slot.config.swim.name, *logger_);
    slot.config.swim.logger = slot.logger.get();
  }
  by_endpoint_.emplace(slot.endpoint, node);
  slots_.push_back(std::move(slot));
  StartMachine(node);
  return node;
}

inline void World::StartMachine(NodeId node) {
  Slot& slot = slots_[node.value()];
  slot.config.swim.seed = rng_.Next();
  auto serf = Serf::Create(slot.config);
  if (!serf.ok()) {
    std::fprintf(stderr, "World: %s\n", serf.status().ToString().c_str());
    std::abort();  // a mistake of the test
  }
  slot.serf = *std::move(serf);
  trace_.Mix(static_cast<std::uint64_t>(node.value()));
  for (Observer* o : observers_) o->OnStart(node);
  slot.serf->Start(now_, out_);
  Finish(node);
}

inline void World::StopMachine(NodeId node) {
  Slot& slot = slots_[node.value()];
  for (Observer* o : observers_) o->OnStop(node);
  events_.Remove(slot.timer);
  slot.serf.reset();
}

inline void World::Crash(NodeId node) {
  if (!is_up(node)) return;
  Slot& slot = slots_[node.value()];
  if (std::exchange(slot.paused, false)) --paused_;
  slot.held_bytes = 0;
  StopMachine(node);
  // What waited in the buffers finds nobody.
  for (const WorldEvent& event : std::exchange(slot.held, {})) events_.Push(now_, event);
  Schedule(streams_.CrashNode(now_, node));
}

inline void World::Restart(NodeId node) {
  assert(!is_up(node));
  StartMachine(node);
}

inline void World::Pause(NodeId node) {
  Slot& slot = slots_[node.value()];
  if (slot.serf == nullptr || slot.paused) return;
  slot.paused = true;
  ++paused_;
  events_.Remove(slot.timer);
  last_fault_ = now_;
}

inline void World::Resume(NodeId node) {
  Slot& slot = slots_[node.value()];
  if (!slot.paused) return;
  slot.paused = false;
  --paused_;
  last_fault_ = now_;
  slot.held_bytes = 0;
  // What is overdue comes first, as a process that wakes finds its timers expired.
  slot.serf->OnTimer(now_, out_);
  Finish(node);
  const std::vector<WorldEvent> held = std::exchange(slot.held, {});
  for (const WorldEvent& event : held) Handle(event);
}

inline RequestId World::Join(NodeId node, const std::vector<NodeId>& targets, bool ignore_old) {
  std::vector<swim::JoinTarget> list;
  for (const NodeId target : targets) {
    list.push_back({endpoint(target).ToString(), endpoint(target)});
  }
  return JoinEndpoints(node, std::move(list), ignore_old);
}

inline RequestId World::JoinEndpoints(NodeId node, std::vector<swim::JoinTarget> targets,
                                      bool ignore_old) {
  const RequestId request = NewRequest();
  Call(node, [&](Serf& serf, Instant now, Outbox& out) {
    serf.Join(now, request, std::move(targets), ignore_old, out);
  });
  return request;
}

inline RequestId World::Leave(NodeId node) {
  const RequestId request = NewRequest();
  Call(node, [&](Serf& serf, Instant now, Outbox& out) { serf.Leave(now, request, out); });
  return request;
}

inline RequestId World::RemoveFailedNode(NodeId node, absl::string_view name, bool prune) {
  const RequestId request = NewRequest();
  Call(node, [&](Serf& serf, Instant now, Outbox& out) {
    serf.RemoveFailedNode(now, request, name, prune, out);
  });
  return request;
}

inline RequestId World::SetTags(NodeId node, Tags tags) {
  const RequestId request = NewRequest();
  Call(node, [&](Serf& serf, Instant now, Outbox& out) {
    serf.SetTags(now, request, std::move(tags), out);
  });
  return request;
}

inline bool World::Step() {
  if (events_.empty()) return false;
  NoteFault();
  assert(events_.next() >= now_);
  now_ = events_.next();
  NoteFault();
  const WorldEvent event = events_.Pop();
  ++steps_;
  Handle(event);
  return true;
}

inline void World::RunFor(Duration duration) {
  const Instant end = now_ + duration;
  while (events_.next() <= end) Step();
  NoteFault();
  now_ = end;
  NoteFault();
}

inline bool World::RunUntil(const std::function<bool()>& done, Duration limit) {
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

inline bool World::RunUntil(const std::function<bool()>& done, Duration limit, Duration period) {
  const Instant end = now_ + limit;
  while (!done()) {
    if (now_ >= end) return false;
    RunFor(std::min(period, end - now_));
  }
  return true;
}

inline std::optional<NodeId> World::FindNode(absl::string_view name) const {
  for (std::uint32_t i = 0; i < slots_.size(); ++i) {
    if (slots_[i].config.swim.name == name) return NodeId(i);
  }
  return std::nullopt;
}

inline const Completion* World::completion(RequestId request) const {
  const auto it = completions_.find(request);
  return it == completions_.end() ? nullptr : &it->second;
}

inline void World::Handle(const WorldEvent& event) {
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
  Slot& slot = slots_[event.node.value()];
  if (event.kind == EventKind::kDatagram) {
    HandleDatagram(event.node, event.index);
    return;
  }
  assert(slot.serf != nullptr && !slot.paused);
  slot.timer = TimerHandle();
  slot.serf->OnTimer(now_, out_);
  Finish(event.node);
}

inline void World::HandleDatagram(NodeId node, std::uint32_t index) {
  Slot& slot = slots_[node.value()];
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
    ++links_.counters().delivered;
    const Packet& packet = packets_[index];
    trace_.Mix(static_cast<std::uint64_t>(now_.time_since_epoch().count()));
    trace_.Mix(static_cast<std::uint64_t>(node.value()));
    trace_.Mix(packet.bytes);
    slot.serf->OnDatagram(now_, packet.from, packet.bytes, out_);
    Finish(node);
  }
  free_packets_.push_back(index);
}

inline void World::HandleStream(const VirtualStreams::Arrival& arrival) {
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

inline void World::Finish(NodeId node) {
  for (const swim::Outbox::Datagram& d : out_.datagrams()) Send(node, d.to, out_.bytes(d));
  for (const swim::Outbox::StreamOp& op : out_.stream_ops()) CarryOut(node, op);
  for (const Event& event : out_.events()) {
    trace_.Mix(static_cast<std::uint64_t>(event.index()));
    for (Observer* o : observers_) o->OnEvent(node, event);
  }
  for (const Completion& completion : out_.completions()) {
    completions_[completion.request] = completion;
    for (Observer* o : observers_) o->OnCompletion(node, completion);
  }
  out_.Clear();
  SetDeadline(node);
  for (Observer* o : observers_) o->OnTransition(node);
}

inline void World::Send(NodeId from, const Endpoint& to, ByteView bytes) {
  for (Observer* o : observers_) o->OnSend(from, to, bytes);
  const auto target = by_endpoint_.find(to);
  if (target == by_endpoint_.end()) {
    ++links_.counters().undeliverable;
    return;
  }
  const LinkModel::Fate fate = links_.Judge(from, target->second, bytes.size(), rng_);
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
    events_.Push(now_ + fate.delays[i], {EventKind::kDatagram, target->second, index});
  }
}

inline void World::CarryOut(NodeId node, const swim::Outbox::StreamOp& op) {
  using Kind = swim::Outbox::StreamOp::Kind;
  for (Observer* o : observers_) o->OnStreamOp(node, op, out_.bytes(op));
  switch (op.kind) {
    case Kind::kDial: {
      const auto target = by_endpoint_.find(op.to);
      Schedule(streams_.Dial(
          now_, node, op.stream, endpoint(node), op.to,
          target == by_endpoint_.end() ? std::nullopt : std::optional(target->second)));
      return;
    }
    case Kind::kWrite:
      Schedule(streams_.Write(now_, node, op.stream, out_.bytes(op)));
      return;
    case Kind::kClose:
      Schedule(streams_.Close(now_, node, op.stream));
      return;
  }
}

inline void World::Schedule(const VirtualStreams::Dues& dues) {
  for (const VirtualStreams::Due& due : dues) {
    events_.Push(due.at, {EventKind::kStream, NodeId(), due.direction});
  }
}

inline void World::SetDeadline(NodeId node) {
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

}  // namespace serf::testing

#endif  // SERF_TESTING_WORLD_H_
