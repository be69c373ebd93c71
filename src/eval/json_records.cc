#include "eval/json_records.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "base/file.h"
#include "base/try.h"

namespace ondine::eval {
namespace {

using nlohmann::json;

constexpr std::string_view kBlanks = " \t\r\n";

// Cuts a file into the texts of its objects, so that a broken one can be named by its line.
class Splitter {
 public:
  Splitter(std::string_view text, const std::string& path) : text_(text), path_(path) {}

  Result<std::vector<JsonRecord>> Run() {
    const std::size_t first = text_.find_first_not_of(kBlanks);
    if (first != std::string_view::npos && text_[first] == '[') {
      ONDINE_TRY(Array(first + 1));
    } else {
      ONDINE_TRY(Lines());
    }
    return std::move(records_);
  }

 private:
  Status Lines() {
    for (std::size_t begin = 0; begin < text_.size();) {
      const std::size_t end = std::min(text_.find('\n', begin), text_.size());
      ONDINE_TRY(Add(begin, end));
      begin = end + 1;
    }
    return {};
  }

  Status Array(std::size_t begin) {
    while (true) {
      const std::size_t end = ElementEnd(begin);
      if (end == text_.size()) return Broken(begin, "the array has no end");
      ONDINE_TRY(Add(std::min(text_.find_first_not_of(kBlanks, begin), end), end));
      begin = end + 1;
      if (text_[end] == ']') break;
    }
    const bool ends = text_.find_first_not_of(kBlanks, begin) == std::string_view::npos;
    return ends ? Status() : Broken(begin, "has text behind the array");
  }

  // Where the comma or bracket stands that ends the array's element at `at`.
  std::size_t ElementEnd(std::size_t at) const {
    int depth = 0;
    bool quoted = false;
    for (; at < text_.size(); ++at) {
      const char c = text_[at];
      if (quoted) {
        if (c == '\\') ++at;
        quoted = c != '"';
      } else if (c == '"') {
        quoted = true;
      } else if (depth == 0 && (c == ',' || c == ']')) {
        return at;
      } else if (c == '{' || c == '[') {
        ++depth;
      } else if (c == '}' || c == ']') {
        --depth;
      }
    }
    return text_.size();
  }

  Status Add(std::size_t begin, std::size_t end) {
    JsonRecord record{json::parse(text_.substr(begin, end - begin), nullptr, false), Place(begin)};
    if (!record.object.is_object()) return record.Broken("is no JSON object");
    records_.push_back(std::move(record));
    return {};
  }

  // `at` never goes back, so that lines are counted once.
  std::string Place(std::size_t at) {
    const std::string_view passed = text_.substr(counted_, at - counted_);
    line_ += std::count(passed.begin(), passed.end(), '\n');
    counted_ = at;
    return path_ + ":" + std::to_string(line_);
  }

  tl::unexpected<Error> Broken(std::size_t at, const char* what) {
    return MakeError(ErrorCode::kCorrupt, what, Place(at));
  }

  std::string_view text_;
  const std::string& path_;
  std::vector<JsonRecord> records_;
  std::size_t counted_ = 0;
  std::ptrdiff_t line_ = 1;
};

bool IsText(const json& value) {
  return value.is_string() && !value.get_ref<const std::string&>().empty();
}

// Null where there is none.
const json& Field(const JsonRecord& record, const char* key) {
  static const json none;
  const auto found = record.object.find(key);
  return found == record.object.end() ? none : *found;
}

}  // namespace

tl::unexpected<Error> JsonRecord::Broken(std::string what) const {
  return MakeError(ErrorCode::kCorrupt, std::move(what), place);
}

Result<std::vector<JsonRecord>> ReadJsonRecords(const std::string& path) {
  ONDINE_ASSIGN(const std::string text, base::ReadFile(path));
  return Splitter(text, path).Run();
}

Result<std::string> TextField(const JsonRecord& record, const char* key) {
  const json& value = Field(record, key);
  if (!IsText(value)) return record.Broken(std::string("has no text under \"") + key + "\"");
  return value.get<std::string>();
}

Result<std::vector<std::string>> TextsField(const JsonRecord& record, const char* key) {
  const json& value = Field(record, key);
  if (!value.is_array() || value.size() < 2 || !std::all_of(value.begin(), value.end(), IsText)) {
    return record.Broken(std::string("has no two or more texts under \"") + key + "\"");
  }
  return value.get<std::vector<std::string>>();
}

Result<std::size_t> IndexField(const JsonRecord& record, const char* key, std::size_t size) {
  const json& value = Field(record, key);
  if (!value.is_number_unsigned() || value.get<std::size_t>() >= size) {
    return record.Broken(std::string("has no index of a choice under \"") + key + "\"");
  }
  return value.get<std::size_t>();
}

}  // namespace ondine::eval
