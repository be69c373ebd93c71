// The regular expressions of every known pre-tokenizer, by the names that GGUF files use.
#ifndef ONDINE_SRC_TEXT_PRE_TOKENIZER_TABLE_H_
#define ONDINE_SRC_TEXT_PRE_TOKENIZER_TABLE_H_

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ondine::text {

struct PreTokenizerRecipe {
  std::vector<std::string_view> patterns;  // each cuts the words of the one before it
  bool ignores_merges = false;
  bool adds_bos = false;
};

std::optional<PreTokenizerRecipe> FindPreTokenizer(std::string_view name);

// The pattern with its classes \s, \S, \p{L}, \p{N}, ... written so that every release of PCRE2
// takes the same characters for letters, digits and spaces.
std::string PortablePattern(std::string_view pattern);

}  // namespace ondine::text

#endif  // ONDINE_SRC_TEXT_PRE_TOKENIZER_TABLE_H_
