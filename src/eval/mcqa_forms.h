// How each set of questions with choices is written, and what is made of a record of it.
#ifndef ONDINE_SRC_EVAL_MCQA_FORMS_H_
#define ONDINE_SRC_EVAL_MCQA_FORMS_H_

#include <string>

#include "eval/csv.h"
#include "eval/json_records.h"
#include "eval/mcqa_data.h"
#include "ondine/result.h"

namespace ondine::eval {

struct KeyedItem {
  std::string key;  // chooses the item's part: a field as it stands in the file
  McqaItem item;    // without its task's name
};

// Errors: kCorrupt, at the record's place.
Result<KeyedItem> ArcItem(const JsonRecord& record);       // also OpenBookQA's test, CommonsenseQA
Result<KeyedItem> InstructItem(const JsonRecord& record);  // OpenBookQA's training file
Result<KeyedItem> SocialIqaItem(const JsonRecord& record);
Result<KeyedItem> BoolQItem(const JsonRecord& record);
Result<KeyedItem> BoolQClosedItem(const JsonRecord& record);
Result<KeyedItem> PiqaItem(const JsonRecord& record);
Result<KeyedItem> CopaItem(const JsonRecord& record);
Result<KeyedItem> HellaSwagItem(const JsonRecord& record);
Result<KeyedItem> WinoGrandeItem(const JsonRecord& record);
Result<KeyedItem> PubMedQaItem(const JsonRecord& record);
Result<McqaItem> MmluItem(const CsvRow& row, const std::string& path);

}  // namespace ondine::eval

#endif  // ONDINE_SRC_EVAL_MCQA_FORMS_H_
