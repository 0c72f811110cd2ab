// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_TRANSPORT_HOST_H_
#define SERF_TRANSPORT_HOST_H_

// Host: a member of a Serf cluster in this process. It runs the machine serf::Serf with real
// sockets and a real clock on the application's io_context.
//
//   asio::io_context io;
//   HostOptions options;
//   options.config = Config::Lan();
//   options.config.swim.name = "web-1";
//   options.on_event = [](const Event& event) { ... };
//   absl::StatusOr<std::unique_ptr<Host>> host = Host::Create(io, std::move(options));
//   (*host)->Start();
//   (*host)->AsyncJoin({"10.0.0.1"}, {}, [](const JoinResult& result) { ... });
//   io.run();
//
// Do not use a Host to talk to an agent that runs in another process: rpc::Client does that. Do not
// use it in a test that needs many nodes or virtual time: testing/sim/world.h does that.
//
// Threads: exactly one thread runs the io_context. The io_context must outlive the Host. Any thread
// may call any method at any time, except serf() and udp_counters(). The Host calls `on_event` and
// plain callbacks on the io_context's thread. They must not throw and must not block, since the
// node answers no probe meanwhile. They may call any method of the Host, and may destroy it.
//
// Completion: each Async... function takes an Asio completion token: a callback, asio::use_future,
// asio::use_awaitable, ... It returns at once, and the handler runs exactly once, never from within
// the call. A handler with an executor of its own runs there. If the io_context ends first,
// handlers do not run; it destroys them.
//
// Cancellation: a handler may have an Asio cancellation slot, as a coroutine has that waits for the
// first of two things (`||`). A request whose slot is asked, with any type of cancellation, ends at
// once with Cancelled. Its work continues without it, except for a join, which does what
// CancelJoin() does. AsyncMembers(), AsyncCoordinate(), AsyncStats() and AsyncAside() take no
// notice.
//
// Errors: a request before Start() ends with FailedPrecondition. A request that a Shutdown()
// interrupts, or that comes after it, ends with Cancelled, or with FailedPrecondition for a join
// and a leave. Unless a function says otherwise, a request that ends with an error has changed
// nothing.
//
// transport/example_test.cc is a whole program.

#include <algorithm>
#include <boost/asio/async_result.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "serf/base/bytes.h"
#include "serf/base/endpoint.h"
#include "serf/base/logger.h"
#include "serf/base/time.h"
#include "serf/config.h"
#include "serf/coordinate.h"
#include "serf/coordinates/coordinate_tracker.h"
#include "serf/event.h"
#include "serf/join.h"
#include "serf/keys.h"
#include "serf/member.h"
#include "serf/member_listing.h"
#include "serf/outbox.h"
#include "serf/query.h"
#include "serf/serf.h"
#include "serf/tags.h"
#include "serf/transport/bound_pair.h"
#include "serf/transport/completer.h"
#include "serf/transport/driver.h"
#include "serf/transport/entropy.h"
#include "serf/transport/interfaces.h"
#include "serf/transport/net/asio.h"
#include "serf/transport/net/zone.h"
#include "serf/transport/snapshot_file.h"
#include "serf/transport/snapshot_file_system.h"
#include "serf/transport/snapshot_file_writer.h"
#include "serf/wire/aead.h"
#include "serf/wire/openssl_aead.h"

namespace serf::transport {

struct HostOptions {
  // The configuration of the node; serf/config.h describes each field. Host::Create() overwrites
  // config.swim.advertise, config.swim.default_port, config.keyring_is_saved and, with a
  // `snapshot_path`, config.snapshot. It fills in config.swim.seed if that is zero, and with a
  // keyring config.swim.aead and config.swim.nonces if they are null. The logger,
  // config.swim.logger, must live as long as the io_context runs, because a Host finishes its work
  // there after its destruction.
  Config config;
  // The address and port of the UDP socket and of the TCP listener. Port 0 takes any port that is
  // free for both. An unspecified address listens on all addresses, IPv4 and IPv6.
  Endpoint bind = {IpAddress(), 7946};
  // The interface of a link-local IPv6 address in `bind`. All members are then on its link.
  // Default: none.
  names::Zone zone = 0;
  // The address and port that this node announces to the other members. Default: what is bound.
  // With an unspecified address bound, the default is the first private address of this machine's
  // interfaces (PickPrivateAddress). Port 0 stands for the port that is bound. Set it behind
  // address translation: the other members must be able to reach it by UDP and by TCP.
  std::optional<Endpoint> advertise;
  // The path of the snapshot file; empty: no snapshot. The node records in it the members that it
  // knows and its Lamport clocks. After a restart the node contacts those members to join the
  // cluster again, and does not deliver user events and queries that it has delivered before. Two
  // nodes must not share a file.
  std::string snapshot_path;
  // Whether the node joins again after a restart even if it had left the cluster on purpose.
  bool rejoin_after_leave = false;
  // Most TCP connections at once; each takes a file descriptor. A quarter is reserved for
  // connections that this node dials, so that peers cannot take all. A value below four counts as
  // four.
  std::size_t connections_max = kConnectionsMax;
  // Receives each event, in the order of the state changes. The reference is valid during the call.
  // For example:
  //
  //   options.on_event = [](const Event& event) {
  //     if (const auto* user = std::get_if<UserEvent>(&event)) Deploy(user->payload);
  //   };
  std::function<void(const Event&)> on_event;
  // Writes the keyring to a file after each change; the primary key comes first. If it returns an
  // error, this node undoes the change, and reports the error to the node that asked for it. Null:
  // a change of the keyring lasts as long as the process.
  //
  // The Host calls `save_keyring` and `save_tags` on a thread of their own, one call after the
  // other, so a slow disk does not delay the node. A Host that ends waits for them for up to five
  // seconds. A call may therefore outlive the Host: the functions must own what they use.
  std::function<absl::Status(std::span<const wire::Keyring::Key>)> save_keyring;
  // Writes the tags to a file before each change of them. If it returns an error, the change is
  // refused with that error. Null: a change of the tags lasts as long as the process. Example:
  //
  //   options.save_tags = [path](const Tags& tags) { return WriteTagsFile(path, tags); };
  std::function<absl::Status(const Tags&)> save_tags;
  // The Host has shut down by itself, because another node has its name and won the vote
  // (docs/protocol/serf.md 8.1). The Host calls it once, after the last event.
  std::function<void()> on_shutdown;
};

class Host {
 public:
  // AsyncMembers() sorts and copies up to so many members on the io_context's thread.
  static constexpr std::size_t kMembersAtOnceMax = 1024;

  // Makes a Host: validates the options, reads the snapshot and opens the sockets. The sockets
  // queue what arrives before Start(). Blocks while it reads the snapshot. After an error nothing
  // stays open.
  //
  // * InvalidArgument: the configuration, as Config::Validate() reports it.
  // * "Failed to setup snapshot: ...": the file cannot be opened or read.
  // * "Failed to create memberlist: ...": the address is not free or not of this machine, or no
  // address to announce was found (NotFound).
  //
  // The texts are those of docs/protocol/agent.md 2.5.
  static absl::StatusOr<std::unique_ptr<Host>> Create(asio::io_context& io, HostOptions options);
  // Returns the error that Create() would return, as far as it shows without opening the sockets
  // and reading the snapshot. It opens the snapshot's file, and makes it for a moment.
  static absl::Status Check(HostOptions options);
  // Does what Shutdown() does. If the io_context's thread destroys the Host, `on_event` is not
  // called again. If another thread does, one call may still be under way.
  ~Host() {
    driver_->Silence();
    Shutdown();
  }
  Host(const Host&) = delete;
  Host& operator=(const Host&) = delete;

  // Starts the node: it announces itself, and an event for its own join follows. Call it once,
  // before any request.
  void Start();

  // Joins the cluster through known members: exchanges the full state with each address. An address
  // reads "[NODE/]HOST[:PORT]"; HOST is an IP address or a name. The Host resolves a name without
  // blocking, and tries all of its addresses, a few at a time. Without a port it uses the port that
  // is bound here. One member that answers is enough to reach the whole cluster.
  //
  // The status of the result is OK if at least one address answered, or if `addresses` is empty.
  // Errors: Unavailable, if no address answered; its text lists all reasons. FailedPrecondition,
  // after AsyncLeave() or Shutdown().
  //
  // Handler: void(JoinResult).
  template <typename Token>
  auto AsyncJoin(std::vector<std::string> addresses, JoinOptions options, Token&& token) {
    return AsyncJoin(NewJoin(), std::move(addresses), options, std::forward<Token>(token));
  }

  // The same, for a join that CancelJoin() can end. `join` comes from NewJoin(), and serves for one
  // join only.
  template <typename Token>
  auto AsyncJoin(JoinId join, std::vector<std::string> addresses, JoinOptions options,
                 Token&& token);
  JoinId NewJoin() { return driver_->NewJoin(); }

  // Cancels a join: the Host contacts no further address. The join ends when the contacts that are
  // under way have ended. Does nothing if the join has ended. Takes effect once the io_context
  // runs.
  void CancelJoin(JoinId join);

  // Leaves the cluster: the other members list this node as `left`, not as `failed`, and do not try
  // to reconnect. It takes seconds: the announcement spreads (Config::broadcast_timeout at most),
  // then Config::leave_propagate_delay passes. The Host then still runs, as a member that left;
  // call Shutdown() next. A leave cannot be undone: a node that comes back needs a new Host. Calls
  // while a leave is under way share its result.
  //
  // The status is OK also if the announcement timed out. An error means that the snapshot could not
  // record the leave; the node has left all the same. FailedPrecondition, after Shutdown().
  //
  // Handler: void(absl::Status).
  template <typename Token>
  auto AsyncLeave(Token&& token);

  // Turns the failed member `name` into one that left, on all nodes, so that they stop
  // reconnecting. A member that is alive refutes a
  // force-leave and stays. An unknown name is not an error. DeadlineExceeded: the announcement did
  // not go out within Config::broadcast_timeout; it may still spread.
  //
  // Handler: void(absl::Status).
  template <typename Token>
  auto AsyncForceLeave(std::string name, ForceLeaveOptions options, Token&& token);

  // Replaces all tags of this node and announces them. Changes apply one after the other, in the
  // order of the calls. Errors: InvalidArgument, if the encoded tags exceed wire::kMetaMax (512)
  // bytes; the error of `save_tags`; ResourceExhausted, if too many changes wait. The tags are then
  // unchanged. DeadlineExceeded: the announcement did not go out within Config::broadcast_timeout;
  // the change stays, and spreads with the next push/pull.
  //
  // Handler: void(absl::Status).
  template <typename Token>
  auto AsyncSetTags(Tags tags, Token&& token);

  // The same for some of the tags. `change` receives the tags that all earlier changes left, and
  // edits them in place. It runs once, on the io_context's thread:
  //
  //   host->AsyncUpdateTags([](Tags& tags) { tags["role"] = "db"; }, token);
  template <typename Token>
  auto AsyncUpdateTags(std::function<void(Tags&)> change, Token&& token);

  // Sends a user event to all members, this node included. Delivery is by gossip: a live member
  // very probably receives it, within a second or so, and without confirmation.
  //
  // Error: InvalidArgument, if name and payload, bare or encoded, exceed
  // Config::user_event_size_limit (512 bytes by default) or do not fit into a gossip packet. OK
  // means that the event is queued.
  //
  // Handler: void(absl::Status).
  template <typename Token>
  auto AsyncSendUserEvent(std::string name, std::string payload, UserEventOptions options,
                          Token&& token);

  // Answers the query of a QueryEvent, once. Errors: InvalidArgument, if the encoded answer exceeds
  // Config::query_response_size_limit (1024 bytes by default); the query can still be answered.
  // DeadlineExceeded, after QueryEvent::deadline. AlreadyExists, if it was answered. OK means that
  // the answer is on its way; the asking node does not confirm it.
  //
  // Handler: void(absl::Status).
  template <typename Token>
  auto AsyncRespond(QueryId query, std::string payload, Token&& token);

  // Sends a query to all members that pass the filters of `params`, this node included. The handler
  // runs when the query is under way. `on_update` then receives each acknowledgement and each
  // answer, and last kDone, also if the Host shuts down. The reference is valid during the call. If
  // the handler has an executor of its own, `on_update` may come first.
  //
  // Errors: InvalidArgument, if the encoded query exceeds Config::query_size_limit (1024 bytes by
  // default) or does not fit into a gossip packet, or the timeout is negative. ResourceExhausted,
  // if too many queries run. FailedPrecondition, if Config::protocol_version is below 4. After an
  // error `on_update` is not called.
  //
  // Handler: void(absl::StatusOr<QueryId>).
  template <typename Token>
  auto AsyncSendQuery(std::string name, std::string payload, QueryParams params,
                      std::function<void(const QueryUpdate&)> on_update, Token&& token);

  // Ends a query of this node before its timeout. kDone comes next, and later answers are dropped.
  // Does nothing if the query has ended. Takes effect once the io_context runs.
  void CancelQuery(QueryId query);

  // Installs, uses, removes or lists keys on all members, this node included; see serf/keys.h for
  // how to rotate a key. `key` has 16, 24 or 32 raw bytes; kList ignores it. `relay_factor` is that
  // of QueryParams. Operations that change keys run one after the other.
  //
  // The status of the outcome is OK if all live members did it. Aborted: some reported an error or
  // did not answer; those that answered keep the change, and the outcome names the errors. Others
  // are those of AsyncSendQuery() and leave all keyrings unchanged.
  //
  // Handler: void(KeyOutcome).
  template <typename Token>
  auto AsyncManageKeys(KeyOperation operation, ByteVector key, std::uint8_t relay_factor,
                       Token&& token);

  // Copies of all members in every state, sorted by name; also after Shutdown(). The copy takes
  // milliseconds for tens of thousands of members.
  //
  // Handler: void(std::vector<Member>).
  template <typename Token>
  auto AsyncMembers(Token&& token);

  // The network coordinate that the member `name`, or this node, announced last. Nothing, if it
  // announced none, or if Config::disable_coordinates is set. Distance() of two coordinates
  // estimates a round trip.
  //
  // Handler: void(std::optional<Coordinate>).
  template <typename Token>
  auto AsyncCoordinate(std::string name, Token&& token);

  // The figures of Serf::Stats(), by name; also after Shutdown() (docs/protocol/serf.md 13.2).
  //
  // Handler: void(std::map<std::string, std::string>).
  template <typename Token>
  auto AsyncStats(Token&& token);

  // Calls work(may_go_on) on another thread: for work that would block the io_context's thread.
  // Calls run one after the other. `work` should return when may_go_on() is false: it has used 10 s
  // of processor time, or the Host shuts down. A shutdown waits for it.
  //
  // Handler: void(bool); false if `work` was not called, because too much waits or the Host has
  // shut down.
  template <typename Token>
  auto AsyncAside(std::function<void(const std::function<bool()>&)> work, Token&& token);

  // Closes the sockets without an announcement. The other members find out by probing, and report
  // this node as failed; AsyncLeave() comes first where that is not wanted. Requests under way end
  // as the top of this file says. The io_context's thread then waits up to five seconds for the
  // disk, so that the snapshot is complete. Takes effect once the io_context runs. A second call
  // does nothing.
  void Shutdown();

  // The address that is bound, with its port, and the address that this node announces. Both stay
  // as they are.
  const Endpoint& local() const { return local_; }
  const Endpoint& advertise() const { return advertise_; }

  // The machine, for its views. Call it on the io_context's thread only. References into it are
  // valid until the io_context's next handler.
  const Serf& serf() const { return driver_->serf(); }
  // The counters of the UDP socket. Call it on the io_context's thread only.
  const UdpSocket::Counters& udp_counters() const { return driver_->udp().counters(); }

 private:
  static constexpr absl::string_view kSnapshotFailed = "Failed to setup snapshot: ";
  static constexpr absl::string_view kNetworkFailed = "Failed to create memberlist: ";

  static absl::Status Failed(absl::string_view what, const absl::Status& status) {
    return absl::Status(status.code(), absl::StrCat(what, absl::string_view(status.message())));
  }
  static absl::Status CompleteConfig(Config& config);
  // The address to announce for one that is bound, and for what the options say.
  static absl::StatusOr<Endpoint> FindAdvertise(const Endpoint& local,
                                                const std::optional<Endpoint>& told);

  Host(std::shared_ptr<Driver> driver, const Endpoint& local, const Endpoint& advertise)
      : driver_(std::move(driver)), local_(local), advertise_(advertise) {}

  // What a cancelled request ends with; nothing for results that cannot say so.
  template <typename Result>
  static std::optional<Result> Cancelled();

  // Calls run(driver, complete) on the io_context's thread. `run` must see to it that
  // complete(result) is called. A cancelled request ends at once, and takes the rest of `join` with
  // it if it is one.
  template <typename Result, typename Token, typename Run>
  auto Initiate(Token&& token, Run run, JoinId join = JoinId());
  // The same for a request that ends with a status only: request(serf, now, id, out).
  template <typename Token, typename Request>
  auto InitiateRequest(Token&& token, Request request);

  const std::shared_ptr<Driver> driver_;
  const Endpoint local_;
  const Endpoint advertise_;
};

// --- bodies ---

inline absl::StatusOr<std::unique_ptr<Host>> Host::Create(asio::io_context& io,
                                                          HostOptions options) {
  swim::Config& swim = options.config.swim;
  if (absl::Status status = CompleteConfig(options.config); !status.ok()) return status;

  SnapshotStore snapshot;
  if (!options.snapshot_path.empty()) {
    snapshot.system = std::make_unique<PosixSnapshotFileSystem>();
    absl::StatusOr<SnapshotFile::Opened> opened = SnapshotFile::Open(
        *snapshot.system, options.snapshot_path, options.rejoin_after_leave, swim.logger);
    if (!opened.ok()) return Failed(kSnapshotFailed, opened.status());
    options.config.snapshot = std::move(opened->state);
    snapshot.file = std::move(opened->file);
  }

  absl::StatusOr<BoundPair> sockets = OpenBoundPair(io, options.bind, swim.logger, options.zone);
  if (!sockets.ok()) return Failed(kNetworkFailed, sockets.status());
  const Endpoint local = sockets->local();

  const absl::StatusOr<Endpoint> advertise = FindAdvertise(local, options.advertise);
  if (!advertise.ok()) return Failed(kNetworkFailed, advertise.status());
  const bool encrypted = swim.keyring != nullptr && !swim.keyring->empty();
  if (!encrypted && !IsSpecialPurpose(advertise->address)) {
    Log(swim.logger, LogLevel::kWarn, "memberlist: Binding to public address without encryption!");
  }
  options.config.keyring_is_saved = options.save_keyring != nullptr;
  swim.advertise = *advertise;
  swim.default_port = local.port;

  absl::StatusOr<std::unique_ptr<Serf>> serf = Serf::Create(std::move(options.config));
  if (!serf.ok()) return serf.status();
  auto driver = std::make_shared<Driver>(
      io, std::move(*sockets), std::move(*serf), std::move(snapshot),
      Driver::Callbacks{std::move(options.on_event), std::move(options.save_keyring),
                        std::move(options.save_tags), std::move(options.on_shutdown)},
      std::max(options.connections_max, kConnectionsMin));
  return std::unique_ptr<Host>(new Host(std::move(driver), local, *advertise));
}

inline absl::Status Host::Check(HostOptions options) {
  swim::Config& swim = options.config.swim;
  if (absl::Status status = CompleteConfig(options.config); !status.ok()) return status;
  if (!options.snapshot_path.empty()) {
    PosixSnapshotFileSystem system;
    const absl::Status opens = SnapshotFile::Check(system, options.snapshot_path);
    if (!opens.ok()) return Failed(kSnapshotFailed, opens);
  }
  const absl::StatusOr<Endpoint> advertise = FindAdvertise(options.bind, options.advertise);
  if (!advertise.ok()) return Failed(kNetworkFailed, advertise.status());
  swim.advertise = *advertise;
  return options.config.Validate();
}

inline absl::Status Host::CompleteConfig(Config& config) {
  swim::Config& swim = config.swim;
  if (swim.seed == 0) swim.seed = RandomSeed();
  if (swim.keyring != nullptr) {
    if (swim.aead == nullptr) swim.aead = std::make_shared<wire::OpensslAead>();
    if (swim.nonces == nullptr) swim.nonces = std::make_shared<RandomNonces>();
  }
  return config.Validate();
}

inline absl::StatusOr<Endpoint> Host::FindAdvertise(const Endpoint& local,
                                                    const std::optional<Endpoint>& told) {
  std::optional<IpAddress> private_address;
  if (local.address.is_unspecified() && !told) {
    private_address = PickPrivateAddress(ListInterfaceAddresses(), DefaultInterface());
  }
  if (const auto advertise = ChooseAdvertise(local, told, private_address)) return *advertise;
  return absl::NotFoundError(
      "Failed to get final advertise address: No private IP address found, and explicit IP not "
      "provided");
}

inline void Host::Start() {
  asio::post(driver_->io(), [driver = driver_] { driver->Start(); });
}

inline void Host::CancelJoin(JoinId join) {
  asio::post(driver_->io(), [driver = driver_, join] { driver->CancelJoin(join); });
}

inline void Host::CancelQuery(QueryId query) {
  asio::post(driver_->io(), [driver = driver_, query] { driver->CancelQuery(query); });
}

inline void Host::Shutdown() {
  asio::post(driver_->io(), [driver = driver_] { driver->Stop(); });
}

template <typename Result>
std::optional<Result> Host::Cancelled() {
  const absl::Status status = absl::CancelledError("the request was cancelled");
  if constexpr (std::is_constructible_v<Result, absl::Status>) {
    return Result(status);
  } else if constexpr (requires(Result result) { result.status = status; }) {
    Result result;
    result.status = status;
    return result;
  }
  return std::nullopt;
}

template <typename Result, typename Token, typename Run>
auto Host::Initiate(Token&& token, Run run, JoinId join) {
  return asio::async_initiate<Token, void(Result)>(
      [](auto handler, std::shared_ptr<Driver> driver, Run what, JoinId id) {
        Completer<decltype(handler), Result> complete(std::move(handler), driver->io());
        if (const std::optional<Result> cancelled = Cancelled<Result>()) {
          complete.OnCancel(
              [weak = std::weak_ptr(driver), result = *cancelled, id](auto& completer) {
                completer(result);
                if (const auto owner = weak.lock(); owner && id != JoinId()) owner->CancelJoin(id);
              });
        }
        asio::post(driver->io(), [driver, what = std::move(what), complete]() mutable {
          what(*driver, std::move(complete));
        });
      },
      token, driver_, std::move(run), join);
}

template <typename Token, typename Request>
auto Host::InitiateRequest(Token&& token, Request request) {
  return Initiate<absl::Status>(
      std::forward<Token>(token),
      [request = std::move(request)](Driver& driver, auto complete) mutable {
        driver.Execute(std::move(request),
                       [complete = std::move(complete)](const Completion& completion) mutable {
                         complete(completion.status);
                       });
      });
}

template <typename Token>
auto Host::AsyncJoin(JoinId join, std::vector<std::string> addresses, JoinOptions options,
                     Token&& token) {
  return Initiate<JoinResult>(
      std::forward<Token>(token),
      [join, addresses = std::move(addresses), options](Driver& driver, auto complete) mutable {
        driver.Join(
            join, std::move(addresses), options,
            [complete = std::move(complete)](const Completion& completion) mutable {
              complete(JoinResult{completion.status, completion.contacted, completion.errors});
            });
      },
      join);
}

template <typename Token>
auto Host::AsyncLeave(Token&& token) {
  return InitiateRequest(std::forward<Token>(token), [](Serf& serf, Instant now, RequestId id,
                                                        Outbox& out) { serf.Leave(now, id, out); });
}

template <typename Token>
auto Host::AsyncForceLeave(std::string name, ForceLeaveOptions options, Token&& token) {
  return InitiateRequest(
      std::forward<Token>(token),
      [name = std::move(name), options](Serf& serf, Instant now, RequestId id, Outbox& out) {
        serf.ForceLeave(now, id, name, options, out);
      });
}

template <typename Token>
auto Host::AsyncSetTags(Tags tags, Token&& token) {
  return AsyncUpdateTags([tags = std::move(tags)](Tags& all) { all = tags; },
                         std::forward<Token>(token));
}

template <typename Token>
auto Host::AsyncUpdateTags(std::function<void(Tags&)> change, Token&& token) {
  return Initiate<absl::Status>(
      std::forward<Token>(token),
      [change = std::move(change)](Driver& driver, auto complete) mutable {
        driver.UpdateTags(std::move(change),
                          [complete = std::move(complete)](const Completion& completion) mutable {
                            complete(completion.status);
                          });
      });
}

template <typename Token>
auto Host::AsyncSendUserEvent(std::string name, std::string payload, UserEventOptions options,
                              Token&& token) {
  return InitiateRequest(
      std::forward<Token>(token), [name = std::move(name), payload = std::move(payload), options](
                                      Serf& serf, Instant now, RequestId id, Outbox& out) {
        absl::Status status = serf.SendUserEvent(now, name, payload, options, out);
        out.Complete({id, std::move(status)});
      });
}

template <typename Token>
auto Host::AsyncRespond(QueryId query, std::string payload, Token&& token) {
  return InitiateRequest(
      std::forward<Token>(token),
      [query, payload = std::move(payload)](Serf& serf, Instant now, RequestId id, Outbox& out) {
        absl::Status status = serf.Respond(now, query, payload, out);
        out.Complete({id, std::move(status)});
      });
}

template <typename Token>
auto Host::AsyncSendQuery(std::string name, std::string payload, QueryParams params,
                          std::function<void(const QueryUpdate&)> on_update, Token&& token) {
  return Initiate<absl::StatusOr<QueryId>>(
      std::forward<Token>(token),
      [name = std::move(name), payload = std::move(payload), params = std::move(params),
       on_update = std::move(on_update)](Driver& driver, auto complete) mutable {
        driver.SendQuery(name, payload, params, std::move(on_update),
                         [complete = std::move(complete)](absl::StatusOr<QueryId> query) mutable {
                           complete(std::move(query));
                         });
      });
}

template <typename Token>
auto Host::AsyncManageKeys(KeyOperation operation, ByteVector key, std::uint8_t relay_factor,
                           Token&& token) {
  return Initiate<KeyOutcome>(
      std::forward<Token>(token),
      [operation, key = std::move(key), relay_factor](Driver& driver, auto complete) mutable {
        driver.Execute(
            [operation, key = std::move(key), relay_factor](Serf& serf, Instant now, RequestId id,
                                                            Outbox& out) {
              serf.ManageKeys(now, id, operation, key, relay_factor, out);
            },
            [complete = std::move(complete)](const Completion& completion) mutable {
              complete(completion.keys != nullptr ? *completion.keys
                                                  : KeyOutcome{.status = completion.status});
            });
      });
}

template <typename Token>
auto Host::AsyncAside(std::function<void(const std::function<bool()>&)> work, Token&& token) {
  return Initiate<bool>(
      std::forward<Token>(token), [work = std::move(work)](Driver& driver, auto complete) mutable {
        driver.RunAside(std::move(work),
                        [complete = std::move(complete)](bool ran) mutable { complete(ran); });
      });
}

template <typename Token>
auto Host::AsyncMembers(Token&& token) {
  return Initiate<std::vector<Member>>(
      std::forward<Token>(token), [](Driver& driver, auto complete) {
        if (driver.serf().member_count() <= kMembersAtOnceMax) {
          return complete(driver.serf().Members());
        }
        // Sorting and copying takes long, so another thread does it, unless too much work waits
        // there.
        auto listing = std::make_shared<const MemberListing>(driver.serf().ListMembers());
        auto members = std::make_shared<std::vector<Member>>();
        driver.RunAside([listing, members](const auto&) { *members = listing->Sorted(); },
                        [listing, members, complete = std::move(complete)](bool ran) mutable {
                          complete(ran ? std::move(*members) : listing->Sorted());
                        });
      });
}

template <typename Token>
auto Host::AsyncCoordinate(std::string name, Token&& token) {
  return Initiate<std::optional<Coordinate>>(
      std::forward<Token>(token), [name = std::move(name)](Driver& driver, auto complete) {
        const CoordinateTracker* const tracker = driver.serf().coordinates();
        const Coordinate* const found = tracker != nullptr ? tracker->Find(name) : nullptr;
        complete(found != nullptr ? std::optional<Coordinate>(*found) : std::nullopt);
      });
}

template <typename Token>
auto Host::AsyncStats(Token&& token) {
  return Initiate<std::map<std::string, std::string>>(
      std::forward<Token>(token),
      [](Driver& driver, auto complete) { complete(driver.serf().Stats()); });
}

}  // namespace serf::transport

#endif  // SERF_TRANSPORT_HOST_H_
