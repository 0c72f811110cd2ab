#ifndef SERF_CMD_COMMANDS_INTERRUPT_H_
#define SERF_CMD_COMMANDS_INTERRUPT_H_

// CatchInterrupt: as long as it lives, SIGINT makes the call that blocks return Cancelled, instead
// of ending the process.
//
//   rpc::Client client;
//   ...                                    // connect and ask: an interrupt ends the process
//   const CatchInterrupt caught(client);
//   if (absl::IsCancelled(client.Next().status())) ...
//
// A name may be looked up in another thread, which cannot be told to stop: while connecting only
// the end of the process is sure to come at once.

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
  // Again after each: whoever is impatient ends the farewell to an agent that does not answer.
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
