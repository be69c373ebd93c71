#include "eval/csv.h"

#include <algorithm>

#include "base/try.h"

namespace ondine::eval {
namespace {

class Parser {
 public:
  Parser(std::string_view text, const std::string& path) : text_(text), path_(path) {}

  Result<std::vector<CsvRow>> Run() {
    std::vector<CsvRow> rows;
    std::size_t line = 1;
    while (at_ < text_.size()) {
      const std::size_t begin = at_;
      CsvRow row;
      row.line = line;
      do {
        ONDINE_ASSIGN(std::string field, Field(line));
        row.fields.push_back(std::move(field));
      } while (Skip(","));
      if (at_ < text_.size() && !Skip("\n") && !Skip("\r\n")) {
        return Broken(line, "has text behind a closing quote");
      }
      rows.push_back(std::move(row));
      const std::string_view read = text_.substr(begin, at_ - begin);
      line += static_cast<std::size_t>(std::count(read.begin(), read.end(), '\n'));
    }
    return rows;
  }

 private:
  Result<std::string> Field(std::size_t line) {
    if (!Skip("\"")) {
      const std::size_t end = std::min(text_.find_first_of(",\n", at_), text_.size());
      const bool breaks = end < text_.size() && text_[end] == '\n';
      std::string field(text_.substr(at_, end - at_));
      if (breaks && field.ends_with('\r')) field.pop_back();
      at_ += field.size();
      return field;
    }
    std::string field;
    while (true) {
      const std::size_t quote = text_.find('"', at_);
      if (quote == std::string_view::npos) return Broken(line, "has a quote that is not closed");
      field += text_.substr(at_, quote - at_);
      at_ = quote + 1;
      if (!Skip("\"")) return field;
      field += '"';
    }
  }

  bool Skip(std::string_view what) {
    if (text_.substr(at_, what.size()) != what) return false;
    at_ += what.size();
    return true;
  }

  tl::unexpected<Error> Broken(std::size_t line, const char* what) const {
    return MakeError(ErrorCode::kCorrupt, what, path_ + ":" + std::to_string(line));
  }

  std::string_view text_;
  const std::string& path_;
  std::size_t at_ = 0;
};

}  // namespace

Result<std::vector<CsvRow>> ParseCsv(std::string_view text, const std::string& path) {
  return Parser(text, path).Run();
}

}  // namespace ondine::eval
