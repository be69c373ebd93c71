#include "eval/mcqa_data.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <filesystem>
#include <iterator>
#include <limits>
#include <map>
#include <set>
#include <span>
#include <system_error>
#include <utility>

#include "base/checksum.h"
#include "base/file.h"
#include "base/quote.h"
#include "base/try.h"
#include "eval/bucket.h"
#include "eval/csv.h"
#include "eval/json_records.h"
#include "eval/mcqa_forms.h"
#include "text/words.h"

namespace ondine::eval {
namespace {

namespace fs = std::filesystem;

// Items are cut by a hash of their key into a hundred buckets, so that what belongs together stays
// in one part: those below `settings` are for training, those from `final` on for final figures.
struct Cut {
  int settings, final;
};
constexpr Cut kMixed = {70, 80};
constexpr Cut kAllTraining = {100, 100};
constexpr Cut kAllFinal = {0, 0};

struct File {
  const char* path = nullptr;
  Result<KeyedItem> (*parse)(const JsonRecord&) = nullptr;
  Cut cut = kAllFinal;
};

struct Set {
  const char* name;
  std::array<File, 2> files;
  // Whole files of final items (of this set or a sister) whose questions may stand in others.
  std::array<const char*, 2> final_files = {};
};

constexpr const char* kArcChallengeDev = "arc/ARC-Challenge-Dev.jsonl";
constexpr const char* kArcEasyDev = "arc/ARC-Easy-Dev.jsonl";
constexpr const char* kOpenBookQaTest = "openbookqa/openbookqa_test.jsonl";

constexpr std::array kSets = {
    Set{"arc_challenge",
        {File{"arc/ARC-Challenge-Train.jsonl", ArcItem, {90, 100}},
         File{kArcChallengeDev, ArcItem, kAllFinal}},
        {kArcChallengeDev, kArcEasyDev}},
    Set{"arc_easy",
        {File{"arc/ARC-Easy-Train.jsonl", ArcItem, {90, 100}},
         File{kArcEasyDev, ArcItem, kAllFinal}},
        {kArcChallengeDev, kArcEasyDev}},
    Set{"openbookqa",
        {File{"instruct-form/openbookqa_train.json", InstructItem, {95, 100}},
         File{kOpenBookQaTest, ArcItem, kAllFinal}},
        {kOpenBookQaTest}},
    Set{"commonsenseqa", {File{"commonsenseqa/dev_rand_split.jsonl", ArcItem, kMixed}}},
    Set{"piqa", {File{"piqa/piqa_val.jsonl", PiqaItem, kMixed}}},
    Set{"boolq", {File{"boolq/boolq_dev.jsonl", BoolQItem, kMixed}}},
    Set{"boolq_closed", {File{"instruct-form/boolq_train.json", BoolQClosedItem, kAllTraining}}},
    Set{"hellaswag", {File{"hellaswag/hellaswag_val_1000.jsonl", HellaSwagItem, kMixed}}},
    Set{"winogrande", {File{"winogrande/winogrande_xl_dev.jsonl", WinoGrandeItem, kMixed}}},
    Set{"socialiqa", {File{"instruct-form/social_i_qa_test.json", SocialIqaItem, kMixed}}},
    Set{"copa", {File{"copa/copa_val.jsonl", CopaItem, kMixed}}},
    Set{"pubmedqa", {File{"pubmedqa/pubmed_qa_labeled.jsonl", PubMedQaItem, kMixed}}},
};

constexpr std::string_view kMmlu = "mmlu";
constexpr std::array kSubjects = {"abstract_algebra",
                                  "anatomy",
                                  "astronomy",
                                  "business_ethics",
                                  "clinical_knowledge",
                                  "college_biology",
                                  "college_chemistry",
                                  "college_computer_science",
                                  "college_mathematics",
                                  "college_medicine",
                                  "college_physics",
                                  "computer_security",
                                  "conceptual_physics",
                                  "econometrics",
                                  "electrical_engineering",
                                  "elementary_mathematics",
                                  "formal_logic",
                                  "global_facts",
                                  "high_school_biology",
                                  "high_school_chemistry",
                                  "high_school_computer_science",
                                  "high_school_european_history",
                                  "high_school_geography",
                                  "high_school_government_and_politics",
                                  "high_school_macroeconomics",
                                  "high_school_mathematics",
                                  "high_school_microeconomics",
                                  "high_school_physics",
                                  "high_school_psychology",
                                  "high_school_statistics",
                                  "high_school_us_history",
                                  "high_school_world_history",
                                  "human_aging",
                                  "human_sexuality",
                                  "international_law",
                                  "jurisprudence",
                                  "logical_fallacies",
                                  "machine_learning",
                                  "management",
                                  "marketing",
                                  "medical_genetics",
                                  "miscellaneous",
                                  "moral_disputes",
                                  "moral_scenarios",
                                  "nutrition",
                                  "philosophy",
                                  "prehistory",
                                  "professional_accounting",
                                  "professional_law",
                                  "professional_medicine",
                                  "professional_psychology",
                                  "public_relations",
                                  "security_studies",
                                  "sociology",
                                  "us_foreign_policy",
                                  "virology",
                                  "world_religions"};

McqaPart PartOf(std::string_view key, const Cut& cut) {
  const int bucket = Bucket(key);
  if (bucket < cut.settings) return McqaPart::kTraining;
  return bucket < cut.final ? McqaPart::kSettings : McqaPart::kFinal;
}

bool HasItems(const Cut& cut, McqaPart part) {
  switch (part) {
    case McqaPart::kTraining: return cut.settings > 0;
    case McqaPart::kSettings: return cut.settings < cut.final;
    case McqaPart::kFinal: return cut.final < 100;
  }
  return false;
}

std::string PathIn(const std::string& data, const std::string& file) {
  return (fs::path(data) / "mcqa" / file).string();
}

// A question by its words: letter case and punctuation aside.
using Stem = std::vector<std::string>;
Stem StemOf(const McqaItem& item) {
  return text::Words(item.question, std::numeric_limits<std::size_t>::max());
}

std::string SubjectPath(const std::string& data, const std::string& subject,
                        const std::string& kind) {
  return PathIn(data, "mmlu/" + kind + "/" + subject + "_" + kind + ".csv");
}

Result<std::vector<McqaItem>> LoadSubjectFile(const std::string& data, const std::string& subject,
                                              const std::string& kind) {
  const std::string path = SubjectPath(data, subject, kind);
  ONDINE_ASSIGN(const std::string text, base::ReadFile(path));
  ONDINE_ASSIGN(const std::vector<CsvRow> rows, ParseCsv(text, path));
  std::vector<McqaItem> items;
  for (const CsvRow& row : rows) {
    ONDINE_ASSIGN(McqaItem item, MmluItem(row, path));
    item.task = std::string(kMmlu) + "/" + subject;
    items.push_back(std::move(item));
  }
  return items;
}

// What no training or settings item of the set may ask.
Result<std::set<Stem>> FinalStems(const std::string& data, const Set& set) {
  std::set<Stem> stems;
  // MMLU is what pools trained on the other sets are scored on. A subject that is not there is not.
  for (const char* subject : kSubjects) {
    std::error_code ignored;
    if (!fs::exists(SubjectPath(data, subject, "val"), ignored)) continue;
    ONDINE_ASSIGN(const auto items, LoadSubjectFile(data, subject, "val"));
    for (const McqaItem& item : items) stems.insert(StemOf(item));
  }
  for (const char* file : set.final_files) {
    if (file == nullptr) continue;
    ONDINE_ASSIGN(const auto records, ReadJsonRecords(PathIn(data, file)));
    for (const JsonRecord& record : records) {
      ONDINE_ASSIGN(const KeyedItem keyed, ArcItem(record));
      stems.insert(StemOf(keyed.item));
    }
  }
  return stems;
}

// Where one question has two answers, none of them is to be learnt or scored.
void EraseAmbiguous(std::vector<McqaItem>& items) {
  std::map<std::string, std::set<std::size_t>> answers;
  for (const McqaItem& item : items) answers[item.prompt].insert(item.gold);
  std::erase_if(items, [&](const McqaItem& item) { return answers.at(item.prompt).size() > 1; });
}

Result<std::vector<McqaItem>> LoadSet(const std::string& data, const Set& set, McqaPart part) {
  std::set<Stem> left_out;
  if (part != McqaPart::kFinal) {
    ONDINE_ASSIGN(left_out, FinalStems(data, set));
  }
  std::vector<McqaItem> items;
  for (const File& file : set.files) {
    if (file.path == nullptr || !HasItems(file.cut, part)) continue;
    ONDINE_ASSIGN(const auto records, ReadJsonRecords(PathIn(data, file.path)));
    for (const JsonRecord& record : records) {
      ONDINE_ASSIGN(KeyedItem keyed, file.parse(record));
      if (PartOf(keyed.key, file.cut) != part || left_out.contains(StemOf(keyed.item))) continue;
      keyed.item.task = set.name;
      items.push_back(std::move(keyed.item));
    }
  }
  EraseAmbiguous(items);
  return items;
}

Result<std::vector<McqaItem>> LoadSubject(const std::string& data, const std::string& subject,
                                          McqaPart part) {
  if (part == McqaPart::kSettings) return std::vector<McqaItem>();
  ONDINE_ASSIGN(std::vector<McqaItem> examples, LoadSubjectFile(data, subject, "dev"));
  if (part == McqaPart::kTraining) return examples;
  ONDINE_ASSIGN(std::vector<McqaItem> items, LoadSubjectFile(data, subject, "val"));
  std::erase_if(items, [&](const McqaItem& item) {
    return std::any_of(examples.begin(), examples.end(),
                       [&](const McqaItem& example) { return example.prompt == item.prompt; });
  });
  return items;
}

}  // namespace

Result<McqaPart> ParseMcqaPart(std::string_view name) {
  if (name == "training") return McqaPart::kTraining;
  if (name == "settings") return McqaPart::kSettings;
  if (name == "final") return McqaPart::kFinal;
  return MakeError(
      ErrorCode::kInvalidArgument,
      base::Quote(name) + " is no part of the data; there are training, settings, final");
}

std::vector<std::string> McqaTaskNames() {
  std::vector<std::string> names;
  names.reserve(std::size(kSets) + std::size(kSubjects));
  for (const Set& set : kSets) names.emplace_back(set.name);
  for (const char* subject : kSubjects) names.push_back(std::string(kMmlu) + "/" + subject);
  return names;
}

Result<std::vector<McqaItem>> LoadMcqa(const std::string& data, std::string_view task,
                                       McqaPart part) {
  for (const Set& set : kSets) {
    if (task == set.name) return LoadSet(data, set, part);
  }
  std::vector<McqaItem> all;
  for (const char* subject : kSubjects) {
    const bool named = task == std::string(kMmlu) + "/" + subject;
    if (!named && task != kMmlu) continue;
    ONDINE_ASSIGN(std::vector<McqaItem> items, LoadSubject(data, subject, part));
    if (named) return items;
    std::move(items.begin(), items.end(), std::back_inserter(all));
  }
  if (task == kMmlu) return all;
  std::string names;
  for (const Set& set : kSets) names += std::string(" ") + set.name + ",";
  return MakeError(ErrorCode::kInvalidArgument,
                   base::Quote(task) + " is no set of questions with choices; there are" + names +
                       " mmlu and mmlu/SUBJECT");
}

std::vector<McqaItem> DrawItems(std::vector<McqaItem> items, std::size_t count,
                                std::uint64_t seed) {
  std::vector<std::pair<std::uint64_t, std::size_t>> order;
  for (std::size_t i = 0; i < items.size(); ++i) {
    const std::string text = std::to_string(seed) + " " + items[i].prompt;
    order.emplace_back(base::Hash64(std::as_bytes(std::span(text))), i);
  }
  std::sort(order.begin(), order.end());
  order.resize(std::min(count, order.size()));
  std::vector<McqaItem> drawn;
  drawn.reserve(order.size());
  for (const auto& [hash, index] : order) drawn.push_back(std::move(items[index]));
  return drawn;
}

Result<std::vector<McqaItem>> DrawExamples(const std::string& data, const std::string& task,
                                           std::size_t count, std::uint64_t seed) {
  ONDINE_ASSIGN(std::vector<McqaItem> items, LoadMcqa(data, task, McqaPart::kTraining));
  return DrawItems(std::move(items), count, seed);
}

}  // namespace ondine::eval
