// How likely a model holds each of some continuations of a text.
#ifndef ONDINE_SRC_ENGINE_CHOICE_SCORES_H_
#define ONDINE_SRC_ENGINE_CHOICE_SCORES_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "compute/thread_pool.h"
#include "models/decoder_pass.h"
#include "models/kv_cache.h"
#include "ondine/adapter.h"
#include "ondine/model.h"
#include "ondine/progress.h"
#include "ondine/result.h"

namespace ondine::engine {

struct ChoiceScore {
  double log_likelihood = 0;  // nats, summed over the tokens
  std::int64_t tokens = 0;
};

// Scores one question after the other with the same working memory. What a context shares with the
// one before it is not run again; still a score is the same, bit for bit, whatever was scored
// before it and beside it. Belongs to one thread at a time.
class ChoiceScorer {
 public:
  explicit ChoiceScorer(std::shared_ptr<const Model> model, int threads = 0);

  // From now on with these adapters.
  Status SetAdapters(std::span<const ScaledAdapter> adapters);

  // Of each continuation behind the context, with the tokens of text::EncodeContinued. Errors:
  // kInvalidArgument (a context or continuation without tokens, or more of them than the model was
  // trained for), kCancelled, kOutOfMemory.
  Result<std::vector<ChoiceScore>> Score(std::string_view context,
                                         std::span<const std::string> continuations,
                                         const StopToken& stop_token = {});

 private:
  Result<std::vector<ChoiceScore>> ScoreAll(std::string_view context,
                                            std::span<const std::string> continuations,
                                            const StopToken& stop_token);
  // Room in the cache for so many tokens.
  Status MakeRoom(std::int64_t tokens);
  // Leaves exactly these tokens in the cache, and the logits behind them.
  Status RunContext(std::span<const TokenId> context, const StopToken& stop_token);
  Result<ChoiceScore> ScoreOne(std::span<const TokenId> continuation, const StopToken& stop_token);
  Status Run(std::span<const TokenId> tokens, const StopToken& stop_token);
  // Forgets all cached tokens but the first ones.
  void Keep(std::int64_t tokens);

  std::shared_ptr<const Model> model_;
  compute::ThreadPool pool_;
  std::unique_ptr<models::DecoderPass> pass_;
  std::optional<models::KvCache> cache_;
  std::vector<TokenId> cached_;  // the context whose keys and values are in the cache
  std::vector<float> logits_;    // behind it
  float log_sum_ = 0;            // of their exponentials
  std::vector<float> surprise_;
};

}  // namespace ondine::engine

#endif  // ONDINE_SRC_ENGINE_CHOICE_SCORES_H_
