#ifndef SERF_JUDGEMENT_H_
#define SERF_JUDGEMENT_H_

// Judgement: whose tags match the expressions of a query's filters, where that may take long. The
// machine hands it out with its Outbox; whoever drives the machine calls Run() where nothing waits
// for it, and hands it back with OnQueryJudged, run or not.
//
//   Judgement judgement(Judgement::Purpose::kAnswer, query, deadline, {{"role", "^web"}});
//   judgement.AddNode("a", meta);
//   judgement.Run(cpu_time);                       // on any thread
//   if (judgement.decided()) judgement.ForEachNode(...);
//
// Not for what is cheap: QueryFilters decides that at once. It holds copies of all it looks at.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "serf/base/bytes.h"
#include "serf/base/time.h"
#include "serf/query.h"
#include "serf/regex.h"
#include "serf/tags.h"

namespace serf {

// A filter of a query: a tag, and the expression that its value has to match.
struct TagExpression {
  std::string tag;
  std::string expression;
};

// A node without the tag counts as one with the empty text.
inline absl::string_view TagValue(const Tags& tags, absl::string_view tag) {
  const auto found = tags.find(tag);
  return found == tags.end() ? absl::string_view() : absl::string_view(found->second);
}

class Judgement {
 public:
  // Time of the running thread after which Run() gives up. All expressions of a query have
  // Regex::kModestMemoryMax together, so the one under way ends within another such time.
  static constexpr Duration kCpuTimeMax = std::chrono::milliseconds(250);

  enum class Purpose : std::uint8_t {
    kAnswer,    // whether this node is to answer the query of somebody
    kAudience,  // who is to answer an own query
  };

  Judgement(Purpose purpose, QueryId query, Instant deadline, std::vector<TagExpression> filters)
      : purpose_(purpose),
        query_(query),
        deadline_(deadline),
        filters_(std::move(filters)),
        errors_(filters_.size()) {}
  Judgement(const Judgement&) = delete;
  Judgement& operator=(const Judgement&) = delete;

  // One more to judge: it passes if its tags, which are in `meta`, match all filters.
  void AddNode(absl::string_view name, ByteView meta) {
    Append(bytes_, AsBytes(name));
    Append(bytes_, meta);
    nodes_.push_back(
        {static_cast<std::uint32_t>(name.size()), static_cast<std::uint32_t>(meta.size()), 0});
  }

  Purpose purpose() const { return purpose_; }
  QueryId query() const { return query_; }
  // From then on nobody wants to know.
  Instant deadline() const { return deadline_; }
  const std::vector<TagExpression>& filters() const { return filters_; }

  // Once. `cpu_time()` is what the calling thread has used of the processor.
  template <typename CpuTime>
  void Run(CpuTime&& cpu_time);

  // Whether Run() came to an end: it gives up where the budget does not reach.
  bool decided() const { return decided_; }
  // If it is decided: calls f(name, matched) for each node, in the order of AddNode(), with the
  // number of filters that it matches before the first that it does not; a node passes if it is
  // that of all filters.
  template <typename F>
  void ForEachNode(F&& f) const;
  // Why a filter does not compile, and so matches nobody; OK otherwise.
  const absl::Status& error(std::size_t filter) const { return errors_[filter]; }

 private:
  struct Node {
    std::uint32_t name_size;
    std::uint32_t meta_size;
    std::uint32_t matched;
  };

  // False: the budget does not reach.
  template <typename CpuTime>
  bool CompileAll(std::vector<std::optional<Regex>>& compiled, Duration end, CpuTime& cpu_time);

  Purpose purpose_;
  QueryId query_;
  Instant deadline_;
  std::vector<TagExpression> filters_;
  std::vector<absl::Status> errors_;  // of each filter
  ByteVector bytes_;                  // name and metadata of each node
  std::vector<Node> nodes_;
  bool decided_ = false;
};

template <typename CpuTime>
bool Judgement::CompileAll(std::vector<std::optional<Regex>>& compiled, Duration end,
                           CpuTime& cpu_time) {
  std::int64_t memory = Regex::kModestMemoryMax;
  for (std::size_t i = 0; i < filters_.size(); ++i) {
    if (memory <= 0) return false;
    absl::StatusOr<Regex> regex = Regex::Compile(filters_[i].expression, memory);
    if (absl::IsResourceExhausted(regex.status()) || cpu_time() > end) return false;
    errors_[i] = regex.status();
    std::optional<Regex>& to = compiled.emplace_back();
    if (!regex.ok()) continue;
    memory -= regex->memory();
    to = *std::move(regex);
  }
  return true;
}

template <typename CpuTime>
void Judgement::Run(CpuTime&& cpu_time) {
  const Duration end = cpu_time() + kCpuTimeMax;
  std::vector<std::optional<Regex>> compiled;
  if (!CompileAll(compiled, end, cpu_time)) return;
  std::size_t position = 0;
  for (Node& node : nodes_) {
    Tags tags;
    DecodeTags(ByteView(bytes_).subspan(position + node.name_size, node.meta_size), tags);
    position += node.name_size + node.meta_size;
    for (std::size_t i = 0; i < filters_.size(); ++i) {
      const bool matches = compiled[i] && compiled[i]->Matches(TagValue(tags, filters_[i].tag));
      if (cpu_time() > end) return;
      if (!matches) break;
      ++node.matched;
    }
  }
  decided_ = true;
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
