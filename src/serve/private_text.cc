#define PCRE2_CODE_UNIT_WIDTH 8
#include "serve/private_text.h"

#include <pcre2.h>

#include <algorithm>
#include <array>
#include <utility>

#include "base/quote.h"
#include "base/try.h"

namespace ondine::serve {
namespace {

// Few and certain: what nobody would send on purpose. Everything else is for the user to say.
constexpr std::array kBuiltIn = {
    std::pair{R"(-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----)", "a private key"},
    std::pair{
        // Other letters may stand right before it: not every script has blanks between words.
        R"((?<![A-Za-z0-9])(?:sk-[\w-]{20,}|[sr]k_live_\w{16,}|gh[pousr]_[A-Za-z0-9]{36,}|github_pat_\w{22,})"
        R"(|glpat-[\w-]{20,}|hf_[A-Za-z0-9]{30,}|npm_[A-Za-z0-9]{36}|(?:AKIA|ASIA)[0-9A-Z]{16})"
        R"(|xox[abeprs]-[A-Za-z0-9-]{10,}|AIza[\w-]{35}|eyJ[\w-]{10,}\.eyJ[\w-]{10,}\.))",
        "a service's secret token"}};

bool IsDigit(char c) {
  return c >= '0' && c <= '9';
}

// Luhn's check digit (ISO/IEC 7812-1), the last of them.
bool ChecksOut(std::string_view digits) {
  int sum = 0;
  for (std::size_t i = 0; i < digits.size(); ++i) {
    const int digit = digits[digits.size() - 1 - i] - '0';
    const int twice = 2 * digit;
    sum += i % 2 == 0 ? digit : twice / 10 + twice % 10;
  }
  return sum % 10 == 0;
}

// Numbers that issuers of cards have (ISO/IEC 7812), by their first digits.
bool IsCardNumber(std::string_view digits) {
  constexpr std::size_t kFewest = 13, kMost = 19;
  if (digits.size() < kFewest || digits.size() > kMost || !ChecksOut(digits)) return false;
  switch (digits[0]) {
    case '2': return digits.substr(0, 4) >= "2221" && digits.substr(0, 4) <= "2720";
    case '3': return digits[1] != '1' && digits[1] != '2' && digits[1] != '3';
    default: return digits[0] >= '4' && digits[0] <= '6';
  }
}

struct DigitGroup {
  std::string_view digits, before;  // what stands between the group before and this one
};

std::vector<DigitGroup> DigitGroups(std::string_view text) {
  std::vector<DigitGroup> groups;
  std::size_t behind = 0;  // the last group
  for (std::size_t i = 0; i < text.size();) {
    std::size_t end = i;
    while (end < text.size() && IsDigit(text[end])) ++end;
    if (end == i) {
      ++i;
      continue;
    }
    groups.push_back({text.substr(i, end - i), text.substr(behind, i - behind)});
    behind = i = end;
  }
  return groups;
}

// One to three signs that people put between the groups of one number.
bool Parts(std::string_view between) {
  constexpr std::array<std::string_view, 14> kSigns = {
      " ", "\t", "\n",     "\r",     "-",      ".",      ",",
      "/", "_",  "\u00a0", "\u202f", "\u3000", "\u2013", "\u2011"};
  int signs = 0;
  for (; !between.empty(); ++signs) {
    const auto sign = std::ranges::find_if(
        kSigns, [&](std::string_view one) { return between.starts_with(one); });
    if (sign == kSigns.end()) return false;
    between.remove_prefix(sign->size());
  }
  return signs >= 1 && signs <= 3;
}

// With the digits of East Asian full width (U+FF10 to U+FF19) as plain ones.
std::string PlainDigits(std::string_view text) {
  constexpr std::string_view kBegin = "\xef\xbc";
  std::string plain;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const std::string_view rest = text.substr(i);
    if (rest.size() > 2 && rest.starts_with(kBegin) && rest[2] >= '\x90' && rest[2] <= '\x99') {
      plain += static_cast<char>(rest[2] - '\x90' + '0');
      i += 2;
    } else {
      plain += text[i];
    }
  }
  return plain;
}

// Written without a break, or in the groups that people write. Other groupings are what lists of
// numbers look like.
bool HoldsCardNumber(std::string_view original) {
  const std::string text = PlainDigits(original);
  const std::array<std::vector<std::size_t>, 8> shapes = {{{4, 4, 4, 4},
                                                           {4, 4, 4, 4, 3},
                                                           {4, 6, 5},
                                                           {4, 6, 4},
                                                           {8, 8},
                                                           {6, 10},
                                                           std::vector<std::size_t>(15, 1),
                                                           std::vector<std::size_t>(16, 1)}};
  const std::vector<DigitGroup> groups = DigitGroups(text);
  for (std::size_t i = 0; i < groups.size(); ++i) {
    if (IsCardNumber(groups[i].digits)) return true;
    for (const std::vector<std::size_t>& shape : shapes) {
      if (i + shape.size() > groups.size()) continue;
      bool fits = true;
      std::string digits;
      for (std::size_t g = 0; fits && g < shape.size(); ++g) {
        const DigitGroup& group = groups[i + g];
        fits = group.digits.size() == shape[g] && (g == 0 || Parts(group.before));
        digits += group.digits;
      }
      if (fits && IsCardNumber(digits)) return true;
    }
  }
  return false;
}

struct CodeDeleter {
  void operator()(pcre2_code* code) const { pcre2_code_free(code); }
};
struct MatchDeleter {
  void operator()(pcre2_match_data* match) const { pcre2_match_data_free(match); }
};

}  // namespace

struct PrivateText::Pattern {
  std::unique_ptr<pcre2_code, CodeDeleter> code;
  std::string name;
};

PrivateText::PrivateText() = default;
PrivateText::PrivateText(PrivateText&&) noexcept = default;
PrivateText& PrivateText::operator=(PrivateText&&) noexcept = default;
PrivateText::~PrivateText() = default;

Result<PrivateText> PrivateText::Create(const std::vector<std::string>& patterns) {
  PrivateText text;
  for (const auto& [pattern, name] : kBuiltIn) ONDINE_TRY(text.Add(pattern, name));
  for (const std::string& pattern : patterns) {
    ONDINE_TRY(text.Add(pattern, "what matches " + base::Quote(pattern)));
  }
  return text;
}

Status PrivateText::Add(const std::string& pattern, std::string name) {
  int error = 0;
  PCRE2_SIZE at = 0;
  auto compiled = std::make_unique<Pattern>();
  compiled->code.reset(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern.data()), pattern.size(),
                                     PCRE2_UTF | PCRE2_UCP, &error, &at, nullptr));
  if (!compiled->code) {
    std::array<PCRE2_UCHAR, 128> why{};
    pcre2_get_error_message(error, why.data(), why.size());
    return MakeError(ErrorCode::kInvalidArgument,
                     base::Quote(pattern) +
                         " is no regular expression: " + reinterpret_cast<const char*>(why.data()) +
                         " at character " + std::to_string(at + 1));
  }
  compiled->name = std::move(name);
  patterns_.push_back(std::move(compiled));
  return {};
}

std::string PrivateText::Find(std::string_view text) const {
  if (HoldsCardNumber(text)) return "a payment card number";
  for (const auto& pattern : patterns_) {
    const std::unique_ptr<pcre2_match_data, MatchDeleter> match(
        pcre2_match_data_create(1, nullptr));
    const int found = match == nullptr ? PCRE2_ERROR_NOMEMORY
                                       : pcre2_match(pattern->code.get(),
                                                     reinterpret_cast<PCRE2_SPTR>(text.data()),
                                                     text.size(), 0, 0, match.get(), nullptr);
    if (found == PCRE2_ERROR_NOMATCH) continue;
    return found < 0 ? "what could not be checked for " + pattern->name : pattern->name;
  }
  return "";
}

}  // namespace ondine::serve
