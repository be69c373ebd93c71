#include "engine/generator.h"

#include <algorithm>
#include <limits>
#include <memory>
#include <vector>

#include "base/stopwatch.h"
#include "base/try.h"
#include "base/utf8.h"
#include "engine/confidence.h"
#include "engine/finite_scores.h"
#include "engine/pot_undo.h"
#include "engine/sampler.h"

namespace ondine::engine {
namespace {

// Gives out text as soon as it is certain that no stop text begins in it.
class StopTextFilter {
 public:
  StopTextFilter(const GenerationOptions& options, std::string& text)
      : options_(options), text_(text), silent_(options.on_probe != nullptr) {}

  // From now on text is given out as it comes, beginning with what there is.
  void Speak() {
    silent_ = false;
    if (options_.on_text && !text_.empty()) options_.on_text(text_);
  }

  // True when a stop text has been met; what precedes it has been given out.
  bool Push(const std::string& piece) {
    held_ += piece;
    std::size_t earliest = std::string::npos;
    for (const std::string& stop : options_.stop) {
      if (!stop.empty()) earliest = std::min(earliest, held_.find(stop));
    }
    if (earliest != std::string::npos) {
      Release(earliest);
      held_.clear();
      return true;
    }
    std::size_t safe = held_.size();
    for (const std::string& stop : options_.stop) {
      for (std::size_t n = std::min(stop.size(), held_.size()); n > 0; --n) {
        if (held_.compare(held_.size() - n, n, stop, 0, n) == 0) {
          safe = std::min(safe, held_.size() - n);
          break;
        }
      }
    }
    Release(safe);
    return false;
  }

  void Finish() { Release(held_.size()); }

 private:
  void Release(std::size_t length) {
    if (length == 0) return;
    const std::string out = held_.substr(0, length);
    held_.erase(0, length);
    text_ += out;
    if (options_.on_text && !silent_) options_.on_text(out);
  }

  const GenerationOptions& options_;
  std::string& text_;
  bool silent_;
  std::string held_;
};

// `logits` without the tokens that end a text.
std::vector<float> WithoutEnds(const Model::Parts& model, std::span<const float> logits) {
  std::vector<float> others(logits.begin(), logits.end());
  for (std::size_t i = 0; i < others.size(); ++i) {
    if (!model.tokenizer.EndsGeneration(static_cast<TokenId>(i))) continue;
    others[i] = -std::numeric_limits<float>::infinity();
  }
  return others;
}

// Asks options.on_probe once, when there is enough to ask about.
class Probe {
 public:
  static Result<Probe> Begin(memory::Pot& pot, const GenerationOptions& options) {
    Probe probe(options);
    if (options.on_probe) {
      ONDINE_ASSIGN(PotUndo undo, PotUndo::Begin(pot, options.probe_tokens));
      probe.undo_ = std::make_unique<PotUndo>(std::move(undo));
    }
    return probe;
  }

  void Add(std::span<const float> logits, TokenId chosen) {
    if (undo_) meter_.Add(logits, chosen);
  }
  bool Due() const { return undo_ && meter_.result().tokens >= options_.probe_tokens; }

  // True where nothing more is to be written: the answer is another one, which is then that of
  // `result`, or it was stopped meanwhile.
  Result<bool> Ends(StopTextFilter& filter, Generation& result) {
    if (!undo_) return false;
    std::optional<std::string> other = options_.on_probe(meter_.result());
    if (other) {
      ONDINE_TRY(undo_->Undo());
      result.text = std::move(*other);
      result.finish = FinishReason::kReplaced;
      return true;
    }
    if (options_.stop_token.Stopped()) {
      ONDINE_TRY(Withdraw(result));
      return true;
    }
    undo_.reset();
    filter.Speak();
    return false;
  }

  // What nobody has heard has not been said.
  Status Withdraw(Generation& result) {
    result.finish = FinishReason::kCancelled;
    if (!undo_) return {};
    ONDINE_TRY(undo_->Undo());
    undo_.reset();
    result.text.clear();
    return {};
  }

 private:
  explicit Probe(const GenerationOptions& options) : options_(options) {}

  const GenerationOptions& options_;
  std::unique_ptr<PotUndo> undo_;  // until it has been asked
  ConfidenceMeter meter_;
};

}  // namespace

Status CheckGeneration(const GenerationOptions& options) {
  if (options.on_probe && options.probe_tokens < 1) {
    return MakeError(ErrorCode::kInvalidArgument, "a probe needs at least one token");
  }
  if (options.max_tokens < 0 || options.min_tokens < 0) {
    return MakeError(ErrorCode::kInvalidArgument, "numbers of tokens must not be negative");
  }
  return CheckSampling(options.sampling);
}

Result<Generation> Generate(const Model::Parts& model, memory::Pot& pot,
                            std::span<const TokenId> history, const GenerationOptions& options) {
  ONDINE_TRY(CheckGeneration(options));
  Sampler sampler(options.sampling);
  for (TokenId token : history) sampler.Accept(token);

  Generation result;
  StopTextFilter filter(options, result.text);
  ONDINE_ASSIGN(Probe probe, Probe::Begin(pot, options));
  base::Utf8Stream characters;
  const base::Timer watch;
  while (result.tokens_generated < options.max_tokens) {
    if (options.stop_token.Stopped()) {
      ONDINE_TRY(probe.Withdraw(result));
      break;
    }
    ONDINE_TRY(CheckScores(pot.Logits()));
    const bool may_end = options.ignore_end || result.tokens_generated >= options.min_tokens;
    const TokenId token = sampler.Sample(
        may_end ? pot.Logits() : std::span<const float>(WithoutEnds(model, pot.Logits())));
    probe.Add(pot.Logits(), token);
    const bool ends = model.tokenizer.EndsGeneration(token);
    if (ends && !options.ignore_end) {
      result.finish = FinishReason::kEndOfText;
      break;
    }
    ++result.tokens_generated;
    const bool last = pot.Full();
    if (!last) {
      ONDINE_TRY(pot.Feed({&token, 1}, memory::Pot::Part::kText, StopToken()));
      ONDINE_TRY(pot.Flush(StopToken()));
    }
    if (filter.Push(characters.Push(model.tokenizer.Piece(token)))) {
      result.finish = FinishReason::kStopText;
      break;
    }
    if (last) break;
    if (probe.Due()) {
      ONDINE_ASSIGN(const bool ends_here, probe.Ends(filter, result));
      if (ends_here) break;
    }
  }
  if (result.finish != FinishReason::kReplaced && result.finish != FinishReason::kCancelled) {
    if (result.finish != FinishReason::kStopText) {
      filter.Push(characters.Finish());
      filter.Finish();
    }
    ONDINE_TRY(probe.Ends(filter, result));
  }
  result.seconds_generate = watch.Elapsed();
  return result;
}

}  // namespace ondine::engine
