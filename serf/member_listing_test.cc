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

using ::testing::ElementsAreArray;

MemberListing ListingOf(const std::vector<std::string>& names) {
  MemberListing listing;
  for (const std::string& name : names) {
    const auto meta = EncodeTags({{"name", name.substr(0, 100)}}, kSerfProtocolMax).value();
    const Endpoint endpoint{IpAddress::V4(10, 0, 0, 1), 7946};
    listing.Add({name, endpoint, meta, {1, 5, 2, 2, 5, 5}}, MemberStatus::kAlive);
  }
  return listing;
}

std::vector<std::string> Names(const MemberListing& listing) {
  std::vector<std::string> names;
  MemberView member;
  for (const MemberListing::RowIndex row : listing.SortedRows()) {
    listing.Describe(row, member);
    EXPECT_EQ(member.tags, (TagViews{{"name", member.name.substr(0, 100)}}));
    names.emplace_back(member.name);
  }
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
  lists.push_back(std::vector<std::string>(20, std::string(200, 'm')));
  lists.push_back({"self"});
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

// Eight bytes at a time: names that agree in more than that, and that end within or hold zeros.
TEST(MemberListingTest, SortsNamesThatAgreeInMuch) {
  std::vector<std::string> names;
  for (const char* part : {"", "a", "ab", "web-", "web-server-of-zone-"}) {
    for (const std::size_t zeros : {0, 1, 7, 8, 9}) {
      for (int i = 0; i < 40; ++i) {
        const int last = i * 17 % 40;
        names.push_back(absl::StrCat("made-up-", part, std::string(zeros, '\0'),
                                     last == 0 ? "" : absl::StrCat(last)));
      }
    }
  }
  names.emplace_back("self");  // has nothing in common with the others
  std::vector<std::string> expected = names;
  std::sort(expected.begin(), expected.end());
  EXPECT_THAT(Names(ListingOf(names)), ElementsAreArray(expected));
}

}  // namespace
}  // namespace serf
