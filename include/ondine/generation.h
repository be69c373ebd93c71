// How text is generated, and what came of it.
#ifndef ONDINE_GENERATION_H_
#define ONDINE_GENERATION_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ondine/progress.h"

namespace ondine {

// Applied in this order: repetition penalty, top-k, top-p, min-p, temperature.
struct SamplingSettings {
  float temperature = 0;         // 0: always the likeliest token
  int top_k = 40;                // 0: off
  float top_p = 0.95f;           // 1: off
  float min_p = 0.05f;           // 0: off; share of the likeliest token's probability
  float repetition_penalty = 1;  // 1: off; divides positive logits of recent tokens
  int repetition_window = 64;    // recent tokens
  std::uint64_t seed = 0;
};

// How sure the model is of the first tokens of an answer: means over them, of the probabilities
// before any sampling setting.
struct Confidence {
  double probability = 0;   // of the tokens written, geometric mean
  double margin = 0;        // of the likeliest token before the second
  double entropy = 0;       // nats; the less, the surer
  std::int64_t tokens = 0;  // the end of the text counts as one
};

struct GenerationOptions {
  int max_tokens = 256;
  SamplingSettings sampling;
  std::vector<std::string> stop;  // generation ends before any of these texts
  int min_tokens = 0;             // before which no end-of-text token is chosen
  bool ignore_end = false;        // go on after an end-of-text token
  // Receives text as it comes, always whole UTF-8 characters.
  std::function<void(std::string_view)> on_text;
  // With it, text is held back until there are `probe_tokens` of it or it ends. Then it is told how
  // sure the model is; a text that it returns is the answer instead, and on_text hears nothing.
  std::function<std::optional<std::string>(const Confidence&)> on_probe;
  int probe_tokens = 32;
  StopToken stop_token;
};

// kMaxTokens: also where a cache that is not distilled is full.
enum class FinishReason { kEndOfText, kStopText, kMaxTokens, kCancelled, kReplaced };

struct Generation {
  std::string text;
  FinishReason finish = FinishReason::kMaxTokens;
  std::int64_t tokens_prompt = 0;  // read for this generation
  std::int64_t tokens_generated = 0;
  double seconds_prompt = 0;
  double seconds_generate = 0;
};

}  // namespace ondine

#endif  // ONDINE_GENERATION_H_
