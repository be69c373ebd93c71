// A text source cut into tokens, piece by piece, so that neither text nor tokens are ever in memory
// as a whole.
#ifndef ONDINE_SRC_ENGINE_TOKEN_STREAM_H_
#define ONDINE_SRC_ENGINE_TOKEN_STREAM_H_

#include <cstdint>
#include <string>
#include <vector>

#include "ondine/model.h"
#include "ondine/result.h"
#include "ondine/session.h"
#include "text/tokenizer.h"

namespace ondine::engine {

class TokenStream {
 public:
  // Both must outlive the stream.
  TokenStream(TextSource& source, const text::Tokenizer& tokenizer)
      : source_(source), tokenizer_(tokenizer) {}

  // The next tokens, any number; empty at the end. Pieces are cut between a word and the white
  // space behind it, where every tokenizer here starts a new token, so that the tokens are those of
  // the whole text (a text that has no white space for 256 KB is cut at a character).
  Result<std::vector<TokenId>> Next();
  std::uint64_t bytes() const { return bytes_; }  // of text so far

 private:
  TextSource& source_;
  const text::Tokenizer& tokenizer_;
  std::string rest_;
  bool at_end_ = false;
  bool first_ = true;
  std::uint64_t bytes_ = 0;
};

}  // namespace ondine::engine

#endif  // ONDINE_SRC_ENGINE_TOKEN_STREAM_H_
