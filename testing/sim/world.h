#ifndef SERF_TESTING_SIM_WORLD_H_
#define SERF_TESTING_SIM_WORLD_H_

// World: any number of Serf machines in one process, in virtual time, over a simulated network. It
// is a driver like transport::Host, and runs the class that an agent runs. The same seed gives the
// same run.
//
//   World world(42);
//   const NodeId a = world.Add("a");
//   const NodeId b = world.Add("b");
//   const RequestId join = world.Join(b, {a});
//   world.RunUntil([&] { return world.serf(a).member_count() == 2; }, seconds(5));
//   world.Crash(b);
//   world.links().Partition({{a}, {b}});
//
// The World handles one event at a time: a deadline of a node, or an arrival at a node. It
// schedules the effects of an input, and never carries them out at once. Events of the same instant
// happen in the order in which they were scheduled.

#include <cassert>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "serf/base/bytes.h"
#include "serf/base/endpoint.h"
#include "serf/base/logger.h"
#include "serf/base/rng.h"
#include "serf/base/time.h"
#include "serf/base/timer_heap.h"
#include "serf/config.h"
#include "serf/judgement.h"
#include "serf/outbox.h"
#include "serf/serf.h"
#include "serf/swim/node_info.h"
#include "serf/testing/sim/link_model.h"
#include "serf/testing/sim/node_disk.h"
#include "serf/testing/sim/trace_hash.h"
#include "serf/testing/sim/virtual_disk.h"
#include "serf/testing/sim/virtual_streams.h"
#include "serf/testing/sim/world_observer.h"
#include "serf/testing/sim/world_requests.h"

namespace serf::testkit {

class World : public WorldRequests<World> {
 public:
  using Observer = WorldObserver;

  explicit World(std::uint64_t seed);
  World(const World&) = delete;
  World& operator=(const World&) = delete;
  ~World();

  // --- nodes ---

  // Creates a node and starts it, at 10.0.0.1:7946 and up. World sets the address, the seed and the
  // pool of `config`; the configuration must be valid. If it has a snapshot, the node gets a file
  // of its own, whatever the snapshot says, and each life begins with what the life before wrote.
  // `rejoin_after_leave`: see SnapshotReader.
  NodeId Add(Config config, bool rejoin_after_leave = false);
  NodeId Add(absl::string_view name, Config config = Config::Lan()) {
    config.swim.name = std::string(name);
    return Add(std::move(config));
  }
  // Kills the process: its connections are reset, and its address refuses. A write to its file is
  // cut short. With kUnsynced, bytes that were not synced may be lost too.
  void Crash(NodeId node, VirtualDisk::Loss loss = VirtualDisk::Loss::kNothing);
  // Ends the process in order: everything is written first. A machine that shuts down by itself,
  // because it lost its name, ends in the same way.
  void Shutdown(NodeId node);
  // Starts a node that is down afresh at the same address. It remembers the content of its file.
  void Restart(NodeId node);
  // Stops the process without killing it. Arrivals wait, up to the size of the socket's buffer.
  void Pause(NodeId node);
  void Resume(NodeId node);
  // From now on the process needs so long for each datagram, one after the other. Zero: no time.
  void SetServiceTime(NodeId node, Duration time) { slots_[node.value()].service = time; }

  // For inputs without a method in WorldRequests: calls input(machine, now, outbox) as one
  // transition of the node.
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
  // Handles one event. False if none will ever come.
  bool Step();
  void RunFor(Duration duration);
  // Runs until done() holds, and checks it after each event. False if `limit` passes first.
  bool RunUntil(const std::function<bool()>& done, Duration limit);
  // The same, but checks only every `period`, for conditions that are costly.
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
  // The time since which the process runs without a pause.
  Instant running_since(NodeId node) const { return slots_[node.value()].running_since; }
  // Whether the node has a disk, that is, a snapshot.
  bool has_disk(NodeId node) const { return slots_[node.value()].disk != nullptr; }
  // True while an operation on the file is under way.
  bool disk_works(NodeId node) const { return slots_[node.value()].disk_works; }
  bool rejoins_after_leave(NodeId node) const { return slots_[node.value()].rejoin_after_leave; }
  VirtualDisk& disk(NodeId node) { return slots_[node.value()].disk->disk(); }
  const Endpoint& endpoint(NodeId node) const { return slots_[node.value()].endpoint; }
  std::optional<NodeId> FindNode(absl::string_view name) const;
  // The result of a request; null while it runs.
  const Completion* completion(RequestId request) const;
  // When a cut, a partition, loss or a pause was last active. A crash does not count as a fault of
  // the other nodes.
  Instant last_fault() const { return last_fault_; }
  std::uint64_t steps() const { return steps_; }
  // The hash of all events so far.
  std::uint64_t trace_hash() const { return trace_.value(); }

  // `observer` must outlive the last call of the World; the World's destructor calls none.
  void AddObserver(Observer* observer) { observers_.push_back(observer); }
  // Calls f(Observer&) for each observer.
  template <typename F>
  void ForEachObserver(F&& f) {
    for (Observer* o : observers_) f(*o);
  }
  // Nodes that are added later log here; each line follows the time in seconds and the node's name.
  void SetLogger(Logger* logger) { logger_ = logger; }

 private:
  enum class EventKind : std::uint8_t { kDeadline, kDatagram, kStream, kDisk, kCall };

  struct WorldEvent {
    EventKind kind = EventKind::kDeadline;
    NodeId node;  // the node that it reaches; unused for kStream and kCall
    // For kDatagram: the packet. For kStream: the event of the streams. For kCall: the action.
    std::uint32_t index = 0;
    bool served = false;  // a datagram after its service time
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
    // What every event needs is together: a large cluster fits in no cache.
    std::unique_ptr<Serf> serf;  // null while down
    TimerHandle timer;
    bool paused = false;
    bool disk_works = false;  // the end of the disk's operation is scheduled, or held
    bool rejoin_after_leave = false;
    std::unique_ptr<NodeDisk> disk;  // null without a snapshot
    Duration service{};              // for a datagram
    Endpoint endpoint;
    Instant free_at{};  // when the process is done with the datagrams so far
    TimerHandle disk_timer;
    Instant running_since{};
    std::size_t held_bytes = 0;
    std::vector<WorldEvent> held;  // arrivals while paused
    std::unique_ptr<NodeLogger> logger;
    Config config;
  };

  // The default size of a socket's buffer (net.core.rmem_default of Linux).
  static constexpr std::size_t kSocketBufferMax = 212'992;
  // An operation on the snapshot file takes at least kDiskLatency, and up to kDiskJitter more.
  static constexpr Duration kDiskLatency = std::chrono::milliseconds(1);
  static constexpr Duration kDiskJitter = std::chrono::milliseconds(10);

  // How long a judgement takes.
  static constexpr Duration kJudgementTime = std::chrono::milliseconds(20);

  void StartMachine(NodeId node);
  void StopMachine(NodeId node);
  // Removes the machine, and resets its connections.
  void EndProcess(NodeId node);
  // Begins to load the machine that the event will reach. In a large cluster nearly every event
  // reaches one that is in no cache.
  void Prefetch(const WorldEvent& event) const;
  void Handle(const WorldEvent& event);
  void HandleDatagram(const WorldEvent& event);
  void HandleStream(const VirtualStreams::Arrival& arrival);
  void HandleDisk(NodeId node);
  void HandleJudgement(NodeId node, std::shared_ptr<Judgement> judgement);
  // Carries out the outbox after an input of `node`, and schedules its next deadline.
  void Finish(NodeId node);
  // Delivers the outbox's content for the application and the disk.
  void Tell(NodeId node);
  // The address of a node, and the node that an address belongs to.
  static Endpoint EndpointOf(NodeId node);
  std::optional<NodeId> NodeAt(const Endpoint& endpoint) const;
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

// Defined in world.cc, so that not every test compiles all of Serf.
extern template class WorldRequests<World>;

}  // namespace serf::testkit

#endif  // SERF_TESTING_SIM_WORLD_H_
