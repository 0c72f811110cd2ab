#include "serf/transport/net/zone.h"

#include <net/if.h>

#include <optional>
#include <string>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace serf::names {
namespace {

TEST(ZoneTest, ReadsAddresses) {
  const unsigned lo = ::if_nametoindex("lo");
  ASSERT_NE(lo, 0u);
  const struct {
    std::string host;
    const char* address;  // "" if it is none
    unsigned zone = 0;
    const char* error = "";
  } kTable[] = {
      {"fe80::1%lo", "fe80::1", lo},
      {absl::StrCat("fe80::1%", lo), "fe80::1", lo},
      {"fe80::1", "fe80::1"},
      {"fd00::1%lo", "fd00::1", lo},
      {"10.0.0.1", "10.0.0.1"},
      {"fe80::1%nosuch0", "fe80::1", 0, "lookup fe80::1%nosuch0: no such network interface"},
      {"fe80::1%4000000", "fe80::1", 0, "lookup fe80::1%4000000: no such network interface"},
      {"fe80::1%", ""},
      {"10.0.0.1%lo", ""},
      {"::ffff:10.0.0.1%lo", ""},
      {"db%lo", ""},
      {"%lo", ""},
      {"", ""},
  };
  for (const auto& row : kTable) {
    const std::optional<IpAddress> address = ParseWithZone(row.host);
    EXPECT_EQ(address ? address->ToString() : "", row.address) << row.host;
    const absl::StatusOr<Zone> zone = ZoneOf(row.host);
    EXPECT_EQ(std::string(zone.status().message()), row.error);
    if (zone.ok()) {
      EXPECT_EQ(*zone, row.zone) << row.host;
    }
  }
}

TEST(ZoneTest, IsWrittenByName) {
  EXPECT_EQ(WithZone("fe80::1", ::if_nametoindex("lo")), "fe80::1%lo");
  EXPECT_EQ(WithZone("fe80::1", 0), "fe80::1");
  EXPECT_EQ(WithZone("fe80::1", 4000000), "fe80::1");
}

}  // namespace
}  // namespace serf::names
