#include "engine/choice_scores.h"

#include <algorithm>

#include "base/guarded.h"
#include "base/try.h"
#include "compute/elementwise.h"
#include "compute/thread_count.h"
#include "engine/adapter_parts.h"
#include "engine/finite_scores.h"
#include "engine/model_parts.h"
#include "text/continuation.h"

namespace ondine::engine {
namespace {

// Contexts are run in blocks of so many tokens, and what the next context shares with the last one
// is taken over in whole blocks: a sum rounds differently in a pass of another length, and a score
// should not depend on what was scored before. Small, since few-shot prompts are.
constexpr std::int64_t kBlock = 64;

// Entries that the cache grows by.
constexpr std::int64_t kRoom = 1024;

template <typename T>
std::int64_t Size(const T& tokens) {
  return static_cast<std::int64_t>(tokens.size());
}

}  // namespace

ChoiceScorer::ChoiceScorer(std::shared_ptr<const Model> model, int threads)
    : model_(std::move(model)),
      pool_(compute::ThreadCount(threads)),
      pass_(std::make_unique<models::DecoderPass>(model_->parts().decoder, pool_)) {}

Status ChoiceScorer::SetAdapters(std::span<const ScaledAdapter> adapters) {
  return base::Guarded([&]() -> Status {
    const auto& decoder = model_->parts().decoder;
    ONDINE_ASSIGN(auto lora, Combine(adapters, *decoder, pool_));
    pass_ = std::make_unique<models::DecoderPass>(decoder, pool_, std::move(lora));
    if (cache_) Keep(0);
    return {};
  });
}

Result<std::vector<ChoiceScore>> ChoiceScorer::Score(std::string_view context,
                                                     std::span<const std::string> continuations,
                                                     const StopToken& stop_token) {
  auto scores = base::Guarded([&] { return ScoreAll(context, continuations, stop_token); });
  if (!scores && scores.error().code == ErrorCode::kOutOfMemory) {
    cached_.clear();  // nobody knows what is in the cache
    cache_.reset();
  }
  return scores;
}

Result<std::vector<ChoiceScore>> ChoiceScorer::ScoreAll(std::string_view context,
                                                        std::span<const std::string> continuations,
                                                        const StopToken& stop_token) {
  const text::Tokenizer& tokenizer = model_->parts().tokenizer;
  std::vector<ChoiceScore> scores;
  for (const std::string& continuation : continuations) {
    const text::Continued tokens = text::EncodeContinued(tokenizer, context, continuation);
    if (tokens.context.empty()) {
      return MakeError(ErrorCode::kInvalidArgument, "there is no text before the continuations");
    }
    if (tokens.continuation.empty()) {
      return MakeError(ErrorCode::kInvalidArgument,
                       "continuation " + std::to_string(scores.size() + 1) + " has no tokens");
    }
    ONDINE_TRY(MakeRoom(Size(tokens.context) + Size(tokens.continuation)));
    ONDINE_TRY(RunContext(tokens.context, stop_token));
    ONDINE_ASSIGN(const ChoiceScore score, ScoreOne(tokens.continuation, stop_token));
    scores.push_back(score);
  }
  return scores;
}

Status ChoiceScorer::MakeRoom(std::int64_t tokens) {
  const std::int64_t most = model_->info().trained_context;
  if (tokens > most) {
    return MakeError(ErrorCode::kInvalidArgument,
                     "a context with its continuation has " + std::to_string(tokens) +
                         " tokens; the model was trained for " + std::to_string(most));
  }
  if (cache_ && cache_->capacity() >= tokens) return {};
  const std::int64_t capacity = std::min(most, (tokens + kRoom - 1) / kRoom * kRoom);
  cached_.clear();
  cache_.emplace(pass_->decoder().spec(),
                 models::KvSettings{capacity, compute::KvType::kF16, models::Positions::kReset});
  return {};
}

Status ChoiceScorer::RunContext(std::span<const TokenId> context, const StopToken& stop_token) {
  if (std::equal(context.begin(), context.end(), cached_.begin(), cached_.end())) return {};
  // The rings of sliding-window layers lose what has left the window.
  const bool keeps_all = cache_->window() == 0;
  const auto shared = std::mismatch(context.begin(), context.end(), cached_.begin(), cached_.end());
  const std::int64_t same = std::min(shared.first - context.begin(), Size(context) - 1);
  Keep(keeps_all ? same / kBlock * kBlock : 0);
  while (Size(cached_) < Size(context)) {
    const auto rest = context.subspan(cached_.size());
    const auto block = rest.first(static_cast<std::size_t>(std::min(kBlock, Size(rest))));
    ONDINE_TRY(Run(block, stop_token));
    cached_.insert(cached_.end(), block.begin(), block.end());
  }
  logits_.resize(static_cast<std::size_t>(pass_->decoder().vocabulary()));
  pass_->Logits(pass_->rows() - 1, 1, logits_);
  log_sum_ = compute::LogSumExp(logits_);
  return {};
}

Result<ChoiceScore> ChoiceScorer::ScoreOne(std::span<const TokenId> continuation,
                                           const StopToken& stop_token) {
  const models::KvCache::MarkPoint context = cache_->Mark();
  const bool returns = cache_->CanRewind(Size(continuation) - 1);
  ChoiceScore score;
  score.tokens = Size(continuation);
  score.log_likelihood = logits_[static_cast<std::size_t>(continuation.front())] - log_sum_;
  // Each token predicts the next one; the last predicts nothing that counts.
  for (auto rest = continuation; rest.size() > 1;) {
    const auto n =
        static_cast<std::size_t>(std::min(models::DecoderPass::kMaxTokens, Size(rest) - 1));
    ONDINE_TRY(Run(rest.first(n), stop_token));
    surprise_.resize(n);
    pass_->Surprise(rest.subspan(1, n), 1, surprise_);
    for (const float surprise : surprise_) score.log_likelihood -= surprise;
    rest = rest.subspan(n);
  }
  if (returns) {
    cache_->Rewind(context);
  } else {
    Keep(0);
  }
  const auto sum = static_cast<float>(score.log_likelihood);
  ONDINE_TRY(CheckScores({&sum, 1}));
  return score;
}

Status ChoiceScorer::Run(std::span<const TokenId> tokens, const StopToken& stop_token) {
  if (stop_token.Stopped()) {
    Keep(0);
    return MakeError(ErrorCode::kCancelled, "stopped");
  }
  cache_->Prepare(Size(tokens));
  pass_->Run(tokens, *cache_);
  return {};
}

void ChoiceScorer::Keep(std::int64_t tokens) {
  cached_.resize(static_cast<std::size_t>(tokens));
  if (tokens == 0) {
    cache_->Clear();
  } else {
    cache_->Rewind({tokens, tokens});
  }
}

}  // namespace ondine::engine
