// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_RPC_EXPOSITION_H_
#define SERF_RPC_EXPOSITION_H_

// Exposition: writes metrics as text for Prometheus, in its own format, version 0.0.4, or in
// OpenMetrics. node_metrics.h has the metrics of a node; an application adds its own.
//
//   Exposition text(Exposition::Format::kOpenMetrics);
//   text.Counter("app_jobs_total", "Jobs done.", {{.value = 7}});
//   text.Gauge("app_queue_length", "Jobs that wait.", {{{{"queue", "a"}}, 3}, {{{"queue", "b"}},
//   0}}); Serve(Exposition::ContentType(format), std::move(text).Finish());
//
// Rules for names: base units, the unit last, counters end in "_total". A family comes once, with
// all its samples. Any thread; it holds nothing but the text.
//
// Source: the exposition formats of Prometheus and of OpenMetrics.

#include <array>
#include <cassert>
#include <charconv>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <limits>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"

namespace serf::rpc {

class Exposition {
 public:
  enum class Format : std::uint8_t { kText, kOpenMetrics };
  struct Label {
    absl::string_view name;
    absl::string_view value;  // any bytes
  };
  struct Sample {
    std::vector<Label> labels = {};
    double value = 0;
  };

  explicit Exposition(Format format) : format_(format) {}

  // The type of the text, as HTTP has it.
  static absl::string_view ContentType(Format format) {
    return format == Format::kText ? "text/plain; version=0.0.4; charset=utf-8"
                                   : "application/openmetrics-text; version=1.0.0; charset=utf-8";
  }

  // `help` is one sentence. `unit` ("bytes"), if any, is the end of the name, but for "_total".
  void Counter(absl::string_view name, absl::string_view help, std::span<const Sample> samples,
               absl::string_view unit = "") {
    Family(name, "counter", help, unit, samples);
  }
  void Gauge(absl::string_view name, absl::string_view help, std::span<const Sample> samples,
             absl::string_view unit = "") {
    Family(name, "gauge", help, unit, samples);
  }
  // What does not change while the program runs, as labels. The name ends in "_info".
  void Info(absl::string_view name, absl::string_view help, std::vector<Label> labels) {
    const Sample sample{std::move(labels), 1};
    Family(name, format_ == Format::kText ? "gauge" : "info", help, "", {&sample, 1});
  }
  // The same for a family of one sample without labels.
  void Counter(absl::string_view name, absl::string_view help, double value,
               absl::string_view unit = "") {
    const Sample sample{{}, value};
    Counter(name, help, {&sample, 1}, unit);
  }
  void Gauge(absl::string_view name, absl::string_view help, double value,
             absl::string_view unit = "") {
    const Sample sample{{}, value};
    Gauge(name, help, {&sample, 1}, unit);
  }

  // The whole text. Nothing can be added after it.
  std::string Finish() && {
    if (format_ == Format::kOpenMetrics) text_ += "# EOF\n";
    return std::move(text_);
  }

 private:
  void Family(absl::string_view name, absl::string_view type, absl::string_view help,
              absl::string_view unit, std::span<const Sample> samples);
  void AppendLabels(const std::vector<Label>& labels);
  void AppendEscaped(absl::string_view value, bool quotes);
  void AppendNumber(double value);

  const Format format_;
  std::string text_;
};

inline void Exposition::Family(absl::string_view name, absl::string_view type,
                               absl::string_view help, absl::string_view unit,
                               std::span<const Sample> samples) {
  // In OpenMetrics a family is named without what its type adds to the names of the samples.
  absl::string_view family = name;
  if (format_ == Format::kOpenMetrics) {
    if (type == "counter") absl::ConsumeSuffix(&family, "_total");
    if (type == "info") absl::ConsumeSuffix(&family, "_info");
  }
  absl::StrAppend(&text_, "# TYPE ", family, " ", type, "\n");
  if (format_ == Format::kOpenMetrics && !unit.empty()) {
    absl::StrAppend(&text_, "# UNIT ", family, " ", unit, "\n");
  }
  absl::StrAppend(&text_, "# HELP ", family, " ");
  AppendEscaped(help, format_ == Format::kOpenMetrics);
  text_ += '\n';
  for (const Sample& sample : samples) {
    absl::StrAppend(&text_, name);
    AppendLabels(sample.labels);
    text_ += ' ';
    AppendNumber(sample.value);
    text_ += '\n';
  }
}

inline void Exposition::AppendLabels(const std::vector<Label>& labels) {
  if (labels.empty()) return;
  const char* separator = "{";
  for (const Label& label : labels) {
    absl::StrAppend(&text_, separator, label.name, "=\"");
    AppendEscaped(label.value, true);
    text_ += '"';
    separator = ",";
  }
  text_ += '}';
}

// Bytes that are not UTF-8 stay: the reader says what it thinks of them.
inline void Exposition::AppendEscaped(absl::string_view value, bool quotes) {
  for (const char c : value) {
    if (c == '\n') {
      text_ += "\\n";
    } else if (c == '\\' || (c == '"' && quotes)) {
      text_ += '\\';
      text_ += c;
    } else {
      text_ += c;
    }
  }
}

inline void Exposition::AppendNumber(double value) {
  if (std::isnan(value)) {
    text_ += "NaN";
  } else if (std::isinf(value)) {
    text_ += value > 0 ? "+Inf" : "-Inf";
  } else {
    // Whole numbers, as nearly all are, without an exponent.
    constexpr double kWholeMax = 1e15;
    std::array<char, 32> digits;
    const bool whole = value == std::trunc(value) && std::fabs(value) < kWholeMax;
    const std::to_chars_result result =
        whole ? std::to_chars(digits.data(), digits.data() + digits.size(),
                              static_cast<std::int64_t>(value))
              : std::to_chars(digits.data(), digits.data() + digits.size(), value);
    absl::StrAppend(
        &text_,
        absl::string_view(digits.data(), static_cast<std::size_t>(result.ptr - digits.data())));
  }
}

}  // namespace serf::rpc

#endif  // SERF_RPC_EXPOSITION_H_
