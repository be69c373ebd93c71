// Files of JSON objects, one a line or in one array, and fields that must be there.
#ifndef ONDINE_SRC_EVAL_JSON_RECORDS_H_
#define ONDINE_SRC_EVAL_JSON_RECORDS_H_

#include <cstddef>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "ondine/result.h"

namespace ondine::eval {

struct JsonRecord {
  nlohmann::json object;
  std::string place;  // "file:line" on which it begins, counted from 1

  // kCorrupt, at this place.
  tl::unexpected<Error> Broken(std::string what) const;
};

// Errors: kNotFound, kCorrupt.
Result<std::vector<JsonRecord>> ReadJsonRecords(const std::string& path);

// A field of that kind, else kCorrupt: a text that is not empty, at least two such texts, an index
// below `size`.
Result<std::string> TextField(const JsonRecord& record, const char* key);
Result<std::vector<std::string>> TextsField(const JsonRecord& record, const char* key);
Result<std::size_t> IndexField(const JsonRecord& record, const char* key, std::size_t size);

}  // namespace ondine::eval

#endif  // ONDINE_SRC_EVAL_JSON_RECORDS_H_
