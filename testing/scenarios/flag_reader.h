#ifndef SERF_TESTING_SCENARIOS_FLAG_READER_H_
#define SERF_TESTING_SCENARIOS_FLAG_READER_H_

// FlagReader: the arguments of a program that is run by hand, each --name=value. What is not given
// keeps its value.
//
//   FlagReader flags(argc, argv);
//   flags.Read("nodes", nodes);              // --nodes=20,100
//   if (!flags.Done("usage: ...")) return 2;

#include <cstdio>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"

namespace serf::testkit {

class FlagReader {
 public:
  FlagReader(int argc, char** argv) {
    for (int i = 1; i < argc; ++i) given_.push_back({argv[i], false});
  }

  // A number that is at least `low`, a text, or a list of either.
  template <typename T>
  void Read(absl::string_view name, T& value, double low = 0) {
    if (const auto text = Take(name)) Parse(name, *text, low, value);
  }

  // False if an argument is wrong or unknown; then the reason and `usage` are printed.
  bool Done(absl::string_view usage) {
    for (const Argument& argument : given_) {
      if (!argument.read && wrong_.empty()) wrong_ = absl::StrCat("unknown: ", argument.text);
    }
    if (wrong_.empty()) return true;
    std::fprintf(stderr, "%s\n%s\n", wrong_.c_str(), std::string(usage).c_str());
    return false;
  }

 private:
  struct Argument {
    std::string text;
    bool read;
  };

  // The value of the last argument of this name.
  std::optional<std::string> Take(absl::string_view name) {
    std::optional<std::string> value;
    const std::string prefix = absl::StrCat("--", name, "=");
    for (Argument& argument : given_) {
      if (argument.text.rfind(prefix, 0) != 0) continue;
      argument.read = true;
      value = argument.text.substr(prefix.size());
    }
    return value;
  }

  void Parse(absl::string_view, absl::string_view text, double, std::string& value) {
    value = std::string(text);
  }
  template <typename Number>
  void Parse(absl::string_view name, absl::string_view text, double low, Number& value) {
    double number = 0;
    if (absl::SimpleAtod(text, &number) && number >= low &&
        number == static_cast<double>(static_cast<Number>(number))) {
      value = static_cast<Number>(number);
    } else if (wrong_.empty()) {
      wrong_ = absl::StrCat("--", name, "=", text, " is not a number of at least ", low);
    }
  }
  template <typename Element>
  void Parse(absl::string_view name, absl::string_view text, double low,
             std::vector<Element>& list) {
    list.clear();
    for (const absl::string_view part : absl::StrSplit(text, ',')) {
      Element element{};
      Parse(name, part, low, element);
      list.push_back(std::move(element));
    }
  }

  std::vector<Argument> given_;
  std::string wrong_;
};

}  // namespace serf::testkit

#endif  // SERF_TESTING_SCENARIOS_FLAG_READER_H_
