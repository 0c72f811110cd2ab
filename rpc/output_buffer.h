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
#include <utility>

#include "msgpack/sbuffer.hpp"
#include "serf/base/bytes.h"
#include "serf/base/time.h"
#include "serf/rpc/encode.h"

namespace serf::rpc {

class OutputBuffer {
 public:
  msgpack::sbuffer& bytes() { return bytes_; }

  ByteView Unwritten() const { return ViewOf(bytes_).subspan(written_); }
  // Whether nothing has been written yet.
  bool fresh() const { return written_ == 0; }
  bool drained() const { return written_ == bytes_.size(); }
  std::size_t size() const { return bytes_.size(); }

  // Lends the memory, if it is free, for a reply that another thread writes. Append() returns it.
  msgpack::sbuffer Lend() {
    msgpack::sbuffer lent(kInitial);
    if (bytes_.size() == 0) std::swap(bytes_, lent);
    return lent;
  }
  void Append(msgpack::sbuffer bytes) {
    if (bytes_.size() > 0) {
      bytes_.write(bytes.data(), bytes.size());
      return;
    }
    bytes_ = std::move(bytes);
    lent_ = true;
  }

  // The socket has taken the first `size` bytes of Unwritten().
  void OnWritten(Instant now, std::size_t size) {
    written_ += size;
    if (!drained()) return;
    written_ = 0;
    if (bytes_.size() > kKeepBrieflyMax) {
      bytes_ = msgpack::sbuffer(kInitial);
      lent_ = false;
      return;
    }
    // The lent memory may be larger than its content.
    if (std::exchange(lent_, false) || bytes_.size() > kKeepMax) release_at_ = now + kKeepTime;
    bytes_.clear();
  }

  Instant NextDeadline() const { return release_at_; }
  void OnTimer(Instant now) {
    if (now < release_at_) return;
    release_at_ = kNever;
    if (bytes_.size() == 0) bytes_ = msgpack::sbuffer(kInitial);
  }

 private:
  // Memory that an idle connection keeps, and memory that it keeps for a while: a client that asks
  // for thousands of members will ask again, and fresh memory costs more than to fill it.
  static constexpr std::size_t kKeepMax = std::size_t{256} << 10;
  static constexpr std::size_t kKeepBrieflyMax = std::size_t{8} << 20;
  static constexpr Duration kKeepTime = std::chrono::seconds(1);
  static constexpr std::size_t kInitial = 512;

  msgpack::sbuffer bytes_{kInitial};
  std::size_t written_ = 0;
  bool lent_ = false;  // bytes_ are on loan
  Instant release_at_ = kNever;
};

}  // namespace serf::rpc

#endif  // SERF_RPC_OUTPUT_BUFFER_H_
