#include "serf/cmd/daemon/memory_footprint.h"

#include <gtest/gtest.h>
#include <link.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <fstream>
#include <vector>

namespace serf::cmd {
namespace {

// The mapped pages that belong to files.
std::size_t ResidentFileBytes() {
  std::size_t all = 0;
  std::size_t resident = 0;
  std::size_t of_files = 0;
  std::ifstream("/proc/self/statm") >> all >> resident >> of_files;
  return of_files * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

// Reads a byte of each page of this program's code and constants, and returns how many they have.
std::size_t TouchProgram() {
  std::size_t touched = 0;
  ::dl_iterate_phdr(
      [](dl_phdr_info* info, std::size_t, void* size) {
        const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
        for (int i = 0; i < info->dlpi_phnum; ++i) {
          const ElfW(Phdr)& segment = info->dlpi_phdr[i];
          if (segment.p_type != PT_LOAD || (segment.p_flags & PF_W) != 0) continue;
          // NOLINTNEXTLINE(performance-no-int-to-ptr)
          const auto* bytes = reinterpret_cast<const char*>(info->dlpi_addr + segment.p_vaddr);
          for (std::size_t at = 0; at < segment.p_memsz; at += page) {
            (void)*static_cast<const volatile char*>(bytes + at);
          }
          *static_cast<std::size_t*>(size) += segment.p_memsz;
        }
        return 1;  // the program is the first
      },
      &touched);
  return touched;
}

TEST(MemoryFootprint, ReleasesCodeAndConstantsAndGoesOn) {
  const std::size_t size = TouchProgram();
  const std::size_t before = ResidentFileBytes();
  ASSERT_GE(before, size);
  const long faults = PageFaults();
  ReleaseMemory();
  const std::size_t after = ResidentFileBytes();
  EXPECT_LT(after, before - size / 2) << "of " << before << " bytes";
  // The pages that these lines needed were mapped again.
  EXPECT_GT(PageFaults(), faults);
}

// The faults up to each look, and whether it releases. Two faults follow each release.
struct Looks {
  const char* what;
  std::vector<long> faults;
  std::vector<bool> releases;
};

TEST(MemoryFootprint, ReleasesOnceTheAgentIsQuiet) {
  const Looks cases[] = {
      {"a start that is over", {300, 301, 310, 310, 310}, {false, true, false, false, false}},
      {"a start whose last thread ends late", {300, 312, 312, 330}, {false, false, true, false}},
      {"few faults at a time",
       {300, 301, 310, 314, 317, 318},
       {false, true, false, false, false, true}},
      {"never quiet",
       {100, 200, 300, 400, 500, 600, 700},
       {false, false, false, false, true, false, false}},
      {"nothing new", {7, 7, 7}, {false, false, false}},
  };
  for (const Looks& each : cases) {
    ReleaseRule rule;
    std::vector<bool> releases;
    for (const long faults : each.faults) {
      releases.push_back(rule.OnLook(faults));
      if (releases.back()) rule.OnReleased(faults + 2);
    }
    EXPECT_EQ(releases, each.releases) << each.what;
  }
}

// Code on a server that is down could not be loaded again.
TEST(MemoryFootprint, WhatCanGoAwayStays) {
  using memory_footprint_internal::CanGoAway;
  for (const std::uint32_t remote : {0x6969u, 0xff534d42u, 0xfe534d42u, 0x65735546u, 0x01021997u}) {
    EXPECT_TRUE(CanGoAway(remote)) << remote;
  }
  // ext4, tmpfs, overlay, XFS, Btrfs.
  for (const std::uint32_t local : {0xef53u, 0x01021994u, 0x794c7630u, 0x58465342u, 0x9123683eu}) {
    EXPECT_FALSE(CanGoAway(local)) << local;
  }
}

}  // namespace
}  // namespace serf::cmd
