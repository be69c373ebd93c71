#include "eval/mcqa_forms.h"

#include <algorithm>
#include <cctype>
#include <string_view>
#include <utility>
#include <vector>

#include "base/quote.h"
#include "base/try.h"

namespace ondine::eval {
namespace {

constexpr std::string_view kBlanks = " \t\r\n";
constexpr std::string_view kQuestion = "Question: ";
constexpr std::string_view kAnswer = "\nAnswer:";

std::string WithOptions(const std::string& question, const std::vector<std::string>& options) {
  std::string prompt = question;
  for (const std::string& option : options) prompt.append("\n").append(option);
  return prompt;
}

// Options that go on from a text.
McqaItem Continued(const std::string& text, const std::vector<std::string>& options,
                   std::size_t gold) {
  McqaItem item{"", WithOptions(text, options), {}, gold, text};
  for (const std::string& option : options) item.choices.push_back({text, " " + option, option});
  return item;
}

// Options that answer a question.
McqaItem Answered(const std::string& question, const std::vector<std::string>& options,
                  std::size_t gold) {
  McqaItem item = Continued(question, options, gold);
  item.prompt += kAnswer;
  for (McqaChoice& choice : item.choices) choice.context += kAnswer;
  return item;
}

std::string Asked(std::string_view stem) {
  return std::string(kQuestion).append(stem);
}

bool Cut(std::string_view& text, std::string_view prefix, std::string_view suffix) {
  if (text.size() < prefix.size() + suffix.size() || !text.starts_with(prefix) ||
      !text.ends_with(suffix)) {
    return false;
  }
  text.remove_prefix(prefix.size());
  text.remove_suffix(suffix.size());
  return true;
}

std::string_view Trimmed(std::string_view text) {
  const std::size_t begin = std::min(text.find_first_not_of(kBlanks), text.size());
  return text.substr(begin, text.find_last_not_of(kBlanks) + 1 - begin);
}

// {"query", "choices", "gold"}
struct Query {
  std::string query;
  std::vector<std::string> choices;
  std::size_t gold;
};

Result<Query> ParseQuery(const JsonRecord& record) {
  Query query;
  ONDINE_ASSIGN(query.query, TextField(record, "query"));
  ONDINE_ASSIGN(query.choices, TextsField(record, "choices"));
  ONDINE_ASSIGN(query.gold, IndexField(record, "gold", query.choices.size()));
  return query;
}

bool IsMark(std::string_view text) {  // "Answer1: "
  constexpr std::string_view name = "Answer";
  return text.starts_with(name) && text.size() > name.size() + 2 &&
         std::isdigit(static_cast<unsigned char>(text[name.size()])) != 0 &&
         text.substr(name.size() + 1, 2) == ": ";
}

// "stem\n\nAnswer1: one Answer2: two" in its pieces, without blanks before a mark.
std::vector<std::string> AtMarks(std::string_view text) {
  constexpr std::size_t mark_size = std::string_view("Answer1: ").size();
  std::vector<std::string> pieces;
  std::size_t begin = 0;
  for (std::size_t at = 0; at <= text.size(); ++at) {
    if (at < text.size() && !IsMark(text.substr(at))) continue;
    const std::string_view piece = text.substr(begin, at - begin);
    pieces.emplace_back(piece.substr(0, piece.find_last_not_of(kBlanks) + 1));
    begin = at + mark_size;
  }
  return pieces;
}

// Bytes of the words that all texts begin with, with the blank behind them.
std::size_t SharedWords(const std::vector<std::string>& texts) {
  std::string_view shared = texts.front();
  for (const std::string& text : texts) {
    const auto end = std::mismatch(shared.begin(), shared.end(), text.begin(), text.end()).first;
    shared = shared.substr(0, static_cast<std::size_t>(end - shared.begin()));
  }
  return shared.rfind(' ') + 1;
}

}  // namespace

Result<KeyedItem> ArcItem(const JsonRecord& record) {
  const auto found = record.object.find("question");
  if (found == record.object.end() || !found->is_object()) {
    return record.Broken("has no object under \"question\"");
  }
  const JsonRecord question{*found, record.place};
  ONDINE_ASSIGN(const std::string stem, TextField(question, "stem"));
  ONDINE_ASSIGN(const std::string gold_label, TextField(record, "answerKey"));
  const auto choices = question.object.find("choices");
  if (choices == question.object.end() || !choices->is_array() || choices->size() < 2) {
    return record.Broken("has no two or more choices");
  }
  std::vector<std::string> options;
  std::size_t gold = choices->size();
  for (const auto& element : *choices) {
    const JsonRecord choice{element, record.place};
    if (!element.is_object()) return record.Broken("has a choice that is no object");
    ONDINE_ASSIGN(const std::string label, TextField(choice, "label"));
    ONDINE_ASSIGN(std::string text, TextField(choice, "text"));
    if (label == gold_label) gold = options.size();
    options.push_back(std::move(text));
  }
  if (gold == options.size()) {
    return record.Broken(base::Quote(gold_label) + " is the label of no choice");
  }
  return KeyedItem{stem, Answered(Asked(stem), options, gold)};
}

// {"instruction": "... question: STEM\n\nAnswer1: ... Answer2: ...\n\nAnswer format: ...",
//  "answer": "answer2"}; the stem is the key.
Result<KeyedItem> InstructItem(const JsonRecord& record) {
  ONDINE_ASSIGN(const std::string instruction, TextField(record, "instruction"));
  ONDINE_ASSIGN(const std::string answer, TextField(record, "answer"));
  std::string_view text = instruction;
  text = text.substr(0, text.find("\n\nAnswer format"));
  if (!Cut(text, "Please choose the correct answer to the question: ", "")) {
    return record.Broken("does not ask to choose an answer to a question");
  }
  std::vector<std::string> options = AtMarks(text);
  const std::string stem = options.front();
  options.erase(options.begin());
  if (stem.empty() || options.size() < 2 ||
      std::any_of(options.begin(), options.end(),
                  [](const auto& option) { return option.empty(); })) {
    return record.Broken("has no question with two or more options under \"instruction\"");
  }
  for (std::size_t i = 0; i < options.size(); ++i) {
    if (answer == "answer" + std::to_string(i + 1)) {
      return KeyedItem{stem, Answered(Asked(stem), options, i)};
    }
  }
  return record.Broken(base::Quote(answer) + " is none of the options");
}

Result<KeyedItem> SocialIqaItem(const JsonRecord& record) {
  ONDINE_ASSIGN(KeyedItem item, InstructItem(record));
  ONDINE_ASSIGN(item.key, TextField(record, "instruction"));
  return item;
}

Result<KeyedItem> BoolQItem(const JsonRecord& record) {
  ONDINE_ASSIGN(const Query query, ParseQuery(record));
  const std::size_t end = query.query.find("\nQuestion:");
  if (end == std::string::npos) return record.Broken("has no question behind its passage");
  return KeyedItem{query.query.substr(0, end), Answered(query.query, query.choices, query.gold)};
}

Result<KeyedItem> BoolQClosedItem(const JsonRecord& record) {
  ONDINE_ASSIGN(const std::string instruction, TextField(record, "instruction"));
  ONDINE_ASSIGN(const std::string answer, TextField(record, "answer"));
  std::string_view stem = instruction;
  if (!Cut(stem, "Please answer the following question with true or false, question: ",
           "\n\nAnswer format: true/false")) {
    return record.Broken("does not ask for true or false");
  }
  if (answer != "true" && answer != "false") {
    return record.Broken(base::Quote(answer) + " is neither true nor false");
  }
  // The words of the set with passages.
  return KeyedItem{std::string(stem),
                   Answered(Asked(stem), {"no", "yes"}, answer == "true" ? 1 : 0)};
}

Result<KeyedItem> PiqaItem(const JsonRecord& record) {
  ONDINE_ASSIGN(const Query query, ParseQuery(record));
  std::string_view stem = query.query;
  if (!Cut(stem, kQuestion, "\n")) return record.Broken("\"query\" is no line with a question");
  return KeyedItem{query.query, Answered(Asked(stem), query.choices, query.gold)};
}

Result<KeyedItem> CopaItem(const JsonRecord& record) {
  ONDINE_ASSIGN(const Query query, ParseQuery(record));
  return KeyedItem{query.query, Continued(query.query, query.choices, query.gold)};
}

Result<KeyedItem> HellaSwagItem(const JsonRecord& record) {
  ONDINE_ASSIGN(std::string key, TextField(record, "source_id"));
  ONDINE_ASSIGN(const std::string context, TextField(record, "ctx"));
  ONDINE_ASSIGN(const std::vector<std::string> endings, TextsField(record, "endings"));
  ONDINE_ASSIGN(const std::size_t gold, IndexField(record, "label", endings.size()));
  return KeyedItem{std::move(key), Continued(context, endings, gold)};
}

Result<KeyedItem> WinoGrandeItem(const JsonRecord& record) {
  ONDINE_ASSIGN(const std::vector<std::string> contexts, TextsField(record, "context_options"));
  ONDINE_ASSIGN(const std::string continuation, TextField(record, "continuation"));
  ONDINE_ASSIGN(const std::size_t gold, IndexField(record, "gold", contexts.size()));
  const std::size_t shared = SharedWords(contexts);
  std::vector<std::string> options;
  options.reserve(contexts.size());
  for (const std::string& context : contexts) options.push_back(context.substr(shared));
  McqaItem item =
      Continued(contexts.front().substr(0, shared) + "_ " + continuation, options, gold);
  for (std::size_t i = 0; i < contexts.size(); ++i) {
    item.choices[i].context = contexts[i];
    item.choices[i].continuation = " " + continuation;
  }
  return KeyedItem{*std::min_element(contexts.begin(), contexts.end()), std::move(item)};
}

Result<KeyedItem> PubMedQaItem(const JsonRecord& record) {
  ONDINE_ASSIGN(const std::string context, TextField(record, "context"));
  ONDINE_ASSIGN(const std::string word, TextField(record, "continuation"));
  std::string_view question = context;
  if (!Cut(question, "Context: ", "\nA. yes\nB. no\nC. maybe\nAnswer: ")) {
    return record.Broken("\"context\" does not ask for yes, no or maybe");
  }
  const std::vector<std::string> options = {"yes", "no", "maybe"};
  const auto gold = std::find(options.begin(), options.end(), word);
  if (gold == options.end()) return record.Broken(base::Quote(word) + " is none of the options");
  return KeyedItem{context, Answered("Context: " + std::string(question), options,
                                     static_cast<std::size_t>(gold - options.begin()))};
}

Result<McqaItem> MmluItem(const CsvRow& row, const std::string& path) {
  constexpr std::string_view letters = "ABCD";
  const auto broken = [&](const char* what) {
    return MakeError(ErrorCode::kCorrupt, what, path + ":" + std::to_string(row.line));
  };
  if (row.fields.size() != letters.size() + 2) return broken("has not six fields");
  std::vector<std::string> texts;  // question and options
  for (std::size_t i = 0; i <= letters.size(); ++i) {
    std::string text(Trimmed(row.fields[i]));
    std::erase(text, '\r');  // of line breaks
    if (text.empty()) return broken("has an empty field");
    texts.push_back(std::move(text));
  }
  const std::string& letter = row.fields.back();
  const std::size_t gold = letter.size() == 1 ? letters.find(letter) : std::string_view::npos;
  if (gold == std::string_view::npos) return broken("does not end in a letter from A to D");
  return Answered(Asked(texts.front()), {texts.begin() + 1, texts.end()}, gold);
}

}  // namespace ondine::eval
