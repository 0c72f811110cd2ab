// Tests the routes of an agent as a client sees them, over loopback.

#include "serf/cmd/http/api.h"

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "boost/asio/buffer.hpp"
#include "boost/asio/error.hpp"
#include "boost/asio/io_context.hpp"
#include "boost/asio/ip/tcp.hpp"
#include "boost/asio/write.hpp"
#include "boost/system/error_code.hpp"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "serf/cmd/http/health.h"
#include "serf/cmd/http/policy.h"
#include "serf/rpc/exposition.h"
#include "serf/rpc/http/server_io.h"
#include "serf/testing/run_until.h"
#include "serf/transport/net/socket_address.h"

namespace serf::cmd {
namespace {

namespace asio = boost::asio;

const std::string kToken = "scraper-0123456789abcdef";

struct Answer {
  int status = 0;
  std::string head;
  std::string body;
};

class HttpApiTest : public ::testing::Test {
 protected:
  HttpApiTest() {
    const absl::Status listening = server_.Listen("127.0.0.1:0");
    EXPECT_TRUE(listening.ok()) << listening;
    Connect();
  }
  void Connect() {
    socket_.emplace(io_);
    socket_->connect(transport::ToAsio(*server_.local_endpoint()));
    socket_->non_blocking(true);
    heard_.clear();
  }
  // Sends a request over the connection, and returns the answer.
  Answer Ask(absl::string_view line, absl::string_view fields = "") {
    const std::string request =
        absl::StrCat(line, " HTTP/1.1\r\nHost: 127.0.0.1\r\n", fields, "\r\n");
    asio::write(*socket_, asio::buffer(request));
    const bool head_only = absl::StartsWith(line, "HEAD");
    Answer answer;
    EXPECT_TRUE(testkit::RunUntil(io_, [&] { return Take(head_only, answer); })) << line;
    return answer;
  }
  bool Take(bool head_only, Answer& answer) {
    std::array<char, 65536> buffer;
    boost::system::error_code error;
    heard_.append(buffer.data(), socket_->read_some(asio::buffer(buffer), error));
    ended_ = error && error != asio::error::would_block;
    const std::size_t end = heard_.find("\r\n\r\n");
    if (end == std::string::npos) return false;
    answer.head = heard_.substr(0, end + 2);
    const std::size_t at = answer.head.find("Content-Length: ") + 16;
    std::size_t length = 0;
    EXPECT_TRUE(absl::SimpleAtoi(
        absl::string_view(answer.head).substr(at, answer.head.find("\r\n", at) - at), &length));
    if (head_only) length = 0;
    if (heard_.size() < end + 4 + length) return false;
    answer.body = heard_.substr(end + 4, length);
    heard_.erase(0, end + 4 + length);
    EXPECT_TRUE(absl::SimpleAtoi(absl::string_view(answer.head).substr(9, 3), &answer.status));
    return true;
  }
  static std::string CodeOf(const Answer& answer) {
    EXPECT_TRUE(absl::StrContains(answer.head, "Content-Type: application/json\r\n"));
    const nlohmann::json json = nlohmann::json::parse(answer.body, nullptr, false);
    EXPECT_EQ(json.size(), 1U);
    EXPECT_FALSE(json["error"]["message"].get<std::string>().empty());
    return json["error"]["code"].get<std::string>();
  }
  std::string Metrics() {
    rpc::Exposition text(rpc::Exposition::Format::kText);
    api_.AppendMetrics(0, text);
    return std::move(text).Finish();
  }

  asio::io_context io_;
  ReadinessFacts facts_{.started = true, .join_wanted = true};
  int arrivals_ = 0;
  HttpPolicy policy_{.tokens = {{"scraper", kToken, {Scope::kProbe, Scope::kMetrics}}},
                     .anonymous = {Scope::kProbe},
                     .allowed_hosts = {}};
  HttpApi api_{{.readiness = [this] { return ReadinessChecks(facts_); },
                .append_metrics = [](rpc::Exposition& text) { text.Counter("a_total", "A.", 7); },
                .on_arrival = [this] { ++arrivals_; }},
               policy_};
  http::Server server_{io_, api_, {}};
  std::optional<asio::ip::tcp::socket> socket_;
  std::string heard_;
  bool ended_ = false;
};

TEST_F(HttpApiTest, Probes) {
  for (const absl::string_view path : {"/livez", "/healthz"}) {
    const Answer answer = Ask(absl::StrCat("GET ", path));
    EXPECT_EQ(answer.status, 200);
    EXPECT_EQ(answer.body, "ok\n");
  }
  EXPECT_EQ(arrivals_, 2);
  Answer answer = Ask("GET /readyz");
  EXPECT_EQ(answer.status, 503);
  EXPECT_EQ(answer.body, "[-]joined failed: no other member has answered yet\n");
  EXPECT_EQ(Ask("GET /readyz?exclude=joined").status, 200);
  EXPECT_EQ(Ask("GET /readyz?exclude=joine").status, 503);
  EXPECT_EQ(Ask("GET /readyz/joined").status, 503);
  EXPECT_EQ(Ask("GET /readyz/started").body, "ok\n");
  EXPECT_EQ(CodeOf(Ask("GET /readyz/other")), "no_such_route");
  facts_.met_another = true;
  EXPECT_EQ(Ask("GET /readyz").body, "ok\n");
  facts_.leaving = true;
  EXPECT_EQ(Ask("GET /readyz").status, 503);
  answer = Ask("HEAD /readyz");
  EXPECT_EQ(answer.status, 503);
  EXPECT_EQ(answer.body, "");
  // A departure does not make the process one to kill.
  EXPECT_EQ(Ask("GET /livez").status, 200);
}

TEST_F(HttpApiTest, ProbesInDetail) {
  // What is wrong with a cluster is not for everybody.
  EXPECT_EQ(CodeOf(Ask("GET /readyz?verbose")), "unauthenticated");
  const std::string token = absl::StrCat("Authorization: Bearer ", kToken, "\r\n");
  EXPECT_EQ(Ask("GET /readyz?verbose", token).body,
            "[+]started ok\n[-]joined failed: no other member has answered yet\n"
            "[+]not_leaving ok\n");
  facts_.met_another = true;
  EXPECT_EQ(Ask("GET /livez?verbose", token).body, "[+]loop ok\nok\n");
  const Answer answer = Ask("GET /readyz", "Accept: application/json\r\n");
  EXPECT_EQ(answer.body,
            "{\"status\":\"ok\",\"checks\":{\"started\":{\"ok\":true},\"joined\":{\"ok\":true},"
            "\"not_leaving\":{\"ok\":true}}}\n");
}

TEST_F(HttpApiTest, MetricsInBothFormats) {
  const std::string token = absl::StrCat("Authorization: Bearer ", kToken, "\r\n");
  Answer answer = Ask("GET /metrics", token);
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.body, "# TYPE a_total counter\n# HELP a_total A.\na_total 7\n");
  EXPECT_TRUE(
      absl::StrContains(answer.head, "Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"));
  answer = Ask("GET /metrics", token +
                                   "Accept: application/openmetrics-text;version=1.0.0,"
                                   "application/openmetrics-text;version=0.0.1;q=0.75,"
                                   "text/plain;version=0.0.4;q=0.5,*/*;q=0.1\r\n");
  EXPECT_EQ(answer.body, "# TYPE a counter\n# HELP a A.\na_total 7\n# EOF\n");
  EXPECT_TRUE(absl::StrContains(
      answer.head, "Content-Type: application/openmetrics-text; version=1.0.0; charset=utf-8\r\n"));
  answer = Ask("GET /metrics", token + "Accept: */*\r\n");
  EXPECT_TRUE(absl::StrContains(answer.head, "text/plain"));
}

TEST_F(HttpApiTest, Errors) {
  Answer answer = Ask("GET /");
  EXPECT_EQ(answer.status, 404);
  EXPECT_EQ(CodeOf(answer), "no_such_route");
  for (const absl::string_view path : {"/livez/", "//livez", "/Livez", "/livez/x", "/readyz/",
                                       "/readyz/joined/x", "/../livez", "/api/v1/members"}) {
    EXPECT_EQ(Ask(absl::StrCat("GET ", path)).status, 404) << path;
  }
  EXPECT_EQ(Ask("GET /%6civez").status, 200);  // decoded once
  EXPECT_EQ(Ask("GET /%256civez").status, 404);
  answer = Ask("GET /<script>");
  EXPECT_FALSE(absl::StrContains(answer.body, "<script>"));
  answer = Ask("POST /metrics");
  EXPECT_EQ(answer.status, 405);
  EXPECT_EQ(CodeOf(answer), "method_not_allowed");
  EXPECT_TRUE(absl::StrContains(answer.head, "\r\nAllow: GET, HEAD\r\n"));
  EXPECT_EQ(Ask("OPTIONS /metrics").status, 405);
  EXPECT_EQ(CodeOf(Ask("GET /livez?%")), "malformed_request");
}

TEST_F(HttpApiTest, CallersWithoutScope) {
  Answer answer = Ask("GET /metrics");
  EXPECT_EQ(answer.status, 401);
  EXPECT_EQ(CodeOf(answer), "unauthenticated");
  EXPECT_TRUE(absl::StrContains(answer.head, "\r\nWWW-Authenticate: Bearer realm=\"serf\"\r\n"));
  // Without a token, asking again costs nothing; the third wrong one ends the connection.
  for (int i = 0; i < 5; ++i) EXPECT_EQ(Ask("GET /metrics").status, 401);
  for (int i = 0; i < 3; ++i) {
    answer = Ask("GET /livez", "Authorization: Bearer 0123456789abcdef\r\n");
    EXPECT_EQ(answer.status, 401);
    EXPECT_EQ(absl::StrContains(answer.head, "Connection: close"), i == 2);
  }
  Connect();
  EXPECT_EQ(Ask("GET /livez").status, 200);
  // A reload holds from the next request on.
  HttpPolicy open = policy_;
  open.anonymous.Add(Scope::kMetrics);
  api_.set_policy(open);
  EXPECT_EQ(Ask("GET /metrics").status, 200);
}

TEST_F(HttpApiTest, Counts) {
  Ask("GET /livez");
  Ask("GET /livez");
  Ask("GET /metrics");
  Ask("GET /nowhere/1");
  Ask("GET /nowhere/2");
  Ask("GET /livez", "Authorization: Bearer 0123456789abcdef\r\n");
  Ask("GET /livez?%");
  const std::string text = Metrics();
  for (const absl::string_view line : {
           "serf_http_requests_total{route=\"/livez\",code=\"200\"} 2\n",
           "serf_http_requests_total{route=\"/livez\",code=\"401\"} 1\n",
           "serf_http_requests_total{route=\"/metrics\",code=\"401\"} 1\n",
           // Whatever clients ask for, the number of series is bounded.
           "serf_http_requests_total{route=\"other\",code=\"404\"} 2\n",
           "serf_http_refused_total{reason=\"auth\"} 2\n",
           "serf_http_refused_total{reason=\"host\"} 0\n",
           "serf_http_refused_total{reason=\"parse\"} 1\n",
       }) {
    EXPECT_TRUE(absl::StrContains(text, line)) << line << text;
  }
}

}  // namespace
}  // namespace serf::cmd
