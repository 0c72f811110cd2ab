// Runs Debian's Prometheus: promtool reads the metrics of an agent, and a server scrapes three.

#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "serf/testing/agents/agent_process.h"
#include "serf/testing/agents/http_get.h"
#include "serf/testing/agents/process.h"
#include "serf/testing/agents/programs.h"
#include "serf/testing/integration/workshop.h"

namespace serf::testkit {
namespace {

constexpr absl::string_view kSecret = "0123456789abcdef-scraper";

class PrometheusTest : public ::testing::Test {
 protected:
  // A path that also the workshop's folder knows.
  static std::string Program(const char* variable) {
    return std::filesystem::absolute(ProgramFromEnvironment(variable));
  }

  // Starts three agents in one cluster, whose metrics need a token.
  void StartCluster() {
    workshop_.Write(
        "http.json",
        absl::StrCat(R"({"http_anonymous": ["probe"], "http_tokens": [{"name": "prom", )",
                     R"("token": ")", kSecret, R"(", "scopes": ["metrics"]}]})"));
    for (const char* name : {"a", "b", "c"}) {
      AgentProcess::Options options{.program = OurSerf(), .name = name};
      http_.push_back(options.address + ":7380");
      options.flags = {"-http-addr=" + http_.back(), "-config-file=http.json"};
      if (!agents_.empty()) options.flags.push_back("-join=" + agents_.front()->gossip());
      agents_.push_back(std::make_unique<AgentProcess>(std::move(options)));
      ASSERT_TRUE(agents_.back()->WaitUntilRunning()) << agents_.back()->log();
    }
    for (const auto& agent : agents_) {
      ASSERT_TRUE(agent->WaitForMembers({{"a", "alive"}, {"b", "alive"}, {"c", "alive"}}));
    }
  }
  static std::string Bearer() { return absl::StrCat("Authorization: Bearer ", kSecret, "\r\n"); }

  const std::string prometheus_ = Program("PROMETHEUS_PROGRAM");
  const std::string promtool_ = Program("PROMTOOL_PROGRAM");
  Workshop workshop_;
  std::vector<std::string> http_;
  std::vector<std::unique_ptr<AgentProcess>> agents_;
};

TEST_F(PrometheusTest, ThePromtoolHasNothingToSay) {
  StartCluster();
  const HttpAnswer metrics = HttpGet(http_[0], "/metrics", Bearer());
  ASSERT_EQ(metrics.status, 200);
  workshop_.Write("metrics.txt", metrics.body);
  Process check({"/bin/sh", "-c", absl::StrCat(promtool_, " check metrics <metrics.txt")});
  EXPECT_EQ(check.Wait(), 0);
  EXPECT_EQ(check.out(), "");
  EXPECT_EQ(check.err(), "");
}

TEST_F(PrometheusTest, AServerScrapesThreeAgents) {
  StartCluster();
  const std::string address = NextLoopbackAddress() + ":9090";
  workshop_.Write("token", kSecret);
  workshop_.Write("prometheus.yml",
                  absl::StrCat("global: {scrape_interval: 1s}\n"
                               "scrape_configs:\n"
                               "  - job_name: serf\n"
                               "    authorization: {credentials_file: token}\n"
                               "    static_configs:\n"
                               "      - targets: ['",
                               http_[0], "', '", http_[1], "', '", http_[2], "']\n"));
  Process server({prometheus_, "--config.file=prometheus.yml", "--storage.tsdb.path=tsdb",
                  "--web.listen-address=" + address, "--log.level=warn"});
  // The values of an instant query.
  const auto query = [&](absl::string_view expression) {
    std::vector<double> values;
    const HttpAnswer answer = HttpGet(address, absl::StrCat("/api/v1/query?query=", expression));
    const nlohmann::json json = nlohmann::json::parse(answer.body, nullptr, false);
    if (answer.status != 200 || json.is_discarded()) return values;
    for (const auto& sample : json["data"]["result"]) {
      values.push_back(std::stod(sample["value"][1].get<std::string>()));
    }
    return values;
  };
  const auto shows = [&](absl::string_view expression, const std::vector<double>& values) {
    const bool shown = server.WaitUntil([&] { return query(expression) == values; });
    EXPECT_TRUE(shown) << expression << " " << server.err();
  };
  shows("up", {1, 1, 1});
  shows("serf_members%7Bstatus=%22alive%22%7D", {3, 3, 3});
  // It takes all samples of the OpenMetrics that it asks for, as many as the other format has.
  const std::string samples =
      absl::StrCat("scrape_samples_scraped%7Binstance=%22", http_[0], "%22%7D");
  EXPECT_TRUE(server.WaitUntil([&] {
    double count = 0;
    for (const absl::string_view line :
         absl::StrSplit(HttpGet(http_[0], "/metrics", Bearer()).body, '\n')) {
      count += line.empty() || line[0] == '#' ? 0 : 1;
    }
    return count > 100 && query(samples) == std::vector<double>{count};
  }));
  agents_[2]->Kill();
  shows("sum(up)", {2});
  shows("max(serf_members%7Bstatus=%22failed%22%7D)", {1});
}

}  // namespace
}  // namespace serf::testkit
