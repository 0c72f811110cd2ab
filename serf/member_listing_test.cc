#include "serf/member_listing.h"

#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "serf/base/endpoint.h"
#include "serf/config.h"
#include "serf/member.h"
#include "serf/swim/node_info.h"
#include "serf/tags.h"

namespace serf {
namespace {

using ::testing::ElementsAre;
using ::testing::ElementsAreArray;
using ::testing::IsEmpty;

MemberListing ListingOf(const std::vector<std::string>& names) {
  swim::NodeInfoPool pool;
  MemberListing listing;
  for (const std::string& name : names) {
    const auto meta = EncodeTags({{"name", name.substr(0, 100)}}, kSerfProtocolMax).value();
    const Endpoint endpoint{IpAddress::V4(10, 0, 0, 1), 7946};
    listing.Add(*pool.Intern({name, endpoint, meta, {1, 5, 2, 2, 5, 5}}), MemberStatus::kAlive);
  }
  return listing;
}

std::vector<std::string> Names(const MemberListing& listing) {
  std::vector<std::string> names;
  listing.ForEachSorted([&](const Member& member) {
    EXPECT_EQ(member.tags, (Tags{{"name", member.name.substr(0, 100)}}));
    names.push_back(member.name);
    return true;
  });
  return names;
}

TEST(MemberListingTest, IsSortedByNameAsTextsAre) {
  std::vector<std::vector<std::string>> lists = {
      {},
      {"only"},
      {"b", "a", "c"},
      {"web-server-2", "web-server-10", "web-server-1", "web-server-"},
      {"web-server-zone-a-2", "web-server-zone-b-1", "web-server-zone-a-1"},
      {"a", std::string("a\0", 2), std::string("a\0\0b", 4), "\xff", "\x7f", "ab"},
      {"0123456789abcdef-2", "0123456789abcdef-1", "1"},
  };
  for (int i = 0; i < 500; ++i) lists.back().push_back(absl::StrCat("n", i * 7919 % 1000));
  for (const std::vector<std::string>& names : lists) {
    std::vector<std::string> expected = names;
    std::sort(expected.begin(), expected.end());
    const MemberListing listing = ListingOf(names);
    EXPECT_EQ(listing.size(), names.size());
    EXPECT_THAT(Names(listing), ElementsAreArray(expected));
    std::vector<std::string> sorted;
    for (const Member& member : listing.Sorted()) sorted.push_back(member.name);
    EXPECT_THAT(sorted, ElementsAreArray(expected));
  }
}

TEST(MemberListingTest, StopsWhenAsked) {
  std::vector<std::string> names;
  ListingOf({"c", "a", "b"}).ForEachSorted([&](const Member& member) {
    names.push_back(member.name);
    return names.size() < 2;
  });
  EXPECT_THAT(names, ElementsAre("a", "b"));
  EXPECT_THAT(Names(MemberListing()), IsEmpty());
}

}  // namespace
}  // namespace serf
