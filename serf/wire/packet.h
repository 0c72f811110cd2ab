// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_WIRE_PACKET_H_
#define SERF_WIRE_PACKET_H_

// The layers of a datagram, in both directions. The membership layer uses them; an application
// meets them only in tests and tools that look at packets.
//
//   OpenPacket(datagram, options, scratch, [&](MessageType type, ByteView body) { ... });
//
//   const std::size_t begin = arena.size();
//   SealPacket(message, options, scratch, arena);   // one datagram: arena[begin, end)
//
//   datagram  = [label header] (sealed packet | packet)
//   packet    = crc message | message
//   message   = leaf | compound of messages | compress of a message
//   leaf      = type-byte body
//
// OpenPacket delivers each leaf as soon as it finds it, so it also delivers the leaves before a
// fault. Views that the visitor receives are valid until it returns. Source:
// docs/protocol/membership.md 1.1.

#include <algorithm>
#include <array>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <limits>

#include "absl/strings/string_view.h"
#include "serf/base/bytes.h"
#include "serf/wire/aead.h"
#include "serf/wire/compound.h"
#include "serf/wire/crc32.h"
#include "serf/wire/label.h"
#include "serf/wire/lzw.h"
#include "serf/wire/message_type.h"
#include "serf/wire/swim_messages.h"

namespace serf::wire {

// The largest datagram: what UDP over IPv4 carries. Receivers must accept it.
inline constexpr std::size_t kDatagramMax = 65507;
// The most compress and compound layers around a leaf. Go Serf makes 2; the protocol asks receivers
// to accept 4 (docs/protocol/membership.md 1.8).
inline constexpr std::size_t kPacketNestingMax = 4;
// The most decompressed bytes per datagram, all compress layers together. A peer that obeys the
// packet size (1400 bytes by default) stays far below.
inline constexpr std::size_t kPacketInflatedMax = 1 << 20;
// A compressed message may inflate to so many times its size, and so many bytes more. Tables of
// members compress to a fifth or a tenth; only endless repetition compresses better.
inline constexpr std::size_t kInflationMax = 64;
inline constexpr std::size_t kPacketInflationFree = 64 << 10;
// The most leaves per datagram: four full compounds. Go Serf sends one.
inline constexpr std::size_t kPacketLeavesMax = 4 * kCompoundPartsMax;

enum class PacketError : std::uint8_t {
  kOk,
  kEmpty,             // no bytes
  kLabelTruncated,    // cut short in the label header
  kLabelZeroLength,   // a label header with an empty label
  kDoubleLabel,       // a label although the check is skipped, since a proxy removes labels
  kLabelMismatch,     // another label than this node's, or a label is missing
  kNotEncrypted,      // keys are installed; too short for an encrypted packet or of no version
  kNotAuthentic,      // no key opens it
  kBadPadding,        // opened, but the padding is impossible
  kBadCrc,            // the checksum is wrong
  kEmptyMessage,      // no type byte: a part of length 0, a wrapper around nothing
  kUnsupportedType,   // not a message of packets; see PacketScratch::unsupported_type()
  kBadCompound,       // no count, or the table of lengths is cut short
  kTruncatedPart,     // the last parts of a compound are missing; see truncated_parts()
  kBadCompress,       // the compress record does not decode
  kUnknownAlgorithm,  // not LZW
  kBadLzw,            // the compressed bytes do not decode
  kTooDeep,           // beyond kPacketNestingMax
  kTooLarge,          // beyond kPacketInflatedMax
  kTooManyLeaves,     // beyond kPacketLeavesMax
};
inline constexpr std::size_t kPacketErrors =
    static_cast<std::size_t>(PacketError::kTooManyLeaves) + 1;

// A text for log lines, such as "wrong label". It lives as long as the program.
absl::string_view PacketErrorText(PacketError error);

// What opening needs besides the datagram. What it points to must stay during the call.
struct PacketOptions {
  absl::string_view label = {};  // this node's; also the associated data of the encryption
  // A proxy in front of this node checks and removes labels: no packet may carry one.
  bool skip_inbound_label_check = false;
  const Keyring* keyring = nullptr;  // null or empty: packets are plaintext
  Aead* aead = nullptr;              // needed with keys
  bool verify_incoming = true;       // false: what does not decrypt counts as plaintext
};

// What sealing needs besides the message. What it points to must stay during the call.
struct SealOptions {
  absl::string_view label = {};
  const Keyring* keyring = nullptr;  // null or empty: do not encrypt
  Aead* aead = nullptr;              // needed with keys
  NonceSource* nonces = nullptr;     // needed with keys
  EncryptionVersion encryption_version = EncryptionVersion::kPlain;
  bool compress = false;  // if that makes it smaller
  bool crc = false;       // if the receiver understands it (protocol_max >= 5)
};

// Buffers and tables of the pipeline, about 100 kB. Keep one per thread or Outbox and use it again,
// so that packets are opened and sealed without allocation. A visitor that runs within OpenPacket
// may seal with the same scratch, but must not open.
class PacketScratch {
 public:
  // Details of the last OpenPacket; see PacketError.
  std::uint8_t unsupported_type() const { return unsupported_type_; }
  std::size_t truncated_parts() const { return truncated_parts_; }

 private:
  template <typename Visitor>
  friend class PacketOpener;
  template <typename Visitor>
  friend PacketError OpenPacket(ByteView datagram, const PacketOptions& options,
                                PacketScratch& scratch, Visitor&& on_leaf);
  friend bool SealPacket(ByteView message, const SealOptions& options, PacketScratch& scratch,
                         ByteVector& arena);
  friend bool SealStreamUnit(ByteView unit, const SealOptions& options, bool initiator,
                             PacketScratch& scratch, ByteVector& arena);

  // The most bytes of a decompressed layer to keep: what members send fits a packet of a few kB.
  static constexpr std::size_t kInflatedKeepMax = 64 << 10;

  LzwEncoder encoder_;
  LzwDecoder decoder_;
  DecodeScratch decode_;
  ByteVector plain_;                                    // of the encryption
  ByteVector deflated_;                                 // on its way out
  std::array<ByteVector, kPacketNestingMax> inflated_;  // per nesting level
  std::size_t truncated_parts_ = 0;
  std::uint8_t unsupported_type_ = 0;
};

// Removes the layers, and calls on_leaf(MessageType, ByteView body) for each leaf in order. The
// types are those of packets (kPing, kIndirectPing, kAck, kSuspect, kAlive, kDead, kUser, kNack).
// Returns the first fault, or kOk. After a fault within one part of a compound the other parts are
// still delivered. A limit (kTooDeep, kTooLarge, kTooManyLeaves) ends everything.
template <typename Visitor>
PacketError OpenPacket(ByteView datagram, const PacketOptions& options, PacketScratch& scratch,
                       Visitor&& on_leaf);

// Appends one datagram to the arena: compressed if asked for and smaller, then with a checksum,
// encrypted under the primary key, and labelled. `message` is a bare message or a compound, and
// must not point into the arena. False if the encryption failed; the arena is then as before.
bool SealPacket(ByteView message, const SealOptions& options, PacketScratch& scratch,
                ByteVector& arena);

// --- byte budgets (docs/protocol/membership.md 1.7) ---

// The bytes that a gossip packet may fill with broadcasts. Each broadcast costs its size and
// kCompoundPartOverhead. `overhead` is EncryptionOverhead() if a key is installed, even if outgoing
// packets are not encrypted; else 0.
inline constexpr std::size_t GossipBudget(std::size_t packet_size, absl::string_view label,
                                          std::size_t overhead) {
  const std::size_t used = kCompoundHeaderOverhead + LabelOverhead(label) + overhead;
  return packet_size > used ? packet_size - used : 0;
}

// The bytes that may ride on a message of `message` bytes. `overhead` is EncryptionOverhead() if
// the packet will be encrypted; else 0.
inline constexpr std::size_t PiggybackBudget(std::size_t packet_size, std::size_t message,
                                             absl::string_view label, std::size_t overhead) {
  const std::size_t budget = GossipBudget(packet_size, label, overhead);
  return budget > message ? budget - message : 0;
}

// The most bytes that SealPacket makes of a message.
inline constexpr std::size_t SealedPacketMax(std::size_t message, const SealOptions& options) {
  const std::size_t inner = message + (options.crc ? kCrcHeaderSize : 0);
  const bool encrypt = options.keyring != nullptr && !options.keyring->empty();
  return LabelOverhead(options.label) +
         (encrypt ? SealedSize(options.encryption_version, inner) : inner);
}

// --- bodies ---

template <typename Visitor>
class PacketOpener {
 public:
  PacketOpener(PacketScratch& scratch, Visitor& on_leaf) : scratch_(scratch), on_leaf_(on_leaf) {}

  // Opens a message that lies below `depth` compress and compound layers. False: stop altogether.
  bool Open(ByteView message, std::size_t depth) {
    if (message.empty()) return Note(PacketError::kEmptyMessage);
    const ByteView body = message.subspan(1);
    switch (static_cast<MessageType>(message[0])) {
      case MessageType::kCompound:
        return depth < kPacketNestingMax ? OpenCompound(body, depth) : Stop(PacketError::kTooDeep);
      case MessageType::kCompress:
        return depth < kPacketNestingMax ? OpenCompress(body, depth) : Stop(PacketError::kTooDeep);
      case MessageType::kPing:
      case MessageType::kIndirectPing:
      case MessageType::kAck:
      case MessageType::kNack:
      case MessageType::kSuspect:
      case MessageType::kAlive:
      case MessageType::kDead:
      case MessageType::kUser:
        if (++leaves_ > kPacketLeavesMax) return Stop(PacketError::kTooManyLeaves);
        on_leaf_(static_cast<MessageType>(message[0]), body);
        return true;
      default:
        scratch_.unsupported_type_ = message[0];
        return Note(PacketError::kUnsupportedType);
    }
  }

  PacketError first_fault() const { return first_fault_; }

 private:
  bool Note(PacketError error) {
    if (first_fault_ == PacketError::kOk) first_fault_ = error;
    return true;
  }
  bool Stop(PacketError error) {
    // Of two faults a limit says more.
    first_fault_ = error;
    return false;
  }

  bool OpenCompound(ByteView body, std::size_t depth) {
    CompoundReader reader(body);
    if (!reader.valid()) return Note(PacketError::kBadCompound);
    for (ByteView part; reader.Next(part);) {
      if (!Open(part, depth + 1)) return false;
    }
    if (reader.truncated() == 0) return true;
    scratch_.truncated_parts_ += reader.truncated();
    return Note(PacketError::kTruncatedPart);
  }

  bool OpenCompress(ByteView body, std::size_t depth) {
    CompressMessage compress;
    if (Decode(body, compress, scratch_.decode_) != DecodeResult::kOk) {
      return Note(PacketError::kBadCompress);
    }
    if (compress.algo != kCompressLzw) return Note(PacketError::kUnknownAlgorithm);
    ByteVector& inflated = scratch_.inflated_[depth];
    inflated.clear();
    const std::size_t max = std::min(kPacketInflatedMax - inflated_,
                                     kPacketInflationFree + kInflationMax * compress.buf.size());
    const LzwResult result = scratch_.decoder_.Decode(compress.buf, max, inflated);
    inflated_ += inflated.size();
    if (result == LzwResult::kTooLarge) return Stop(PacketError::kTooLarge);
    if (result != LzwResult::kOk) return Note(PacketError::kBadLzw);
    return Open(inflated, depth + 1);
  }

  PacketScratch& scratch_;
  Visitor& on_leaf_;
  std::size_t leaves_ = 0;
  std::size_t inflated_ = 0;
  PacketError first_fault_ = PacketError::kOk;
};

template <typename Visitor>
PacketError OpenPacket(ByteView datagram, const PacketOptions& options, PacketScratch& scratch,
                       Visitor&& on_leaf) {
  scratch.truncated_parts_ = 0;
  scratch.unsupported_type_ = 0;
  if (datagram.empty()) return PacketError::kEmpty;

  absl::string_view label;
  ByteView rest;
  switch (SplitLabel(datagram, label, rest)) {
    case LabelError::kOk:
      break;
    case LabelError::kTruncated:
      return PacketError::kLabelTruncated;
    case LabelError::kZeroLength:
      return PacketError::kLabelZeroLength;
  }
  if (options.skip_inbound_label_check) {
    if (!label.empty()) return PacketError::kDoubleLabel;
  } else if (label != options.label) {
    return PacketError::kLabelMismatch;
  }

  if (options.keyring != nullptr && !options.keyring->empty()) {
    assert(options.aead != nullptr);
    ByteView plain;
    const OpenError error = OpenSealed(rest, AsBytes(options.label), *options.keyring,
                                       *options.aead, scratch.plain_, plain);
    if (error == OpenError::kOk) {
      rest = plain;
    } else if (options.verify_incoming) {
      if (error == OpenError::kBadPadding) return PacketError::kBadPadding;
      return error == OpenError::kNoKeyFits ? PacketError::kNotAuthentic
                                            : PacketError::kNotEncrypted;
    }
  }
  if (HasCrc(rest)) {
    ByteView inner;
    if (!OpenCrc(rest, inner)) return PacketError::kBadCrc;
    rest = inner;
  }
  PacketOpener opener(scratch, on_leaf);
  opener.Open(rest, 0);
  // Memory that a decompression bomb has taken would otherwise never be given back.
  for (ByteVector& inflated : scratch.inflated_) {
    if (inflated.capacity() > PacketScratch::kInflatedKeepMax) ByteVector().swap(inflated);
  }
  return opener.first_fault();
}

// The limit of the compress message on streams, which is sent whatever its size.
inline constexpr std::size_t kNoCompressLimit = std::numeric_limits<std::size_t>::max();

namespace internal {

// Puts the compress message of `message` into `out`, if it takes at most `max` bytes.
inline bool Compress(ByteView message, std::size_t max, LzwEncoder& encoder, ByteVector& deflated,
                     ByteVector& out) {
  deflated.clear();
  if (!encoder.Encode(message, max, deflated)) return false;
  const std::size_t begin = out.size();
  Encode(CompressMessage{.algo = kCompressLzw, .buf = deflated}, out);
  if (out.size() - begin <= max) return true;
  out.resize(begin);
  return false;
}

}  // namespace internal

inline bool SealPacket(ByteView message, const SealOptions& options, PacketScratch& scratch,
                       ByteVector& arena) {
  assert(!message.empty());
  const std::size_t begin = arena.size();
  const bool encrypt = options.keyring != nullptr && !options.keyring->empty();
  AppendLabelHeader(options.label, arena);
  // The outer headers get their room first, so that the message is copied once.
  const std::size_t sealed = arena.size();
  if (encrypt) arena.resize(arena.size() + kSealHeaderSize);
  const std::size_t crc = arena.size();
  if (options.crc) arena.resize(arena.size() + kCrcHeaderSize);
  const std::size_t body = arena.size();
  if (!options.compress || !internal::Compress(message, message.size() - 1, scratch.encoder_,
                                               scratch.deflated_, arena)) {
    Append(arena, message);
  }
  if (options.crc) WriteCrcHeader(ByteView(arena).subspan(body), arena.data() + crc);
  if (!encrypt) return true;
  assert(options.aead != nullptr && options.nonces != nullptr);
  if (SealTail(arena, sealed, AsBytes(options.label), options.keyring->primary(),
               options.encryption_version, *options.aead, *options.nonces)) {
    return true;
  }
  arena.resize(begin);
  return false;
}

inline absl::string_view PacketErrorText(PacketError error) {
  switch (error) {
    case PacketError::kOk:
      return "ok";
    case PacketError::kEmpty:
      return "empty datagram";
    case PacketError::kLabelTruncated:
      return "cannot decode label; packet has been truncated";
    case PacketError::kLabelZeroLength:
      return "label header cannot be empty when present";
    case PacketError::kDoubleLabel:
      return "unexpected double label header";
    case PacketError::kLabelMismatch:
      return "discarding packet with unacceptable label";
    case PacketError::kNotEncrypted:
      return "packet is not encrypted";
    case PacketError::kNotAuthentic:
      return "No installed keys could decrypt the message";
    case PacketError::kBadPadding:
      return "invalid padding of the decrypted message";
    case PacketError::kBadCrc:
      return "Got invalid checksum for UDP packet";
    case PacketError::kEmptyMessage:
      return "missing message type byte";
    case PacketError::kUnsupportedType:
      return "msg type not supported";
    case PacketError::kBadCompound:
      return "Failed to decode compound request";
    case PacketError::kTruncatedPart:
      return "compound request had truncated messages";
    case PacketError::kBadCompress:
      return "failed to decode compress message";
    case PacketError::kUnknownAlgorithm:
      return "Cannot decompress unknown algorithm";
    case PacketError::kBadLzw:
      return "Failed to decompress payload";
    case PacketError::kTooDeep:
      return "packet nested too deeply";
    case PacketError::kTooLarge:
      return "decompressed packet exceeds limit";
    case PacketError::kTooManyLeaves:
      return "too many messages in a packet";
  }
  return "unknown";
}

}  // namespace serf::wire

#endif  // SERF_WIRE_PACKET_H_
