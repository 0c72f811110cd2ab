#ifndef SERF_CMD_TEXT_TABLE_H_
#define SERF_CMD_TEXT_TABLE_H_

// Table: aligned columns of text, as `serf members` prints them. Source:
// docs/protocol/agent.md 4.10.
//
//   Table table;
//   table.AddRow({"alpha", "127.0.0.1:7946", "alive", "role=web"});
//   std::fputs(table.ToString().c_str(), stdout);

#include <algorithm>
#include <cstddef>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/string_view.h"
#include "serf/cmd/text/quote.h"
#include "serf/cmd/text/utf8.h"

namespace serf::cmd {

class Table {
 public:
  // Trims blanks around a field and escapes control characters in it, so a row is always one line.
  // Rows may differ in their number of fields.
  void AddRow(const std::vector<std::string>& fields) {
    for (std::size_t i = 0; i < fields.size(); ++i) {
      const std::string field = EscapeControls(absl::StripAsciiWhitespace(fields[i]));
      const std::size_t width = Utf8Length(field);
      if (i == widths_.size()) widths_.push_back(0);
      widths_[i] = std::max(widths_[i], width);
      text_ += field;
      fields_.push_back({text_.size(), width, i + 1 == fields.size()});
    }
    if (fields.empty()) fields_.push_back({text_.size(), 0, true});
  }

  // Puts two blanks between columns, and pads every field of a row but its last. Trims blanks at
  // both ends of the whole text and ends it with one LF: an empty table is one empty line.
  std::string ToString() const {
    std::string text;
    std::size_t begin = 0;
    std::size_t column = 0;
    for (const Field& field : fields_) {
      text.append(text_, begin, field.end - begin);
      begin = field.end;
      if (field.is_last) {
        text += '\n';
        column = 0;
      } else {
        text.append(widths_[column++] - field.width + 2, ' ');
      }
    }
    absl::StripAsciiWhitespace(&text);
    text += '\n';
    return text;
  }

 private:
  struct Field {
    std::size_t end;    // in text_
    std::size_t width;  // in code points
    bool is_last;       // of its row
  };

  std::string text_;  // all fields, one behind the other: a table may have 10,000 rows
  std::vector<Field> fields_;
  std::vector<std::size_t> widths_;  // in code points
};

}  // namespace serf::cmd

#endif  // SERF_CMD_TEXT_TABLE_H_
