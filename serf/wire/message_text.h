// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_WIRE_MESSAGE_TEXT_H_
#define SERF_WIRE_MESSAGE_TEXT_H_

// MessageText: the text of a compressed message, of which only a window is in memory. It is for a
// reader that goes through the text once, from its beginning to its end.
//
//   MessageText text(deflated, max);
//   while (text.end() < wanted && !text.complete()) {
//     text.Release(at);
//     if (text.Fill(wanted, portion) ...) ...
//   }
//   Parse(text.From(at));
//
// Offsets count from the beginning of the text. The window holds what was not released, and while
// that is kKeptMax at most also what was: a short text stays whole. Memory beyond kKeptMax is taken
// only for what the caller wants at once. Not thread-safe.

#include <algorithm>
#include <cassert>
#include <cstddef>
#include <memory>

#include "serf/base/bytes.h"
#include "serf/base/portion.h"
#include "serf/wire/lzw.h"

namespace serf::wire {

class MessageText {
 public:
  // How much text is inflated ahead of its reader.
  static constexpr std::size_t kPiece = 16 << 10;
  // How much of the text stays though it was read. A window that grows to it has half of it beside
  // it while the bytes move, and the decoder: less than a mebibyte together.
  static constexpr std::size_t kKeptMax = 512 << 10;

  // Text that is at hand.
  explicit MessageText(ByteView whole) : whole_(whole), complete_(true) {}
  // Text that LZW yields, at most `max` bytes. The views must live as long as the object.
  MessageText(ByteView deflated, std::size_t max)
      : deflated_(deflated), max_(max), decoder_(std::make_unique<LzwDecoder>()) {
    decoder_->Start();
  }
  MessageText(const MessageText&) = delete;
  MessageText& operator=(const MessageText&) = delete;

  // The window: from begin() to end(). Nothing follows if it is complete.
  std::size_t begin() const { return begin_; }
  std::size_t end() const { return begin_ + Window().size(); }
  bool complete() const { return complete_; }
  // What is at hand from `at` on, which lies in the window. Until the next Fill().
  ByteView From(std::size_t at) const {
    assert(at >= begin_ && at <= end());
    return Window().subspan(at - begin_);
  }

  // Bytes before `at` are not needed any more.
  void Release(std::size_t at) { released_ = std::max(released_, at); }
  // Inflates a piece, or up to `wanted` if that is more, as far as the portion allows. kOk: the
  // text is complete. kUnfinished: more follows. Else the text is none.
  LzwResult Fill(std::size_t wanted, Portion& portion);
  // Reads on to the end of the text without keeping any of it. Results as of Fill().
  LzwResult Drain(Portion& portion);
  // The size of the whole text, once Fill() or Drain() returned kOk.
  std::size_t size() const { return decoder_ ? decoder_->size() : whole_.size(); }

  // Bytes of memory that are in use.
  std::size_t held() const { return window_.capacity() + (decoder_ ? sizeof(LzwDecoder) : 0); }

 private:
  ByteView Window() const { return decoder_ ? ByteView(window_) : whole_; }
  void MakeRoom(std::size_t more);

  ByteView whole_;
  ByteView deflated_;
  std::size_t max_ = 0;
  std::unique_ptr<LzwDecoder> decoder_;
  ByteVector window_;
  std::size_t begin_ = 0;
  std::size_t released_ = 0;
  bool complete_ = false;
};

inline LzwResult MessageText::Fill(std::size_t wanted, Portion& portion) {
  assert(!complete_);
  const std::size_t lacking = wanted > end() ? wanted - end() : 0;
  const std::size_t piece = std::max(lacking, kPiece);
  MakeRoom(piece);
  Portion part = portion.Part(piece);
  const std::size_t before = part.left();
  const LzwResult result = decoder_->Continue(deflated_, max_, part, window_);
  portion.Spend(before - part.left());
  complete_ = result == LzwResult::kOk;
  return result;
}

inline LzwResult MessageText::Drain(Portion& portion) {
  if (complete_) return LzwResult::kOk;
  return decoder_->Measure(deflated_, max_, portion);
}

inline void MessageText::MakeRoom(std::size_t more) {
  more += LzwDecoder::kBeyondMax;
  if (window_.size() + more > kKeptMax && released_ > begin_) {
    window_.erase(window_.begin(),
                  window_.begin() + static_cast<std::ptrdiff_t>(released_ - begin_));
    begin_ = released_;
  }
  const std::size_t room = window_.size() + more;
  if (room <= window_.capacity()) return;
  // A large reservation takes memory only where something is written.
  window_.reserve(std::max(room, std::min(2 * window_.capacity(), kKeptMax)));
}

}  // namespace serf::wire

#endif  // SERF_WIRE_MESSAGE_TEXT_H_
