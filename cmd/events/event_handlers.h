#ifndef SERF_CMD_EVENTS_EVENT_HANDLERS_H_
#define SERF_CMD_EVENTS_EVENT_HANDLERS_H_

// EventHandlers: runs the scripts of -event-handler. Source: spec/agent.md 3.
//
//   EventHandlers handlers(io, logger);
//   handlers.Set(*ParseEventScripts(config.event_handlers));
//   handlers.OnEvent(MakeScriptEvent(event, self));
//
// As in the original, scripts run one after the other, in the order of events and then of the
// configuration, which scripts rely on. But a script that takes longer than kSlow holds up only
// its own further events from then on: the others go on beside it, and the agent never waits.
// A handler runs one process at a time and keeps at most kWaitingMax events for later.

#include <chrono>
#include <cstddef>
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
#include "serf/cmd/glog_logger.h"
#include "serf/rpc/event_filter.h"

namespace serf::cmd {

// One thread, that of the io_context. What it uses outlives it.
class EventHandlers {
 public:
  // Events that may wait for one handler; a newer one is dropped, with a warning. Beside a payload
  // of some kilobytes an event costs little, so this bounds the memory of a hanging script.
  static constexpr std::size_t kWaitingMax = 1024;
  // After which a script is called slow, and the other handlers wait no longer.
  static constexpr std::chrono::seconds kSlow{1};

  EventHandlers(boost::asio::io_context& io, GlogLogger& logger)
      : io_(io), logger_(logger), runner_(io) {}
  // Scripts that run go on.
  ~EventHandlers() { *alive_ = false; }

  EventHandlers(const EventHandlers&) = delete;
  EventHandlers& operator=(const EventHandlers&) = delete;

  // Replaces the handlers, from the next event on.
  void Set(std::vector<EventScript> scripts);

  bool empty() const { return handlers_.empty(); }

  // Runs what matches.
  void OnEvent(ScriptEvent event);

  // Called with each command that ended, and how long it took.
  void set_on_invoked(std::function<void(const std::string&, Duration)> on_invoked) {
    on_invoked_ = std::move(on_invoked);
  }

 private:
  using EventPtr = std::shared_ptr<const ScriptEvent>;

  struct Handler {
    explicit Handler(EventScript s) : script(std::move(s)) {}

    const EventScript script;
    bool running = false;
    std::size_t waiting = 0;      // in line_ and in `behind`
    std::deque<EventPtr> behind;  // wait for its own slow script
    bool dropping = false;        // since the last event that was kept
  };
  using HandlerPtr = std::shared_ptr<Handler>;

  struct Turn {
    HandlerPtr handler;
    EventPtr event;
  };

  // A script that runs.
  struct Run {
    explicit Run(boost::asio::io_context& io) : slow(io) {}

    Turn turn;
    boost::asio::steady_timer slow;
    std::chrono::steady_clock::time_point start = std::chrono::steady_clock::now();
    bool ended = false;
  };
  using RunPtr = std::shared_ptr<Run>;

  // Starts the next in line unless one is under way.
  void Advance();
  RunPtr Start(Turn turn);
  void OnSlow(const RunPtr& run);
  void OnEnded(const RunPtr& run, const ScriptResult& result);
  void LogResult(const Run& run, const ScriptResult& result);

  boost::asio::io_context& io_;
  GlogLogger& logger_;
  const std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // false: timers do nothing
  ScriptRunner runner_;
  std::vector<HandlerPtr> handlers_;
  std::deque<Turn> line_;
  RunPtr in_line_;  // for whose end the line waits; null: for none
  std::function<void(const std::string&, Duration)> on_invoked_;
};

inline void EventHandlers::Set(std::vector<EventScript> scripts) {
  std::vector<HandlerPtr> old = std::exchange(handlers_, {});
  for (EventScript& script : scripts) {
    HandlerPtr handler;
    // One that stays keeps what it runs and what waits for it.
    for (HandlerPtr& candidate : old) {
      if (candidate == nullptr || !(candidate->script == script)) continue;
      handler = std::exchange(candidate, nullptr);
      break;
    }
    if (handler == nullptr) handler = std::make_shared<Handler>(std::move(script));
    handlers_.push_back(std::move(handler));
  }
}

inline void EventHandlers::OnEvent(ScriptEvent event) {
  const auto shared = std::make_shared<const ScriptEvent>(std::move(event));
  for (const HandlerPtr& handler : handlers_) {
    if (!handler->script.filter.Matches(shared->type, shared->name)) continue;
    if (handler->waiting == kWaitingMax) {
      if (!std::exchange(handler->dropping, true)) {
        Log(&logger_, LogLevel::kWarn, "agent: Script '", handler->script.command,
            "' is behind by ", kWaitingMax, " events, dropping more");
      }
      continue;
    }
    handler->dropping = false;
    ++handler->waiting;
    line_.push_back({handler, shared});
  }
  Advance();
}

inline void EventHandlers::Advance() {
  while (in_line_ == nullptr && !line_.empty()) {
    Turn turn = std::move(line_.front());
    line_.pop_front();
    if (turn.handler->running) {
      turn.handler->behind.push_back(std::move(turn.event));
      continue;
    }
    in_line_ = Start(std::move(turn));
  }
}

inline EventHandlers::RunPtr EventHandlers::Start(Turn turn) {
  auto run = std::make_shared<Run>(io_);
  run->turn = std::move(turn);
  Handler& handler = *run->turn.handler;
  handler.running = true;
  --handler.waiting;
  run->slow.expires_after(kSlow);
  run->slow.async_wait([this, alive = alive_, run](const auto& error) {
    if (!error && *alive && !run->ended) OnSlow(run);
  });
  runner_.Run(
      {handler.script.command, ScriptEnvironment(*run->turn.event), ScriptInput(*run->turn.event)},
      [this, run](const ScriptResult& result) { OnEnded(run, result); });
  return run;
}

inline void EventHandlers::OnSlow(const RunPtr& run) {
  Log(&logger_, LogLevel::kWarn, "agent: Script '", run->turn.handler->script.command,
      "' slow, execution exceeding 1s");
  if (in_line_ != run) return;
  in_line_ = nullptr;
  Advance();
}

inline void EventHandlers::OnEnded(const RunPtr& run, const ScriptResult& result) {
  run->ended = true;
  run->slow.cancel();
  Handler& handler = *run->turn.handler;
  LogResult(*run, result);
  if (on_invoked_) {
    on_invoked_(handler.script.command, std::chrono::steady_clock::now() - run->start);
  }
  const ScriptEvent& event = *run->turn.event;
  if (event.respond && result.failure.empty() && result.output.total() > 0) {
    event.respond(std::string(result.output.text()));
  }
  handler.running = false;
  if (!handler.behind.empty()) {
    EventPtr next = std::move(handler.behind.front());
    handler.behind.pop_front();
    Start({run->turn.handler, std::move(next)});
  }
  if (in_line_ == run) in_line_ = nullptr;
  Advance();
}

inline void EventHandlers::LogResult(const Run& run, const ScriptResult& result) {
  const ScriptEvent& event = *run.turn.event;
  const std::string& command = run.turn.handler->script.command;
  const bool payload = event.type == rpc::EventType::kUser || event.type == rpc::EventType::kQuery;
  // This text of the original names no component.
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
