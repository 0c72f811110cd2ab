// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_WIRE_LIST_VIEW_H_
#define SERF_WIRE_LIST_VIEW_H_

// ListView<T>: a list or map within a message, of any length, that needs no memory of its own. To
// encode a list, make the view from a span. Decoding makes a view of the input: it checks all
// elements once, and decodes each again when ForEach() visits it.
//
//   message.left_members.ForEach([&](absl::string_view name) { ... });
//
// The input, or the span, must outlive the view. A view is a small value; copy it freely. An
// element type with ReadEntry and WriteEntry makes it a map: the entry is its key and value. Do not
// use it where elements are looked up: each ForEach() decodes the whole list.

#include <cstddef>
#include <span>

#include "serf/base/bytes.h"
#include "serf/wire/msgpack.h"

namespace serf::wire {

// list = nil | list: T*
// map  = nil | map: (key value)*
template <typename T>
class ListView {
 public:
  // An absent list, which is encoded as nil.
  constexpr ListView() = default;
  // A present list, even if it is empty. The items must outlive the view.
  constexpr explicit ListView(std::span<const T> items)
      : items_(items), size_(items.size()), present_(true) {}

  // The number of elements. A key that came twice in a map counts twice.
  std::size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  bool is_present() const { return present_; }

  // Calls visit(const T&) for each element, in order. Views in the element are valid until `visit`
  // returns.
  template <typename F>
  void ForEach(F&& visit) const {
    for (const T& item : items_) visit(item);
    if (encoded_.empty()) return;
    DecodeScratch scratch;
    MsgpackReader reader(encoded_, scratch);
    for (std::size_t i = 0; i < size_; ++i) {
      T item{};
      const std::size_t mark = reader.ScratchMark();
      if (!ReadElement(reader, item)) return;  // cannot be: it was checked
      visit(static_cast<const T&>(item));
      reader.ReleaseScratch(mark);
    }
  }

  bool ReadFrom(MsgpackReader& reader) {
    *this = ListView();
    MsgpackReader::Head head;
    if (!reader.ReadHead(head)) return false;
    if (head.kind == MsgpackReader::Kind::kNil) return true;
    constexpr auto kKind = kIsMap ? MsgpackReader::Kind::kMap : MsgpackReader::Kind::kList;
    if (head.kind != kKind) return reader.Fail(DecodeResult::kBadType);
    const std::size_t begin = reader.position();
    for (std::uint64_t i = 0; i < head.value; ++i) {
      T item{};
      const std::size_t mark = reader.ScratchMark();
      if (!ReadElement(reader, item)) return false;
      reader.ReleaseScratch(mark);
    }
    encoded_ = reader.input().subspan(begin, reader.position() - begin);
    size_ = static_cast<std::size_t>(head.value);
    present_ = true;
    return true;
  }

  void WriteTo(MsgpackWriter& writer) const {
    if (!present_) return writer.Nil();
    if constexpr (kIsMap) {
      writer.Map(size_);
      ForEach([&writer](const T& item) { item.WriteEntry(writer); });
    } else {
      writer.List(size_);
      ForEach([&writer](const T& item) { writer.Value(item); });
    }
  }

 private:
  static constexpr bool kIsMap = requires(T & item, MsgpackReader& reader) {
    item.ReadEntry(reader);
  };

  static bool ReadElement(MsgpackReader& reader, T& item) {
    if constexpr (kIsMap) {
      return item.ReadEntry(reader);
    } else {
      return reader.Read(item);
    }
  }

  std::span<const T> items_;
  ByteView encoded_;
  std::size_t size_ = 0;
  bool present_ = false;
};

}  // namespace serf::wire

#endif  // SERF_WIRE_LIST_VIEW_H_
