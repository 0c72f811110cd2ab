// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_JUDGEMENT_H_
#define SERF_JUDGEMENT_H_

// Judgement: which members' tags match the expressions of a query's filters, where that may take
// long. The machine hands it out with its Outbox. The driver calls Run() where nothing waits for
// it, and hands it back with Serf::OnQueryJudged(), run or not.
//
//   Judgement judgement(Judgement::Purpose::kAnswer, query, deadline, {{"role", "^web"}});
//   judgement.AddNode("a", meta);
//   judgement.Run(cpu_time);                       // on any thread
//   if (judgement.decided()) judgement.ForEachNode(...);
//
// Only a driver needs it; transport::Host runs judgements by itself. Filters that are cheap never
// come here: the machine decides them at once. A judgement holds copies of all that it looks at, so
// it may move between threads, but only one thread may use it at a time.

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "serf/base/bytes.h"
#include "serf/base/regex.h"
#include "serf/base/time.h"
#include "serf/query.h"
#include "serf/tags.h"

namespace serf {

// A filter of a query: the name of a tag, and the RE2 expression that its value must match.
struct TagExpression {
  std::string tag;
  std::string expression;
};

// The value of a tag; empty if the node does not have it. Valid as long as `tags`.
inline absl::string_view TagValue(const Tags& tags, absl::string_view tag) {
  const auto found = tags.find(tag);
  return found == tags.end() ? absl::string_view() : absl::string_view(found->second);
}

class Judgement {
 public:
  // The processor time of the calling thread after which Run() gives up. The step under
  // way ends first: compiling an expression, within its Regex::kMemoryMax, or a match.
  static constexpr Duration kCpuTimeMax = std::chrono::milliseconds(250);
  // The most Regex::Steps() of a match, so that it takes no longer than kCpuTimeMax. The largest
  // expressions may look at values of a hundred bytes.
  static constexpr std::int64_t kStepsMax = 36'000'000;

  enum class Purpose : std::uint8_t {
    // Whether this node answers a query of another node.
    kAnswer,
    // Which members should answer a query of this node.
    kAudience,
  };

  Judgement(Purpose purpose, QueryId query, Instant deadline, std::vector<TagExpression> filters)
      : purpose_(purpose),
        query_(query),
        deadline_(deadline),
        filters_(std::move(filters)),
        errors_(filters_.size()) {}
  Judgement(const Judgement&) = delete;
  Judgement& operator=(const Judgement&) = delete;

  // Adds a node to judge. It passes if its tags, which `meta` encodes, match all filters. Copies
  // both.
  void AddNode(absl::string_view name, ByteView meta) {
    Append(bytes_, AsBytes(name));
    Append(bytes_, meta);
    nodes_.push_back(
        {static_cast<std::uint32_t>(name.size()), static_cast<std::uint32_t>(meta.size()), 0});
  }

  // What the machine asked, for which query and with which filters.
  Purpose purpose() const { return purpose_; }
  QueryId query() const { return query_; }
  // The end of the query. A result that comes later is dropped.
  Instant deadline() const { return deadline_; }
  const std::vector<TagExpression>& filters() const { return filters_; }

  // Judges the nodes. Call it at most once, on any thread. `cpu_time()` returns the processor time
  // that the calling thread has used, as a Duration. Run() counts from its first result, and gives
  // up after kCpuTimeMax.
  template <typename CpuTime>
  void Run(CpuTime&& cpu_time);

  // Whether Run() reached a result. False also if it did not run.
  bool decided() const { return decided_; }
  // Why Run() gave up: which filter was beyond which limit. Empty if it did not run, or decided.
  const std::string& failure() const { return failure_; }
  // Calls f(name, matched) for each node in the order of AddNode(). Call it only if decided().
  // `matched` is the number of filters that match before the first one that does not. A node passes
  // if `matched` equals the number of filters.
  template <typename F>
  void ForEachNode(F&& f) const;
  // Why a filter does not compile, and so matches no node; OK if it compiles, or if no node
  // remained for it to judge.
  const absl::Status& error(std::size_t filter) const { return errors_[filter]; }

 private:
  struct Node {
    std::uint32_t name_size;
    std::uint32_t meta_size;
    std::uint32_t matched;
  };

  // Judges the nodes that match all filters before this one, by `regex`. False if it takes too
  // long.
  template <typename CpuTime>
  bool JudgeBy(std::size_t filter, const Regex& regex, Duration end, CpuTime& cpu_time);
  // Run() gave up at this filter.
  void GiveUp(std::size_t filter, absl::string_view why) {
    failure_ = absl::StrCat("filter regex (", filters_[filter].expression.substr(0, 256),
                            ") of tag '", filters_[filter].tag, "' ", why);
  }

  Purpose purpose_;
  QueryId query_;
  Instant deadline_;
  std::vector<TagExpression> filters_;
  std::vector<absl::Status> errors_;  // of each filter
  ByteVector bytes_;                  // name and metadata of each node
  std::vector<Node> nodes_;
  bool decided_ = false;
  std::string failure_;
};

template <typename CpuTime>
void Judgement::Run(CpuTime&& cpu_time) {
  constexpr absl::string_view kTooLong = "needs more than 250 ms of the processor";
  static_assert(kCpuTimeMax == std::chrono::milliseconds(250));
  constexpr absl::string_view kTooLarge = "needs more than 6 MiB when compiled";
  static_assert(Regex::kMemoryMax == std::int64_t{6} << 20);
  const Duration end = cpu_time() + kCpuTimeMax;
  // One expression after the other, so that only one takes memory.
  for (std::size_t i = 0; i < filters_.size(); ++i) {
    if (i > 0 && cpu_time() > end) return GiveUp(i, kTooLong);
    const absl::StatusOr<Regex> regex = Regex::Compile(filters_[i].expression);
    if (absl::IsResourceExhausted(regex.status())) return GiveUp(i, kTooLarge);
    errors_[i] = regex.status();
    if (!regex.ok()) break;  // it matches no node
    if (!JudgeBy(i, *regex, end, cpu_time)) return GiveUp(i, kTooLong);
    if (std::none_of(nodes_.begin(), nodes_.end(),
                     [i](const Node& node) { return node.matched > i; })) {
      break;
    }
  }
  decided_ = true;
}

template <typename CpuTime>
bool Judgement::JudgeBy(std::size_t filter, const Regex& regex, Duration end, CpuTime& cpu_time) {
  std::size_t position = 0;
  bool first = true;
  for (Node& node : nodes_) {
    const ByteView meta = ByteView(bytes_).subspan(position + node.name_size, node.meta_size);
    position += node.name_size + node.meta_size;
    if (node.matched < filter) continue;
    // An expression that was compiled is worth a match.
    if (!std::exchange(first, false) && cpu_time() > end) return false;
    Tags tags;
    DecodeTags(meta, tags);
    const absl::string_view value = TagValue(tags, filters_[filter].tag);
    if (regex.Steps(value.size()) > kStepsMax) return false;
    node.matched += regex.Matches(value);
  }
  return true;
}

template <typename F>
void Judgement::ForEachNode(F&& f) const {
  std::size_t position = 0;
  for (const Node& node : nodes_) {
    f(AsText(ByteView(bytes_).subspan(position, node.name_size)), node.matched);
    position += node.name_size + node.meta_size;
  }
}

}  // namespace serf

#endif  // SERF_JUDGEMENT_H_
