// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_WIRE_STREAM_FRAME_H_
#define SERF_WIRE_STREAM_FRAME_H_

// Reads streams: one TCP connection carries one unit each way (docs/protocol/membership.md 3). The
// membership layer uses it. stream_writer.h writes the units.
//
//   StreamReader reader(options);
//   switch (reader.Feed(bytes, portion)) {    // and FeedEnd() when the peer is done
//     case StreamStatus::kNeedMore: break;    // wait for further bytes
//     case StreamStatus::kBusy: break;        // Continue() in another turn
//     case StreamStatus::kUnit: Handle(reader.unit()); break;
//     case StreamStatus::kFailed: Refuse(reader.failure()); break;
//   }
//
//   stream    = [label header] unit            a label header from the initiator only
//   unit      = frame of a payload | payload
//   frame     = 0a length sealed               length: uint32, of what follows
//   payload   = message | compress of a message
//   message   = 00 ping | 02 ack | 0d error | 06 push-pull | 08 user-header byte*
//   push-pull = header record{nodes} byte{user_state_len}
//
// Memory grows as bytes arrive, up to the limits below, and never by an announced length. The
// reader measures what a compressed message inflates to, and bounds that by the bytes that are
// there. Then it inflates no further than it decodes: worthless text costs one piece of it. It
// decrypts, inflates and decodes in portions.

#include <algorithm>
#include <array>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "serf/base/byte_buffer.h"
#include "serf/base/bytes.h"
#include "serf/base/portion.h"
#include "serf/wire/aead.h"
#include "serf/wire/label.h"
#include "serf/wire/lzw.h"
#include "serf/wire/message_type.h"
#include "serf/wire/msgpack.h"
#include "serf/wire/packet.h"
#include "serf/wire/swim_messages.h"

namespace serf::wire {

// Go Serf's limits on receipt.
inline constexpr std::uint64_t kStreamFrameMax = 20 << 20;
inline constexpr std::int64_t kUserStateMax = 20 << 20;
inline constexpr std::int64_t kUserMessageMax = 20 << 20;
inline constexpr std::int64_t kPushPullNodesMax = 1 << 20;
inline constexpr std::size_t kStreamInflatedMax = 40 << 20;
// The compressed bytes of a plaintext stream, and the whole body of one that is not compressed: as
// much as decompression may yield, so that each way of sending carries the same.
inline constexpr std::size_t kStreamBodyMax = kStreamInflatedMax;
// Ping, ack and error on a stream: a name and an error text of any sane length. Also a record of a
// push/pull, and what surrounds the bytes of a compress message.
inline constexpr std::size_t kStreamMessageMax = 64 << 10;
// What a compressed message may inflate to besides kInflationMax times its bytes.
inline constexpr std::size_t kInflationFree = 1 << 20;
// How much text is inflated ahead of the decoding.
inline constexpr std::size_t kInflationPiece = 16 << 10;

inline constexpr std::size_t kFrameHeaderSize = 5;

// What was received: complete, its limits checked.
struct StreamUnit {
  MessageType type = MessageType::kPing;
  // After the type byte: the record of a ping, ack or error; the payload alone of a user message;
  // header, records and user state of a push/pull, for PushPullReader.
  ByteView body = {};
};

enum class StreamError : std::uint8_t {
  kNone,
  kClosed,  // the peer closed where the next byte was due
  kLabelTruncated,
  kLabelZeroLength,
  kDoubleLabel,  // a label although a proxy removes labels
  kLabelMismatch,
  kNotConfigured,  // encrypted, and we have no keys
  kNotEncrypted,   // plaintext, and we have keys
  kFrameTooLarge,
  kNotAuthentic,  // cannot be decrypted, for whatever reason
  kEmpty,         // nothing left after decryption or decompression
  kBadCompress,   // no valid compress record, or no known algorithm
  kBadLzw,
  kTooLarge,        // one of the limits above
  kUnexpectedType,  // no message for this side of a stream
  kBadBody,         // the message does not decode, or ends early
  kBadCount,        // a negative or huge count or length
};

// How to end a stream that failed.
enum class StreamEnd : std::uint8_t {
  kSilent,  // close, without a log line
  kClose,   // log, close
  kAnswer,  // log, answer with an ErrorMessage of the text (acceptors only), close
};

struct StreamFailure {
  StreamError error = StreamError::kNone;
  StreamEnd end = StreamEnd::kClose;
  // Go Serf's wording.
  std::string text;
};

struct StreamOptions {
  // Which side this is: acceptors read a request, initiators its answer.
  bool initiator = false;
  absl::string_view label = {};
  // As for packets; acceptors only.
  bool skip_inbound_label_check = false;
  const Keyring* keyring = nullptr;  // null or empty: streams are plaintext
  Aead* aead = nullptr;              // needed with keys
  bool verify_incoming = true;       // false: plaintext is accepted too
};

enum class StreamStatus : std::uint8_t {
  kNeedMore,
  kBusy,  // the portion is spent, and there is more to do with the bytes at hand
  kUnit,
  kFailed,
};

// Reads one unit from a stream. What the options point to must outlive the reader, which stays
// where it was made: its unit's views point into it.
class StreamReader {
 public:
  explicit StreamReader(const StreamOptions& options)
      : options_(options), phase_(options.initiator ? Phase::kType : Phase::kLabel) {}
  StreamReader(const StreamReader&) = delete;
  StreamReader& operator=(const StreamReader&) = delete;

  // Takes bytes as they arrive, in pieces of any size. After kUnit or kFailed it ignores them.
  StreamStatus Feed(ByteView bytes, Portion& portion) {
    if (!is_filled_ && !is_done()) buffer_.Append(bytes);
    return Continue(portion);
  }

  // The peer will send no more.
  StreamStatus FeedEnd(Portion& portion) {
    ended_ = true;
    return Continue(portion);
  }

  // After kBusy.
  StreamStatus Continue(Portion& portion) { return is_done() ? status_ : Run(portion); }

  // All at once, for callers that have no other work to do.
  StreamStatus Feed(ByteView bytes) {
    Portion all = Portion::Unlimited();
    return Feed(bytes, all);
  }
  StreamStatus FeedEnd() {
    Portion all = Portion::Unlimited();
    return FeedEnd(all);
  }

  StreamStatus status() const { return status_; }
  // After kUnit; its views live as long as the reader.
  const StreamUnit& unit() const { return unit_; }
  // After kFailed.
  const StreamFailure& failure() const { return failure_; }
  // True once the bytes are known to be a push/pull's; those are limited in number.
  bool reads_push_pull() const { return phase_ >= Phase::kHeader; }
  // True once the peer has shown that it belongs here: with keys, when something was decrypted;
  // without, when a push/pull's header or the head of a compress message was read.
  bool is_verified() const { return verified_; }
  // Bytes of memory that are in use.
  std::size_t held() const { return buffer_.size() + plain_.size() + inflated_.size(); }
  // Size announced by an encrypted frame, else 0. Near kStreamFrameMax it deserves a warning.
  std::uint64_t frame_size() const { return frame_size_; }

 private:
  enum class Phase : std::uint8_t {
    kLabel,
    kType,
    kFrame,
    kCompress,
    kMeasure,
    kMessage,
    kUser,
    kHeader,
    kRecords,
    kState,
  };

  bool is_done() const {
    return status_ == StreamStatus::kUnit || status_ == StreamStatus::kFailed;
  }

  StreamStatus Run(Portion& portion) {
    status_ = StreamStatus::kNeedMore;
    // The reader looks at nothing twice before the bytes that it lacked can be there.
    while (nested_ || ended_ || buffer_.size() >= wanted_) {
      if (portion.empty()) {
        status_ = StreamStatus::kBusy;
        break;
      }
      if (inflating_ && layer_.size() < wanted_) {
        Inflate(portion);
        continue;
      }
      if (Step(portion)) continue;
      if (!inflating_ || status_ != StreamStatus::kNeedMore) break;
      wanted_ = std::max(wanted_, layer_.size() + 1);  // a step waits for more text
    }
    return status_;
  }

  // The steps return true to continue; false to wait, when the portion is spent, or at the end.
  bool Step(Portion& portion);
  bool StepLabel();
  bool StepType();
  bool StepFrame(Portion& portion);
  bool StepCompress();
  bool StepMeasure(Portion& portion);
  bool StepMessage();
  bool StepUser();
  bool StepHeader();
  bool StepRecords(Portion& portion);
  bool StepState();

  bool keyed() const { return options_.keyring != nullptr && !options_.keyring->empty(); }
  // Whether no byte can follow those at hand.
  bool is_complete() const { return nested_ ? !inflating_ : ended_; }
  // The bytes of the innermost layer, and those of them that were not passed.
  ByteView Layer() const { return nested_ ? layer_ : buffer_.view(); }
  ByteView Rest() const { return Layer().subspan(at_); }

  // Continues with the content of a layer.
  bool Enter(ByteView layer) {
    nested_ = true;
    layer_ = layer;
    at_ = 0;
    wanted_ = 0;
    return To(Phase::kType);
  }
  // Inflates more of the layer.
  void Inflate(Portion& portion);
  // No more text is needed, nor what it is inflated from.
  void EndInflation() {
    inflating_ = false;
    decoder_ = nullptr;
    buffer_.Clear();
    plain_ = ByteVector();
    listed_ = ByteVector();
  }
  bool To(Phase phase) {
    phase_ = phase;
    attempts_ = 0;
    return true;
  }
  // Waits until Rest() has `size` bytes.
  bool Wait(std::size_t size) {
    wanted_ = at_ + size;
    return false;
  }
  // Waits for another portion.
  bool Pause() {
    status_ = StreamStatus::kBusy;
    return false;
  }
  bool Deliver(MessageType type, ByteView body) {
    if (inflating_) EndInflation();
    unit_ = {type, body};
    status_ = StreamStatus::kUnit;
    return false;
  }
  bool Fail(StreamError error, StreamEnd end, std::string text) {
    failure_ = {error, end, std::move(text)};
    status_ = StreamStatus::kFailed;
    return false;
  }
  bool Refuse(StreamError error, std::string text) {
    return Fail(error, StreamEnd::kAnswer, std::move(text));
  }
  // What a record at Rest() is decoded from: no more of it than it may have.
  ByteView Window() const { return Rest().first(std::min(Rest().size(), kStreamMessageMax)); }
  // A record in Window() did not decode: waits for the rest of it, or fails.
  bool WaitOrFail(const DecodeScratch& scratch, DecodeResult result, StreamEnd end,
                  absl::string_view what);
  // Waits for more of a value that was looked at in vain.
  bool WaitMore(std::size_t needed);
  bool FailTooLarge(StreamEnd end, absl::string_view what) {
    return Fail(StreamError::kTooLarge, end, absl::StrCat(what, " exceeds limit"));
  }

  // The most decodings of one record that arrives in pieces. Honest records need fewer even if they
  // come byte by byte. Beyond it the bytes at hand must grow by a quarter for each decoding, so
  // that a huge record of tiny unknown values cannot make the reader read it again and again.
  static constexpr int kAttemptsMax = 64;
  // What a record costs besides its bytes.
  static constexpr std::size_t kRecordCost = 64;

  StreamOptions options_;
  Phase phase_;
  StreamStatus status_ = StreamStatus::kNeedMore;
  bool ended_ = false;
  bool is_filled_ = false;  // the frame or compress message is all there: what follows is surplus
  bool nested_ = false;     // reading layer_, not buffer_
  bool verified_ = false;
  bool compressed_ = false;  // a compress layer was opened
  MessageType type_ = MessageType::kPing;
  int attempts_ = 0;
  std::size_t at_ = 0;      // passed bytes of the innermost layer
  std::size_t wanted_ = 0;  // bytes that the buffer must have to continue
  std::size_t body_ = 0;    // where a push/pull body begins
  std::int64_t records_left_ = 0;
  std::size_t state_size_ = 0;
  std::uint64_t frame_size_ = 0;
  std::unique_ptr<SealedOpener> opener_;  // of the frame
  std::unique_ptr<LzwDecoder> decoder_;   // of the compress message
  ByteView deflated_;                     // its bytes, in buffer_, plain_ or listed_
  ByteVector listed_;                     // those that came as a list of integers
  std::size_t inflated_size_ = 0;         // what they inflate to
  bool inflating_ = false;                // layer_ is what was inflated so far
  ByteBuffer buffer_;
  ByteVector plain_;
  ByteVector inflated_;
  ByteView layer_;
  StreamUnit unit_;
  StreamFailure failure_;
};

// What is wrong with the counts of a push/pull header, in Go Serf's words; empty if nothing.
std::string PushPullHeaderFault(const PushPullHeader& header);

// --- bodies ---

inline bool StreamReader::Step(Portion& portion) {
  switch (phase_) {
    case Phase::kLabel:
      return StepLabel();
    case Phase::kType:
      return StepType();
    case Phase::kFrame:
      return StepFrame(portion);
    case Phase::kCompress:
      return StepCompress();
    case Phase::kMeasure:
      return StepMeasure(portion);
    case Phase::kMessage:
      return StepMessage();
    case Phase::kUser:
      return StepUser();
    case Phase::kHeader:
      return StepHeader();
    case Phase::kRecords:
      return StepRecords(portion);
    case Phase::kState:
      return StepState();
  }
  return false;
}

inline bool StreamReader::StepLabel() {
  const ByteView rest = Rest();
  if (rest.empty() && !ended_) return Wait(1);
  absl::string_view label;
  ByteView after;
  switch (SplitLabel(rest, label, after)) {
    case LabelError::kOk:
      break;
    case LabelError::kZeroLength:
      return Fail(StreamError::kLabelZeroLength, StreamEnd::kClose,
                  "label header cannot be empty when present");
    case LabelError::kTruncated:
      if (!ended_) return Wait(rest.size() < 2 ? 2 : 2u + rest[1]);
      return Fail(StreamError::kLabelTruncated, StreamEnd::kClose,
                  "cannot decode label; stream has been truncated");
  }
  if (options_.skip_inbound_label_check) {
    if (!label.empty()) {
      return Fail(StreamError::kDoubleLabel, StreamEnd::kClose,
                  "unexpected double stream label header");
    }
  } else if (label != options_.label && !rest.empty()) {
    return Fail(StreamError::kLabelMismatch, StreamEnd::kClose,
                absl::StrCat("discarding stream with unacceptable label \"", label, "\""));
  }
  at_ = rest.size() - after.size();
  return To(Phase::kType);
}

inline bool StreamReader::StepType() {
  const ByteView rest = Rest();
  if (rest.empty()) {
    if (!is_complete()) return Wait(1);
    return Fail(StreamError::kClosed, StreamEnd::kSilent, "");
  }
  type_ = static_cast<MessageType>(rest[0]);
  if (!nested_ && type_ == MessageType::kEncrypt) {
    if (keyed()) return To(Phase::kFrame);
    return Refuse(StreamError::kNotConfigured,
                  "Remote state is encrypted and encryption is not configured");
  }
  if (!nested_ && keyed() && options_.verify_incoming) {
    return Refuse(StreamError::kNotEncrypted,
                  "Encryption is configured but remote state is not encrypted");
  }
  ++at_;
  switch (type_) {
    case MessageType::kCompress:
      if (!compressed_) return To(Phase::kCompress);
      break;
    case MessageType::kPushPull:
      return To(Phase::kHeader);
    case MessageType::kPing:
      if (!options_.initiator) return To(Phase::kMessage);
      break;
    case MessageType::kUser:
      if (!options_.initiator) return To(Phase::kUser);
      break;
    case MessageType::kAck:
    case MessageType::kError:
      if (options_.initiator) return To(Phase::kMessage);
      break;
    default:
      break;
  }
  return Fail(StreamError::kUnexpectedType, StreamEnd::kClose,
              absl::StrCat("Received invalid msgType (", static_cast<int>(type_), ")"));
}

inline bool StreamReader::StepFrame(Portion& portion) {
  const ByteView rest = Rest();
  if (rest.size() < kFrameHeaderSize) {
    if (!ended_) return Wait(kFrameHeaderSize);
    return Fail(StreamError::kClosed, StreamEnd::kSilent, "");
  }
  std::uint64_t size = 0;
  for (std::size_t i = 1; i < kFrameHeaderSize; ++i) size = size << 8 | rest[i];
  frame_size_ = size;
  if (size > kStreamFrameMax) {
    return Refuse(StreamError::kFrameTooLarge,
                  absl::StrCat("Remote node state is larger than limit (", size, ")"));
  }
  const std::size_t whole = kFrameHeaderSize + static_cast<std::size_t>(size);
  if (rest.size() < whole) {
    if (!ended_) return Wait(whole);
    return Fail(StreamError::kClosed, StreamEnd::kSilent, "");
  }
  std::array<std::uint8_t, kFrameHeaderSize + kLabelMax> aad;
  assert(options_.label.size() <= kLabelMax);
  std::copy_n(rest.begin(), kFrameHeaderSize, aad.begin());
  std::copy(options_.label.begin(), options_.label.end(), aad.begin() + kFrameHeaderSize);
  const ByteView sealed = rest.subspan(kFrameHeaderSize, whole - kFrameHeaderSize);
  is_filled_ = true;
  ByteView plain;
  assert(options_.aead != nullptr);
  if (opener_ == nullptr) opener_ = std::make_unique<SealedOpener>();
  const std::optional<OpenError> error =
      opener_->Continue(sealed, ByteView(aad).first(kFrameHeaderSize + options_.label.size()),
                        *options_.keyring, *options_.aead, portion, plain_, plain);
  if (!error) return Pause();
  opener_ = nullptr;
  if (*error != OpenError::kOk) {
    return Refuse(StreamError::kNotAuthentic, OpenErrorText(*error, sealed));
  }
  verified_ = true;
  buffer_.Clear();
  if (plain.empty()) return Refuse(StreamError::kEmpty, "decrypted message is empty");
  return Enter(plain);
}

inline bool StreamReader::StepCompress() {
  // All but the compressed bytes must be near the beginning. What the window cuts off can only be
  // those: then it is widened by them, once.
  constexpr absl::string_view kWhat = "compressed message";
  DecodeScratch scratch;
  CompressMessage message;
  DecodeResult result = Decode(Window(), message, scratch);
  if (result == DecodeResult::kTruncated && scratch.needed() > kStreamMessageMax) {
    if (!keyed()) verified_ = true;
    const std::size_t size = scratch.needed();
    if (size > kStreamBodyMax) return FailTooLarge(StreamEnd::kAnswer, kWhat);
    if (Rest().size() < size && !is_complete()) return Wait(size);
    const std::size_t widened = size + kStreamMessageMax;
    result = Decode(Rest().first(std::min(Rest().size(), widened)), message, scratch);
    if (result == DecodeResult::kTruncated && scratch.needed() <= widened && !is_complete()) {
      return WaitMore(scratch.needed());
    }
  }
  if (result != DecodeResult::kOk) return WaitOrFail(scratch, result, StreamEnd::kAnswer, kWhat);
  if (message.algo != kCompressLzw) {
    return Refuse(StreamError::kBadCompress,
                  absl::StrCat("Cannot decompress unknown algorithm ", message.algo));
  }
  is_filled_ = true;
  // Unless they came as a list of integers they are a part of the layer, which stays as it is now.
  const ByteView layer = Layer();
  if (message.buf.data() >= layer.data() && message.buf.data() < layer.data() + layer.size()) {
    deflated_ = message.buf;
  } else {
    listed_.assign(message.buf.begin(), message.buf.end());
    deflated_ = listed_;
  }
  decoder_ = std::make_unique<LzwDecoder>();
  decoder_->Start();
  return To(Phase::kMeasure);
}

inline bool StreamReader::StepMeasure(Portion& portion) {
  const std::size_t max =
      std::min(kStreamInflatedMax, kInflationFree + kInflationMax * deflated_.size());
  switch (decoder_->Measure(deflated_, max, portion)) {
    case LzwResult::kOk:
      break;
    case LzwResult::kUnfinished:
      return Pause();
    case LzwResult::kTruncated:
      return Refuse(StreamError::kBadLzw, "unexpected EOF");
    case LzwResult::kBadCode:
      return Refuse(StreamError::kBadLzw, "lzw: invalid code");
    case LzwResult::kTooLarge:
      return Refuse(StreamError::kTooLarge, "decompressed message exceeds limit");
  }
  inflated_size_ = decoder_->size();
  if (inflated_size_ == 0) {
    return Refuse(StreamError::kEmpty, "decompressed message is empty");
  }
  // A large reservation takes memory only where something is written.
  inflated_.reserve(inflated_size_);
  decoder_->Start();
  compressed_ = true;
  inflating_ = true;
  return Enter({});
}

inline void StreamReader::Inflate(Portion& portion) {
  const std::size_t piece = std::max(wanted_ - layer_.size(), kInflationPiece);
  Portion part = portion.Part(piece);
  const std::size_t before = part.left();
  const LzwResult result = decoder_->Continue(deflated_, inflated_size_, part, inflated_);
  portion.Spend(before - part.left());
  layer_ = inflated_;
  // The measuring has shown that nothing else can come.
  assert(result == LzwResult::kOk || result == LzwResult::kUnfinished);
  if (result != LzwResult::kUnfinished) EndInflation();
}

inline bool StreamReader::StepMessage() {
  DecodeScratch scratch;
  MsgpackReader reader(Window(), scratch);
  reader.Skip();
  const DecodeResult result = reader.Finish();
  if (result != DecodeResult::kOk) {
    return WaitOrFail(scratch, result, StreamEnd::kClose, "message");
  }
  return Deliver(type_, Rest().first(scratch.consumed()));
}

inline bool StreamReader::StepUser() {
  DecodeScratch scratch;
  UserHeader header;
  const ByteView rest = Rest();
  const DecodeResult result = Decode(Window(), header, scratch);
  if (result != DecodeResult::kOk) {
    return WaitOrFail(scratch, result, StreamEnd::kClose, "user message header");
  }
  if (header.user_msg_len < 0 || header.user_msg_len > kUserMessageMax) {
    return Fail(StreamError::kBadCount, StreamEnd::kClose,
                absl::StrCat("user message length (", header.user_msg_len, ") exceeds limit"));
  }
  const auto size = static_cast<std::size_t>(header.user_msg_len);
  if (rest.size() - scratch.consumed() < size) {
    if (!is_complete()) return Wait(scratch.consumed() + size);
    return Fail(StreamError::kBadBody, StreamEnd::kClose, "Failed to read full user message");
  }
  return Deliver(type_, rest.subspan(scratch.consumed(), size));
}

inline bool StreamReader::StepHeader() {
  DecodeScratch scratch;
  PushPullHeader header;
  const DecodeResult result = Decode(Window(), header, scratch);
  if (result != DecodeResult::kOk) {
    return WaitOrFail(scratch, result, StreamEnd::kClose, "push/pull header");
  }
  // Both counts at once, before a single record is waited for.
  std::string fault = PushPullHeaderFault(header);
  if (!fault.empty()) return Fail(StreamError::kBadCount, StreamEnd::kClose, std::move(fault));
  if (!keyed()) verified_ = true;
  body_ = at_;
  at_ += scratch.consumed();
  records_left_ = header.nodes;
  state_size_ = static_cast<std::size_t>(header.user_state_len);
  return To(Phase::kRecords);
}

inline bool StreamReader::StepRecords(Portion& portion) {
  constexpr absl::string_view kWhat = "node record";
  DecodeScratch scratch;
  PushPullNode node;
  for (; records_left_ > 0; --records_left_) {
    if (portion.empty()) return Pause();
    const DecodeResult result = Decode(Window(), node, scratch);
    if (result != DecodeResult::kOk) {
      portion.Spend(Window().size());
      const bool lacks = result == DecodeResult::kTruncated;
      if (lacks && at_ - body_ + scratch.needed() > kStreamBodyMax) {
        return FailTooLarge(StreamEnd::kClose, kWhat);
      }
      return WaitOrFail(scratch, result, StreamEnd::kClose, kWhat);
    }
    at_ += scratch.consumed();
    portion.Spend(scratch.consumed() + kRecordCost);
    attempts_ = 0;
  }
  return To(Phase::kState);
}

inline bool StreamReader::StepState() {
  if (Rest().size() < state_size_) {
    if (!is_complete()) return Wait(state_size_);
    return Fail(StreamError::kBadBody, StreamEnd::kClose, "Failed to read full user state");
  }
  return Deliver(type_, Layer().subspan(body_, at_ - body_ + state_size_));
}

inline bool StreamReader::WaitMore(std::size_t needed) {
  if (++attempts_ <= kAttemptsMax) return Wait(needed);
  return Wait(std::max(needed, Rest().size() + Rest().size() / 4));
}

inline bool StreamReader::WaitOrFail(const DecodeScratch& scratch, DecodeResult result,
                                     StreamEnd end, absl::string_view what) {
  if (result == DecodeResult::kTruncated) {
    // A window that is full cut it off.
    const bool cut = Rest().size() > kStreamMessageMax;
    if (cut || (!is_complete() && scratch.needed() > kStreamMessageMax)) {
      return FailTooLarge(end, what);
    }
    if (!is_complete()) return WaitMore(scratch.needed());
  }
  const StreamError error =
      end == StreamEnd::kAnswer ? StreamError::kBadCompress : StreamError::kBadBody;
  return Fail(error, end, absl::StrCat("failed to decode ", what, ": ", DecodeResultName(result)));
}

inline std::string PushPullHeaderFault(const PushPullHeader& header) {
  if (header.nodes < 0 || header.nodes > kPushPullNodesMax) {
    return absl::StrCat("number of nodes in header (", header.nodes, ") exceeds limit");
  }
  if (header.user_state_len < 0 || header.user_state_len > kUserStateMax) {
    return absl::StrCat("user state length (", header.user_state_len, ") exceeds limit");
  }
  return std::string();
}

}  // namespace serf::wire

#endif  // SERF_WIRE_STREAM_FRAME_H_
