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

  // The next tokens, any number; empty at the end. Pieces are cut between a letter (a to z) and the
  // white space behind it, where every tokenizer here starts a new token, so that the tokens are
  // those of the whole text. A text that has no such place for 256 KB, such as another script or a
  // table of numbers, is cut before any white space, or else at a character: one of its tokens may
  // then become two.
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
