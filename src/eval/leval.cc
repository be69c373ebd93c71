#include "eval/leval.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/quote.h"
#include "base/try.h"
#include "eval/json_records.h"

namespace ondine::eval {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

enum class AnswerKind { kLetterSet, kLetter, kText };

struct TaskKind {
  const char* name;
  AnswerKind answers;
  const char* instruction;  // put behind the question
  const char* prefix;
  int max_tokens;
};

constexpr std::array kTasks = {
    TaskKind{
        "coursera", AnswerKind::kLetterSet,
        "\nOne or more of the options are right. Answer with the letters of all right options, "
        "such as \"B\" or \"A, C\", and nothing else.",
        "Answer:", 16},
    TaskKind{"quality", AnswerKind::kLetter,
             "\nOne of the options is right. Answer with its letter and nothing else.",
             "The right option is (", 8},
    TaskKind{"topic_retrieval_longchat", AnswerKind::kText, "", "", 48},
};

const TaskKind* FindTask(std::string_view name) {
  const auto found = std::find_if(kTasks.begin(), kTasks.end(),
                                  [&](const TaskKind& kind) { return kind.name == name; });
  return found == kTasks.end() ? nullptr : &*found;
}

constexpr std::string_view kOptions = "ABCDEFGH";
bool IsOption(char c) {
  return kOptions.find(c) != std::string_view::npos;
}

// What the answer must be, of what the file says; empty where that makes no sense.
std::string Gold(AnswerKind kind, const std::string& output) {
  switch (kind) {
    case AnswerKind::kLetterSet: {
      std::string letters = output;
      std::sort(letters.begin(), letters.end());
      return std::all_of(letters.begin(), letters.end(), IsOption) ? letters : "";
    }
    case AnswerKind::kLetter:  // "(B) the text of the choice"
      if (output.size() < 3 || output[0] != '(' || !IsOption(output[1]) || output[2] != ')') {
        return "";
      }
      return output.substr(1, 1);
    case AnswerKind::kText: return output;
  }
  return "";
}

// The strings of an array; empty where it is something else.
std::vector<std::string> Strings(const JsonRecord& record, const char* key) {
  const auto found = record.object.find(key);
  if (found == record.object.end() || !found->is_array()) return {};
  std::vector<std::string> strings;
  for (const json& element : *found) {
    if (!element.is_string()) return {};
    strings.push_back(element.get<std::string>());
  }
  return strings;
}

Result<Item> ItemOf(const TaskKind& kind, const JsonRecord& record) {
  const std::vector<std::string> questions = Strings(record, "instructions");
  const std::vector<std::string> outputs = Strings(record, "outputs");
  if (questions.empty() || questions.size() != outputs.size()) {
    return record.Broken("has not one text under \"outputs\" for each one under \"instructions\"");
  }
  Item item;
  ONDINE_ASSIGN(item.document, TextField(record, "input"));
  for (std::size_t i = 0; i < questions.size(); ++i) {
    Query query;
    const std::string gold = Gold(kind.answers, outputs[i]);
    if (gold.empty()) {
      return record.Broken(base::Quote(outputs[i]) + " is no answer to a question of " + kind.name);
    }
    query.gold = {gold};
    query.question = questions[i] + kind.instruction;
    query.prefix = kind.prefix;
    query.max_tokens = kind.max_tokens;
    query.labels["task"] = kind.name;
    item.queries.push_back(std::move(query));
  }
  return item;
}

bool InSplit(LEvalSplit split, std::size_t line) {
  return split == LEvalSplit::kAll || (line % 5 == 0) == (split == LEvalSplit::kSettings);
}

Status LoadFile(const LEvalOptions& options, const TaskKind& kind, std::vector<Item>& items) {
  const std::string path = (fs::path(options.data) / "longctx" / "leval" / "closed" /
                            (std::string(kind.name) + ".jsonl"))
                               .string();
  ONDINE_ASSIGN(const std::vector<JsonRecord> records, ReadJsonRecords(path));
  for (std::size_t number = 0; number < records.size(); ++number) {
    ONDINE_ASSIGN(Item item, ItemOf(kind, records[number]));
    if (InSplit(options.split, number)) items.push_back(std::move(item));
  }
  return {};
}

class LEvalTask : public Task {
 public:
  explicit LEvalTask(std::vector<Item> items) : items_(std::move(items)) {}

  std::string name() const override { return "leval"; }
  std::int64_t size() const override { return static_cast<std::int64_t>(items_.size()); }
  Result<Item> Make(std::int64_t index) const override {
    return items_[static_cast<std::size_t>(index)];
  }
  double Score(const Query& query, const std::string& answer) const override {
    const TaskKind& kind = *FindTask(query.labels.at("task"));
    if (kind.answers == AnswerKind::kText) return ShareFound(query, answer);
    return OptionLetters(answer, kind.answers == AnswerKind::kLetterSet) == query.gold[0] ? 1 : 0;
  }

 private:
  std::vector<Item> items_;
};

}  // namespace

std::string OptionLetters(std::string_view answer, bool several) {
  const auto at = [&](std::size_t i) { return i < answer.size() ? answer[i] : '\0'; };
  const auto in_word = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0; };
  const auto skip = [&](std::size_t i, std::string_view what) {
    return std::min(answer.find_first_not_of(what, i), answer.size());
  };
  std::string letters;
  std::size_t i = 0;
  while (i < answer.size() && !in_word(answer[i])) ++i;
  while (true) {
    // One letter, or some written as one word: "AC".
    const std::size_t end = skip(i, kOptions);
    if (end == i || in_word(at(end)) || at(end) == '\'') break;
    letters += answer.substr(i, end - i);
    // Only a comma or the like continues the list: behind "B. " or "B) " stands the option's text.
    const std::size_t separator = skip(end, ") ");
    i = skip(separator, ",;&/ ");
    if (answer.substr(i, 4) == "and ") i += 4;
    if (i == separator) break;
    i = skip(i, " (");
  }
  if (!several) letters.resize(std::min<std::size_t>(1, letters.size()));
  std::sort(letters.begin(), letters.end());
  letters.erase(std::unique(letters.begin(), letters.end()), letters.end());
  return letters;
}

Result<LEvalSplit> ParseLEvalSplit(std::string_view name) {
  if (name == "settings") return LEvalSplit::kSettings;
  if (name == "final") return LEvalSplit::kFinal;
  if (name == "all") return LEvalSplit::kAll;
  return MakeError(ErrorCode::kInvalidArgument,
                   base::Quote(name) + " is no part of the data; there are settings, final, all");
}

std::vector<std::string> LEvalTaskNames() {
  std::vector<std::string> names;
  names.reserve(kTasks.size());
  for (const TaskKind& kind : kTasks) names.emplace_back(kind.name);
  return names;
}

Result<std::unique_ptr<Task>> MakeLEvalTask(const LEvalOptions& options) {
  std::vector<Item> items;
  for (const std::string& name : options.tasks.empty() ? LEvalTaskNames() : options.tasks) {
    const TaskKind* kind = FindTask(name);
    if (kind == nullptr) {
      std::string names;
      for (const TaskKind& known : kTasks) names += std::string(" ") + known.name;
      return MakeError(ErrorCode::kInvalidArgument,
                       base::Quote(name) + " is no closed task of L-Eval; there are" + names);
    }
    ONDINE_TRY(LoadFile(options, *kind, items));
  }
  if (items.empty()) {
    return MakeError(ErrorCode::kNotFound, "no documents in this part of the data", options.data);
  }
  return std::make_unique<LEvalTask>(std::move(items));
}

}  // namespace ondine::eval
