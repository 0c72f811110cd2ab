// Tests who may do what over HTTP, and that pages of other sites get nothing.

#include "serf/cmd/http/policy.h"

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "gtest/gtest.h"
#include "serf/rpc/http/message.h"

namespace serf::cmd {
namespace {

const std::string kOps = "ops-0123456789abcdef";
const std::string kScraper = "scraper-0123456789abcdef";

HttpPolicy Policy() {
  return {.tokens = {{"ops", kOps, {Scope::kRead, Scope::kControl}},
                     {"scraper", kScraper, {Scope::kMetrics}}},
          .anonymous = {Scope::kProbe, Scope::kRead},
          .allowed_hosts = {"serf.example"}};
}

http::Request Get(std::vector<http::Field> fields) {
  http::Request request;
  request.method = http::Method::kGet;
  request.fields = std::move(fields);
  return request;
}

TEST(PolicyTest, OwnHosts) {
  struct Case {
    absl::string_view host;
    bool own;
  };
  for (const Case& c : {
           Case{"127.0.0.1", true},
           Case{"127.0.0.1:7380", true},
           Case{"10.0.0.1", true},
           Case{"[::1]", true},
           Case{"[::1]:7380", true},
           Case{"localhost", true},
           Case{"LocalHost:80", true},
           Case{"serf.example", true},
           Case{"SERF.example:7380", true},
           Case{"", false},
           Case{"evil.example", false},
           Case{"evil.example:7380", false},
           Case{"127.0.0.1.evil.example", false},
           Case{"localhost.evil.example", false},
           Case{"evil.example.localhost", false},
           Case{"xlocalhost", false},
           Case{"serf.example.", false},
           Case{"www.serf.example", false},
           Case{"[::1].evil.example", false},
           Case{"[evil.example]", false},
           Case{"::1", false},
           Case{"127.1", false},
           Case{"2130706433", false},
           Case{"0x7f000001", false},
           Case{"127.0.0.1:", true},
           Case{"127.0.0.1:x", false},
           Case{"127.0.0.1:70000", false},
           Case{"127.0.0.1:80:80", false},
           Case{"localhost@evil.example", false},
           Case{"evil.example#localhost", false},
           Case{"localhost/evil", false},
           Case{" localhost", false},
       }) {
    EXPECT_EQ(IsOwnHost(c.host, {"serf.example"}), c.own) << c.host;
  }
}

struct Judged {
  int status = 200;
  std::string code;
  std::string token;
};

Judged JudgeIt(const HttpPolicy& policy, const http::Request& request, Scope scope,
               absl::string_view authority = "") {
  const Verdict verdict = Judge(policy, request, authority, scope);
  if (!verdict.refusal) return {.token = verdict.token};
  return {verdict.refusal->problem.status, std::string(verdict.refusal->problem.code),
          verdict.token};
}

TEST(PolicyTest, ScopesOfCallers) {
  const auto with = [](const std::string& secret) {
    return Get({{"host", "evil.example"}, {"authorization", absl::StrCat("Bearer ", secret)}});
  };
  const http::Request anonymous = Get({{"host", "localhost"}});
  EXPECT_EQ(JudgeIt(Policy(), anonymous, Scope::kProbe).status, 200);
  EXPECT_EQ(JudgeIt(Policy(), anonymous, Scope::kRead).status, 200);
  EXPECT_EQ(JudgeIt(Policy(), anonymous, Scope::kMetrics).code, "unauthenticated");
  EXPECT_EQ(JudgeIt(Policy(), anonymous, Scope::kControl).status, 401);
  // A token makes the check of the host unnecessary, and has its own scopes only.
  EXPECT_EQ(JudgeIt(Policy(), with(kOps), Scope::kControl).token, "ops");
  EXPECT_EQ(JudgeIt(Policy(), with(kScraper), Scope::kMetrics).token, "scraper");
  EXPECT_EQ(JudgeIt(Policy(), with(kScraper), Scope::kRead).code, "forbidden");
  EXPECT_EQ(JudgeIt(Policy(), with(kScraper), Scope::kControl).status, 403);
}

TEST(PolicyTest, WrongTokensAreNotAnonymous) {
  for (const std::string& credentials :
       {std::string("Bearer "), std::string("Bearer x"), std::string("Bearer"), std::string(""),
        absl::StrCat("Bearer ", kOps.substr(0, kOps.size() - 1)),
        absl::StrCat("Bearer ", kOps, "x"), absl::StrCat("Basic ", kOps), kOps,
        absl::StrCat("Bearer ", kOps, " ", kOps), absl::StrCat("bearer:", kOps)}) {
    const Verdict verdict = Judge(
        Policy(), Get({{"host", "localhost"}, {"authorization", credentials}}), "", Scope::kProbe);
    ASSERT_TRUE(verdict.refusal) << credentials;
    EXPECT_EQ(verdict.refusal->problem.status, 401);
    EXPECT_TRUE(verdict.refusal->wrong_token);
    // The message must not repeat what might be a token.
    EXPECT_EQ(verdict.refusal->problem.message, "the token is not known");
  }
  EXPECT_EQ(JudgeIt(Policy(),
                    Get({{"host", "localhost"},
                         {"authorization", absl::StrCat("Bearer ", kOps)},
                         {"authorization", absl::StrCat("Bearer ", kOps)}}),
                    Scope::kRead)
                .status,
            401);
  EXPECT_EQ(JudgeIt(Policy(),
                    Get({{"host", "x"}, {"authorization", absl::StrCat("bEARER   ", kOps, " ")}}),
                    Scope::kRead)
                .status,
            200);
}

TEST(PolicyTest, ForeignHosts) {
  const http::Request foreign = Get({{"host", "evil.example"}});
  EXPECT_EQ(JudgeIt(Policy(), foreign, Scope::kRead).code, "unknown_host");
  EXPECT_EQ(JudgeIt(Policy(), foreign, Scope::kRead).status, 421);
  EXPECT_EQ(JudgeIt(Policy(), Get({}), Scope::kRead).status, 421);
  // Probes tell nothing, and load balancers ask under any name.
  EXPECT_EQ(JudgeIt(Policy(), foreign, Scope::kProbe).status, 200);
  // The host of an absolute target outweighs the field.
  EXPECT_EQ(JudgeIt(Policy(), Get({{"host", "localhost"}}), Scope::kRead, "evil.example").status,
            421);
  EXPECT_EQ(JudgeIt(Policy(), foreign, Scope::kRead, "localhost:7380").status, 200);
  // No browser reaches a Unix domain socket.
  HttpPolicy socket = Policy();
  socket.local_socket = true;
  EXPECT_EQ(JudgeIt(socket, foreign, Scope::kRead).status, 200);
}

TEST(PolicyTest, PagesOfOtherSites) {
  const auto post = [](std::vector<http::Field> fields) {
    fields.push_back({"host", "127.0.0.1:7380"});
    fields.push_back({"authorization", absl::StrCat("Bearer ", kOps)});
    http::Request request = Get(std::move(fields));
    request.method = http::Method::kPost;
    return JudgeIt(Policy(), request, Scope::kControl);
  };
  EXPECT_EQ(post({}).status, 200);  // curl
  EXPECT_EQ(post({{"origin", "http://127.0.0.1:7380"}}).status, 200);
  EXPECT_EQ(post({{"sec-fetch-site", "same-origin"}}).status, 200);
  EXPECT_EQ(post({{"sec-fetch-site", "none"}}).status, 200);
  for (const absl::string_view origin : {"null", "http://evil.example", "http://127.0.0.1:7381",
                                         "http://127.0.0.1", "file://", ""}) {
    EXPECT_EQ(post({{"origin", std::string(origin)}}).code, "cross_origin") << origin;
  }
  EXPECT_EQ(post({{"sec-fetch-site", "cross-site"}}).status, 403);
  EXPECT_EQ(post({{"sec-fetch-site", "same-site"}}).status, 403);
}

}  // namespace
}  // namespace serf::cmd
