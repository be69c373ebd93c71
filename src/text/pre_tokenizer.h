// Cuts a text into the words inside which byte-level BPE merges, as the model's training did.
#ifndef ONDINE_SRC_TEXT_PRE_TOKENIZER_H_
#define ONDINE_SRC_TEXT_PRE_TOKENIZER_H_

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "ondine/result.h"

struct pcre2_real_code_8;

namespace ondine::text {

// Immutable; may be shared between threads.
class PreTokenizer {
 public:
  // By tokenizer.ggml.pre ("llama-bpe", "qwen2", ...). kUnsupported for a name that is not known.
  static Result<PreTokenizer> Create(std::string_view name);

  // Where each word ends, in order; together the words are the text. Bytes that are not UTF-8 are
  // taken as U+FFFD.
  std::vector<std::size_t> Split(std::string_view text) const;

  // A word that is a token as a whole is taken without merging.
  bool ignores_merges() const { return ignores_merges_; }
  // Whether such models begin with BOS where the file does not say.
  bool adds_bos() const { return adds_bos_; }

 private:
  struct CodeDeleter {
    void operator()(pcre2_real_code_8* code) const;
  };
  struct Pattern {
    std::unique_ptr<pcre2_real_code_8, CodeDeleter> code;
    bool jit = false;
  };

  // Cuts the words of `text` that `ends` describes further; matches and what is between them both
  // become words.
  static std::vector<std::size_t> Refine(const Pattern& pattern, std::string_view text,
                                         const std::vector<std::size_t>& ends);

  std::vector<Pattern> patterns_;  // applied one after the other
  bool ignores_merges_ = false;
  bool adds_bos_ = false;
};

}  // namespace ondine::text

#endif  // ONDINE_SRC_TEXT_PRE_TOKENIZER_H_
