// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_WIRE_RECORD_H_
#define SERF_WIRE_RECORD_H_

// The table of a record: the one place that names its keys. Readers and writers of both dialects of
// MessagePack use it: msgpack.h (gossip), and encode.h and decode.h of rpc/.
//
//   struct JoinMessage {
//     LamportTime ltime = {};
//     absl::string_view node = {};
//   };
//   constexpr auto RecordFields(const JoinMessage*) {
//     return std::tuple{Field{"LTime", &JoinMessage::ltime}, Field{"Node", &JoinMessage::node}};
//   }
//
// A table lists the fields in declaration order, which is the order of the list form. The map form
// has the keys in ascending byte order, as the codec of Go Serf writes them; the compiler sorts
// them and makes the bytes of each key. A type whose form depends on its value (a slot that may be
// nil, a map with free keys) has no table; it writes itself. All of it is constants and pure
// functions.
//
// Source: docs/protocol/membership.md 2.1, docs/protocol/agent.md 1.2.

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <numeric>
#include <tuple>
#include <type_traits>
#include <utility>

#include "absl/strings/string_view.h"

namespace serf::wire {

// How a writer treats an empty value: text, bytes or a list of length 0, the number 0, false.
enum class IfEmpty : std::uint8_t {
  kWrite,     // writes it like any other
  kLeaveOut,  // writes neither key nor value, and counts one pair less
  kNil,       // writes the key and nil
};

// A field of a record: its key, and where it goes.
template <typename Record, typename T>
struct Field {
  absl::string_view name;
  T Record::*member;
  IfEmpty if_empty = IfEmpty::kWrite;
};

template <typename Record, typename T>
Field(const char*, T Record::*) -> Field<Record, T>;
template <typename Record, typename T>
Field(const char*, T Record::*, IfEmpty) -> Field<Record, T>;

// True of a type that has a table.
template <typename T>
concept HasFields = requires {
  RecordFields(static_cast<const T*>(nullptr));
};

// The table of a record.
template <HasFields Record>
inline constexpr auto kFieldsOf = RecordFields(static_cast<const Record*>(nullptr));

// The key of field number kIndex, and a pointer to the member.
template <HasFields Record, std::size_t kIndex>
inline constexpr auto kField = std::get<kIndex>(kFieldsOf<Record>);

// Calls f(index) for the index of each field, a constant, until f returns true. True if one did.
template <HasFields Record, typename F>
constexpr bool AnyField(F&& f) {
  return [&]<std::size_t... kIndex>(std::index_sequence<kIndex...>) {
    return (f(std::integral_constant<std::size_t, kIndex>{}) || ...);
  }
  (std::make_index_sequence<std::tuple_size_v<decltype(kFieldsOf<Record>)>>());
}

// --- keys ---

// Which field has the smallest key, the next one, and so on.
template <HasFields Record>
inline constexpr auto kKeyOrder = std::apply(
    [](const auto&... field) {
      const std::array<absl::string_view, sizeof...(field)> keys = {field.name...};
      std::array<std::size_t, sizeof...(field)> order = {};
      std::iota(order.begin(), order.end(), std::size_t{0});
      std::sort(order.begin(), order.end(),
                [&](std::size_t a, std::size_t b) { return keys[a] < keys[b]; });
      return order;
    },
    kFieldsOf<Record>);

// The bytes of the key of field number kIndex: a fixstr, which both dialects share.
template <HasFields Record, std::size_t kIndex>
inline constexpr auto kKeyBytes = [] {
  constexpr absl::string_view kName = kField<Record, kIndex>.name;
  static_assert(!kName.empty() && kName.size() < 32, "a key is a fixstr");
  std::array<char, 1 + kName.size()> bytes = {static_cast<char>(0xa0 | kName.size())};
  for (std::size_t i = 0; i < kName.size(); ++i) bytes[1 + i] = kName[i];
  return bytes;
}();

// --- reading ---

// Reads the pairs of a map into the fields that they name, and skips the others. The reader of a
// dialect has ReadKey(text), Skip(), and Read(x) for each type of field. False if one of these
// fails. Keys in ascending order are found soonest if the reader also has SkipExact(bytes), which
// passes these bytes if they come next.
template <typename Reader, HasFields Record>
bool ReadPairs(Reader& reader, std::uint64_t pairs, Record& record) {
  if constexpr (requires { reader.SkipExact(absl::string_view()); }) {
    const bool failed = AnyField<Record>([&](auto place) {
      constexpr std::size_t kIndex = kKeyOrder<Record>[place];
      constexpr const auto& kKey = kKeyBytes<Record, kIndex>;
      if (pairs == 0 || !reader.SkipExact(absl::string_view(kKey.data(), kKey.size())))
        return false;
      --pairs;
      return !reader.Read(record.*kField<Record, kIndex>.member);
    });
    if (failed) return false;
  }
  // Keys in another order or another form, repeated ones, and unknown ones.
  for (; pairs > 0; --pairs) {
    absl::string_view key;
    if (!reader.ReadKey(key)) return false;
    bool ok = true;
    const bool known = AnyField<Record>([&](auto index) {
      // A constant, so that the comparison needs no call and its text no relocation.
      constexpr absl::string_view kName = kField<Record, index>.name;
      if (key.size() != kName.size()) return false;
      if (std::memcmp(key.data(), kName.data(), kName.size()) != 0) return false;
      ok = reader.Read(record.*kField<Record, index>.member);
      return true;
    });
    if (!(known ? ok : reader.Skip())) return false;
  }
  return true;
}

// Reads the elements of a list into the fields, in declaration order. Skips surplus elements;
// fields without an element keep their value.
template <typename Reader, HasFields Record>
bool ReadElements(Reader& reader, std::uint64_t elements, Record& record) {
  const bool failed = AnyField<Record>([&](auto index) {
    if (elements == 0) return false;
    --elements;
    return !reader.Read(record.*kField<Record, index>.member);
  });
  if (failed) return false;
  for (; elements > 0; --elements) {
    if (!reader.Skip()) return false;
  }
  return true;
}

// --- writing ---

// True if IfEmpty concerns this value.
template <typename T>
constexpr bool IsEmpty(const T& value) {
  if constexpr (std::is_arithmetic_v<T>) {
    return value == T{};
  } else {
    return value.empty();
  }
}

// True if a writer leaves field number kIndex of `record` out.
template <std::size_t kIndex, HasFields Record>
constexpr bool IsLeftOut(const Record& record) {
  if constexpr (kField<Record, kIndex>.if_empty == IfEmpty::kLeaveOut) {
    return IsEmpty(record.*kField<Record, kIndex>.member);
  } else {
    return false;
  }
}

// Writes field number kIndex of `record`; part of WriteRecord().
template <std::size_t kIndex, typename Writer, HasFields Record>
void WriteField(Writer& writer, const Record& record) {
  if (IsLeftOut<kIndex>(record)) return;
  const auto& value = record.*kField<Record, kIndex>.member;
  constexpr const auto& kKey = kKeyBytes<Record, kIndex>;
  writer.Encoded(absl::string_view(kKey.data(), kKey.size()));
  if constexpr (kField<Record, kIndex>.if_empty == IfEmpty::kNil) {
    if (IsEmpty(value)) return writer.Nil();
  }
  writer.Value(value);
}

// Writes the map form of `record`. The writer of a dialect has Map(pairs), Nil(), Encoded(bytes),
// and Value(x) for each type of field.
template <typename Writer, HasFields Record>
void WriteRecord(Writer& writer, const Record& record) {
  [&]<std::size_t... kPlace>(std::index_sequence<kPlace...>) {
    writer.Map((std::size_t{!IsLeftOut<kPlace>(record)} + ...));
    (WriteField<kKeyOrder<Record>[kPlace]>(writer, record), ...);
  }
  (std::make_index_sequence<kKeyOrder<Record>.size()>());
}

}  // namespace serf::wire

#endif  // SERF_WIRE_RECORD_H_
