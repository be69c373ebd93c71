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
    std::pair{R"(-----BEGIN [A-Z ]*PRIVATE KEY-----)", "a private key"},
    std::pair{
        R"(\b(?:sk-[A-Za-z0-9_-]{20,}|gh[pousr]_[A-Za-z0-9]{36,}|AKIA[0-9A-Z]{16}|xox[abprs]-[A-Za-z0-9-]{10,}|AIza[0-9A-Za-z_-]{35}))",
        "a service's secret token"},
    std::pair{R"(\b(?:4\d{3}|5[1-5]\d{2}|6011|3[47]\d{2})[ -]?\d{4}[ -]?\d{4}[ -]?\d{3,4}\b)",
              "a payment card number"}};

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
