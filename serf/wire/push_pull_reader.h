// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_WIRE_PUSH_PULL_READER_H_
#define SERF_WIRE_PUSH_PULL_READER_H_

// PushPullReader: the content of a push/pull that a StreamReader has delivered, record by record.

#include <algorithm>
#include <cassert>
#include <cstddef>
#include <cstdint>

#include "serf/base/bytes.h"
#include "serf/wire/msgpack.h"
#include "serf/wire/stream_frame.h"
#include "serf/wire/swim_messages.h"

namespace serf::wire {

// The content of a push/pull body, record by record.
//
//   PushPullReader reader(unit.body);
//   for (PushPullNode node; reader.Next(node);) ...
//   if (reader.result() == DecodeResult::kOk) Merge(reader.user_state());
class PushPullReader {
 public:
  // `body` begins after the type byte.
  explicit PushPullReader(ByteView body) { Restart(body); }
  PushPullReader(const PushPullReader&) = delete;
  PushPullReader& operator=(const PushPullReader&) = delete;

  // Once more, from the beginning.
  void Restart(ByteView body) {
    result_ = Decode(body, header_, scratch_);
    if (result_ != DecodeResult::kOk) return;
    if (header_.nodes < 0 || header_.nodes > kPushPullNodesMax || header_.user_state_len < 0 ||
        header_.user_state_len > kUserStateMax) {
      result_ = DecodeResult::kOutOfRange;
      return;
    }
    rest_ = body.subspan(scratch_.consumed());
    left_ = header_.nodes;
    CheckState();
  }

  const PushPullHeader& header() const { return header_; }
  DecodeResult result() const { return result_; }

  // The next record; its views live until the next call. False at the end and on failure.
  bool Next(PushPullNode& node) {
    if (result_ != DecodeResult::kOk || left_ == 0) return false;
    result_ = Decode(rest_, node, scratch_);
    if (result_ != DecodeResult::kOk) return false;
    rest_ = rest_.subspan(scratch_.consumed());
    --left_;
    CheckState();
    return true;
  }

  // Bytes of the last record.
  std::size_t consumed() const { return scratch_.consumed(); }

  // After the last record, if result() is kOk.
  ByteView user_state() const {
    assert(left_ == 0);
    const auto size = static_cast<std::size_t>(header_.user_state_len);
    return rest_.first(std::min(size, rest_.size()));
  }

 private:
  // After the last record the user state must be there.
  void CheckState() {
    const auto size = static_cast<std::size_t>(header_.user_state_len);
    if (left_ == 0 && rest_.size() < size) result_ = DecodeResult::kTruncated;
  }

  PushPullHeader header_;
  ByteView rest_;
  std::int64_t left_ = 0;
  DecodeResult result_ = DecodeResult::kOk;
  DecodeScratch scratch_;
};

}  // namespace serf::wire

#endif  // SERF_WIRE_PUSH_PULL_READER_H_
