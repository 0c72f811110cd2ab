// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_WIRE_COORDINATE_MESSAGE_H_
#define SERF_WIRE_COORDINATE_MESSAGE_H_

// The network coordinate in the payload of an acknowledgement. It is the wire form only:
// FromMessage() and ToMessage() of serf/coordinate.h convert it.
//
//   payload    = 01 coordinate
//   coordinate = record {Vec: list of float, Error, Adjustment, Height: float}
//
// Source: docs/protocol/serf.md 10.6.

#include <algorithm>
#include <array>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <span>
#include <tuple>

#include "serf/base/bytes.h"
#include "serf/wire/msgpack.h"
#include "serf/wire/record.h"

namespace serf::wire {

// The first byte of the payload.
inline constexpr std::uint8_t kPingPayloadVersion = 1;

// The most dimensions that are decoded. Go Serf has 8; a node refuses a coordinate whose number of
// dimensions differs from its own.
inline constexpr std::size_t kCoordinateDimensionsMax = 32;

// The position, in seconds, by dimension. Values from the network may be of any size, NaN too.
class CoordinateVector {
 public:
  CoordinateVector() = default;
  explicit CoordinateVector(std::span<const double> values) : size_(values.size()) {
    assert(size_ <= kCoordinateDimensionsMax);
    std::copy(values.begin(), values.end(), values_.begin());
  }

  std::span<const double> values() const { return std::span(values_).first(size_); }

  bool ReadFrom(MsgpackReader& reader) {
    size_ = 0;
    MsgpackReader::Head head;
    if (!reader.ReadHead(head)) return false;
    if (head.kind == MsgpackReader::Kind::kNil) return true;
    if (head.kind != MsgpackReader::Kind::kList) return reader.Fail(DecodeResult::kBadType);
    if (head.value > kCoordinateDimensionsMax) return reader.Fail(DecodeResult::kTooLong);
    for (; size_ < head.value; ++size_) {
      if (!reader.Read(values_[size_])) return false;
    }
    return true;
  }
  void WriteTo(MsgpackWriter& writer) const {
    writer.List(size_);
    for (const double value : values()) writer.Write(value);
  }

 private:
  std::array<double, kCoordinateDimensionsMax> values_ = {};
  std::size_t size_ = 0;
};

// A coordinate as it travels. Encode() appends a whole payload, with its version. To read one,
// check the version and Decode() the rest.
struct CoordinateMessage {
  static constexpr auto kType = kPingPayloadVersion;
  CoordinateVector vec = {};
  double error = 0;
  double adjustment = 0;  // seconds
  double height = 0;      // seconds
};

constexpr auto RecordFields(const CoordinateMessage*) {
  return std::tuple{Field{"Vec", &CoordinateMessage::vec},
                    Field{"Error", &CoordinateMessage::error},
                    Field{"Adjustment", &CoordinateMessage::adjustment},
                    Field{"Height", &CoordinateMessage::height}};
}

}  // namespace serf::wire

#endif  // SERF_WIRE_COORDINATE_MESSAGE_H_
