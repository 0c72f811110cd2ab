// Checks how the program is built: it reads the promises of _HARDENING and _HARDENED_LINKING in
// tools/cc.bzl from the program itself. Linux; it reads the machine code on x86-64 only.

#include <elf.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <iterator>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/string_view.h"
#include "serf/testing/agents/programs.h"

namespace serf::cmd {
namespace {

using ::testing::Contains;

// A 64-bit ELF file, as far as the tests need it.
class ElfFile {
 public:
  explicit ElfFile(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    bytes_.assign(std::istreambuf_iterator<char>(file), {});
    header_ = At<Elf64_Ehdr>(0);
    for (std::size_t i = 0; i < header_.e_phnum; ++i) {
      segments_.push_back(At<Elf64_Phdr>(header_.e_phoff + i * sizeof(Elf64_Phdr)));
    }
    for (std::size_t i = 0; i < header_.e_shnum; ++i) {
      sections_.push_back(At<Elf64_Shdr>(header_.e_shoff + i * sizeof(Elf64_Shdr)));
    }
  }

  std::uint16_t type() const { return header_.e_type; }
  const std::vector<Elf64_Phdr>& segments() const { return segments_; }

  std::optional<Elf64_Phdr> Segment(std::uint32_t type) const {
    const auto found = std::find_if(segments_.begin(), segments_.end(),
                                    [type](const auto& each) { return each.p_type == type; });
    return found == segments_.end() ? std::nullopt : std::optional(*found);
  }
  // The loaded segment that holds an address.
  std::optional<Elf64_Phdr> Holder(std::uint64_t address) const {
    for (const Elf64_Phdr& each : segments_) {
      if (each.p_type == PT_LOAD && address >= each.p_vaddr &&
          address < each.p_vaddr + each.p_memsz) {
        return each;
      }
    }
    return std::nullopt;
  }
  std::optional<Elf64_Shdr> Section(absl::string_view name) const {
    const Elf64_Shdr& names = sections_.at(header_.e_shstrndx);
    for (const Elf64_Shdr& each : sections_) {
      if (Text(names, each.sh_name) == name) return each;
    }
    return std::nullopt;
  }
  // Zero if the dynamic section lacks it.
  std::uint64_t Dynamic(std::int64_t tag) const {
    const Elf64_Phdr dynamic = Segment(PT_DYNAMIC).value();
    for (std::size_t at = 0; at < dynamic.p_filesz; at += sizeof(Elf64_Dyn)) {
      const auto entry = At<Elf64_Dyn>(dynamic.p_offset + at);
      if (entry.d_tag == tag) return entry.d_un.d_val;
    }
    return 0;
  }

  struct Symbol {
    std::string name;
    std::uint64_t value = 0;
    std::uint64_t size = 0;
    bool is_function = false;
  };
  std::vector<Symbol> Symbols(std::uint32_t section_type) const {
    std::vector<Symbol> symbols;
    for (const Elf64_Shdr& section : sections_) {
      if (section.sh_type != section_type) continue;
      for (std::size_t at = 0; at < section.sh_size; at += sizeof(Elf64_Sym)) {
        const auto entry = At<Elf64_Sym>(section.sh_offset + at);
        symbols.push_back({std::string(Text(sections_.at(section.sh_link), entry.st_name)),
                           entry.st_value, entry.st_size,
                           ELF64_ST_TYPE(entry.st_info) == STT_FUNC && entry.st_value != 0});
      }
    }
    return symbols;
  }
  // The bytes that are loaded at an address.
  absl::string_view Code(std::uint64_t address, std::size_t size) const {
    const std::optional<Elf64_Phdr> holder = Holder(address);
    if (!holder) return {};
    return absl::string_view(bytes_).substr(holder->p_offset + (address - holder->p_vaddr), size);
  }

 private:
  template <typename T>
  T At(std::size_t offset) const {
    T value = {};
    if (offset + sizeof(T) <= bytes_.size()) {
      std::memcpy(&value, bytes_.data() + offset, sizeof(T));
    }
    return value;
  }
  absl::string_view Text(const Elf64_Shdr& strings, std::size_t at) const {
    return bytes_.data() + strings.sh_offset + at;
  }

  std::string bytes_;
  Elf64_Ehdr header_ = {};
  std::vector<Elf64_Phdr> segments_;
  std::vector<Elf64_Shdr> sections_;
};

const ElfFile& Program() {
  static const auto* const program = new ElfFile(testkit::OurSerf());
  return *program;
}

std::vector<std::string> Imports() {
  std::vector<std::string> names;
  for (const ElfFile::Symbol& symbol : Program().Symbols(SHT_DYNSYM)) {
    names.push_back(symbol.name.substr(0, symbol.name.find('@')));
  }
  return names;
}

TEST(Hardening, AddressesCannotBeForetold) {
  EXPECT_EQ(Program().type(), ET_DYN);
  EXPECT_NE(Program().Dynamic(DT_FLAGS_1) & DF_1_PIE, 0u);
}

TEST(Hardening, TheTableOfImportsIsReadOnlyBeforeMain) {
  EXPECT_TRUE(Program().Segment(PT_GNU_RELRO).has_value());
  EXPECT_NE(
      (Program().Dynamic(DT_FLAGS) & DF_BIND_NOW) | (Program().Dynamic(DT_FLAGS_1) & DF_1_NOW), 0u);
}

TEST(Hardening, WhatIsWritableDoesNotRun) {
  for (const Elf64_Phdr& segment : Program().segments()) {
    const bool both = (segment.p_flags & PF_W) != 0 && (segment.p_flags & PF_X) != 0;
    EXPECT_FALSE(both) << "a segment of type " << segment.p_type;
  }
  const std::optional<Elf64_Phdr> stack = Program().Segment(PT_GNU_STACK);
  ASSERT_TRUE(stack.has_value());
  EXPECT_EQ(stack->p_flags & PF_X, 0u);
}

TEST(Hardening, ConstantsDoNotRun) {
  for (const char* const name : {".rodata", ".eh_frame"}) {
    const std::optional<Elf64_Shdr> section = Program().Section(name);
    ASSERT_TRUE(section.has_value()) << name;
    const std::optional<Elf64_Phdr> holder = Program().Holder(section->sh_addr);
    ASSERT_TRUE(holder.has_value()) << name;
    EXPECT_EQ(holder->p_flags, static_cast<std::uint32_t>(PF_R)) << name;
  }
}

TEST(Hardening, AnOverflowOnTheStackIsNoticed) {
  EXPECT_THAT(Imports(), Contains("__stack_chk_fail"));
}

#ifdef __OPTIMIZE__
TEST(Hardening, CallsOfLibcKnowTheirBuffers) {
  EXPECT_THAT(Imports(), Contains("__memcpy_chk"));
  EXPECT_THAT(Imports(), Contains("__vsnprintf_chk"));
}
#endif

#ifdef __x86_64__

// A frame of many pages, as a function of the program could have it.
[[gnu::noinline]] char HasALargeFrame(std::size_t at) {
  std::array<volatile char, 64 << 10> frame;
  for (volatile char& each : frame) each = 1;
  return frame.at(at);
}

TEST(Hardening, ALargeFrameTouchesEachOfItsPages) {
  EXPECT_EQ(HasALargeFrame(17), 1);
  // g++ adds zero to the page, and Clang writes zero to it, because nothing in the frame has a
  // value yet.
  const absl::string_view code(reinterpret_cast<const char*>(&HasALargeFrame), 128);
  EXPECT_TRUE(absl::StrContains(code, absl::string_view("\x48\x83\x0c\x24\x00", 5)) ||
              absl::StrContains(code, absl::string_view("\x48\xc7\x04\x24\x00\x00\x00\x00", 8)));
}

// A function that other code can call begins only where a jump may land.
TEST(Hardening, FunctionsBeginWithALandingPad) {
  std::size_t functions = 0;
  std::size_t pads = 0;
  for (const ElfFile::Symbol& symbol : Program().Symbols(SHT_SYMTAB)) {
    if (!symbol.is_function || !absl::StartsWith(symbol.name, "_ZN4serf")) continue;
    // The compiler places rarely used parts of a function apart, and only the function itself jumps
    // there.
    if (absl::StrContains(symbol.name, ".cold") || absl::StrContains(symbol.name, ".part")) {
      continue;
    }
    ++functions;
    if (Program().Code(symbol.value, 4) == "\xf3\x0f\x1e\xfa") ++pads;
  }
  ASSERT_GT(functions, 100u) << "a stripped program?";
  EXPECT_GT(pads, functions * 9 / 10) << "of " << functions;
}

#endif  // __x86_64__

}  // namespace
}  // namespace serf::cmd
