// Reads tags and keyring files with any content. After a write and a second read they are the same.

#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "absl/strings/string_view.h"
#include "serf/cmd/files/keyring_file.h"
#include "serf/cmd/files/tags_file.h"
#include "serf/testing/fuzz_bounds.h"

namespace {

// An element of JSON may have two bytes. The fuzzer reads, writes and reads everything.
constexpr serf::testkit::FuzzBounds kBounds = {
    .total = {1024, 16 << 10},
    .peak = {256, 16 << 10},
    .work = {20, 4000},
};

void Fuzz(serf::ByteView input) {
  const absl::string_view text = serf::AsText(input);
  if (const auto tags = serf::cmd::DecodeTagsFile(text); tags.ok()) {
    const auto again = serf::cmd::DecodeTagsFile(serf::cmd::EncodeTagsFile(*tags));
    if (!again.ok() || *again != *tags) std::abort();
  }
  if (const auto file = serf::cmd::DecodeKeyringFile(text); file.ok()) {
    const auto again =
        serf::cmd::DecodeKeyringFile(serf::cmd::EncodeKeyringFile(file->keyring.keys()));
    if (!again.ok() || again->keyring.keys().size() != file->keyring.keys().size()) std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return serf::testkit::FuzzWithin(kBounds, data, size, Fuzz);
}
