// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_RPC_OUTPUT_BUFFER_H_
#define SERF_RPC_OUTPUT_BUFFER_H_

// OutputBuffer: the bytes of a connection that the socket has not taken, in memory that an idle
// connection gives back. Internal to rpc/; one thread.
//
//   Writer writer(out.bytes());                     // appends
//   socket.Write(out.Unwritten()); out.OnWritten(now, n);
//   at out.NextDeadline(): out.OnTimer(now);

#include <chrono>
#include <cstddef>

#include "msgpack/sbuffer.hpp"
#include "serf/base/bytes.h"
#include "serf/base/time.h"
#include "serf/rpc/encode.h"
#include "serf/rpc/reply_cache.h"

namespace serf::rpc {

class OutputBuffer {
 public:
  msgpack::sbuffer& bytes() { return bytes_; }

  // The next bytes to write; there may be more behind them.
  ByteView Unwritten() const {
    if (written_ < bytes_.size() || shared_ == nullptr) return ViewOf(bytes_).subspan(written_);
    return ViewOf(*shared_).subspan(written_ - bytes_.size());
  }
  // Whether nothing has been written yet, and bytes() may grow.
  bool fresh() const { return written_ == 0 && shared_ == nullptr; }
  bool drained() const { return written_ == size(); }
  bool sharing() const { return shared_ != nullptr; }
  std::size_t size() const { return bytes_.size() + (shared_ == nullptr ? 0 : shared_->size()); }

  // Appends bytes that other connections write, too. While sharing(), bytes() must not grow.
  void Share(const SharedBody& body) {
    if (body->size() > kCopyMax) {
      shared_ = body;
    } else {
      bytes_.write(body->data(), body->size());
    }
  }

  // The socket has taken the first `size` bytes of Unwritten().
  void OnWritten(Instant now, std::size_t size) {
    written_ += size;
    if (!drained()) return;
    written_ = 0;
    shared_ = nullptr;
    if (bytes_.size() > kKeepBrieflyMax) {
      bytes_ = msgpack::sbuffer(kInitial);
      return;
    }
    if (bytes_.size() > kKeepMax) release_at_ = now + kKeepTime;
    bytes_.clear();
  }

  Instant NextDeadline() const { return release_at_; }
  void OnTimer(Instant now) {
    if (now < release_at_) return;
    release_at_ = kNever;
    if (bytes_.size() == 0) bytes_ = msgpack::sbuffer(kInitial);
  }

 private:
  // Smaller bodies are copied, which costs less than another system call.
  static constexpr std::size_t kCopyMax = std::size_t{64} << 10;
  // Memory that an idle connection keeps, and memory that it keeps for a while: a client that hears
  // of thousands of members will hear of more, and fresh memory costs more than to fill it.
  static constexpr std::size_t kKeepMax = std::size_t{256} << 10;
  static constexpr std::size_t kKeepBrieflyMax = std::size_t{8} << 20;
  static constexpr Duration kKeepTime = std::chrono::seconds(1);
  static constexpr std::size_t kInitial = 512;

  msgpack::sbuffer bytes_{kInitial};
  SharedBody shared_;  // its bytes follow bytes_
  std::size_t written_ = 0;
  Instant release_at_ = kNever;
};

}  // namespace serf::rpc

#endif  // SERF_RPC_OUTPUT_BUFFER_H_
