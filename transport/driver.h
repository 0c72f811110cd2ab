// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_TRANSPORT_DRIVER_H_
#define SERF_TRANSPORT_DRIVER_H_

// Driver: the part of a Host that lives on the io_context's thread: the machine, its sockets and
// its timer. It outlives the Host by the operations that are still under way. Applications use
// Host.
//
// Every handler of a socket or timer gives the machine one or a few inputs, then calls Flush()
// once. Flush() carries out the Outbox and calls the application. Requests that the application
// makes in these calls are posted, so the machine is never entered twice.

#include <algorithm>
#include <array>
#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/container/flat_hash_map.h"
#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "serf/base/bytes.h"
#include "serf/base/endpoint.h"
#include "serf/base/fair_shares.h"
#include "serf/base/logger.h"
#include "serf/base/time.h"
#include "serf/event.h"
#include "serf/join.h"
#include "serf/judgement.h"
#include "serf/outbox.h"
#include "serf/query.h"
#include "serf/serf.h"
#include "serf/snapshot_op.h"
#include "serf/swim/outbox.h"
#include "serf/tags.h"
#include "serf/transport/bound_pair.h"
#include "serf/transport/disk_queue.h"
#include "serf/transport/join_list.h"
#include "serf/transport/net/asio.h"
#include "serf/transport/net/clock.h"
#include "serf/transport/net/lookup.h"
#include "serf/transport/net/socket_address.h"
#include "serf/transport/net/tcp_listener.h"
#include "serf/transport/resolver.h"
#include "serf/transport/side_work.h"
#include "serf/transport/snapshot_file_writer.h"
#include "serf/transport/tag_changes.h"
#include "serf/transport/tcp_stream.h"
#include "serf/transport/udp_socket.h"
#include "serf/wire/aead.h"

namespace serf::transport {

// The most TCP connections at once (dialled, accepted and closing), unless HostOptions sets another
// value. This is half of the descriptors that a process commonly has, so a flood of connections
// leaves the other half for everything else.
inline constexpr std::size_t kConnectionsMax = 512;

// A node needs so many connections: an accepted one and a dialled one, while two others close.
inline constexpr std::size_t kConnectionsMin = 4;
// The most accepted connections among all connections. The rest is reserved for dialling, so a
// flood of connections from other hosts cannot stop it.
inline constexpr std::size_t AcceptedMax(std::size_t connections_max) {
  return connections_max - connections_max / 4;
}

class Driver final : public std::enable_shared_from_this<Driver>, private StreamSink {
 public:
  using OnCompletion = absl::AnyInvocable<void(const Completion&)>;
  using OnQueryUpdate = absl::AnyInvocable<void(const QueryUpdate&)>;
  using OnQueryStart = absl::AnyInvocable<void(absl::StatusOr<QueryId>)>;

  // As in HostOptions; each may be null.
  struct Callbacks {
    std::function<void(const Event&)> on_event;
    std::function<absl::Status(std::span<const wire::Keyring::Key>)> save_keyring;
    std::function<absl::Status(const Tags&)> save_tags;
    std::function<void()> on_shutdown;
  };

  // `connections_max` must be at least kConnectionsMin.
  Driver(asio::io_context& io, BoundPair sockets, std::unique_ptr<Serf> serf,
         SnapshotStore snapshot, Callbacks callbacks, std::size_t connections_max);
  ~Driver();
  Driver(const Driver&) = delete;
  Driver& operator=(const Driver&) = delete;

  // --- any thread ---

  asio::io_context& io() { return io_; }
  // Suppresses all later events. One call on another thread may still be under way.
  void Silence() { silent_.store(true, std::memory_order_relaxed); }

  // --- on the io_context's thread, and from handlers only ---

  void Start();
  // Ends everything. Requests under way complete as cancelled, within this call.
  void Stop();
  // The io_context ends before Stop(): destroys all that waits, and calls nobody. What waits may
  // own the Host, as a coroutine does: then each would keep the other.
  void Drop();

  // Makes a request of the machine at once: request(serf, now, id, out). Calls `done` when it ends.
  template <typename Request>
  void Execute(Request request, OnCompletion done) {
    if (!started_) return done(NotStarted());
    const RequestId id(next_request_++);
    pending_.emplace(id, std::move(done));
    request(*serf_, Now(), id, out_);
    Flush();
  }
  // `id` comes from NewJoin(), which any thread may call.
  void Join(JoinId id, std::vector<std::string> addresses, JoinOptions options, OnCompletion done);
  // Ends the lookups of the join, and contacts no further address of it.
  void CancelJoin(JoinId id);
  JoinId NewJoin() { return JoinId(next_join_.fetch_add(1, std::memory_order_relaxed)); }
  // Edits the tags that all earlier changes left.
  void UpdateTags(std::function<void(Tags&)> change, OnCompletion done);
  // Calls `start`, and after a success `update` until kDone, which also comes if the driver stops.
  void SendQuery(const std::string& name, const std::string& payload, const QueryParams& params,
                 OnQueryUpdate update, OnQueryStart start);
  // Calls `update` with kDone, within this call, if the query still runs.
  void CancelQuery(QueryId query) {
    serf_->CancelQuery(Now(), query, out_);
    Flush();
  }

  // See SideWork::Run.
  void RunAside(SideWork::Work work, SideWork::OnDone done) {
    side_.Run(std::move(work), std::move(done));
  }

  Serf& serf() { return *serf_; }
  const UdpSocket& udp() const { return *sockets_.udp; }
  std::size_t connections() const { return streams_.size(); }

 private:
  // Batches of datagrams that the driver reads before other sockets get their turn.
  static constexpr int kBatchesPerTurn = 4;
  // The same in time; one datagram takes a millisecond or two at worst.
  static constexpr Duration kReceiveTimeMax = std::chrono::milliseconds(2);
  static constexpr std::size_t kReadSize = 64 << 10;

  // How long Stop() waits for the disk: more than a busy disk needs for a full queue, and less than
  // a supervisor allows (Docker: 10 s).
  static constexpr Duration kDiskLastMax = std::chrono::seconds(5);

  struct JoinWork {
    JoinWork(asio::io_context& io, std::vector<std::string> entries, JoinOptions how,
             OnCompletion end)
        : list(std::move(entries)), lookup(io), options(how), done(std::move(end)) {}

    JoinList list;
    names::Lookup lookup;
    const JoinOptions options;
    OnCompletion done;
    absl::Status refusal;              // why nothing further was contacted
    std::vector<std::size_t> lookups;  // the entries that `lookup` looks up
    std::vector<RequestId> requests;   // the machine's requests that have not ended
    bool continuing = false;
  };

  static Completion Failed(absl::Status status) { return {RequestId(), std::move(status)}; }
  static Completion NotStarted() {
    return Failed(absl::FailedPreconditionError("the node has not been started"));
  }
  // Begins the steps of a join that may begin, and ends the join after its last step.
  void ContinueJoin(JoinId id);
  void BeginStep(JoinId id, const std::shared_ptr<JoinWork>& work, JoinList::Step step);
  void OnStepResolved(JoinId id, std::size_t entry, JoinTargets targets);
  void OnStepJoined(JoinId id, std::size_t entry, std::size_t address,
                    const Completion& completion);
  void EndJoin(JoinId id);
  void WaitForDatagrams();
  void ReceiveDatagrams();
  void OnAccepted(asio::ip::tcp::socket socket, const Endpoint& from);
  // Makes room for another accepted connection: closes the oldest one of the address that has most.
  void MakeRoom();
  void Flush();
  void TellQueryUpdates();
  void OnJudged(const Judgement& judgement);
  void SaveKeyring(const KeyringSave& save);
  // What TagChanges need of the node.
  TagChanges::Node TagsOfNode();
  // Posts the stop of a machine that shut itself down.
  void StopLater();
  void StartSnapshotWriter();
  void CarryOut(const swim::Outbox::StreamOp& op);
  void Dial(swim::StreamId id, const Endpoint& to);
  std::shared_ptr<TcpStream> AddStream(asio::ip::tcp::socket socket, swim::StreamId id,
                                       const Endpoint& peer);
  void ReportRefused();
  void ArmTimer();
  void OnTimer();

  inline void OnStreamConnected(swim::StreamId stream) override;
  inline void OnStreamBytes(swim::StreamId stream, ByteView bytes) override;
  inline void OnStreamClosed(swim::StreamId stream, const absl::Status& reason) override;
  void OnStreamGone(swim::StreamId stream) override {
    streams_.erase(stream);
    accepted_.Remove(stream);
  }
  inline MutableByteView ReadBuffer() override;

  asio::io_context& io_;
  BoundPair sockets_;
  std::unique_ptr<Serf> serf_;
  DiskQueue disk_;
  SnapshotStore snapshot_;  // until the writer has it
  std::unique_ptr<SnapshotFileWriter> snapshot_writer_;
  Callbacks callbacks_;
  std::atomic<bool> silent_ = false;
  Outbox out_;

  asio::steady_timer end_;  // never fires: its handler is destroyed by an io_context that ends
  asio::steady_timer timer_;
  Instant armed_ = kNever;  // when the timer fires

  // Includes closing streams until they are gone.
  absl::flat_hash_map<swim::StreamId, std::shared_ptr<TcpStream>> streams_;
  FairShares<swim::StreamId> accepted_;  // the streams that other nodes opened
  const std::size_t connections_max_;
  std::unique_ptr<std::array<std::uint8_t, kReadSize>> read_buffer_;
  // Destinations that datagrams did not reach; for the machine's next turn.
  std::vector<Endpoint> refused_;
  bool refused_posted_ = false;

  TagChanges tag_changes_{disk_, callbacks_.save_tags, TagsOfNode()};
  SideWork side_{io_, [this](const Judgement& judgement) { OnJudged(judgement); }};

  absl::flat_hash_map<RequestId, OnCompletion> pending_;
  absl::btree_map<JoinId, std::shared_ptr<JoinWork>> joins_;
  std::atomic<JoinId::Value> next_join_ = 1;
  absl::btree_map<QueryId, OnQueryUpdate> queries_;  // queries of this node that run
  std::uint64_t next_request_ = 1;
  bool started_ = false;
  bool stopped_ = false;
};

// --- bodies ---

inline Driver::Driver(asio::io_context& io, BoundPair sockets, std::unique_ptr<Serf> serf,
                      SnapshotStore snapshot, Callbacks callbacks, std::size_t connections_max)
    : io_(io),
      sockets_(std::move(sockets)),
      serf_(std::move(serf)),
      disk_(io),
      snapshot_(std::move(snapshot)),
      callbacks_(std::move(callbacks)),
      end_(io),
      timer_(io),
      connections_max_(connections_max) {}

// Runs without a Stop() before it if the io_context ends first. It then calls nobody.
inline Driver::~Driver() {
  for (auto& [id, stream] : streams_) stream->Abort();
  if (!stopped_) disk_.Drain(kDiskLastMax);
}

inline void Driver::Start() {
  if (started_ || stopped_) return;
  started_ = true;
  sockets_.listener->Start(
      [weak = weak_from_this()](asio::ip::tcp::socket socket, const Endpoint& from) {
        if (const auto self = weak.lock()) self->OnAccepted(std::move(socket), from);
      });
  const std::shared_ptr<void> end(nullptr, [weak = weak_from_this()](void*) {
    if (const auto self = weak.lock()) self->Drop();
  });
  end_.expires_at(asio::steady_timer::time_point::max());
  end_.async_wait([end](const ErrorCode&) {});
  StartSnapshotWriter();
  serf_->Start(Now(), out_);
  Flush();
  WaitForDatagrams();
}

inline void Driver::StartSnapshotWriter() {
  if (snapshot_.file == nullptr) return;
  snapshot_writer_ = std::make_unique<SnapshotFileWriter>(
      disk_, std::move(snapshot_), [weak = weak_from_this()](const absl::Status& status) {
        const auto self = weak.lock();
        if (self == nullptr || self->stopped_) return;
        self->serf_->OnSnapshotDone(Now(), status, self->out_);
        self->Flush();
      });
}

inline void Driver::Stop() {
  if (stopped_) return;
  stopped_ = true;
  if (started_) serf_->Shutdown(Now(), out_);
  sockets_.listener->Close();
  sockets_.udp->Close();
  timer_.cancel();
  end_.cancel();
  for (auto& [id, stream] : std::exchange(streams_, {})) stream->Abort();
  accepted_ = {};
  Flush();
  // A caller that starts the node anew now finds all of its files.
  snapshot_writer_ = nullptr;
  snapshot_ = SnapshotStore();
  if (!disk_.Drain(kDiskLastMax)) {
    Log(serf_->config().swim.logger, LogLevel::kError,
        "serf: The disk stands still: what was to be written last may be lost");
  }
  side_.Stop();
  callbacks_ = Callbacks();
  for (OnCompletion& done : tag_changes_.Stop()) done(Failed(absl::CancelledError("shut down")));
  for (auto& [id, done] : std::exchange(pending_, {})) {
    done({id, absl::CancelledError("shut down")});
  }
  for (auto& [id, work] : std::exchange(joins_, {})) {
    work->done({RequestId(), absl::CancelledError("shut down")});
  }
}

inline void Driver::Drop() {
  if (stopped_) return;
  stopped_ = true;
  Silence();
  // Out of the members first: what is destroyed may come back to them.
  const auto callbacks = std::exchange(callbacks_, {});
  const auto tag_changes = tag_changes_.Stop();
  const auto pending = std::exchange(pending_, {});
  const auto joins = std::exchange(joins_, {});
  const auto queries = std::exchange(queries_, {});
  side_.Drop();
  disk_.Drain(kDiskLastMax);
}

inline void Driver::Join(JoinId id, std::vector<std::string> addresses, JoinOptions options,
                         OnCompletion done) {
  if (!started_) return done(NotStarted());
  // The machine says why it refuses.
  if (addresses.empty() || serf_->state() != Serf::State::kAlive) {
    return Execute([options](Serf& serf, Instant now, RequestId request,
                             Outbox& out) { serf.Join(now, request, {}, options, out); },
                   std::move(done));
  }
  joins_.emplace(id,
                 std::make_shared<JoinWork>(io_, std::move(addresses), options, std::move(done)));
  ContinueJoin(id);
}

inline void Driver::CancelJoin(JoinId id) {
  const auto found = joins_.find(id);
  if (found == joins_.end()) return;
  const std::shared_ptr<JoinWork> work = found->second;
  work->list.Stop();
  if (work->refusal.ok()) work->refusal = absl::CancelledError("join cancelled");
  work->lookup.Cancel();
  for (const std::size_t entry : std::exchange(work->lookups, {})) {
    work->list.OnResolved(entry, std::vector<swim::JoinTarget>());
  }
  for (const RequestId request : std::vector(work->requests)) serf_->CancelJoin(request, out_);
  Flush();
  if (work->list.ended()) EndJoin(id);
}

inline void Driver::ContinueJoin(JoinId id) {
  const auto found = joins_.find(id);
  if (found == joins_.end()) return;
  const std::shared_ptr<JoinWork> work = found->second;
  // A step may end at once, within its own call.
  if (std::exchange(work->continuing, true)) return;
  while (std::optional<JoinList::Step> step = work->list.Next()) {
    BeginStep(id, work, *std::move(step));
  }
  work->continuing = false;
  if (work->list.ended()) EndJoin(id);
}

inline void Driver::BeginStep(JoinId id, const std::shared_ptr<JoinWork>& work,
                              JoinList::Step step) {
  const std::size_t entry = step.entry;
  if (!step.target) {
    return ResolveJoinEntry(
        work->list.text(entry), sockets_.local().port, sockets_.zone,
        [work, entry](const std::string& host, names::Lookup::Done done) {
          work->lookups.push_back(entry);
          work->lookup.Start(host, std::move(done));
        },
        [this, id, entry](JoinTargets targets) { OnStepResolved(id, entry, std::move(targets)); });
  }
  Execute(
      [work, target = *std::move(step.target)](Serf& serf, Instant now, RequestId request,
                                               Outbox& out) {
        work->requests.push_back(request);
        serf.Join(now, request, {target}, work->options, out);
      },
      [this, id, entry, address = step.address](const Completion& completion) {
        OnStepJoined(id, entry, address, completion);
      });
}

inline void Driver::OnStepResolved(JoinId id, std::size_t entry, JoinTargets targets) {
  const auto found = joins_.find(id);
  if (found == joins_.end()) return;
  if (!targets.ok()) {
    Log(serf_->config().swim.logger, LogLevel::kWarn,
        "memberlist: ", absl::string_view(targets.status().message()));
  }
  std::erase(found->second->lookups, entry);
  found->second->list.OnResolved(entry, std::move(targets));
  ContinueJoin(id);
}

// Flush() calls it, so it must not enter the machine.
inline void Driver::OnStepJoined(JoinId id, std::size_t entry, std::size_t address,
                                 const Completion& completion) {
  const auto found = joins_.find(id);
  if (found == joins_.end() || stopped_) return;
  JoinWork& work = *found->second;
  std::erase(work.requests, completion.request);
  std::string error;
  if (!completion.errors.empty()) {
    error = completion.errors.front();
  } else if (!completion.status.ok()) {
    // The machine is leaving, and would refuse all further joins.
    work.refusal = completion.status;
    work.list.Stop();
    error = std::string(completion.status.message());
  }
  work.list.OnJoined(entry, address, std::move(error));
  if (work.list.ended()) return EndJoin(id);
  asio::post(io_, [self = shared_from_this(), id] {
    if (!self->stopped_) self->ContinueJoin(id);
  });
}

inline void Driver::EndJoin(JoinId id) {
  const auto found = joins_.find(id);
  if (found == joins_.end()) return;
  const std::shared_ptr<JoinWork> work = found->second;
  joins_.erase(found);
  std::vector<std::string> errors = work->list.TakeErrors();
  absl::Status status;
  if (work->list.contacted() == 0) {
    status = work->refusal.ok() && !errors.empty() ? JoinError(errors) : work->refusal;
  }
  work->done({RequestId(), std::move(status), work->list.contacted(), std::move(errors)});
}

inline void Driver::WaitForDatagrams() {
  if (stopped_) return;
  sockets_.udp->AsyncWaitReadable([self = shared_from_this()](const ErrorCode& error) {
    if (!error && !self->stopped_) self->ReceiveDatagrams();
  });
}

inline void Driver::ReceiveDatagrams() {
  const Instant end = Now() + kReceiveTimeMax;
  auto progress = UdpSocket::Progress::kMore;
  for (int i = 0; i < kBatchesPerTurn && progress == UdpSocket::Progress::kMore; ++i) {
    progress = sockets_.udp->ReceiveUntil(end, refused_, [this](Instant now, const auto& datagram) {
      serf_->OnDatagram(now, datagram.from, datagram.bytes, out_);
    });
    // What these datagrams brought leaves at once, without another turn of the loop.
    if (const Instant now = Now();
        progress != UdpSocket::Progress::kMore && serf_->NextDeadline() <= now) {
      serf_->OnTimer(now, out_);
    }
    Flush();
  }
  if (progress != UdpSocket::Progress::kTimeIsOver) return WaitForDatagrams();
  asio::post(io_, [self = shared_from_this()] {
    if (!self->stopped_) self->ReceiveDatagrams();
  });
}

inline void Driver::OnAccepted(asio::ip::tcp::socket socket, const Endpoint& from) {
  if (!stopped_) MakeRoom();
  if (stopped_ || streams_.size() >= connections_max_) return;  // the socket closes
  const std::optional<swim::StreamId> id = serf_->OnStreamAccepted(Now(), from, out_);
  if (id) {
    accepted_.Add(*id, from.address);
    AddStream(std::move(socket), *id, from)->Start();
  }
  Flush();
}

inline void Driver::MakeRoom() {
  const bool full = streams_.size() >= connections_max_;
  if (!full && accepted_.size() < AcceptedMax(connections_max_)) return;
  if (const std::optional<swim::StreamId> victim = accepted_.Victim()) {
    const swim::StreamId oldest = *victim;
    accepted_.Remove(oldest);
    const auto stream = streams_.extract(oldest);
    stream.mapped()->Abort();
    serf_->OnStreamClosed(
        Now(), oldest,
        absl::ResourceExhaustedError(absl::StrCat("read tcp ", stream.mapped()->peer().ToString(),
                                                  ": too many connections")),
        out_);
  }
}

inline void Driver::Flush() {
  if (sockets_.udp->is_open()) sockets_.udp->Send(out_, refused_);
  for (const swim::Outbox::StreamOp& op : out_.stream_ops()) CarryOut(op);
  for (SnapshotOp& op : out_.snapshot_ops()) {
    if (snapshot_writer_ != nullptr) snapshot_writer_->Submit(std::move(op));
  }
  for (std::unique_ptr<Judgement>& judgement : out_.judgements()) {
    side_.Judge(std::move(judgement));
  }
  // The application may read the machine and post requests to it, but must not enter it.
  for (const Event& event : out_.events()) {
    if (callbacks_.on_event != nullptr && !silent_.load(std::memory_order_relaxed)) {
      callbacks_.on_event(event);
    }
  }
  TellQueryUpdates();
  for (const Completion& completion : out_.completions()) {
    if (auto node = pending_.extract(completion.request)) node.mapped()(completion);
  }
  if (out_.keyring_save()) SaveKeyring(*out_.keyring_save());
  if (serf_->state() == Serf::State::kShutdown && !stopped_) StopLater();
  out_.Clear();
  if (!refused_.empty()) ReportRefused();
  ArmTimer();
}

inline void Driver::TellQueryUpdates() {
  for (const QueryUpdate& update : out_.query_updates()) {
    if (update.kind == QueryUpdate::Kind::kDone) {
      if (auto node = queries_.extract(update.query)) node.mapped()(update);
    } else if (const auto found = queries_.find(update.query); found != queries_.end()) {
      found->second(update);
    }
  }
}

inline void Driver::OnJudged(const Judgement& judgement) {
  serf_->OnQueryJudged(Now(), judgement, out_);
  Flush();
}

inline void Driver::SaveKeyring(const KeyringSave& save) {
  disk_.Run(
      [save_keyring = callbacks_.save_keyring, keys = save.keys] {
        return save_keyring != nullptr ? save_keyring(keys) : absl::OkStatus();
      },
      [weak = weak_from_this(), version = save.version](const absl::Status& status) {
        const auto self = weak.lock();
        if (self == nullptr || self->stopped_) return;
        self->serf_->OnKeyringSaved(Now(), version, status, self->out_);
        self->Flush();
      });
}

inline void Driver::UpdateTags(std::function<void(Tags&)> change, OnCompletion done) {
  if (!started_) return done(NotStarted());
  tag_changes_.Add(std::move(change), std::move(done));
}

inline TagChanges::Node Driver::TagsOfNode() {
  return {[this] { return weak_from_this(); }, [this] { return serf_->config().tags; },
          [this](const Tags& tags) {
            return EncodeTags(tags, serf_->config().protocol_version).status();
          },
          [this](Tags tags, OnCompletion done) {
            Execute([tags = std::move(tags)](
                        Serf& serf, Instant now, RequestId id,
                        Outbox& out) mutable { serf.SetTags(now, id, std::move(tags), out); },
                    std::move(done));
          }};
}

inline void Driver::StopLater() {
  asio::post(io_, [self = shared_from_this()] {
    if (self->stopped_) return;
    const std::function<void()> on_shutdown = self->callbacks_.on_shutdown;
    self->Stop();
    if (on_shutdown != nullptr && !self->silent_.load(std::memory_order_relaxed)) on_shutdown();
  });
}

inline void Driver::SendQuery(const std::string& name, const std::string& payload,
                              const QueryParams& params, OnQueryUpdate update, OnQueryStart start) {
  if (!started_) return start(NotStarted().status);
  absl::StatusOr<QueryId> query = serf_->SendQuery(Now(), name, payload, params, out_);
  if (query.ok()) queries_.emplace(*query, std::move(update));
  start(std::move(query));
  Flush();
}

inline void Driver::CarryOut(const swim::Outbox::StreamOp& op) {
  using Kind = swim::Outbox::StreamOp::Kind;
  if (stopped_) return;
  if (op.kind == Kind::kDial) return Dial(op.stream, op.to);
  // A stream that ended by itself has left the table before the machine hears of its end.
  const auto found = streams_.find(op.stream);
  if (found == streams_.end()) return;
  if (op.kind == Kind::kWrite) {
    found->second->Write(out_.bytes(op));
  } else {
    found->second->Close();
  }
}

inline void Driver::Dial(swim::StreamId id, const Endpoint& to) {
  if (streams_.size() >= connections_max_) {
    asio::post(io_, [self = shared_from_this(), id, to] {
      if (self->stopped_) return;
      self->OnStreamClosed(id, absl::ResourceExhaustedError(absl::StrCat(
                                   "dial tcp ", to.ToString(), ": too many connections")));
    });
    return;
  }
  AddStream(asio::ip::tcp::socket(io_), id, to)->Dial(sockets_.zone);
}

inline std::shared_ptr<TcpStream> Driver::AddStream(asio::ip::tcp::socket socket, swim::StreamId id,
                                                    const Endpoint& peer) {
  StreamSink& sink = *this;
  auto stream = std::make_shared<TcpStream>(std::move(socket), id, peer,
                                            serf_->config().swim.tcp_timeout, sink);
  streams_.emplace(id, stream);
  return stream;
}

// Posted, because a broken network could otherwise keep this thread busy without end: the machine
// would answer a report with another datagram that fails.
inline void Driver::ReportRefused() {
  if (refused_posted_) return;
  refused_posted_ = true;
  asio::post(io_, [self = shared_from_this()] {
    self->refused_posted_ = false;
    const std::vector<Endpoint> refused = std::exchange(self->refused_, {});
    if (self->stopped_) return;
    const Instant now = Now();
    for (const Endpoint& to : refused) self->serf_->OnDatagramFailed(now, to, self->out_);
    self->Flush();
  });
}

inline void Driver::ArmTimer() {
  const Instant deadline = stopped_ ? kNever : serf_->NextDeadline();
  if (deadline == armed_) return;
  armed_ = deadline;
  if (deadline == kNever) {
    timer_.cancel();
    return;
  }
  timer_.expires_at(ToSteadyTime(deadline));
  timer_.async_wait([self = shared_from_this(), deadline](const ErrorCode& error) {
    // The wait may have ended without an error just before a new one replaced it.
    if (!error && !self->stopped_ && self->armed_ == deadline) self->OnTimer();
  });
}

inline void Driver::OnTimer() {
  armed_ = kNever;
  serf_->OnTimer(Now(), out_);
  Flush();
}

inline void Driver::OnStreamConnected(swim::StreamId stream) {
  serf_->OnStreamConnected(Now(), stream, out_);
  Flush();
}

inline void Driver::OnStreamBytes(swim::StreamId stream, ByteView bytes) {
  serf_->OnStreamBytes(Now(), stream, bytes, out_);
  Flush();
}

inline void Driver::OnStreamClosed(swim::StreamId stream, const absl::Status& reason) {
  serf_->OnStreamClosed(Now(), stream, reason, out_);
  Flush();
}

inline MutableByteView Driver::ReadBuffer() {
  // Not value-initialized: pages that are not needed are not touched.
  if (read_buffer_ == nullptr) read_buffer_.reset(new std::array<std::uint8_t, kReadSize>);
  return *read_buffer_;
}

}  // namespace serf::transport

#endif  // SERF_TRANSPORT_DRIVER_H_
