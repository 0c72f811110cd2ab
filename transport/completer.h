// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_TRANSPORT_COMPLETER_H_
#define SERF_TRANSPORT_COMPLETER_H_

// Completer: the handler of an asynchronous operation, called once with the result, on the executor
// of the handler. Until then that executor has work.
//
//   asio::async_initiate<Token, void(absl::Status)>(
//       [](auto handler, asio::io_context& io) {
//         Completer<decltype(handler), absl::Status> complete(std::move(handler), io);
//         asio::post(io, [complete = std::move(complete)]() mutable { complete(Work()); });
//       },
//       token, std::ref(io));
//
// Copies stand for the same operation. The initiating function makes a Completer and calls
// OnCancel(); all else happens on the io_context's thread. A Completer that goes away uncalled, as
// when the io_context ends, destroys the handler.

#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/cancellation_type.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <memory>
#include <optional>
#include <utility>

#include "serf/transport/net/asio.h"

namespace serf::transport {

template <typename Handler, typename Result>
class Completer {
 public:
  Completer(Handler handler, asio::io_context& io)
      : state_(std::make_shared<State>(State{io.get_executor(), std::nullopt})) {
    auto work = asio::make_work_guard(handler, io.get_executor());
    state_->waiting.emplace(Waiting{std::move(work), std::move(handler)});
  }

  // Whether nobody has called the handler yet.
  bool waiting() const { return state_->waiting.has_value(); }

  // Calls the handler with `result`. Later calls do nothing.
  void operator()(Result result) {
    if (!waiting()) return;
    Waiting waiting = *std::move(state_->waiting);
    state_->waiting.reset();
    asio::dispatch(waiting.work.get_executor(),
                   [handler = std::move(waiting.handler), result = std::move(result)]() mutable {
                     std::move(handler)(std::move(result));
                   });
  }

  // Has cancel(completer) called on the io_context's thread if the cancellation slot of the handler
  // is asked to cancel while the handler waits. The slot may outlive everything, and may be owned
  // by the handler: `cancel` must own nothing that leads back to this operation. Any type of
  // cancellation serves, since an operation that was cancelled has ended for its caller.
  template <typename Cancel>
  void OnCancel(Cancel cancel) {
    auto slot = asio::get_associated_cancellation_slot(state_->waiting->handler);
    if (!slot.is_connected()) return;
    slot.assign([weak = std::weak_ptr<State>(state_),
                 cancel = std::move(cancel)](asio::cancellation_type type) {
      const std::shared_ptr<State> state = weak.lock();
      if (state == nullptr || type == asio::cancellation_type::none) return;
      asio::post(state->executor, [completer = Completer(state), cancel]() mutable {
        if (completer.waiting()) cancel(completer);
      });
    });
  }

 private:
  struct Waiting {
    asio::executor_work_guard<asio::associated_executor_t<Handler, asio::io_context::executor_type>>
        work;
    Handler handler;
  };
  struct State {
    asio::io_context::executor_type executor;
    std::optional<Waiting> waiting;
  };

  explicit Completer(std::shared_ptr<State> state) : state_(std::move(state)) {}

  std::shared_ptr<State> state_;
};

}  // namespace serf::transport

#endif  // SERF_TRANSPORT_COMPLETER_H_
