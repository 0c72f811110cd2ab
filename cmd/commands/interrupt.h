#ifndef SERF_CMD_COMMANDS_INTERRUPT_H_
#define SERF_CMD_COMMANDS_INTERRUPT_H_

// CatchInterrupt: while it lives, SIGINT makes the call that blocks return Cancelled, and does not
// end the process.
//
//   rpc::Client client;
//   ...                                    // connect and ask: an interrupt ends the process
//   const CatchInterrupt caught(client);
//   if (absl::IsCancelled(client.Next().status())) ...
//
// Make it after the connection. A name lookup runs on another thread that cannot be stopped, so
// only the end of the process is sure to come at once while a command connects.

#include <boost/asio/signal_set.hpp>
#include <boost/system/error_code.hpp>
#include <csignal>

#include "serf/rpc/client.h"

namespace serf::cmd {

class CatchInterrupt {
 public:
  explicit CatchInterrupt(rpc::Client& client)
      : client_(client), signals_(client.io_context(), SIGINT) {
    Wait();
  }
  CatchInterrupt(const CatchInterrupt&) = delete;
  CatchInterrupt& operator=(const CatchInterrupt&) = delete;

 private:
  // Waits again after each interrupt: a second one ends the farewell to an agent that does not
  // answer.
  void Wait() {
    signals_.async_wait([this](const boost::system::error_code& error, int) {
      if (error) return;
      client_.Interrupt();
      Wait();
    });
  }

  rpc::Client& client_;
  boost::asio::signal_set signals_;
};

}  // namespace serf::cmd

#endif  // SERF_CMD_COMMANDS_INTERRUPT_H_
