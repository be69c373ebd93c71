// Passages of a text that a question is about.
#ifndef ONDINE_SRC_ENGINE_PASSAGES_H_
#define ONDINE_SRC_ENGINE_PASSAGES_H_

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/model_parts.h"
#include "memory/archive.h"

namespace ondine::engine {

struct Passages {
  std::vector<std::string> texts;       // in the order of the text
  std::vector<memory::TokenId> tokens;  // all of them, an empty line before each
};

// The passages of `known` that share words with the question: the best by BM25 and others at least
// half as good, `most_tokens` at most altogether. A passage has 32 to 96 tokens, whole sentences
// where they are known; fewer where less is known or wanted.
Passages FindPassages(const Model& model, std::span<const memory::KnownToken> known,
                      std::string_view question, std::int64_t most_tokens);

}  // namespace ondine::engine

#endif  // ONDINE_SRC_ENGINE_PASSAGES_H_
