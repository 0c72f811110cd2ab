#ifndef SERF_CMD_DAEMON_AGENT_H_
#define SERF_CMD_DAEMON_AGENT_H_

// Agent: the life of a `serf agent` process: start, banner, joins, signals, end. Source:
// docs/protocol/agent.md 2.1, 2.11, 2.13, 2.15.
//
//   return RunAgent([flags](Duration wait_max) { return LoadConfig(flags, wait_max); }, terminal);

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "boost/asio/io_context.hpp"
#include "boost/asio/post.hpp"
#include "boost/asio/signal_set.hpp"
#include "boost/asio/steady_timer.hpp"
#include "serf/base/endpoint.h"
#include "serf/base/logger.h"
#include "serf/base/rng.h"
#include "serf/base/time.h"
#include "serf/cmd/command.h"
#include "serf/cmd/daemon/agent_addresses.h"
#include "serf/cmd/daemon/agent_config.h"
#include "serf/cmd/daemon/agent_node.h"
#include "serf/cmd/daemon/agent_service.h"
#include "serf/cmd/daemon/memory_footprint.h"
#include "serf/cmd/daemon/retry_delay.h"
#include "serf/cmd/daemon/terminal.h"
#include "serf/cmd/descriptors.h"
#include "serf/cmd/discovery/mdns.h"
#include "serf/cmd/events/event_handlers.h"
#include "serf/cmd/events/event_spec.h"
#include "serf/cmd/events/script_event.h"
#include "serf/cmd/files/file_text.h"
#include "serf/cmd/http/agent_http.h"
#include "serf/cmd/http/health.h"
#include "serf/cmd/http/settings.h"
#include "serf/cmd/signals.h"
#include "serf/cmd/telemetry/agent_metrics.h"
#include "serf/cmd/telemetry/glog_logger.h"
#include "serf/cmd/telemetry/syslog_sink.h"
#include "serf/cmd/text/duration.h"
#include "serf/config.h"
#include "serf/event.h"
#include "serf/member.h"
#include "serf/query.h"
#include "serf/rpc/exposition.h"
#include "serf/rpc/server_io.h"
#include "serf/rpc/service.h"
#include "serf/tags.h"
#include "serf/transport/entropy.h"
#include "serf/transport/host.h"
#include "serf/transport/net/system_names.h"

namespace serf::cmd {

// Reads flags and files. Waits at most `wait_max` for each file that is a FIFO or the like. An
// error's message is the text to print. It owns what it uses: a reload calls it on a thread that
// the agent's end does not wait for.
using ConfigLoader = std::function<absl::StatusOr<AgentConfig>(Duration wait_max)>;

// Runs an agent until its end and returns the exit code. All output goes to `terminal`. Loads the
// configuration at the start, and again at each SIGHUP.
int RunAgent(ConfigLoader load, Terminal& terminal);

namespace agent_internal {

struct LoadedConfig {
  absl::StatusOr<AgentConfig> config;  // an error's message is the text to print
  std::vector<std::string> warnings;
  HttpSettings http;
};

// For a listener at `addr` whose file, if it has one, has `socket_mode`.
inline absl::Status ReadHttp(const AgentConfig& config, std::string addr, std::string socket_mode,
                             Duration wait_max, LoadedConfig& loaded) {
  HttpOptions options = HttpOptionsOf(config);
  options.addr = std::move(addr);
  options.socket_mode = std::move(socket_mode);
  absl::StatusOr<HttpSettings> settings = ReadHttpSettings(options, wait_max, loaded.warnings);
  if (settings.ok()) loaded.http = *std::move(settings);
  return settings.status();
}

// A start waits for a FIFO without limit, as in Go Serf. A reload gives up: a path that was a FIFO
// by mistake is a file at the next SIGHUP, which must not wait behind it.
inline constexpr Duration kReloadWaitMax = std::chrono::seconds(10);

inline LoadedConfig LoadAndComplete(const ConfigLoader& load, Duration wait_max) {
  LoadedConfig loaded{load(wait_max), {}, {}};
  if (!loaded.config.ok()) return loaded;
  const AgentConfig& config = *loaded.config;
  absl::Status complete = CompleteConfig(*loaded.config, loaded.warnings);
  if (complete.ok()) {
    complete = ReadHttp(config, config.http_addr, config.http_socket_mode, wait_max, loaded);
  }
  if (!complete.ok()) loaded.config = std::move(complete);
  return loaded;
}

inline LoadedConfig LoadForReload(const ConfigLoader& load, const Running& running) {
  LoadedConfig loaded = LoadAndComplete(load, kReloadWaitMax);
  if (!loaded.config.ok()) return loaded;
  const AgentConfig& config = *loaded.config;
  absl::Status checked = CheckConfig(config, running);
  // The listener stays where it is, so its rights are those of a listener there.
  const std::string& addr = running.config.http_addr;
  const std::string& mode = running.config.http_socket_mode;
  if (checked.ok() && (addr != config.http_addr || mode != config.http_socket_mode)) {
    checked = ReadHttp(config, addr, mode, kReloadWaitMax, loaded);
  }
  if (!checked.ok()) loaded.config = std::move(checked);
  return loaded;
}

}  // namespace agent_internal

class Agent {
 public:
  Agent(AgentConfig config, HttpSettings http, ConfigLoader load, Terminal& terminal,
        GlogLogger& logger)
      : config_(std::move(config)),
        http_settings_(std::move(http)),
        load_(std::move(load)),
        terminal_(terminal),
        logger_(logger),
        metrics_(io_, config_.statsd_addr, config_.statsite_addr) {
    handlers_.set_on_invoked([this](const std::string& command, Duration duration) {
      metrics_.OnInvoked(command, duration);
    });
  }

  ~Agent() { logger_.set_listener(nullptr); }

  Agent(const Agent&) = delete;
  Agent& operator=(const Agent&) = delete;

  // Runs once and returns the exit code. The node's answer to a request reaches a member of the
  // Agent, which lives until Run() ends, never a stack frame of the start.
  int Run(AgentNode node);

 private:
  // Prints the reason if the agent cannot start.
  bool Start(AgentNode node);
  // Starts discovery if -discover was given.
  absl::Status StartDiscovery();
  void JoinDiscovered(std::vector<std::string> addresses, Mdns::JoinDone done);
  absl::Status StartHttp(std::size_t connections_max);
  void AppendMetrics(rpc::Exposition& text);
  ReadinessFacts Readiness() const;
  void PrintBanner(const AgentNode& node);
  // Joins the addresses of -join, if it was given. The agent is ready when one of them has
  // answered, and ends if none does.
  void JoinAtStart();
  // The start has succeeded.
  void OnReady();
  void WarnOfOpenRpc();
  // True while a leave is under way, for any reason.
  bool leaving() const { return leaving_ || host_->serf().state() != Serf::State::kAlive; }

  void OnEvent(const Event& event);
  void RunHandlers(const Event& event);
  // The cluster layer ended by itself, because it lost the vote over its name.
  void OnSerfShutdown();
  void CatchSignals();
  void WaitForSignal();
  void OnSignal(int signal);
  void LeaveGracefully();
  // Applies the parts of the configuration that can change while the agent runs. If the new
  // configuration has a mistake, nothing changes. Source: docs/protocol/agent.md 2.16.
  void Reload();
  void LoadAgain();
  void OnLoaded(agent_internal::LoadedConfig loaded);
  void SetEventHandlers(std::vector<EventScript> scripts);
  // Makes one attempt of -retry-join.
  void RetryJoin();
  void OnRetryFailed(const absl::Status& status);
  // Closes RPC, then the node, then makes Run() return.
  void Finish(int exit_code);

  AgentConfig config_;
  HttpSettings http_settings_;
  const ConfigLoader load_;
  Terminal& terminal_;
  GlogLogger& logger_;
  boost::asio::io_context io_{1};
  boost::asio::signal_set signals_{io_};
  boost::asio::steady_timer leave_timer_{io_};
  boost::asio::steady_timer retry_timer_{io_};
  MemoryKeeper memory_{io_};
  EventHandlers handlers_{io_, logger_,
                          config_.event_handlers_parallel.value_or(false)
                              ? EventHandlers::Order::kByHandler
                              : EventHandlers::Order::kOneLine};
  AgentMetrics metrics_;
  Terminal errors_{STDERR_FILENO};
  std::unique_ptr<transport::Host> host_;
  std::unique_ptr<AgentService> service_;
  std::unique_ptr<rpc::Server> server_;
  // Null without -http-addr.
  std::unique_ptr<AgentHttp> http_;
  std::unique_ptr<Mdns> mdns_;
  Duration leave_limit_ = Duration::zero();
  transport::Background background_{io_};
  bool loading_ = false;     // a reload is reading the configuration
  bool load_again_ = false;  // the configuration may have changed meanwhile
  Rng rng_{transport::RandomSeed()};
  std::int64_t failed_joins_ = 0;  // failed attempts of -retry-join
  std::uint64_t rpc_accepted_ = 0;
  std::uint64_t rpc_commands_ = 0;
  bool leaving_ = false;  // a signal made the agent leave
  bool finishing_ = false;
  int exit_code_ = kExitSuccess;
};

namespace agent_internal {

// "member-join", "user-event: deploy".
inline std::string EventTitle(const Event& event) {
  if (const auto* members = std::get_if<MemberEvent>(&event)) {
    return std::string(MemberEventName(members->kind));
  }
  if (const auto* query = std::get_if<QueryEvent>(&event)) {
    return absl::StrCat("query: ", query->name);
  }
  return absl::StrCat("user-event: ", std::get<UserEvent>(event).name);
}

// Go Serf waits for 3 s in every profile. That is too short where gossip is slow: WAN gossips 2.5
// times less often than LAN.
inline Duration LeaveLimit(Duration gossip_interval) {
  constexpr Duration kLimit = std::chrono::seconds(3);
  constexpr Duration kLanGossipInterval = std::chrono::milliseconds(200);
  return std::max(kLimit, kLimit / kLanGossipInterval * gossip_interval);
}

}  // namespace agent_internal

inline int RunAgent(ConfigLoader load, Terminal& terminal) {
  LimitHeap();
  const auto fail = [&terminal](const absl::Status& status) {
    terminal.Output(absl::string_view(status.message()));
    return kExitFailure;
  };
  agent_internal::LoadedConfig loaded = agent_internal::LoadAndComplete(load, Duration::max());
  for (const std::string& warning : loaded.warnings) terminal.Output(warning);
  if (!loaded.config.ok()) return fail(loaded.config.status());
  AgentConfig& config = *loaded.config;
  const absl::StatusOr<LogLevel> level = ParseLogLevel(config.log_level);
  if (!level.ok()) return fail(level.status());
  std::optional<SyslogSink> syslog;
  GlogLogger logger(std::bind_front(&Terminal::Info, &terminal));
  logger.set_level(*level);
  if (config.enable_syslog) {
    absl::StatusOr<SyslogSink> sink = SyslogSink::Create(config.syslog_facility);
    if (!sink.ok()) return fail(sink.status());
    syslog.emplace(*std::move(sink));
    logger.set_syslog(std::bind_front(&SyslogSink::Write, &*syslog));
  }
  absl::StatusOr<AgentNode> node = PrepareNode(config, &logger);
  if (!node.ok()) return fail(node.status());
  if (!node->addresses.notice.empty()) terminal.Output(node->addresses.notice);
  return Agent(std::move(config), std::move(loaded.http), std::move(load), terminal, logger)
      .Run(*std::move(node));
}

inline int Agent::Run(AgentNode node) {
  leave_limit_ = agent_internal::LeaveLimit(node.options.config.swim.gossip_interval);
  if (Start(std::move(node))) {
    JoinAtStart();
  } else {
    Finish(kExitFailure);
  }
  io_.run();
  // A further signal must not take the exit code and the last output from the agent's end.
  BlockCaughtSignals();
  return exit_code_;
}

inline bool Agent::Start(AgentNode node) {
  const auto fail = [this](absl::string_view what, const absl::Status& status) {
    terminal_.Output(absl::StrCat(what, ": ", absl::string_view(status.message())));
    return false;
  };
  terminal_.Output("Starting Serf agent...");
  for (const std::string& path : {config_.tags_file, config_.keyring_file}) {
    if (!path.empty()) RemoveLeftover(path);
  }
  if (const absl::Status status = ReadStateFiles(config_, node, &logger_); !status.ok()) {
    return fail("Failed to setup the Serf agent", status);
  }
  Log(&logger_, LogLevel::kInfo, "agent: Serf agent starting");
  constexpr absl::string_view kNotStarted = "Failed to start the Serf agent: Error creating Serf";
  if (const absl::Status status = CheckNode(config_, node); !status.ok()) {
    return fail(kNotStarted, status);
  }
  transport::HostOptions options = node.options;
  if (const std::optional<rlimit> before = RaiseDescriptorLimit()) {
    handlers_.set_descriptor_limit(*before);
  }
  const ConnectionLimits limits =
      ShareDescriptors(DescriptorLimit(), /*with_http=*/!config_.http_addr.empty());
  options.connections_max = limits.gossip;
  options.on_event = [this](const Event& event) { OnEvent(event); };
  options.on_shutdown = [this] { OnSerfShutdown(); };
  absl::StatusOr<std::unique_ptr<transport::Host>> host =
      transport::Host::Create(io_, std::move(options));
  if (!host.ok()) return fail(kNotStarted, WithAddressFlags(host.status()));
  host_ = *std::move(host);
  service_ = std::make_unique<AgentService>(*host_, logger_, [this] { Finish(kExitSuccess); });
  if (auto scripts = ParseEventScripts(config_.event_handlers); scripts.ok()) {
    SetEventHandlers(*std::move(scripts));
  }
  host_->Start();
  io_.poll();  // the node must know itself before any client can ask

  if (const absl::Status status = StartDiscovery(); !status.ok()) {
    return fail("Error starting mDNS listener", status);
  }
  rpc::ServerOptions rpc;
  rpc.auth_key = config_.rpc_auth;
  rpc.logger = &logger_;
  rpc.max_connections = limits.rpc;
  rpc.on_accepted = [this] {
    ++rpc_accepted_;
    metrics_.OnRpcAccepted();
  };
  rpc.on_command = [this] {
    ++rpc_commands_;
    metrics_.OnRpcCommand();
  };
  server_ = std::make_unique<rpc::Server>(io_, *service_, std::move(rpc));
  if (const absl::Status status = server_->Listen(config_.rpc_addr); !status.ok()) {
    return fail("Error starting RPC listener", status);
  }
  if (const absl::Status status = StartHttp(limits.http); !status.ok()) {
    return fail("Error starting HTTP listener", status);
  }
  metrics_.Start(*host_);
  CatchSignals();
  logger_.set_listener([this](const rpc::LogLinePtr& line) { server_->OnLog(line); });
  Log(&logger_, LogLevel::kInfo, "agent: Serf agent started");
  PrintBanner(node);
  return true;
}

inline absl::Status Agent::StartDiscovery() {
  if (config_.discover.empty()) return absl::OkStatus();
  const absl::StatusOr<std::string> host = names::HostName();
  if (!host.ok()) return host.status();
  Mdns::Options options;
  options.service = {config_.discover, config_.node_name, *host,
                     host_->serf().LocalMember().endpoint};
  options.interface = config_.mdns_interface.empty() ? config_.interface : config_.mdns_interface;
  options.ipv4 = !config_.mdns_disable_ipv4;
  options.ipv6 = !config_.mdns_disable_ipv6;
  if (!config_.mdns_interface.empty()) {
    Log(&logger_, LogLevel::kInfo, "agent: Starting mDNS listener on interface ",
        options.interface);
  }
  absl::StatusOr<std::unique_ptr<Mdns>> mdns = Mdns::Start(
      io_, options, logger_, [this](std::vector<std::string> addresses, Mdns::JoinDone done) {
        JoinDiscovered(std::move(addresses), std::move(done));
      });
  if (!mdns.ok()) return mdns.status();
  mdns_ = *std::move(mdns);
  return absl::OkStatus();
}

inline void Agent::JoinDiscovered(std::vector<std::string> addresses, Mdns::JoinDone done) {
  service_->Join(std::move(addresses), {.replay = config_.replay_on_join},
                 [this, done = std::move(done)](const JoinResult& result) {
                   done(result.status, result.contacted, host_->serf().AliveEndpoints());
                 });
}

inline void Agent::PrintBanner(const AgentNode& node) {
  const auto quoted = [](absl::string_view text) { return absl::StrCat("'", text, "'"); };
  const auto boolean = [](bool value) { return value ? "true" : "false"; };
  // One text, because each costs a system call and wakes the reader.
  std::string banner = absl::StrCat(Terminal::OutputLine("Starting Serf agent RPC..."),
                                    Terminal::OutputLine("Serf agent running!"));
  const auto add = [&banner](const auto&... pieces) {
    absl::StrAppend(&banner, Terminal::InfoLine(absl::StrCat(pieces...)));
  };
  add("                  Node name: ", quoted(config_.node_name));
  add("                  Bind addr: ", quoted(node.addresses.bind_text));
  if (node.addresses.advertise) {
    add("Advertise addr: ", quoted(node.addresses.advertise->ToString()));
  }
  const std::optional<Endpoint> rpc = server_->local_endpoint();
  const bool any_port = rpc && absl::EndsWith(config_.rpc_addr, ":0");
  add("                   RPC addr: ", quoted(any_port ? rpc->ToString() : config_.rpc_addr));
  if (http_ != nullptr) add("                  HTTP addr: ", quoted(http_->address()));
  add("                  Encrypted: ", boolean(node.encrypted()));
  add("                   Snapshot: ", boolean(!config_.snapshot_path.empty()));
  add("                    Profile: ", config_.profile);
  add("Message Compression Enabled: ", boolean(config_.enable_compression.value_or(true)));
  if (mdns_ != nullptr) {
    add("               mDNS cluster: ", config_.discover);
  }
  terminal_.Text(banner);
}

inline absl::Status Agent::StartHttp(std::size_t connections_max) {
  if (config_.http_addr.empty()) return absl::OkStatus();
  http_ = std::make_unique<AgentHttp>(
      io_, *service_, logger_, http_settings_.policy, connections_max,
      AgentHttp::Hooks{
          .readiness = [this] { return Readiness(); },
          .append_metrics = [this](rpc::Exposition& text) { AppendMetrics(text); },
      });
  return http_->Listen(config_.http_addr, http_settings_.socket_mode);
}

inline ReadinessFacts Agent::Readiness() const {
  const Serf& serf = host_->serf();
  // This node's own join counts, too.
  const bool met_another = serf.counters().member_joins > 1 || serf.node().live_nodes() > 1;
  return {.started = true,
          .join_wanted = !config_.start_join.empty() || !config_.retry_join.empty() ||
                         !config_.discover.empty(),
          .met_another = met_another,
          .leaving = leaving() || finishing_};
}

// The metrics of this program; those of the node and of HTTP are elsewhere.
inline void Agent::AppendMetrics(rpc::Exposition& text) {
  const std::string address = host_->advertise().ToString();
  text.Info("serf_agent_info", "What this agent is.",
            {{"node", config_.node_name},
             {"address", address},
             {"profile", config_.profile},
             {"encrypted", service_->Snapshot().stats.encrypted ? "true" : "false"}});
  const auto count = [&](absl::string_view name, absl::string_view help, std::uint64_t value) {
    text.Counter(name, help, static_cast<double>(value));
  };
  text.Gauge("serf_rpc_connections", "RPC clients.",
             static_cast<double>(server_->connection_count()));
  count("serf_rpc_connections_accepted_total", "RPC clients accepted.", rpc_accepted_);
  count("serf_rpc_commands_total", "RPC requests, with the handshakes.", rpc_commands_);
}

inline void Agent::JoinAtStart() {
  if (config_.start_join.empty()) return OnReady();
  terminal_.Output(
      absl::StrCat("Joining cluster...(replay: ", config_.replay_on_join ? "true" : "false", ")"));
  service_->Join(
      config_.start_join, {.replay = config_.replay_on_join}, [this](const JoinResult& result) {
        // A signal or a client has made the agent leave meanwhile.
        if (finishing_ || leaving()) return;
        if (!result.status.ok()) {
          terminal_.Output(absl::string_view(result.status.message()));
          return Finish(kExitFailure);
        }
        terminal_.Info(
            absl::StrCat("Join completed. Synced with ", result.contacted, " initial agents"));
        OnReady();
      });
}

inline void Agent::OnReady() {
  terminal_.Info("");
  terminal_.Output("Log data will now stream in as it occurs:\n");
  logger_.OpenGate();
  WarnOfOpenRpc();
  if (!config_.retry_join.empty()) RetryJoin();
  memory_.Start();
}

// Go Serf prints no such warning (docs/protocol/agent.md 8.2).
inline void Agent::WarnOfOpenRpc() {
  const std::optional<Endpoint> local = server_->local_endpoint();
  if (!local || local->address.is_loopback() || !config_.rpc_auth.empty()) return;
  Log(&logger_, LogLevel::kWarn, "agent.ipc: RPC is open to other hosts at ", local->ToString(),
      " without authentication");
}

inline void Agent::OnEvent(const Event& event) {
  Log(&logger_, LogLevel::kInfo, "agent: Received event: ", agent_internal::EventTitle(event));
  metrics_.OnEvent(event);
  if (server_ != nullptr) server_->OnEvent(event);
  if (handlers_.Want(event)) RunHandlers(event);
}

inline void Agent::RunHandlers(const Event& event) {
  ScriptEvent script = MakeScriptEvent(event, host_->serf().LocalMember());
  if (const auto* query = std::get_if<QueryEvent>(&event)) {
    script.from_script = service_->IsFromHandler(query->id);
    script.respond = [this, id = query->id,
                      title = agent_internal::EventTitle(event)](std::string output) {
      host_->AsyncRespond(id, std::move(output), [this, title](const absl::Status& status) {
        if (status.ok()) return;
        Log(&logger_, LogLevel::kWarn, "agent: Failed to respond to query '", title,
            "': ", absl::string_view(status.message()));
      });
    };
  }
  handlers_.OnEvent(std::move(script));
}

inline void Agent::OnSerfShutdown() {
  Log(&logger_, LogLevel::kWarn, "agent: Serf shutdown detected, quitting");
  // A supervisor should start the agent again: the other node may be gone by then.
  terminal_.Output(absl::StrCat("The name '", config_.node_name,
                                "' is that of another node, by a vote of the members"));
  Finish(kExitFailure);
}

// --- signals ---

// From here on the agent catches signals, also while -join is under way. signals.h lists the
// signals that it does not catch.
inline void Agent::CatchSignals() {
  for (const int signal : kCaughtSignals) signals_.add(signal);
  WaitForSignal();
}

inline void Agent::WaitForSignal() {
  signals_.async_wait([this](const auto& error, int signal) {
    if (error) return;
    OnSignal(signal);
    WaitForSignal();
  });
}

inline void Agent::OnSignal(int signal) {
  if (finishing_) return;
  if (signal == SIGUSR1) return errors_.Text(metrics_.Dump());
  if (leaving_) return Finish(kExitFailure);
  terminal_.Output(absl::StrCat("Caught signal: ", signal == SIGINT    ? "interrupt"
                                                   : signal == SIGTERM ? "terminated"
                                                                       : "hangup"));
  if (signal == SIGHUP) return Reload();
  const bool graceful =
      signal == SIGINT ? !config_.skip_leave_on_interrupt : config_.leave_on_terminate;
  if (!graceful) return Finish(kExitFailure);
  LeaveGracefully();
}

inline void Agent::LeaveGracefully() {
  terminal_.Output("Gracefully shutting down agent...");
  leaving_ = true;
  service_->LeaveCluster([this](const absl::Status& status) {
    if (finishing_) return;
    if (status.ok()) return Finish(kExitSuccess);
    terminal_.Output(absl::StrCat("Error: ", absl::string_view(status.message())));
  });
  leave_timer_.expires_after(leave_limit_);
  leave_timer_.async_wait([this](const auto& error) {
    if (!error) Finish(kExitFailure);
  });
}

inline void Agent::Reload() {
  terminal_.Output("Reloading configuration...");
  if (loading_) {
    load_again_ = true;
    return terminal_.Output("The files of the reload before are still being read");
  }
  LoadAgain();
}

inline void Agent::LoadAgain() {
  load_again_ = false;
  loading_ = background_.Run(
      [load = load_, running = Running{config_, host_->advertise()}] {
        return agent_internal::LoadForReload(load, running);
      },
      [this](agent_internal::LoadedConfig loaded) { OnLoaded(std::move(loaded)); });
  if (!loading_) terminal_.Output("Failed to reload configs: no thread is left to read them");
}

inline void Agent::OnLoaded(agent_internal::LoadedConfig loaded) {
  loading_ = false;
  if (finishing_) return;
  if (load_again_) return LoadAgain();
  for (const std::string& warning : loaded.warnings) terminal_.Output(warning);
  const auto failed = [this](absl::string_view what, const absl::Status& status) {
    terminal_.Output(absl::StrCat(what, absl::string_view(status.message())));
    terminal_.Output("Failed to reload configs");
  };
  if (!loaded.config.ok()) return failed("", loaded.config.status());
  AgentConfig& config = *loaded.config;
  const absl::StatusOr<LogLevel> level = ParseLogLevel(config.log_level);
  if (!level.ok()) return failed("", level.status());
  absl::StatusOr<std::vector<EventScript>> scripts = ParseEventScripts(config.event_handlers);
  if (!scripts.ok()) return failed("", scripts.status());
  // Changes only the tags that the old or the new configuration names. Tags that clients set stay;
  // Go Serf drops them, and empties the tags file too (docs/protocol/agent.md 2.16).
  TagChange tags = {.set = config.tags, .remove = {}};
  for (const auto& [key, value] : config_.tags) tags.remove.push_back(key);
  static constexpr absl::string_view kTagsFailed = "Failed to update tags: ";
  if (const absl::Status fits = service_->CheckTags(tags); !fits.ok()) {
    return failed(kTagsFailed, fits);
  }

  logger_.set_level(*level);
  if (http_ != nullptr) http_->set_policy(std::move(loaded.http.policy));
  SetEventHandlers(*std::move(scripts));
  config_.leave_on_terminate = config.leave_on_terminate;
  config_.skip_leave_on_interrupt = config.skip_leave_on_interrupt;
  if (!config_.tags_file.empty()) return;
  config_.tags = std::move(config.tags);
  service_->UpdateTags(std::move(tags), [this](const absl::Status& status) {
    // A leave that overtakes the reload has the last word.
    if (status.ok() || finishing_ || leaving()) return;
    terminal_.Output(absl::StrCat(kTagsFailed, absl::string_view(status.message())));
  });
}

inline void Agent::SetEventHandlers(std::vector<EventScript> scripts) {
  service_->set_event_scripts(scripts);
  handlers_.Set(std::move(scripts));
}

// --- retry-join ---

inline void Agent::RetryJoin() {
  Log(&logger_, LogLevel::kInfo,
      "agent: Joining cluster...(replay: ", config_.replay_on_join ? "true" : "false", ")");
  service_->Join(config_.retry_join, {.replay = config_.replay_on_join},
                 [this](const JoinResult& result) {
                   if (finishing_ || leaving()) return;
                   if (!result.status.ok()) return OnRetryFailed(result.status);
                   Log(&logger_, LogLevel::kInfo, "agent: Join completed. Synced with ",
                       result.contacted, " initial agents");
                 });
}

inline void Agent::OnRetryFailed(const absl::Status& status) {
  ++failed_joins_;
  if (config_.retry_max_attempts > 0 && failed_joins_ > config_.retry_max_attempts) {
    Log(&logger_, LogLevel::kError, "agent: maximum retry join attempts made, exiting");
    return Finish(kExitFailure);
  }
  const Duration delay =
      RetryDelay(config_.retry_interval, config_.retry_interval_max, failed_joins_, rng_);
  logger_.WriteLines(LogLevel::kWarn,
                     absl::StrCat("agent: Join failed: ", absl::string_view(status.message()),
                                  ", retrying in ", FormatDuration(delay)));
  retry_timer_.expires_after(delay);
  retry_timer_.async_wait([this](const auto& error) {
    if (!error && !finishing_ && !leaving()) RetryJoin();
  });
}

// --- the end ---

inline void Agent::Finish(int exit_code) {
  if (finishing_) return;
  finishing_ = true;
  exit_code_ = exit_code;
  mdns_ = nullptr;
  const auto end_node = [this] {
    if (host_ == nullptr) return io_.stop();
    Log(&logger_, LogLevel::kInfo, "agent: requesting serf shutdown");
    host_->Shutdown();
    boost::asio::post(io_, [this] {
      Log(&logger_, LogLevel::kInfo, "agent: shutdown complete");
      io_.stop();
    });
  };
  // Posted, because the end of a leave may have to answer other clients as well.
  boost::asio::post(io_, [this, end_node] {
    const auto end_rpc = [this, end_node] {
      if (server_ == nullptr) return end_node();
      server_->Shutdown(end_node);
    };
    if (http_ == nullptr) return end_rpc();
    http_->Shutdown(end_rpc);
  });
}

}  // namespace serf::cmd

#endif  // SERF_CMD_DAEMON_AGENT_H_
