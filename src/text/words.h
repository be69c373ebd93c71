// Words of a text in any language, for comparing texts by the words they share.
#ifndef ONDINE_SRC_TEXT_WORDS_H_
#define ONDINE_SRC_TEXT_WORDS_H_

#include <string>
#include <string_view>
#include <vector>

namespace ondine::text {

// Runs of letters, digits and marks, lower-cased (Latin, Greek and Cyrillic) and cut after six
// characters: near the stem in many languages. Scripts that put no spaces between words (Chinese,
// Japanese, Thai, ...) give every pair of neighbouring characters. Bytes that are not UTF-8
// separate words.
std::vector<std::string> Words(std::string_view text);

}  // namespace ondine::text

#endif  // ONDINE_SRC_TEXT_WORDS_H_
