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
#include "absl/status/statusor.h"
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
#include "serf/keys.h"
#include "serf/outbox.h"
#include "serf/query.h"
#include "serf/serf.h"
#include "serf/snapshot_op.h"
#include "serf/swim/node_info.h"
#include "serf/testing/link_model.h"
#include "serf/testing/node_disk.h"
#include "serf/testing/trace_hash.h"
#include "serf/testing/virtual_disk.h"
#include "serf/testing/virtual_streams.h"
#include "serf/testing/world_observer.h"
#include "serf/testing/world_requests.h"

namespace serf::testing {

class World : public WorldRequests<World> {
 public:
  using Observer = WorldObserver;

  explicit World(std::uint64_t seed);
  World(const World&) = delete;
  World& operator=(const World&) = delete;
  ~World();

  // --- nodes ---

  // Creates a node and starts it, at 10.0.0.1:7946 and up. World sets the address, the seed and
  // the pool of `config`; the configuration must be valid. If it has a snapshot, whatever that
  // says, the node gets a file of its own, and each life begins with what the one before wrote.
  // `rejoin_after_leave`: see SnapshotReader.
  NodeId Add(Config config, bool rejoin_after_leave = false);
  NodeId Add(absl::string_view name, Config config = Config::Lan()) {
    config.swim.name = std::string(name);
    return Add(std::move(config));
  }
  // Kills the process: its connections are reset, its address refuses. A write to its file is cut
  // short; with kUnsynced, what was not synced may be gone too.
  void Crash(NodeId node, VirtualDisk::Loss loss = VirtualDisk::Loss::kNothing);
  // Ends the process in order: all is written first. (A machine that shuts down by itself, since it
  // lost its name, ends likewise.)
  void Shutdown(NodeId node);
  // Starts a node that is down afresh at the same address: it remembers what is in its file.
  void Restart(NodeId node);
  // Stops the process without killing it: what arrives waits, as far as the socket's buffer goes.
  void Pause(NodeId node);
  void Resume(NodeId node);

  // For what WorldRequests has no method for: calls input(machine, now, outbox) as one transition
  // of the node.
  template <typename Input>
  void Call(NodeId node, Input&& input) {
    Slot& slot = slots_[node.value()];
    assert(slot.serf != nullptr);
    input(*slot.serf, now_, out_);
    Finish(node);
  }
  RequestId NewRequest() { return RequestId(next_request_++); }

  // --- time ---

  // Calls action() after `delay`. The only call that an Observer may make.
  void After(Duration delay, std::function<void()> action);
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
  // Since when the process runs without a pause.
  Instant running_since(NodeId node) const { return slots_[node.value()].running_since; }
  // What the disk of a node with a snapshot does.
  bool has_disk(NodeId node) const { return slots_[node.value()].disk != nullptr; }
  // Whether an operation on the file is under way.
  bool disk_works(NodeId node) const { return slots_[node.value()].disk_works; }
  bool rejoins_after_leave(NodeId node) const { return slots_[node.value()].rejoin_after_leave; }
  VirtualDisk& disk(NodeId node) { return slots_[node.value()].disk->disk(); }
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
  // Calls f(Observer&) for each.
  template <typename F>
  void ForEachObserver(F&& f) {
    for (Observer* o : observers_) f(*o);
  }
  // Nodes added from now on log here, each line behind the time in seconds and the node's name.
  void SetLogger(Logger* logger) { logger_ = logger; }

 private:
  enum class EventKind : std::uint8_t { kDeadline, kDatagram, kStream, kDisk, kCall };

  struct WorldEvent {
    EventKind kind = EventKind::kDeadline;
    NodeId node;  // whom it reaches; of kStream and kCall: none
    // Of kDatagram: the packet; of kStream: the event of the streams; of kCall: the action.
    std::uint32_t index = 0;
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
    std::unique_ptr<Serf> serf;  // null while down
    TimerHandle timer;
    std::unique_ptr<NodeDisk> disk;  // null without a snapshot
    bool rejoin_after_leave = false;
    TimerHandle disk_timer;
    bool disk_works = false;  // the event of the end of its operation is scheduled, or held
    Instant running_since{};
    bool paused = false;
    std::size_t held_bytes = 0;
    std::vector<WorldEvent> held;  // what arrived while paused
  };

  // As a socket's default buffer (net.core.rmem_default of Linux).
  static constexpr std::size_t kSocketBufferMax = 212'992;
  // An operation on the snapshot file takes at least kDiskLatency, and up to kDiskJitter more.
  static constexpr Duration kDiskLatency = std::chrono::milliseconds(1);
  static constexpr Duration kDiskJitter = std::chrono::milliseconds(10);

  void StartMachine(NodeId node);
  void StopMachine(NodeId node);
  // Takes the machine away, and resets its connections.
  void EndProcess(NodeId node);
  void Handle(const WorldEvent& event);
  void HandleDatagram(NodeId node, std::uint32_t packet);
  void HandleStream(const VirtualStreams::Arrival& arrival);
  void HandleDisk(NodeId node);
  // Carries out what is in the outbox after an input of `node`, and looks at its next deadline.
  void Finish(NodeId node);
  // Passes on what the outbox has for the application and the disk.
  void Tell(NodeId node);
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
  std::vector<std::function<void()>> actions_;
  std::vector<std::uint32_t> free_actions_;
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

inline NodeId World::Add(Config config, bool rejoin_after_leave) {
  const NodeId node(static_cast<std::uint32_t>(slots_.size()));
  const std::uint32_t host = node.value() + 1;
  Slot slot;
  slot.endpoint = {
      IpAddress::V4(10, static_cast<std::uint8_t>(host >> 16), static_cast<std::uint8_t>(host >> 8),
                    static_cast<std::uint8_t>(host)),
      7946};
  config.swim.advertise = slot.endpoint;
  config.swim.node_infos = pool_;
  if (config.snapshot) slot.disk = std::make_unique<NodeDisk>(rng_.Next());
  slot.rejoin_after_leave = rejoin_after_leave;
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
  // What is not OK is a mistake of the test.
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

inline void World::StopMachine(NodeId node) {
  Slot& slot = slots_[node.value()];
  for (Observer* o : observers_) o->OnStop(node);
  events_.Remove(slot.timer);
  slot.serf.reset();
}

inline void World::Crash(NodeId node, VirtualDisk::Loss loss) {
  if (!is_up(node)) return;
  EndProcess(node);
  Slot& slot = slots_[node.value()];
  if (slot.disk != nullptr) slot.disk->End(loss, rng_);
}

inline void World::EndProcess(NodeId node) {
  Slot& slot = slots_[node.value()];
  StopMachine(node);
  if (std::exchange(slot.paused, false)) --paused_;
  slot.held_bytes = 0;
  events_.Remove(slot.disk_timer);
  slot.disk_works = false;
  // What waited in the buffers finds nobody.
  for (const WorldEvent& event : std::exchange(slot.held, {})) {
    if (event.kind != EventKind::kDisk) events_.Push(now_, event);
  }
  Schedule(streams_.CrashNode(now_, node));
}

inline void World::Shutdown(NodeId node) {
  Call(node, [](Serf& serf, Instant now, Outbox& out) { serf.Shutdown(now, out); });
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
  slot.running_since = now_;
  --paused_;
  last_fault_ = now_;
  slot.held_bytes = 0;
  // What is overdue comes first, as a process that wakes finds its timers expired.
  slot.serf->OnTimer(now_, out_);
  Finish(node);
  const std::vector<WorldEvent> held = std::exchange(slot.held, {});
  for (const WorldEvent& event : held) Handle(event);
}

inline void World::After(Duration delay, std::function<void()> action) {
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
  if (event.kind == EventKind::kCall) {
    free_actions_.push_back(event.index);
    std::exchange(actions_[event.index], nullptr)();
    return;
  }
  if (event.kind == EventKind::kDatagram) return HandleDatagram(event.node, event.index);
  if (event.kind == EventKind::kDisk) return HandleDisk(event.node);
  Slot& slot = slots_[event.node.value()];
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

inline void World::HandleDisk(NodeId node) {
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

inline void World::Tell(NodeId node) {
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
