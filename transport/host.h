#ifndef SERF_TRANSPORT_HOST_H_
#define SERF_TRANSPORT_HOST_H_

// Host: a member of a Serf cluster in this process: the machine serf::Serf with sockets and a
// clock, on the application's io_context.
//
//   asio::io_context io;
//   HostOptions options;
//   options.config = Config::Lan();
//   options.config.swim.name = "web-1";
//   options.on_event = [](const Event& event) { ... };
//   absl::StatusOr<std::unique_ptr<Host>> host = Host::Create(io, std::move(options));
//   (*host)->Start();
//   (*host)->AsyncJoin({"10.0.0.1"}, false, [](absl::Status status, JoinOutcome outcome) { ... });
//   io.run();
//
// Threads: one thread runs the io_context, which must outlive the Host. All methods may be called
// from any thread, at any time, except serf(). `on_event` and plain callbacks are called on the
// io_context's thread, must not throw, and may do anything with the Host, its destruction included.
// Each Async... function takes an Asio completion token: a callback, asio::use_future,
// asio::use_awaitable, ... A handler with an executor of its own is called there.
// transport/example_test.cc is a whole program.

#include <algorithm>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/executor_work_guard.hpp>
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
#include "serf/coordinate_tracker.h"
#include "serf/event.h"
#include "serf/keys.h"
#include "serf/member.h"
#include "serf/outbox.h"
#include "serf/query.h"
#include "serf/serf.h"
#include "serf/tags.h"
#include "serf/transport/asio.h"
#include "serf/transport/bound_pair.h"
#include "serf/transport/driver.h"
#include "serf/transport/entropy.h"
#include "serf/transport/interfaces.h"
#include "serf/transport/snapshot_file.h"
#include "serf/transport/snapshot_file_system.h"
#include "serf/transport/snapshot_file_writer.h"
#include "serf/wire/aead.h"
#include "serf/wire/openssl_aead.h"

namespace serf::transport {

struct HostOptions {
  // The Host fills in what it knows: config.swim.advertise, default_port, and, where they are not
  // set, seed and, with a keyring, aead and nonces; and config.snapshot. config.swim.logger must
  // live as long as the io_context runs, since the end of a Host takes effect there.
  Config config;
  // Port 0: any free one. An unspecified address means all, IPv4 and IPv6.
  Endpoint bind = {IpAddress(), 7946};
  // What others are told, if not what is bound; port 0 is the bound one. Without it and with a
  // wildcard bound, it is the first private address of the host's interfaces.
  std::optional<Endpoint> advertise;
  // A file from which the node, restarted, learns whom it knew, whom it then asks to let it in
  // again, and where its clocks were. Empty: none.
  std::string snapshot_path;
  // To ask them also after it left on purpose.
  bool rejoin_after_leave = false;
  // TCP connections at once, of which a quarter is for dialling; each has a descriptor. At least
  // four.
  std::size_t connections_max = kConnectionsMax;
  // Each event, in the order of the state changes.
  std::function<void(const Event&)> on_event;
  // Writes the keyring to a file, primary key first, after each change; an error is told to the
  // node that asked for the change. Null: changes last as long as the process. It and save_tags are
  // called on a thread of their own, one call after the other, so that a slow disk holds nobody up;
  // the end of a Host waits for them, but not for ever, so they own what they use.
  std::function<absl::Status(std::span<const wire::Keyring::Key>)> save_keyring;
  // Writes the tags to a file, before each change of them; after an error the change is refused.
  // Null: changes last as long as the process.
  std::function<absl::Status(const Tags&)> save_tags;
  // The Host has shut down by itself: another node has its name.
  std::function<void()> on_shutdown;
};

// How a join ended.
struct JoinOutcome {
  int contacted = 0;                // targets that answered
  std::vector<std::string> errors;  // one text for each entry or target that did not
};

class Host {
 public:
  // Reads the snapshot, and opens the sockets, which queue what comes until Start(). Errors have
  // the texts of spec/agent.md 2.5: "Failed to setup snapshot: ...", "Failed to create memberlist:
  // ...".
  static absl::StatusOr<std::unique_ptr<Host>> Create(asio::io_context& io, HostOptions options);
  // As Shutdown(); and no event is told after it, if it is called where the io_context runs.
  ~Host() {
    driver_->Silence();
    Shutdown();
  }
  Host(const Host&) = delete;
  Host& operator=(const Host&) = delete;

  // Announces the node. Before any request.
  void Start();

  // Push/pulls with each address: "[NODE/]HOST[:PORT]", an IP address or a name, all addresses of
  // which are tried, a few at a time. Without a port: the one that is bound here. OK if one
  // answered, or if there were none. `ignore_old` drops user events that are older than the join.
  // Handler: void(absl::Status, JoinOutcome).
  template <typename Token>
  auto AsyncJoin(std::vector<std::string> addresses, bool ignore_old, Token&& token) {
    return AsyncJoin(NewJoin(), std::move(addresses), ignore_old, std::forward<Token>(token));
  }

  // The same, for a join that may be cancelled: `join` is of NewJoin(), and of no other join.
  template <typename Token>
  auto AsyncJoin(JoinId join, std::vector<std::string> addresses, bool ignore_old, Token&& token);
  JoinId NewJoin() { return driver_->NewJoin(); }

  // Leaves out what has not begun of a join, which ends when the rest has. Nothing if it has ended.
  // Takes effect once the io_context runs.
  void CancelJoin(JoinId join);

  // Leaves the cluster. The Host still runs, as a member that left; Shutdown() follows.
  // Handler: void(absl::Status).
  template <typename Token>
  auto AsyncLeave(Token&& token);

  // Turns a failed member into one that left; `prune` also forgets it.
  // Handler: void(absl::Status).
  template <typename Token>
  auto AsyncForceLeave(std::string name, bool prune, Token&& token);

  // Replaces the own tags and announces them. Changes are made one after the other.
  // Handler: void(absl::Status).
  template <typename Token>
  auto AsyncSetTags(Tags tags, Token&& token);

  // The same of some of them: `change` gets those that all changes before it left, and is called
  // once, on the io_context's thread.
  template <typename Token>
  auto AsyncChangeTags(std::function<void(Tags&)> change, Token&& token);

  // Tells all nodes, this one too; `coalesce` lets each merge it with others of that name. Error:
  // it is too large. Handler: void(absl::Status).
  template <typename Token>
  auto AsyncUserEvent(std::string name, std::string payload, bool coalesce, Token&& token);

  // Answers a query that a QueryEvent told of, once. Errors: it is too large, too late or was
  // answered. Handler: void(absl::Status).
  template <typename Token>
  auto AsyncRespond(QueryId query, std::string payload, Token&& token);

  // Asks the cluster, this node too. `on_update` is called with each answer, and last with kDone;
  // it may come before a handler that has an executor of its own. Handler:
  // void(absl::StatusOr<QueryId>), when the query is under way. Errors: it is too large, has a
  // negative timeout, or too many run.
  template <typename Token>
  auto AsyncQuery(std::string name, std::string payload, QueryParams params,
                  std::function<void(const QueryUpdate&)> on_update, Token&& token);

  // Ends an own query before its time: kDone comes next, and what still comes in answer to it is
  // dropped. Nothing if it has ended. Takes effect once the io_context runs.
  void CancelQuery(QueryId query);

  // Installs, uses, removes or lists keys on all nodes. The key has 16, 24 or 32 bytes; none for
  // kList. OK if all nodes did it; the outcome tells more in every case.
  // Handler: void(absl::Status, KeyOutcome).
  template <typename Token>
  auto AsyncManageKeys(KeyOperation operation, ByteVector key, std::uint8_t relay_factor,
                       Token&& token);

  // All members, sorted by name; also after Shutdown().
  // Handler: void(std::vector<Member>).
  template <typename Token>
  auto AsyncMembers(Token&& token);

  // What a member, or this node, last told of its network coordinate; nothing if it never did, or
  // coordinates are disabled. Handler: void(std::optional<Coordinate>).
  template <typename Token>
  auto AsyncCoordinate(std::string name, Token&& token);

  // Serf::Stats(); also after Shutdown().
  // Handler: void(std::map<std::string, std::string>).
  template <typename Token>
  auto AsyncStats(Token&& token);

  // Calls work(may_go_on) on another thread, one after the other and behind all else of this host,
  // for what would hold up the io_context's. It had better end when may_go_on() is false: it has
  // had 10 s of the processor, or the Host shuts down. Handler: void(bool), false if work was not
  // called: too much waits, or the Host has shut down.
  template <typename Token>
  auto AsyncAside(std::function<void(const std::function<bool()>&)> work, Token&& token);

  // Closes the sockets without telling others, who find out by probing. Requests under way complete
  // as cancelled. Takes effect once the io_context runs; a second call does nothing.
  void Shutdown();

  // What is bound, with its port, and what others are told.
  const Endpoint& local() const { return local_; }
  const Endpoint& advertise() const { return advertise_; }

  // The machine's views. On the io_context's thread only.
  const Serf& serf() const { return driver_->serf(); }
  // The socket's counters. On the io_context's thread only.
  const UdpSocket::Counters& udp_counters() const { return driver_->udp().counters(); }

 private:
  // Calls a completion handler on its executor, and counts as work there until then.
  template <typename Handler>
  class Completer {
   public:
    Completer(Handler handler, asio::io_context& io)
        : work_(asio::make_work_guard(handler, io.get_executor())), handler_(std::move(handler)) {}

    template <typename... Args>
    void operator()(Args... args) {
      auto work = std::move(work_);
      asio::dispatch(work.get_executor(),
                     [handler = std::move(handler_), ... args = std::move(args)]() mutable {
                       std::move(handler)(std::move(args)...);
                     });
    }

   private:
    asio::executor_work_guard<asio::associated_executor_t<Handler, asio::io_context::executor_type>>
        work_;
    Handler handler_;
  };

  Host(std::shared_ptr<Driver> driver, const Endpoint& local, const Endpoint& advertise)
      : driver_(std::move(driver)), local_(local), advertise_(advertise) {}

  // Runs run(driver, complete) on the io_context's thread, where complete(args...) is to be called
  // once, with the arguments of Signature.
  template <typename Signature, typename Token, typename Run>
  auto Initiate(Token& token, Run run);
  // The same for a request that ends with nothing but a status: request(serf, now, id, out).
  template <typename Token, typename Request>
  auto InitiateRequest(Token& token, Request request);

  const std::shared_ptr<Driver> driver_;
  const Endpoint local_;
  const Endpoint advertise_;
};

// --- bodies ---

inline absl::StatusOr<std::unique_ptr<Host>> Host::Create(asio::io_context& io,
                                                          HostOptions options) {
  swim::Config& swim = options.config.swim;
  if (swim.seed == 0) swim.seed = RandomSeed();
  if (swim.keyring != nullptr) {
    if (swim.aead == nullptr) swim.aead = std::make_shared<wire::OpensslAead>();
    if (swim.nonces == nullptr) swim.nonces = std::make_shared<RandomNonces>();
  }
  if (absl::Status status = options.config.Validate(); !status.ok()) return status;

  SnapshotStore snapshot;
  if (!options.snapshot_path.empty()) {
    snapshot.system = std::make_unique<PosixSnapshotFileSystem>();
    absl::StatusOr<SnapshotFile::Opened> opened = SnapshotFile::Open(
        *snapshot.system, options.snapshot_path, options.rejoin_after_leave, swim.logger);
    if (!opened.ok()) {
      return absl::Status(
          opened.status().code(),
          absl::StrCat("Failed to setup snapshot: ", absl::string_view(opened.status().message())));
    }
    options.config.snapshot = std::move(opened->state);
    snapshot.file = std::move(opened->file);
  }

  const auto failed = [](const absl::Status& status) {
    return absl::Status(status.code(), absl::StrCat("Failed to create memberlist: ",
                                                    absl::string_view(status.message())));
  };
  absl::StatusOr<BoundPair> sockets = OpenBoundPair(io, options.bind, swim.logger);
  if (!sockets.ok()) return failed(sockets.status());
  const Endpoint local = sockets->local();

  std::optional<IpAddress> private_address;
  if (local.address.is_unspecified() && !options.advertise) {
    private_address = PickPrivateAddress(ListInterfaceAddresses(), DefaultInterface());
  }
  const std::optional<Endpoint> advertise =
      ChooseAdvertise(local, options.advertise, private_address);
  if (!advertise) {
    return failed(absl::NotFoundError(
        "Failed to get final advertise address: No private IP address found, and explicit IP not "
        "provided"));
  }
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

template <typename Signature, typename Token, typename Run>
auto Host::Initiate(Token& token, Run run) {
  return asio::async_initiate<Token, Signature>(
      [](auto handler, std::shared_ptr<Driver> driver, Run what) {
        asio::io_context& io = driver->io();
        Completer<decltype(handler)> complete(std::move(handler), io);
        asio::post(
            io, [driver = std::move(driver), what = std::move(what),
                 complete = std::move(complete)]() mutable { what(*driver, std::move(complete)); });
      },
      token, driver_, std::move(run));
}

template <typename Token, typename Request>
auto Host::InitiateRequest(Token& token, Request request) {
  return Initiate<void(absl::Status)>(
      token, [request = std::move(request)](Driver& driver, auto complete) mutable {
        driver.Execute(std::move(request),
                       [complete = std::move(complete)](const Completion& completion) mutable {
                         complete(completion.status);
                       });
      });
}

template <typename Token>
auto Host::AsyncJoin(JoinId join, std::vector<std::string> addresses, bool ignore_old,
                     Token&& token) {
  return Initiate<void(absl::Status, JoinOutcome)>(token, [join, addresses = std::move(addresses),
                                                           ignore_old](Driver& driver,
                                                                       auto complete) mutable {
    driver.Join(join, std::move(addresses), ignore_old,
                [complete = std::move(complete)](const Completion& completion) mutable {
                  complete(completion.status, JoinOutcome{completion.contacted, completion.errors});
                });
  });
}

template <typename Token>
auto Host::AsyncLeave(Token&& token) {
  return InitiateRequest(
      token, [](Serf& serf, Instant now, RequestId id, Outbox& out) { serf.Leave(now, id, out); });
}

template <typename Token>
auto Host::AsyncForceLeave(std::string name, bool prune, Token&& token) {
  return InitiateRequest(
      token, [name = std::move(name), prune](Serf& serf, Instant now, RequestId id, Outbox& out) {
        serf.RemoveFailedNode(now, id, name, prune, out);
      });
}

template <typename Token>
auto Host::AsyncSetTags(Tags tags, Token&& token) {
  return AsyncChangeTags([tags = std::move(tags)](Tags& all) { all = tags; },
                         std::forward<Token>(token));
}

template <typename Token>
auto Host::AsyncChangeTags(std::function<void(Tags&)> change, Token&& token) {
  return Initiate<void(absl::Status)>(
      token, [change = std::move(change)](Driver& driver, auto complete) mutable {
        driver.ChangeTags(std::move(change),
                          [complete = std::move(complete)](const Completion& completion) mutable {
                            complete(completion.status);
                          });
      });
}

template <typename Token>
auto Host::AsyncUserEvent(std::string name, std::string payload, bool coalesce, Token&& token) {
  return InitiateRequest(token, [name = std::move(name), payload = std::move(payload), coalesce](
                                    Serf& serf, Instant now, RequestId id, Outbox& out) {
    absl::Status status = serf.SendUserEvent(now, name, payload, coalesce, out);
    out.Complete({id, std::move(status), 0, {}});
  });
}

template <typename Token>
auto Host::AsyncRespond(QueryId query, std::string payload, Token&& token) {
  return InitiateRequest(token, [query, payload = std::move(payload)](Serf& serf, Instant now,
                                                                      RequestId id, Outbox& out) {
    absl::Status status = serf.Respond(now, query, payload, out);
    out.Complete({id, std::move(status), 0, {}});
  });
}

template <typename Token>
auto Host::AsyncQuery(std::string name, std::string payload, QueryParams params,
                      std::function<void(const QueryUpdate&)> on_update, Token&& token) {
  return Initiate<void(absl::StatusOr<QueryId>)>(
      token, [name = std::move(name), payload = std::move(payload), params = std::move(params),
              on_update = std::move(on_update)](Driver& driver, auto complete) mutable {
        driver.Query(name, payload, params, std::move(on_update),
                     [complete = std::move(complete)](absl::StatusOr<QueryId> query) mutable {
                       complete(std::move(query));
                     });
      });
}

template <typename Token>
auto Host::AsyncManageKeys(KeyOperation operation, ByteVector key, std::uint8_t relay_factor,
                           Token&& token) {
  return Initiate<void(absl::Status, KeyOutcome)>(token, [operation, key = std::move(key),
                                                          relay_factor](Driver& driver,
                                                                        auto complete) mutable {
    driver.Execute(
        [operation, key = std::move(key), relay_factor](Serf& serf, Instant now, RequestId id,
                                                        Outbox& out) {
          serf.ManageKeys(now, id, operation, key, relay_factor, out);
        },
        [complete = std::move(complete)](const Completion& completion) mutable {
          complete(completion.status, completion.keys != nullptr ? *completion.keys : KeyOutcome());
        });
  });
}

template <typename Token>
auto Host::AsyncAside(std::function<void(const std::function<bool()>&)> work, Token&& token) {
  return Initiate<void(bool)>(
      token, [work = std::move(work)](Driver& driver, auto complete) mutable {
        driver.RunAside(std::move(work),
                        [complete = std::move(complete)](bool ran) mutable { complete(ran); });
      });
}

template <typename Token>
auto Host::AsyncMembers(Token&& token) {
  return Initiate<void(std::vector<Member>)>(
      token, [](Driver& driver, auto complete) { complete(driver.serf().Members()); });
}

template <typename Token>
auto Host::AsyncCoordinate(std::string name, Token&& token) {
  return Initiate<void(std::optional<Coordinate>)>(
      token, [name = std::move(name)](Driver& driver, auto complete) {
        const CoordinateTracker* const tracker = driver.serf().coordinates();
        const Coordinate* const found = tracker != nullptr ? tracker->Find(name) : nullptr;
        complete(found != nullptr ? std::optional<Coordinate>(*found) : std::nullopt);
      });
}

template <typename Token>
auto Host::AsyncStats(Token&& token) {
  return Initiate<void(std::map<std::string, std::string>)>(
      token, [](Driver& driver, auto complete) { complete(driver.serf().Stats()); });
}

}  // namespace serf::transport

#endif  // SERF_TRANSPORT_HOST_H_
