// A text and what goes on behind it, as tokens.
#ifndef ONDINE_SRC_TEXT_CONTINUATION_H_
#define ONDINE_SRC_TEXT_CONTINUATION_H_

#include <string_view>
#include <vector>

#include "text/tokenizer.h"

namespace ondine::text {

struct Continued {
  std::vector<TokenId> context, continuation;
};

// The context has the tokens that it has by itself, whatever follows: it is run once for several
// continuations. A continuation's tokens are those that follow as many among the tokens of both
// texts together, so a blank between them belongs to the continuation. Where a token would reach
// over the border, the continuation lacks the part in front of it.
Continued EncodeContinued(const Tokenizer& tokenizer, std::string_view context,
                          std::string_view continuation);

}  // namespace ondine::text

#endif  // ONDINE_SRC_TEXT_CONTINUATION_H_
