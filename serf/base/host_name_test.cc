#include "serf/base/host_name.h"

#include <string>

#include "gtest/gtest.h"

namespace serf {
namespace {

TEST(HostNameTest, TellsNamesFromNumbersAndNonsense) {
  const std::string label63(63, 'a');
  const std::string longest = label63 + "." + label63 + "." + label63 + "." + std::string(61, 'b');
  const struct {
    std::string text;
    bool want;
  } kTable[] = {
      {"localhost", true},
      {"db-1.example.com", true},
      {"db-1.example.com.", true},
      {"serf_seed", true},
      {"_serf._tcp.example.com", true},
      {"1a", true},
      {"web.1", true},
      {"1-2", true},
      {"3com.com", true},
      {"0xyz", true},
      {label63, true},
      {longest, true},
      {longest + ".", true},
      {"", false},
      {".", false},
      {"..", false},
      {"a..b", false},
      {".a", false},
      {"a..", false},
      {"-a", false},
      {"a-", false},
      {"a.-b", false},
      {"a b", false},
      {"a/24", false},
      {"a:1", false},
      {"a%lo", false},
      {"caf\xc3\xa9", false},
      {label63 + "a", false},
      {longest + "b", false},
      // None of the forms that inet_aton() accepts is a name.
      {"300.0.0.1", false},
      {"010.000.000.012", false},
      {"1.2.3", false},
      {"1.2.3.4.5", false},
      {"0", false},
      {"2130706433", false},
      {"0x7f000001", false},
      {"0X7f.1", false},
      {"127.1.", false},
  };
  for (const auto& row : kTable) EXPECT_EQ(IsHostName(row.text), row.want) << row.text;
}

}  // namespace
}  // namespace serf
