#include "text/weighted_prompt.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>
#include <utility>

#include "base/quote.h"
#include "base/try.h"
#include "text/white_space.h"

namespace ondine::text {
namespace {

constexpr double kBracket = 1.1;
constexpr std::string_view kMarks = "()[]\\-:";

bool WordFollows(char c) {
  return IsSpace(c) || c == '(' || c == '[';
}

bool IsOfWords(char c) {
  return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
         static_cast<unsigned char>(c) >= 0x80;
}

// All of the text as a number, finite or not.
std::optional<double> AsNumber(std::string_view text) {
  text = Trimmed(text);
  if (text.starts_with('+')) text.remove_prefix(1);
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (text.empty() || end != text.data() + text.size()) return std::nullopt;
  return error == std::errc() ? number : HUGE_VAL;  // too large, or too close to 0
}

std::string Digits(double number) {
  char digits[32];
  const auto end = std::to_chars(digits, digits + sizeof digits, number).ptr;
  return {digits, end};
}

struct Segment {
  std::string text;
  double weight = 1;
};

struct Group {
  std::vector<Segment> segments;
  std::optional<double> number;  // behind a colon at its end
};

class Parser {
 public:
  explicit Parser(std::string_view query) : query_(query) {}

  Result<WeightedPrompt> Run() {
    ONDINE_ASSIGN(const Group all, ParseGroup(kNone, 0));
    WeightedPrompt prompt;
    prompt.unwanted = std::move(unwanted_);
    for (const Segment& segment : all.segments) {
      const std::size_t begin = prompt.text.size();
      prompt.text += segment.text;
      if (segment.weight == 1 || segment.text.empty()) continue;
      ONDINE_TRY(CheckWeight(segment.weight, 0));
      prompt.spans.push_back({begin, prompt.text.size(), segment.weight});
    }
    return prompt;
  }

 private:
  static constexpr std::optional<char> kNone = std::nullopt;
  // Deeper nesting is no query, and would run out of stack.
  static constexpr int kDeepest = 64;

  // Up to the bracket that closes it, which is taken too; or, for kNone, up to the end.
  Result<Group> ParseGroup(std::optional<char> close, std::size_t opened) {
    Group group;
    group.segments.emplace_back();
    while (at_ < query_.size()) {
      const char c = query_[at_];
      if (close && c == *close) {
        ++at_;
        return group;
      }
      if (c == ')' || c == ']') return Wrong("this bracket closes none", at_);
      if (c == '(' || c == '[') {
        ONDINE_TRY(AddBracket(group));
      } else if (c == '-' && !close && BeginsWord()) {
        ONDINE_TRY(TakeUnwanted());
      } else if (c == '-' && close && BeginsWord() && IsOfWords(query_[at_ + 1])) {
        return Wrong("what is not wanted stands outside of brackets, such as -(some words)", at_);
      } else if (c == ':' && close && FindNumber(*close)) {
        group.number = FindNumber(*close);
        if (*close == ']') {
          return Wrong("a weight stands in round brackets, such as (word:0.5)", opened);
        }
        ONDINE_TRY(CheckWeight(*group.number, opened));
        at_ = query_.find(*close, at_);
      } else if (c == ':' && close && LooksLikeNumber(*close)) {
        return Wrong("a weight is a number such as 1.5", at_);
      } else {
        group.segments.back().text += TakeCharacter();
      }
    }
    if (close) return Wrong("this bracket is not closed", opened);
    return group;
  }

  Status AddBracket(Group& outer) {
    const std::size_t opened = at_++;
    if (++depth_ > kDeepest) return Wrong("brackets are nested too deeply", opened);
    const bool round = query_[opened] == '(';
    ONDINE_ASSIGN(Group inner, ParseGroup(round ? ')' : ']', opened));
    --depth_;
    const double weight = round ? inner.number.value_or(kBracket) : 1 / kBracket;
    for (Segment& segment : inner.segments) {
      segment.weight *= weight;
      outer.segments.push_back(std::move(segment));
    }
    outer.segments.emplace_back();
    return {};
  }

  // A "-" where a word begins and before what is no space.
  bool BeginsWord() const {
    return (at_ == 0 || WordFollows(query_[at_ - 1])) && at_ + 1 < query_.size() &&
           !IsSpace(query_[at_ + 1]) && query_[at_ + 1] != '-';
  }

  Status TakeUnwanted() {
    const std::size_t opened = ++at_;
    WeightedPrompt::Unwanted unwanted{"", 1};
    if (query_[at_] == '(') {
      ++at_;
      ONDINE_ASSIGN(const Group group, ParseGroup(')', opened));
      unwanted.strength = group.number.value_or(1);
      for (const Segment& segment : group.segments) {
        if (segment.weight != 1) return Wrong("what is not wanted has one strength", opened);
        unwanted.text += segment.text;
      }
    } else {
      while (at_ < query_.size() && !IsSpace(query_[at_])) {
        if (std::string_view("()[]").find(query_[at_]) != std::string_view::npos) {
          return Wrong("write -(some words) for what is not wanted", opened - 1);
        }
        unwanted.text += TakeCharacter();
      }
    }
    if (Trimmed(unwanted.text).empty()) return Wrong("nothing is named", opened - 1);
    unwanted_.push_back(std::move(unwanted));
    return {};
  }

  char TakeCharacter() {
    const bool escaped = query_[at_] == '\\' && at_ + 1 < query_.size() &&
                         kMarks.find(query_[at_ + 1]) != std::string_view::npos;
    if (escaped) ++at_;
    return query_[at_++];
  }

  // All that stands between the colon here and the next `close`.
  std::optional<double> FindNumber(char close) const {
    const std::size_t end = query_.find(close, at_);
    if (end == std::string_view::npos) return std::nullopt;
    return AsNumber(query_.substr(at_ + 1, end - at_ - 1));
  }

  // One word that begins with a digit, or nothing but digits: "1,5", "1.6x", "1 000". Words follow
  // a colon in texts, too.
  bool LooksLikeNumber(char close) const {
    const std::size_t end = query_.find(close, at_);
    if (end == std::string_view::npos) return false;
    std::string_view text = Trimmed(query_.substr(at_ + 1, end - at_ - 1));
    if (!text.empty() && (text.front() == '+' || text.front() == '-')) text.remove_prefix(1);
    return !text.empty() && text.front() >= '0' && text.front() <= '9' &&
           (std::ranges::none_of(text, IsSpace) ||
            text.find_first_not_of("0123456789., \t") == std::string_view::npos);
  }

  Status CheckWeight(double weight, std::size_t place) const {
    if (weight >= 0 && weight <= kMostWeight) return {};
    return Wrong("a weight is a number from 0 to 100, not " + Digits(weight), place);
  }

  tl::unexpected<Error> Wrong(const std::string& what, std::size_t place) const {
    return MakeError(ErrorCode::kInvalidArgument,
                     what + ": " + base::Quote(std::string(query_.substr(place, 40))));
  }

  std::string_view query_;
  std::size_t at_ = 0;
  int depth_ = 0;
  std::vector<WeightedPrompt::Unwanted> unwanted_;
};

// With a backslash before each mark that would be taken as one.
std::string Escaped(std::string_view text, bool at_word, bool in_bracket) {
  std::string escaped;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    const bool word = i == 0 ? at_word : WordFollows(text[i - 1]);
    const bool mark = c == '-'   ? word
                      : c == ':' ? in_bracket
                                 : kMarks.find(c) != std::string_view::npos;
    if (mark) escaped += '\\';
    escaped += c;
  }
  return escaped;
}

}  // namespace

Result<WeightedPrompt> ParseWeightedPrompt(std::string_view query) {
  return Parser(query).Run();
}

std::string WeightedWords(std::string_view words, double weight) {
  const std::string escaped = Escaped(words, true, true);
  return weight == 1 ? escaped : '(' + escaped + ':' + Digits(weight) + ')';
}

std::string CanonicalQuery(const WeightedPrompt& prompt) {
  std::string query;
  std::size_t done = 0;
  const auto plain = [&](std::size_t end, bool in_bracket) {
    const bool at_word = in_bracket || done == 0 || IsSpace(prompt.text[done - 1]);
    query += Escaped(std::string_view{prompt.text}.substr(done, end - done), at_word, in_bracket);
    done = end;
  };
  for (const WeightedPrompt::Span& span : prompt.spans) {
    plain(span.begin, false);
    query += '(';
    plain(span.end, true);
    query += ':' + Digits(span.weight) + ')';
  }
  plain(prompt.text.size(), false);
  for (const WeightedPrompt::Unwanted& unwanted : prompt.unwanted) {
    while (!query.empty() && IsSpace(query.back())) query.pop_back();
    if (!query.empty()) query += ' ';
    query += "-(" + Escaped(unwanted.text, true, true) + ':' + Digits(unwanted.strength) + ')';
  }
  return query;
}

std::vector<double> TokenWeights(const WeightedPrompt& prompt,
                                 const std::vector<ClipTokenizer::Token>& tokens) {
  std::vector<double> weights;
  for (const ClipTokenizer::Token& token : tokens) {
    std::size_t covered = 0, most = 0;
    double weight = 1;
    for (const WeightedPrompt::Span& span : prompt.spans) {
      const std::size_t begin = std::max(span.begin, token.begin);
      const std::size_t end = std::min(span.end, token.end);
      if (end <= begin) continue;
      covered += end - begin;
      if (end - begin > most) {
        most = end - begin;
        weight = span.weight;
      }
    }
    const std::size_t plain = token.end - token.begin - covered;
    weights.push_back(plain > most ? 1 : weight);
  }
  return weights;
}

}  // namespace ondine::text
