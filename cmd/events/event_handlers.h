#ifndef SERF_CMD_EVENTS_EVENT_HANDLERS_H_
#define SERF_CMD_EVENTS_EVENT_HANDLERS_H_

// EventHandlers: runs the scripts of -event-handler.
//
//   EventHandlers handlers(io, logger, EventHandlers::Order::kOneLine);
//   handlers.Set(*ParseEventScripts(config.event_handlers));
//   if (handlers.Want(event)) handlers.OnEvent(MakeScriptEvent(event, self));
//
// As in Go Serf, scripts run one after the other: by event, then in the order of the configuration.
// Scripts rely on it: a leave never overtakes the join before it. An event that waits goes to the
// handlers of the time when its turn comes. The agent never waits. With Order::kByHandler each
// handler has its own line, independent of the others. Source: docs/protocol/agent.md 3.

#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "boost/asio/io_context.hpp"
#include "boost/asio/steady_timer.hpp"
#include "serf/base/logger.h"
#include "serf/base/time.h"
#include "serf/cmd/events/event_spec.h"
#include "serf/cmd/events/script_event.h"
#include "serf/cmd/events/script_runner.h"
#include "serf/cmd/telemetry/glog_logger.h"
#include "serf/event.h"
#include "serf/member.h"
#include "serf/rpc/event_filter.h"

namespace serf::cmd {

// Threads: all calls on the io_context's thread. The io_context and the logger must outlive it.
class EventHandlers {
 public:
  // The most events that may wait in a line; a newer one is dropped with a warning. Go Serf lets
  // some 3100 wait, and then accepts no more events from clients or from gossip.
  static constexpr std::size_t kWaitingMax = 4096;
  // The most bytes of events that wait in a line; one event may be larger. Enough for as many
  // events of the size that the network allows, or for some lists of all members of a large
  // cluster.
  static constexpr std::size_t kWaitingBytesMax = std::size_t{32} << 20;
  // The most queries of scripts that run beside the line; further ones wait in it. The limit ends a
  // script that asks a query which it answers itself.
  static constexpr std::size_t kNestedMax = 16;
  // A script that runs longer is reported as slow.
  static constexpr std::chrono::seconds kSlow{1};

  enum class Order {
    kOneLine,    // one script at a time
    kByHandler,  // one script of a handler at a time
  };

  EventHandlers(boost::asio::io_context& io, GlogLogger& logger, Order order)
      : io_(io), logger_(logger), order_(order), runner_(io) {}
  // Scripts that run continue.
  ~EventHandlers() { *alive_ = false; }

  EventHandlers(const EventHandlers&) = delete;
  EventHandlers& operator=(const EventHandlers&) = delete;

  // Replaces the handlers, also for events that wait. A script that runs continues, and so do the
  // scripts that its event matched.
  void Set(std::vector<EventScript> scripts);

  // True if a script handles this event.
  bool Want(const Event& event) const;

  // Runs the matching scripts. A query from a script does not wait for that script, which may wait
  // for the answer.
  void OnEvent(ScriptEvent event);

  // Receives each command that ended, and how long it took.
  void set_on_invoked(std::function<void(const std::string&, Duration)> on_invoked) {
    on_invoked_ = std::move(on_invoked);
  }
  // See ScriptRunner.
  void set_descriptor_limit(const rlimit& limit) { runner_.set_descriptor_limit(limit); }

 private:
  using EventPtr = std::shared_ptr<const ScriptEvent>;

  // A line runs one script at a time.
  struct Line {
    bool Matches(rpc::EventType type, absl::string_view name) const {
      return std::any_of(scripts.begin(), scripts.end(), [&](const EventScript& script) {
        return script.filter.Matches(type, name);
      });
    }
    // The commands that the event matches.
    std::vector<std::string> CommandsFor(const ScriptEvent& event) const;

    std::vector<EventScript> scripts;
    std::deque<EventPtr> waiting;
    std::size_t bytes = 0;             // the size of the waiting events
    std::uint64_t dropped = 0;         // since the line was empty
    EventPtr event;                    // the event that is handled now; null: none
    std::deque<std::string> commands;  // the commands that this event still needs
    std::string command;               // the command that runs, or ran last
    bool running = false;
    bool nested = false;  // for one query from a script
  };
  using LinePtr = std::shared_ptr<Line>;

  // A script that runs.
  struct Run {
    Run(boost::asio::io_context& io, LinePtr l)
        : line(std::move(l)), event(line->event), command(line->command), slow(io) {}

    const LinePtr line;
    const EventPtr event;
    const std::string command;
    boost::asio::steady_timer slow;
    const std::chrono::steady_clock::time_point start = std::chrono::steady_clock::now();
    bool ended = false;
  };
  using RunPtr = std::shared_ptr<Run>;

  bool MayNest() const;
  void Nest(EventPtr event);
  void Enqueue(const LinePtr& line, EventPtr event);
  // Starts the next script of the line, unless one runs.
  void Advance(const LinePtr& line);
  void Start(const LinePtr& line);
  void OnEnded(const RunPtr& run, const ScriptResult& result);
  void LogResult(const Run& run, const ScriptResult& result);

  boost::asio::io_context& io_;
  GlogLogger& logger_;
  const Order order_;
  const std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // false: timers do nothing
  ScriptRunner runner_;
  std::vector<LinePtr> lines_;  // in the order of the configuration
  std::size_t nested_ = 0;      // lines for queries from scripts
  // This node at the last event.
  std::shared_ptr<const Member> self_ = std::make_shared<const Member>();
  std::function<void(const std::string&, Duration)> on_invoked_;
};

inline std::vector<std::string> EventHandlers::Line::CommandsFor(const ScriptEvent& e) const {
  std::vector<std::string> matching;
  for (const EventScript& script : scripts) {
    if (script.filter.Matches(e.type, e.name)) matching.push_back(script.command);
  }
  return matching;
}

inline void EventHandlers::Set(std::vector<EventScript> scripts) {
  std::vector<LinePtr> old = std::exchange(lines_, {});
  if (order_ == Order::kOneLine) {
    lines_.push_back(old.empty() ? std::make_shared<Line>() : std::move(old.front()));
    lines_.front()->scripts = std::move(scripts);
    return;
  }
  for (std::size_t i = 0; i < scripts.size();) {
    auto line = std::make_shared<Line>();
    const std::size_t handler = scripts[i].handler;
    for (; i < scripts.size() && scripts[i].handler == handler; ++i) {
      line->scripts.push_back(std::move(scripts[i]));
    }
    // A handler that stays keeps its running script and its waiting events.
    for (LinePtr& candidate : old) {
      if (candidate == nullptr || candidate->scripts != line->scripts) continue;
      line = std::exchange(candidate, nullptr);
      break;
    }
    lines_.push_back(std::move(line));
  }
  for (const LinePtr& gone : old) {
    if (gone != nullptr) gone->waiting.clear();
  }
}

inline bool EventHandlers::Want(const Event& event) const {
  const auto [type, name] = ScriptEventKind(event);
  for (const LinePtr& line : lines_) {
    if (line->Matches(type, name)) return true;
  }
  return false;
}

inline void EventHandlers::OnEvent(ScriptEvent event) {
  // This node has rarely changed, so all waiting events share one copy.
  if (self_->name == event.self->name && self_->tags == event.self->tags) {
    event.self = self_;
  } else {
    self_ = event.self;
  }
  const auto shared = std::make_shared<const ScriptEvent>(std::move(event));
  if (shared->from_script && MayNest()) return Nest(shared);
  for (const LinePtr& line : lines_) {
    if (line->Matches(shared->type, shared->name)) Enqueue(line, shared);
  }
}

inline bool EventHandlers::MayNest() const {
  return nested_ < kNestedMax &&
         (nested_ > 0 || std::any_of(lines_.begin(), lines_.end(),
                                     [](const LinePtr& line) { return line->running; }));
}

inline void EventHandlers::Nest(EventPtr event) {
  auto line = std::make_shared<Line>();
  for (const LinePtr& other : lines_) {
    for (std::string& command : other->CommandsFor(*event)) {
      line->commands.push_back(std::move(command));
    }
  }
  line->event = std::move(event);
  line->nested = true;
  ++nested_;
  Advance(line);
}

inline void EventHandlers::Enqueue(const LinePtr& line, EventPtr event) {
  const bool full = line->waiting.size() == kWaitingMax ||
                    (!line->waiting.empty() && line->bytes + event->bytes() > kWaitingBytesMax);
  if (full) {
    if (line->dropped++ == 0) {
      Log(&logger_, LogLevel::kWarn, "agent: Script '", line->command, "' is behind by ",
          line->waiting.size(), " events, dropping more");
    }
    return;
  }
  line->bytes += event->bytes();
  line->waiting.push_back(std::move(event));
  Advance(line);
}

inline void EventHandlers::Advance(const LinePtr& line) {
  while (!line->running) {
    if (!line->commands.empty()) {
      Start(line);
    } else if (!line->waiting.empty()) {
      line->event = std::move(line->waiting.front());
      line->waiting.pop_front();
      line->bytes -= line->event->bytes();
      const std::vector<std::string> commands = line->CommandsFor(*line->event);
      line->commands.assign(commands.begin(), commands.end());
    } else {
      line->event = nullptr;
      if (const std::uint64_t dropped = std::exchange(line->dropped, 0); dropped > 0) {
        Log(&logger_, LogLevel::kWarn, "agent: Script '", line->command, "' was not told of ",
            dropped, " events");
      }
      if (std::exchange(line->nested, false)) --nested_;
      return;
    }
  }
}

inline void EventHandlers::Start(const LinePtr& line) {
  line->running = true;
  line->command = std::move(line->commands.front());
  line->commands.pop_front();
  auto run = std::make_shared<Run>(io_, line);
  run->slow.expires_after(kSlow);
  run->slow.async_wait([this, alive = alive_, run](const auto& error) {
    if (error || !*alive || run->ended) return;
    Log(&logger_, LogLevel::kWarn, "agent: Script '", run->command,
        "' slow, execution exceeding 1s");
  });
  runner_.Run({run->command, ScriptEnvironment(*run->event), run->event->input},
              [this, run](const ScriptResult& result) { OnEnded(run, result); });
}

inline void EventHandlers::OnEnded(const RunPtr& run, const ScriptResult& result) {
  run->ended = true;
  run->slow.cancel();
  LogResult(*run, result);
  if (on_invoked_) on_invoked_(run->command, std::chrono::steady_clock::now() - run->start);
  const ScriptEvent& event = *run->event;
  if (event.respond && result.failure.empty() && result.output.total() > 0) {
    event.respond(std::string(result.output.text()));
  }
  run->line->running = false;
  Advance(run->line);
}

inline void EventHandlers::LogResult(const Run& run, const ScriptResult& result) {
  const ScriptEvent& event = *run.event;
  const std::string& command = run.command;
  const bool payload = event.type == rpc::EventType::kUser || event.type == rpc::EventType::kQuery;
  // Go Serf's text for this names no component.
  if (result.input_refused && payload) {
    Log(&logger_, LogLevel::kError, "Error writing payload: write |1: broken pipe");
  }
  logger_.WriteLines(LogLevel::kDebug,
                     absl::StrCat("agent: Event '", rpc::EventTypeName(event.type),
                                  "' script output: ", result.output.text()));
  if (result.output.truncated()) {
    Log(&logger_, LogLevel::kWarn, "agent: Script '", command, "' generated ",
        result.output.total(), " bytes of output, truncated to ", OutputTail::kMax);
  }
  if (!result.failure.empty()) {
    Log(&logger_, LogLevel::kError, "agent: Error invoking script '", command,
        "': ", result.failure);
  }
}

}  // namespace serf::cmd

#endif  // SERF_CMD_EVENTS_EVENT_HANDLERS_H_
