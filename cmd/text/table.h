#ifndef SERF_CMD_TEXT_TABLE_H_
#define SERF_CMD_TEXT_TABLE_H_

// Table: aligned columns of text, as `serf members` prints them. Source:
// docs/protocol/agent.md 4.10.
//
//   Table table;
//   table.AddRow({"alpha", "127.0.0.1:7946", "alive", "role=web"});
//   std::fputs(table.ToString().c_str(), stdout);

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "serf/cmd/text/quote.h"
#include "serf/cmd/text/utf8.h"

namespace serf::cmd {

class Table {
 public:
  // Trims blanks around a field and escapes control characters in it, so a row is always one line.
  // Rows may differ in their number of fields.
  void AddRow(std::vector<std::string> fields) {
    for (std::string& field : fields) {
      field = EscapeControls(absl::StripAsciiWhitespace(field));
    }
    for (std::size_t i = 0; i < fields.size(); ++i) {
      if (i == widths_.size()) widths_.push_back(0);
      widths_[i] = std::max(widths_[i], Utf8Length(fields[i]));
    }
    rows_.push_back(std::move(fields));
  }

  // Puts two blanks between columns, and pads every field of a row but its last. Trims blanks at
  // both ends of the whole text and ends it with one LF: an empty table is one empty line.
  std::string ToString() const {
    std::string text;
    for (const std::vector<std::string>& row : rows_) {
      for (std::size_t i = 0; i < row.size(); ++i) {
        text += row[i];
        if (i + 1 == row.size()) continue;
        text.append(widths_[i] - Utf8Length(row[i]) + 2, ' ');
      }
      text += '\n';
    }
    return absl::StrCat(absl::StripAsciiWhitespace(text), "\n");
  }

 private:
  std::vector<std::vector<std::string>> rows_;
  std::vector<std::size_t> widths_;  // in code points
};

}  // namespace serf::cmd

#endif  // SERF_CMD_TEXT_TABLE_H_
