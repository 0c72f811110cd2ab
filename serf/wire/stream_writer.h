// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_WIRE_STREAM_WRITER_H_
#define SERF_WIRE_STREAM_WRITER_H_

// Writes the unit of a stream; stream_frame.h reads it and has its grammar.
//
//   SealStreamUnit(message, options, /*initiator=*/true, scratch, arena);
//
//   StreamUnitWriter writer(payload, options, /*initiator=*/false);
//   while (writer.Continue(portion, arena) == StreamUnitWriter::Result::kUnfinished) next turn;
//
// Use the function for small messages, and the class for large ones, which take several turns. One
// thread.

#include <algorithm>
#include <array>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

#include "serf/base/bytes.h"
#include "serf/base/portion.h"
#include "serf/wire/aead.h"
#include "serf/wire/label.h"
#include "serf/wire/message_type.h"
#include "serf/wire/packet.h"
#include "serf/wire/stream_frame.h"

namespace serf::wire {

// Appends the one unit that a side sends: compressed if `options` asks for it (even if that makes
// it larger), encrypted under the primary key, and on the initiator's side with the label header
// before it. `message` has its type byte, and must not point into the arena. options.crc has no
// effect. False if the encryption failed; the arena is then as before.
bool SealStreamUnit(ByteView message, const SealOptions& options, bool initiator,
                    PacketScratch& scratch, ByteVector& arena);

// The same in portions. The payload is compressed already, if it shall be.
class StreamUnitWriter {
 public:
  // What `options` points to must outlive the writer.
  StreamUnitWriter(std::shared_ptr<const ByteVector> payload, const SealOptions& options,
                   bool initiator)
      : payload_(std::move(payload)), options_(options), initiator_(initiator) {}

  enum class Result : std::uint8_t { kUnfinished, kDone, kFailed };
  // Appends what the portion allows. kFailed: the encryption failed, and the arena holds an
  // unfinished unit: close the stream.
  Result Continue(Portion& portion, ByteVector& arena);
  // Whether any bytes were appended.
  bool has_begun() const { return begun_; }

 private:
  static constexpr std::size_t kPiece = 64 << 10;
  static constexpr std::size_t kBytesPerCost = 4;

  bool Begin(ByteVector& arena);
  bool End(ByteVector& arena);

  std::shared_ptr<const ByteVector> payload_;
  SealOptions options_;
  bool initiator_;
  bool begun_ = false;
  std::size_t at_ = 0;
  std::unique_ptr<AeadStream> sealing_;  // null: plaintext
};

// --- bodies ---

inline bool SealStreamUnit(ByteView message, const SealOptions& options, bool initiator,
                           PacketScratch& scratch, ByteVector& arena) {
  assert(!message.empty());
  const std::size_t begin = arena.size();
  auto payload = std::make_shared<ByteVector>();
  if (options.compress) {
    internal::Compress(message, kNoCompressLimit, scratch.encoder_, scratch.deflated_, *payload);
  } else {
    Append(*payload, message);
  }
  Portion all = Portion::Unlimited();
  StreamUnitWriter writer(std::move(payload), options, initiator);
  if (writer.Continue(all, arena) == StreamUnitWriter::Result::kDone) return true;
  arena.resize(begin);
  return false;
}

inline StreamUnitWriter::Result StreamUnitWriter::Continue(Portion& portion, ByteVector& arena) {
  if (!std::exchange(begun_, true) && !Begin(arena)) return Result::kFailed;
  while (at_ < payload_->size()) {
    if (portion.empty()) return Result::kUnfinished;
    const ByteView rest = ByteView(*payload_).subspan(at_);
    const ByteView piece = rest.first(std::min(rest.size(), kPiece));
    const std::size_t to = arena.size();
    Append(arena, piece);
    if (sealing_ != nullptr && !sealing_->Update(piece, arena.data() + to)) return Result::kFailed;
    at_ += piece.size();
    portion.Spend(piece.size() / kBytesPerCost);
  }
  return sealing_ == nullptr || End(arena) ? Result::kDone : Result::kFailed;
}

inline bool StreamUnitWriter::Begin(ByteVector& arena) {
  if (initiator_) AppendLabelHeader(options_.label, arena);
  if (options_.keyring == nullptr || options_.keyring->empty()) return true;
  assert(options_.aead != nullptr && options_.nonces != nullptr);
  const std::size_t size = SealedSize(options_.encryption_version, payload_->size());
  std::array<std::uint8_t, kFrameHeaderSize + kLabelMax> aad;
  aad[0] = static_cast<std::uint8_t>(MessageType::kEncrypt);
  for (std::size_t i = 0; i < 4; ++i) aad[1 + i] = static_cast<std::uint8_t>(size >> (24 - 8 * i));
  std::copy(options_.label.begin(), options_.label.end(), aad.begin() + kFrameHeaderSize);
  Nonce nonce;
  options_.nonces->Fill(nonce);
  Append(arena, ByteView(aad).first(kFrameHeaderSize));
  arena.push_back(static_cast<std::uint8_t>(options_.encryption_version));
  Append(arena, nonce);
  sealing_ =
      options_.aead->BeginSeal(options_.keyring->primary(), nonce,
                               ByteView(aad).first(kFrameHeaderSize + options_.label.size()));
  return sealing_ != nullptr;
}

inline bool StreamUnitWriter::End(ByteVector& arena) {
  if (options_.encryption_version == EncryptionVersion::kPadded) {
    const std::size_t pad = kPadBlock - payload_->size() % kPadBlock;
    const ByteVector padding(pad, static_cast<std::uint8_t>(pad));
    const std::size_t to = arena.size();
    Append(arena, padding);
    if (!sealing_->Update(padding, arena.data() + to)) return false;
  }
  arena.resize(arena.size() + kTagSize);
  return sealing_->Seal(arena.data() + arena.size() - kTagSize);
}

}  // namespace serf::wire

#endif  // SERF_WIRE_STREAM_WRITER_H_
