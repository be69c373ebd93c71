// Comma-separated values (RFC 4180): what MMLU is written in.
#ifndef ONDINE_SRC_EVAL_CSV_H_
#define ONDINE_SRC_EVAL_CSV_H_

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "ondine/result.h"

namespace ondine::eval {

struct CsvRow {
  std::vector<std::string> fields;  // without their quotes, otherwise as they stand
  std::size_t line = 0;             // on which it begins, counted from 1
};

// Rows end in LF or CR LF, the last one also with the text. A field in quotes may hold commas, line
// breaks and doubled quotes. Errors: kCorrupt with "path:line" of the row's beginning.
Result<std::vector<CsvRow>> ParseCsv(std::string_view text, const std::string& path);

}  // namespace ondine::eval

#endif  // ONDINE_SRC_EVAL_CSV_H_
