#include "text/continuation.h"

#include <algorithm>
#include <string>

namespace ondine::text {

Continued EncodeContinued(const Tokenizer& tokenizer, std::string_view context,
                          std::string_view continuation) {
  Continued tokens;
  tokens.context = tokenizer.Encode(context);
  tokens.continuation = tokenizer.Encode(std::string(context).append(continuation));
  const std::size_t before = std::min(tokens.context.size(), tokens.continuation.size());
  tokens.continuation.erase(tokens.continuation.begin(),
                            tokens.continuation.begin() + static_cast<std::ptrdiff_t>(before));
  return tokens;
}

}  // namespace ondine::text
