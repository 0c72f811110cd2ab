// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_WIRE_PUSH_PULL_READER_H_
#define SERF_WIRE_PUSH_PULL_READER_H_

// PushPullReader: the content of a push/pull that a StreamReader has delivered, record by record.
// What the StreamReader did not keep is inflated again on the way.

#include <algorithm>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

#include "serf/base/bytes.h"
#include "serf/base/portion.h"
#include "serf/wire/lzw.h"
#include "serf/wire/message_text.h"
#include "serf/wire/msgpack.h"
#include "serf/wire/stream_unit.h"
#include "serf/wire/swim_messages.h"

namespace serf::wire {

// The content of a push/pull, record by record.
//
//   PushPullReader reader(unit);
//   for (PushPullNode node; reader.Next(node);) ...
//   if (reader.ReadState()) Merge(reader.user_state());
//
// With a portion, Next() and ReadState() are false also when it is used up, and continue with
// another one; is_done() tells the end.
class PushPullReader {
 public:
  // The unit's bytes must stay where they are.
  explicit PushPullReader(const StreamUnit& unit)
      : body_(unit.body), deflated_(unit.deflated), size_(unit.inflated_size) {
    Restart();
  }
  // `body` begins after the type byte.
  explicit PushPullReader(ByteView body) : body_(body) { Restart(); }
  PushPullReader(const PushPullReader&) = delete;
  PushPullReader& operator=(const PushPullReader&) = delete;

  // Once more, from the beginning.
  void Restart();

  const PushPullHeader& header() const { return header_; }
  DecodeResult result() const { return result_; }
  // True when no record follows, for whatever reason.
  bool is_done() const { return left_ == 0 || result_ != DecodeResult::kOk; }

  // The next record; its views live until the next call. False at the end and on failure.
  bool Next(PushPullNode& node, Portion& portion) {
    if (is_done() || !Read(node, portion)) return false;
    --left_;
    CheckState();
    return true;
  }
  bool Next(PushPullNode& node) {
    Portion all = Portion::Unlimited();
    return Next(node, all);
  }
  // Bytes of the last record.
  std::size_t consumed() const { return scratch_.consumed(); }

  // After the last record: true if result() is kOk and the user state is at hand.
  bool ReadState(Portion& portion);
  bool ReadState() {
    Portion all = Portion::Unlimited();
    return ReadState(all);
  }
  // After ReadState() returned true. Of a unit that was kept, also after the last record.
  ByteView user_state() const {
    assert(left_ == 0);
    return text_->From(at_).first(static_cast<std::size_t>(header_.user_state_len));
  }

  // Bytes of memory that are in use.
  std::size_t held() const { return text_->held(); }

 private:
  // Decodes a value at the cursor, and passes it.
  template <typename Record>
  bool Read(Record& record, Portion& portion);
  // After the last record the user state must be there.
  void CheckState() {
    const auto size = static_cast<std::size_t>(header_.user_state_len);
    if (left_ == 0 && text_->complete() && text_->end() - at_ < size) {
      result_ = DecodeResult::kTruncated;
    }
  }
  // Inflates up to `wanted`. False, with a result, if there cannot be more.
  bool Fill(std::size_t wanted, Portion& portion);

  ByteView body_;
  ByteView deflated_;
  std::size_t size_ = 0;
  std::optional<MessageText> text_;
  std::size_t at_ = 0;
  PushPullHeader header_;
  std::int64_t left_ = 0;
  DecodeResult result_ = DecodeResult::kOk;
  DecodeScratch scratch_;
};

// --- bodies ---

inline void PushPullReader::Restart() {
  result_ = DecodeResult::kOk;
  at_ = 0;
  if (deflated_.empty()) {
    text_.emplace(body_);
  } else {
    text_.emplace(deflated_, size_);
    ++at_;  // the type
  }
  // A header is short, so it needs no portion of its own.
  Portion all = Portion::Unlimited();
  if (!Read(header_, all)) return;
  if (header_.nodes < 0 || header_.nodes > kPushPullNodesMax || header_.user_state_len < 0 ||
      header_.user_state_len > kUserStateMax) {
    result_ = DecodeResult::kOutOfRange;
    return;
  }
  left_ = header_.nodes;
  CheckState();
}

template <typename Record>
bool PushPullReader::Read(Record& record, Portion& portion) {
  for (;;) {
    // Nothing is at hand yet of a text that was only begun.
    const ByteView rest = at_ <= text_->end() ? text_->From(at_) : ByteView();
    const DecodeResult result = Decode(rest, record, scratch_);
    if (result == DecodeResult::kOk) {
      at_ += scratch_.consumed();
      text_->Release(at_);
      return true;
    }
    if (result != DecodeResult::kTruncated || text_->complete()) {
      result_ = result;
      return false;
    }
    // The record needs a piece more at least.
    if (!Fill(text_->end() + 1, portion)) return false;
  }
}

inline bool PushPullReader::ReadState(Portion& portion) {
  if (left_ != 0 || result_ != DecodeResult::kOk) return false;
  const std::size_t end = at_ + static_cast<std::size_t>(header_.user_state_len);
  while (text_->end() < end) {
    if (!Fill(end, portion)) return false;
  }
  return true;
}

inline bool PushPullReader::Fill(std::size_t wanted, Portion& portion) {
  if (text_->complete()) {
    result_ = DecodeResult::kTruncated;
    return false;
  }
  if (portion.empty()) return false;
  const LzwResult result = text_->Fill(wanted, portion);
  if (result == LzwResult::kOk || result == LzwResult::kUnfinished) return true;
  // The StreamReader has read it before, so this cannot be.
  result_ = DecodeResult::kTruncated;
  return false;
}

}  // namespace serf::wire

#endif  // SERF_WIRE_PUSH_PULL_READER_H_
