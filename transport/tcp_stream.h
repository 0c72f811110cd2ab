// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_TRANSPORT_TCP_STREAM_H_
#define SERF_TRANSPORT_TCP_STREAM_H_

// TcpStream: one TCP connection of the machine, dialled or accepted. It reads as soon as bytes
// arrive, writes without waiting, and closes when all written bytes have left.
//
// It has no time-out except for closing: the machine closes connections that take too long. A
// shared_ptr holds it, because operations under way hold it too. One thread. Source:
// docs/protocol/membership.md 3.7.

#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cassert>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "serf/base/bytes.h"
#include "serf/base/endpoint.h"
#include "serf/base/time.h"
#include "serf/swim/outbox.h"
#include "serf/transport/net/asio.h"
#include "serf/transport/net/error_text.h"
#include "serf/transport/net/socket_address.h"
#include "serf/transport/net/zone.h"

namespace serf::transport {

// Receives what happens on a stream. A stream never calls it from within one of its own methods.
class StreamSink {
 public:
  virtual void OnStreamConnected(swim::StreamId stream) = 0;
  // The bytes are valid during the call.
  virtual void OnStreamBytes(swim::StreamId stream, ByteView bytes) = 0;
  // The peer sent its last byte (OK), or the connection failed or could not be made. The stream
  // closes by itself, and OnStreamGone follows.
  virtual void OnStreamClosed(swim::StreamId stream, const absl::Status& reason) = 0;
  // The connection no longer exists. Not called after Abort().
  virtual void OnStreamGone(swim::StreamId stream) = 0;
  // Room to read into, at least a page. All streams share it, so idle streams need no buffer.
  virtual MutableByteView ReadBuffer() = 0;

 protected:
  ~StreamSink() = default;
};

class TcpStream : public std::enable_shared_from_this<TcpStream> {
 public:
  // The most bytes that may wait for a slow peer. The largest frame that a peer accepts has 20 MiB,
  // and the machine writes nothing more before the answer to it (docs/protocol/membership.md 3.2).
  static constexpr std::size_t kWriteQueueMax = 32 << 20;
  // How long a closing stream waits for the peer to end its direction too, so that the connection
  // ends without a reset. A peer that has finished does so at once.
  static constexpr Duration kPeerCloseMax = std::chrono::seconds(1);
  // Reads on one stream before other sockets get their turn.
  static constexpr int kReadsPerTurn = 16;

  // `socket` is closed (call Dial() next) or an accepted connection (call Start() next). A closing
  // stream gets `flush_max` to send its written bytes.
  TcpStream(asio::ip::tcp::socket socket, swim::StreamId id, const Endpoint& peer,
            Duration flush_max, StreamSink& sink)
      : socket_(std::move(socket)), id_(id), peer_(peer), flush_max_(flush_max), sink_(&sink) {}
  TcpStream(const TcpStream&) = delete;
  TcpStream& operator=(const TcpStream&) = delete;

  // Starts reading from an accepted connection.
  void Start();
  // Connects, then calls OnStreamConnected or OnStreamClosed. `zone` is that of a link-local IPv6
  // peer.
  void Dial(names::Zone zone = 0);
  // Sends a copy of `bytes` after all earlier bytes. A call before the connection exists is
  // allowed.
  void Write(ByteView bytes);
  // Sends all written bytes, then ends the connection. Only OnStreamGone follows. Gives up a
  // connection that is not made yet.
  void Close();
  // Ends the connection at once. No call follows.
  void Abort();

  swim::StreamId id() const { return id_; }
  const Endpoint& peer() const { return peer_; }

 private:
  enum class State : std::uint8_t {
    kIdle,  // neither Start nor Dial yet
    kConnecting,
    kOpen,
    kClosing,  // makes no call but OnStreamGone, and sends what is left
    kGone,
  };

  void OnConnected(const ErrorCode& error);
  void WaitReadable();
  void OnReadable(const ErrorCode& error);
  void WaitWritable();
  // Writes until the system takes no more. False: the connection broke.
  bool Flush();
  // The peer or the network ended the connection: reports the reason, then closes.
  void Finish(const absl::Status& reason);
  void FinishLater(const absl::Status& reason);
  // Continues the closing: sends the rest, then ends this direction, then waits for the peer.
  void ContinueClosing();
  void LimitClosing(Duration limit);
  void Gone();
  Endpoint LocalEndpoint() const;

  asio::ip::tcp::socket socket_;
  const swim::StreamId id_;
  const Endpoint peer_;
  const Duration flush_max_;
  StreamSink* sink_;  // null after the last call to it
  State state_ = State::kIdle;
  bool reading_ = false;
  bool writing_ = false;    // waits until the socket takes more bytes
  bool peer_done_ = false;  // the peer sent its last byte
  bool shut_down_ = false;  // this side ended its direction
  ByteVector unsent_;       // from `sent_` on
  std::size_t sent_ = 0;
  std::optional<asio::steady_timer> linger_;
};

// --- bodies ---

inline Endpoint TcpStream::LocalEndpoint() const {
  ErrorCode error;
  const asio::ip::tcp::endpoint local = socket_.local_endpoint(error);
  return error ? Endpoint() : FromAsio(local);
}

inline void TcpStream::Start() {
  assert(state_ == State::kIdle);
  state_ = State::kOpen;
  ErrorCode ignored;
  socket_.set_option(asio::ip::tcp::no_delay(true), ignored);
  socket_.non_blocking(true, ignored);
  WaitReadable();
}

inline void TcpStream::Dial(names::Zone zone) {
  assert(state_ == State::kIdle);
  state_ = State::kConnecting;
  const asio::ip::tcp::endpoint to = ToAsio({peer_.address.Unmapped(), peer_.port}, zone);
  ErrorCode error;
  socket_.open(to.protocol(), error);
  if (error) return FinishLater(DialError(peer_, "socket", error));
  socket_.set_option(asio::ip::tcp::no_delay(true), error);
  socket_.non_blocking(true, error);
  socket_.async_connect(
      to, [self = shared_from_this()](const ErrorCode& result) { self->OnConnected(result); });
}

inline void TcpStream::OnConnected(const ErrorCode& error) {
  if (state_ != State::kConnecting) return;  // the connection was given up
  if (error) return Finish(DialError(peer_, "connect", error));
  state_ = State::kOpen;
  WaitReadable();
  // Bytes that were written before the connection existed go first.
  if (!Flush()) return;
  if (sink_ != nullptr) sink_->OnStreamConnected(id_);
}

inline void TcpStream::WaitReadable() {
  if (reading_ || peer_done_) return;
  reading_ = true;
  socket_.async_wait(asio::ip::tcp::socket::wait_read,
                     [self = shared_from_this()](const ErrorCode& error) {
                       self->reading_ = false;
                       self->OnReadable(error);
                     });
}

inline void TcpStream::OnReadable(const ErrorCode& wait_error) {
  for (int i = 0; i < kReadsPerTurn; ++i) {
    if (state_ != State::kOpen && state_ != State::kClosing) return;
    if (sink_ == nullptr) return;
    const MutableByteView buffer = sink_->ReadBuffer();
    ErrorCode error = wait_error;
    const std::size_t size =
        error ? 0 : socket_.read_some(asio::buffer(buffer.data(), buffer.size()), error);
    if (error == asio::error::would_block || error == asio::error::try_again) break;
    if (error) {
      peer_done_ = true;
      if (state_ == State::kClosing) {
        return error == asio::error::eof ? ContinueClosing() : Gone();
      }
      return Finish(error == asio::error::eof ? absl::OkStatus()
                                              : StreamError("read", LocalEndpoint(), peer_, error));
    }
    // Bytes that arrive after Close() are read and dropped. If they stayed in the kernel, the
    // connection would end with a reset, which can destroy the last bytes on their way to the peer.
    if (state_ == State::kOpen) sink_->OnStreamBytes(id_, buffer.first(size));
    if (size < buffer.size()) break;  // a short read: most likely there is no more
  }
  if (state_ == State::kOpen || state_ == State::kClosing) WaitReadable();
}

inline void TcpStream::Write(ByteView bytes) {
  if (state_ != State::kOpen && state_ != State::kConnecting) return;
  if (unsent_.size() - sent_ + bytes.size() > kWriteQueueMax) {
    return FinishLater(absl::ResourceExhaustedError(absl::StrCat(
        "write tcp ", LocalEndpoint().ToString(), "->", peer_.ToString(), ": too much to send")));
  }
  // In the common case the system takes everything, and nothing is copied.
  if (state_ == State::kOpen && unsent_.empty()) {
    while (!bytes.empty()) {
      ErrorCode error;
      const std::size_t sent = socket_.write_some(asio::buffer(bytes.data(), bytes.size()), error);
      if (error == asio::error::would_block || error == asio::error::try_again) break;
      if (error) return FinishLater(StreamError("write", LocalEndpoint(), peer_, error));
      bytes = bytes.subspan(sent);
    }
    if (bytes.empty()) return;
    WaitWritable();
  }
  Append(unsent_, bytes);
}

inline void TcpStream::WaitWritable() {
  if (writing_) return;
  writing_ = true;
  socket_.async_wait(asio::ip::tcp::socket::wait_write,
                     [self = shared_from_this()](const ErrorCode&) {
                       self->writing_ = false;
                       if (!self->Flush()) return;
                       if (self->state_ == State::kClosing) self->ContinueClosing();
                     });
}

inline bool TcpStream::Flush() {
  if (state_ != State::kOpen && state_ != State::kClosing) return false;
  while (sent_ < unsent_.size()) {
    ErrorCode error;
    const std::size_t sent =
        socket_.write_some(asio::buffer(unsent_.data() + sent_, unsent_.size() - sent_), error);
    if (error == asio::error::would_block || error == asio::error::try_again) {
      WaitWritable();
      return true;
    }
    if (error) {
      unsent_.clear();
      sent_ = 0;
      if (state_ == State::kClosing) {
        Gone();
      } else {
        Finish(StreamError("write", LocalEndpoint(), peer_, error));
      }
      return false;
    }
    sent_ += sent;
  }
  unsent_ = ByteVector();  // frees the memory too: streams are short, and few are large
  sent_ = 0;
  return true;
}

inline void TcpStream::Finish(const absl::Status& reason) {
  if (state_ == State::kClosing || state_ == State::kGone) return;
  const auto self = shared_from_this();  // the sink may release the stream
  state_ = reason.ok() ? State::kClosing : State::kGone;
  StreamSink* const sink = sink_;
  if (sink == nullptr) return;
  if (state_ == State::kGone) {
    ErrorCode ignored;
    socket_.close(ignored);
    sink_ = nullptr;
    sink->OnStreamClosed(id_, reason);
    sink->OnStreamGone(id_);
    return;
  }
  sink->OnStreamClosed(id_, reason);
  if (state_ != State::kClosing) return;
  LimitClosing(flush_max_);
  ContinueClosing();
}

inline void TcpStream::FinishLater(const absl::Status& reason) {
  asio::post(socket_.get_executor(), [self = shared_from_this(), reason] { self->Finish(reason); });
}

inline void TcpStream::Close() {
  if (state_ == State::kClosing || state_ == State::kGone) return;
  const bool connected = state_ == State::kOpen;
  state_ = State::kClosing;
  if (connected) LimitClosing(flush_max_);
  // Posted, because a stream never calls its sink from within its own methods.
  asio::post(socket_.get_executor(), [self = shared_from_this(), connected] {
    if (self->state_ != State::kClosing) return;
    connected ? self->ContinueClosing() : self->Gone();
  });
}

inline void TcpStream::LimitClosing(Duration limit) {
  linger_.emplace(socket_.get_executor());
  linger_->expires_after(std::chrono::duration_cast<asio::steady_timer::duration>(limit));
  linger_->async_wait([weak = weak_from_this()](const ErrorCode& error) {
    const auto self = weak.lock();
    if (self != nullptr && !error) self->Gone();
  });
}

inline void TcpStream::ContinueClosing() {
  if (sent_ < unsent_.size()) return;  // WaitWritable() is under way
  ErrorCode ignored;
  if (!shut_down_) {
    shut_down_ = true;
    socket_.shutdown(asio::ip::tcp::socket::shutdown_send, ignored);
  }
  if (peer_done_) return Gone();
  LimitClosing(kPeerCloseMax);
  WaitReadable();
}

inline void TcpStream::Abort() {
  sink_ = nullptr;
  Gone();
}

inline void TcpStream::Gone() {
  if (state_ == State::kGone) return;
  state_ = State::kGone;
  ErrorCode ignored;
  socket_.close(ignored);
  linger_.reset();
  if (StreamSink* const sink = std::exchange(sink_, nullptr)) sink->OnStreamGone(id_);
}

}  // namespace serf::transport

#endif  // SERF_TRANSPORT_TCP_STREAM_H_
