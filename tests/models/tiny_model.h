// Small models with random weights, written as GGUF files for tests.
#ifndef ONDINE_TESTS_MODELS_TINY_MODEL_H_
#define ONDINE_TESTS_MODELS_TINY_MODEL_H_

#include <cstdint>
#include <string>

#include "ondine/result.h"

namespace ondine::testing {

struct TinyModel {
  std::string architecture = "llama";
  int layers = 2, width = 64, heads = 4, kv_heads = 2, head_dim = 32, hidden = 96;
  // (gpt2: heads of its own width and as many KV heads, or nobody else runs it)
  int window = 0;              // gemma3: sliding window
  bool rope_factors = false;   // Llama 3's frequency divisors
  bool separate_head = false;  // output.weight of its own
  int extra_tokens = 0;        // behind the vocabulary described below; no text has them
  std::string merged = {};     // two letters that are one token, the last; empty for none
  std::uint32_t seed = 1;
};

// The vocabulary has 256 tokens, one a byte (id = byte), and end of text (256): text and tokens
// correspond one to one, but for `merged`. Weights are F32, the same on every machine. Anyone's
// program that reads GGUF runs the file.
constexpr int kTinyVocabulary = 257;
Status WriteTinyModel(const TinyModel& model, const std::string& path);

}  // namespace ondine::testing

#endif  // ONDINE_TESTS_MODELS_TINY_MODEL_H_
