// Words of a text in any language, for comparing texts by the words they share.
#ifndef ONDINE_SRC_TEXT_WORDS_H_
#define ONDINE_SRC_TEXT_WORDS_H_

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace ondine::text {

// Near the stem in many languages.
constexpr std::size_t kStemCharacters = 6;

// Runs of letters, digits and marks, lower-cased (Latin, Greek and Cyrillic) and cut after `most`
// characters. Scripts that put no spaces between words (Chinese,
// Japanese, Thai, ...) give every pair of neighbouring characters. Bytes that are not UTF-8
// separate words.
std::vector<std::string> Words(std::string_view text, std::size_t most = kStemCharacters);

}  // namespace ondine::text

#endif  // ONDINE_SRC_TEXT_WORDS_H_
