// Tokens that are found in a text as a whole, before it is cut into words.
#ifndef ONDINE_SRC_TEXT_SPECIAL_TOKENS_H_
#define ONDINE_SRC_TEXT_SPECIAL_TOKENS_H_

#include <array>
#include <cstddef>
#include <optional>
#include <string_view>
#include <vector>

#include "ondine/result.h"
#include "text/vocabulary.h"

namespace ondine::text {

class SpecialTokens {
 public:
  struct Match {
    std::size_t begin = 0;
    std::size_t end = 0;  // behind the white space that goes with the token
    TokenId id = -1;
  };

  // `absorb_space`: control and user-defined tokens swallow the white space behind them, as the
  // Phi-3 family has it. kCorrupt for a token too long to be meant for matching.
  static Result<SpecialTokens> Create(const Vocabulary& vocabulary, bool absorb_space);

  // The leftmost token at or behind `from`, the longest where several begin there. User-defined
  // tokens are always found, control and unknown ones only with `control`.
  std::optional<Match> Next(std::string_view text, std::size_t from, bool control) const;

 private:
  struct Entry {
    std::string text;
    TokenId id;
    bool control;
    bool absorbs_space;
  };
  const Entry* LongestAt(std::string_view text, bool control) const;

  std::vector<Entry> entries_;            // sorted by text
  std::array<bool, 256> first_byte_{};    // of any token
  std::array<bool, 256> first_always_{};  // of a user-defined token
};

}  // namespace ondine::text

#endif  // ONDINE_SRC_TEXT_SPECIAL_TOKENS_H_
