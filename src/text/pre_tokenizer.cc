#include "text/pre_tokenizer.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <algorithm>
#include <cstdint>
#include <utility>

#include "base/quote.h"
#include "base/utf8.h"
#include "text/pre_tokenizer_table.h"

namespace ondine::text {
namespace {

// `text` with every byte that is not UTF-8 replaced by U+FFFD.
std::string Repair(std::string_view text) {
  std::string repaired;
  for (std::size_t i = 0; i < text.size();) {
    const std::size_t length = base::CharacterLength(text.substr(i));
    repaired += length > 0 ? text.substr(i, length) : base::kReplacement;
    i += std::max<std::size_t>(length, 1);
  }
  return repaired;
}

// Turns positions in Repair(text) into positions in `text`.
void MapToOriginal(std::string_view text, std::vector<std::size_t>& ends) {
  std::size_t original = 0;
  std::size_t repaired = 0;
  for (std::size_t& end : ends) {
    while (repaired < end) {
      const std::size_t length = base::CharacterLength(text.substr(original));
      original += std::max<std::size_t>(length, 1);
      repaired += length > 0 ? length : base::kReplacement.size();
    }
    end = original;
  }
}

struct MatchDataDeleter {
  void operator()(pcre2_match_data* data) const { pcre2_match_data_free(data); }
};
using MatchData = std::unique_ptr<pcre2_match_data, MatchDataDeleter>;

}  // namespace

void PreTokenizer::CodeDeleter::operator()(pcre2_real_code_8* code) const {
  pcre2_code_free(code);
}

Result<PreTokenizer> PreTokenizer::Create(std::string_view name) {
  const std::optional<PreTokenizerRecipe> recipe = FindPreTokenizer(name);
  if (!recipe) {
    return MakeError(
        ErrorCode::kUnsupported,
        "pre-tokenizer " + base::Quote(name) +
            " (tokenizer.ggml.pre) is not known; docs/tokenizers.md lists those that are");
  }
  PreTokenizer result;
  result.ignores_merges_ = recipe->ignores_merges;
  result.adds_bos_ = recipe->adds_bos;
  for (const std::string_view published : recipe->patterns) {
    const std::string source = PortablePattern(published);
    int error = 0;
    PCRE2_SIZE where = 0;
    Pattern pattern;
    pattern.code.reset(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(source.data()), source.size(),
                                     PCRE2_UTF | PCRE2_UCP | PCRE2_DOLLAR_ENDONLY, &error, &where,
                                     nullptr));
    if (pattern.code == nullptr) {
      return MakeError(ErrorCode::kInternal, "PCRE2 refuses the pattern of pre-tokenizer " +
                                                 base::Quote(name) + " with error " +
                                                 std::to_string(error));
    }
    // Where there is no JIT for this processor the interpreter gives the same matches.
    pattern.jit = pcre2_jit_compile(pattern.code.get(), PCRE2_JIT_COMPLETE) == 0;
    result.patterns_.push_back(std::move(pattern));
  }
  return result;
}

std::vector<std::size_t> PreTokenizer::Split(std::string_view text) const {
  if (text.empty()) return {};
  const bool broken = !base::IsUtf8(text);
  const std::string repaired = broken ? Repair(text) : std::string();
  const std::string_view subject = broken ? std::string_view{repaired} : text;
  std::vector<std::size_t> ends = {subject.size()};
  for (const Pattern& pattern : patterns_) ends = Refine(pattern, subject, ends);
  if (broken) MapToOriginal(text, ends);
  return ends;
}

std::vector<std::size_t> PreTokenizer::Refine(const Pattern& pattern, std::string_view text,
                                              const std::vector<std::size_t>& ends) {
  const MatchData data(pcre2_match_data_create(1, nullptr));
  if (data == nullptr) return ends;
  const PCRE2_SIZE* match = pcre2_get_ovector_pointer(data.get());
  std::vector<std::size_t> refined;
  refined.reserve(std::max(ends.size(), text.size() / 5));
  std::size_t begin = 0;
  for (const std::size_t end : ends) {
    // A pattern sees one word only: its end counts as the end of the text.
    const auto* subject = reinterpret_cast<PCRE2_SPTR>(text.data() + begin);
    const std::size_t size = end - begin;
    std::size_t done = 0;
    while (done < size) {
      int found = PCRE2_ERROR_JIT_STACKLIMIT;
      if (pattern.jit) {
        found = pcre2_jit_match(pattern.code.get(), subject, size, done, PCRE2_NO_UTF_CHECK,
                                data.get(), nullptr);
      }
      if (found == PCRE2_ERROR_JIT_STACKLIMIT) {
        found = pcre2_match(pattern.code.get(), subject, size, done,
                            PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT, data.get(), nullptr);
      }
      if (found < 0 || match[1] <= done) break;
      if (match[0] > done) refined.push_back(begin + match[0]);
      done = match[1];
      refined.push_back(begin + done);
    }
    if (done < size) refined.push_back(end);
    begin = end;
  }
  return refined;
}

}  // namespace ondine::text
