// The tiny models whose logits llama.cpp has computed.
#ifndef ONDINE_TESTS_MODELS_GOLDEN_CASES_H_
#define ONDINE_TESTS_MODELS_GOLDEN_CASES_H_

#include <vector>

#include "models/tiny_model.h"

namespace ondine::testing {

struct GoldenCase {
  const char* name;
  TinyModel model;
};

inline std::vector<GoldenCase> GoldenCases() {
  return {
      {"llama", {.architecture = "llama"}},
      {"llama_factors", {.architecture = "llama", .rope_factors = true, .separate_head = true}},
      {"qwen2", {.architecture = "qwen2", .width = 128, .seed = 2}},
      {"qwen3", {.architecture = "qwen3", .seed = 3}},
      {"gemma3", {.architecture = "gemma3", .layers = 7, .window = 16, .seed = 4}},
      // Heads that are no whole block of the cache.
      {"llama_heads_of_8", {.architecture = "llama", .head_dim = 8, .seed = 6}},
      {"qwen3_heads_of_40", {.architecture = "qwen3", .head_dim = 40, .seed = 7}},
      {"gpt2", {.architecture = "gpt2", .width = 128, .kv_heads = 4, .seed = 5}},
  };
}

}  // namespace ondine::testing

#endif  // ONDINE_TESTS_MODELS_GOLDEN_CASES_H_
