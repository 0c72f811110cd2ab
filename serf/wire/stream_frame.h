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
// bytes that are there bound what a compressed message may inflate to. The reader inflates it piece
// by piece, as far as it decodes it, and keeps no more than kInflatedHeldMax of it. A push/pull
// that is longer is checked and let go: PushPullReader inflates it once more. The reader decrypts,
// inflates and decodes in portions.

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
#include "serf/wire/message_text.h"
#include "serf/wire/message_type.h"
#include "serf/wire/msgpack.h"
#include "serf/wire/packet.h"
#include "serf/wire/stream_unit.h"
#include "serf/wire/swim_messages.h"

namespace serf::wire {

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
  bool reads_push_pull() const {
    return phase_ >= Phase::kHeader && type_ == MessageType::kPushPull;
  }
  // True once the peer has shown that it belongs here: with keys, when something was decrypted;
  // without, when a push/pull's header or the head of a compress message was read.
  bool is_verified() const { return verified_; }
  // Bytes of memory that are in use.
  std::size_t held() const {
    return buffer_.size() + plain_.size() + listed_.size() + (text_ ? text_->held() : 0);
  }
  // Size announced by an encrypted frame, else 0. Near kStreamFrameMax it deserves a warning.
  std::uint64_t frame_size() const { return frame_size_; }

 private:
  enum class Phase : std::uint8_t {
    kLabel,
    kType,
    kFrame,
    kCompress,
    kMessage,
    kUser,
    kHeader,
    kRecords,
    kState,
    kDrain,
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
      if (inflating() && text_->end() < wanted_) {
        if (Inflate(portion)) continue;
        break;
      }
      if (Step(portion)) continue;
      if (!inflating() || status_ != StreamStatus::kNeedMore) break;
      wanted_ = std::max(wanted_, text_->end() + 1);  // a step waits for more text
    }
    return status_;
  }

  // The steps return true to continue; false to wait, when the portion is spent, or at the end.
  bool Step(Portion& portion);
  bool StepLabel();
  bool StepType();
  bool StepFrame(Portion& portion);
  bool StepCompress();
  bool StepMessage();
  bool StepUser();
  bool StepHeader();
  bool StepRecords(Portion& portion);
  bool StepState();
  bool StepDrain(Portion& portion);

  bool keyed() const { return options_.keyring != nullptr && !options_.keyring->empty(); }
  // Whether the layer is text, of which more may come.
  bool inflating() const { return text_ != nullptr && !text_->complete(); }
  // Whether no byte can follow those at hand.
  bool is_complete() const { return nested_ ? !inflating() : ended_; }
  // The bytes of the innermost layer from `at` on, and those that were not passed.
  ByteView From(std::size_t at) const {
    if (text_ != nullptr) return text_->From(at);
    return (nested_ ? layer_ : buffer_.view()).subspan(at);
  }
  ByteView Rest() const { return From(at_); }

  // Continues with the content of a layer.
  bool Enter(ByteView layer) {
    nested_ = true;
    layer_ = layer;
    at_ = 0;
    wanted_ = 0;
    return To(Phase::kType);
  }
  // Inflates more of the text; false if there cannot be more.
  bool Inflate(Portion& portion);
  bool Refuse(LzwResult result);
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
  // The unit ends before byte `end` of the layer, and its body begins at `begin`.
  bool Deliver(std::size_t begin, std::size_t end) {
    body_ = begin;
    at_ = end;
    return To(Phase::kDrain);
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
  bool nested_ = false;     // reading layer_ or text_, not buffer_
  bool verified_ = false;
  MessageType type_ = MessageType::kPing;
  int attempts_ = 0;
  std::size_t at_ = 0;      // passed bytes of the innermost layer
  std::size_t wanted_ = 0;  // bytes that the buffer must have to continue
  std::size_t body_ = 0;    // where the body begins
  std::int64_t records_left_ = 0;
  std::size_t values_left_ = 0;  // of compressed records
  std::size_t state_left_ = 0;
  std::uint64_t frame_size_ = 0;
  std::unique_ptr<SealedOpener> opener_;  // of the frame
  ByteBuffer buffer_;
  ByteVector plain_;                   // of the frame
  ByteView layer_;                     // its content
  ByteView deflated_;                  // of the compress message, in buffer_, plain_ or listed_
  ByteVector listed_;                  // those bytes if they came as a list of integers
  std::unique_ptr<MessageText> text_;  // what they inflate to
  StreamUnit unit_;
  StreamFailure failure_;
};

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
    case Phase::kDrain:
      return StepDrain(portion);
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
      if (text_ == nullptr) return To(Phase::kCompress);
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
  const ByteView layer = From(0);
  if (message.buf.data() >= layer.data() && message.buf.data() < layer.data() + layer.size()) {
    deflated_ = message.buf;
  } else {
    listed_.assign(message.buf.begin(), message.buf.end());
    deflated_ = listed_;
  }
  const std::size_t max =
      std::min(kStreamInflatedMax, kInflationFree + kInflationMax * deflated_.size());
  text_ = std::make_unique<MessageText>(deflated_, max);
  return Enter({});
}

inline bool StreamReader::Inflate(Portion& portion) {
  // The state of a push/pull is not waited for as a whole, nor are its records.
  text_->Release(at_);
  const LzwResult result = text_->Fill(wanted_, portion);
  if (result == LzwResult::kUnfinished) return true;
  if (result != LzwResult::kOk) return Refuse(result);
  if (text_->size() > 0) return true;
  return Refuse(StreamError::kEmpty, "decompressed message is empty");
}

inline bool StreamReader::Refuse(LzwResult result) {
  switch (result) {
    case LzwResult::kTruncated:
      return Refuse(StreamError::kBadLzw, "unexpected EOF");
    case LzwResult::kTooLarge:
      return Refuse(StreamError::kTooLarge, "decompressed message exceeds limit");
    default:
      return Refuse(StreamError::kBadLzw, "lzw: invalid code");
  }
}

inline bool StreamReader::StepMessage() {
  DecodeScratch scratch;
  MsgpackReader reader(Window(), scratch);
  reader.Skip();
  const DecodeResult result = reader.Finish();
  if (result != DecodeResult::kOk) {
    return WaitOrFail(scratch, result, StreamEnd::kClose, "message");
  }
  return Deliver(at_, at_ + scratch.consumed());
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
  if (text_ != nullptr && size > deflated_.size() + kInflatedHeldMax) {
    return FailTooLarge(StreamEnd::kClose, "inflated user message");
  }
  if (rest.size() - scratch.consumed() < size) {
    if (!is_complete()) return Wait(scratch.consumed() + size);
    return Fail(StreamError::kBadBody, StreamEnd::kClose, "Failed to read full user message");
  }
  const std::size_t begin = at_ + scratch.consumed();
  return Deliver(begin, begin + size);
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
  if (text_ != nullptr) {
    const auto nodes = static_cast<std::size_t>(header.nodes);
    if (nodes > kInflatedRecordsFree + deflated_.size() / kRecordDeflatedMin) {
      return Fail(StreamError::kTooLarge, StreamEnd::kClose,
                  absl::StrCat("number of nodes in header (", header.nodes, ") exceeds what ",
                               deflated_.size(), " compressed bytes may have"));
    }
    values_left_ = kRecordValuesFree + kRecordValuesMax * nodes;
  }
  if (!keyed()) verified_ = true;
  body_ = at_;
  at_ += scratch.consumed();
  records_left_ = header.nodes;
  state_left_ = static_cast<std::size_t>(header.user_state_len);
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
    if (text_ == nullptr) continue;
    if (scratch.values() > values_left_) {
      return FailTooLarge(StreamEnd::kClose, "number of values in node records");
    }
    values_left_ -= scratch.values();
  }
  return To(Phase::kState);
}

inline bool StreamReader::StepState() {
  const std::size_t passed = std::min(Rest().size(), state_left_);
  at_ += passed;
  state_left_ -= passed;
  if (state_left_ == 0) return Deliver(body_, at_);
  // Text is passed piece by piece.
  if (!is_complete()) return Wait(text_ != nullptr ? 1 : state_left_);
  return Fail(StreamError::kBadBody, StreamEnd::kClose, "Failed to read full user state");
}

// Only text that is valid to its end is believed, as in Go Serf, which inflates all of it first.
inline bool StreamReader::StepDrain(Portion& portion) {
  unit_ = {.type = type_};
  if (text_ != nullptr) {
    const LzwResult result = text_->Drain(portion);
    if (result == LzwResult::kUnfinished) return Pause();
    if (result != LzwResult::kOk) return Refuse(result);
  }
  if (text_ != nullptr && text_->begin() > body_) {
    unit_.deflated = deflated_;
    unit_.inflated_size = text_->size();
    text_ = nullptr;
  } else {
    unit_.body = From(body_).first(at_ - body_);
    if (text_ != nullptr) {
      buffer_.Clear();
      plain_ = ByteVector();
      listed_ = ByteVector();
    }
  }
  status_ = StreamStatus::kUnit;
  return false;
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

}  // namespace serf::wire

#endif  // SERF_WIRE_STREAM_FRAME_H_
