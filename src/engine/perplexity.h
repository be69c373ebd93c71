// Perplexity of a text, and Kullback-Leibler divergence from another run's logits.
#ifndef ONDINE_SRC_ENGINE_PERPLEXITY_H_
#define ONDINE_SRC_ENGINE_PERPLEXITY_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ondine/adapter.h"
#include "ondine/model.h"
#include "ondine/pot.h"
#include "ondine/progress.h"
#include "ondine/result.h"

namespace ondine::engine {

struct PerplexityProgress {
  std::int64_t chunk = 0, chunks = 0;
  double perplexity = 0, seconds = 0;
};

struct PerplexityOptions {
  std::int64_t context = 512;  // tokens of a chunk
  std::int64_t chunks = -1;    // at most; < 0: all
  int threads = 0;
  std::vector<ScaledAdapter> adapters;
  // With a pot the whole text is one stream, read once through the pot; every token after the first
  // `context` is scored, and context only cuts the report into chunks.
  std::optional<PotSettings> pot;
  std::string kl_base;  // see docs/formats/logits.md; not together with a pot
  std::function<void(const PerplexityProgress&)> on_progress;
  StopToken stop_token;
};

struct Divergence {
  double mean = 0, standard_error = 0, largest = 0;  // nats
  double top1_agreement = 0;                         // share of positions
};

struct PerplexityResult {
  double perplexity = 0, standard_error = 0;
  std::int64_t tokens = 0;  // scored
  std::int64_t chunks = 0;
  double seconds = 0;
  std::optional<Divergence> divergence;  // where kl_base was there to compare with
};

// llama.cpp's convention: the text is tokenised as a whole and cut into chunks; BOS replaces each
// chunk's first token where the model adds one; the cache is empty at each chunk's start; tokens of
// the second half but its first are scored. Errors: kInvalidArgument (a text shorter than two
// chunks), kCancelled, kMismatch (a base of another text or model).
Result<PerplexityResult> MeasurePerplexity(const Model& model, std::string_view text,
                                           const PerplexityOptions& options);

}  // namespace ondine::engine

#endif  // ONDINE_SRC_ENGINE_PERPLEXITY_H_
