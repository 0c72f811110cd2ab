#ifndef SERF_CMD_COMMANDS_QUERY_ANSWERS_H_
#define SERF_CMD_COMMANDS_QUERY_ANSWERS_H_

// QueryAnswers: the answers to a query, as `serf query` prints them. Source: docs/protocol/agent.md
// 4.12.
//
//   QueryAnswers answers(/*acks=*/true);
//   Print(answers.OnAck("alpha"));                 // "Ack from 'alpha'\n"
//   Print(answers.OnResponse("alpha", "1.02\n"));  // "Response from 'alpha': 1.02\n"
//   Print(answers.Totals());                       // or answers.ToJson()

#include <cstddef>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "nlohmann/json.hpp"
#include "serf/cmd/text/json_text.h"
#include "serf/cmd/text/quote.h"

namespace serf::cmd {

class QueryAnswers {
 public:
  // `acks`: whether the command asked for acknowledgements.
  explicit QueryAnswers(bool acks) : acks_wanted_(acks) {}

  // OnAck() and OnResponse() return the line for the answer. A name cannot forge a second line. A
  // response may have several lines, and is printed unchanged except for one line feed at its end.
  std::string OnAck(const std::string& node) {
    acks_.push_back(node);
    return absl::StrCat("Ack from '", EscapeControls(node), "'\n");
  }
  std::string OnResponse(const std::string& node, std::string payload) {
    ++response_count_;
    absl::string_view text = payload;
    if (!text.empty() && text.back() == '\n') text.remove_suffix(1);
    std::string line = absl::StrCat("Response from '", EscapeControls(node), "': ", text, "\n");
    responses_.insert_or_assign(node, std::move(payload));
    return line;
  }

  // The last lines.
  std::string Totals() const {
    return absl::StrCat(acks_wanted_ ? absl::StrCat("Total Acks: ", acks_.size(), "\n") : "",
                        "Total Responses: ", response_count_, "\n");
  }

  // All answers: {"Acks": ["alpha"], "Responses": {"alpha": "1.02\n"}}. "Acks" is null if there are
  // none.
  std::string ToJson() const {
    nlohmann::ordered_json json;
    json["Acks"] = nullptr;
    for (const std::string& node : acks_) json["Acks"].push_back(node);
    nlohmann::ordered_json& responses = json["Responses"] = nlohmann::ordered_json::object();
    for (const auto& [node, payload] : responses_) responses[node] = payload;
    return ToJsonText(json);
  }

 private:
  const bool acks_wanted_;
  std::vector<std::string> acks_;  // in the order of arrival
  std::size_t response_count_ = 0;
  std::map<std::string, std::string> responses_;  // by node
};

}  // namespace serf::cmd

#endif  // SERF_CMD_COMMANDS_QUERY_ANSWERS_H_
