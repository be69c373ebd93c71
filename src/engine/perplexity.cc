#include "engine/perplexity.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <span>
#include <system_error>
#include <vector>

#include "base/guarded.h"
#include "base/stopwatch.h"
#include "base/try.h"
#include "compute/elementwise.h"
#include "compute/thread_count.h"
#include "engine/adapter_parts.h"
#include "engine/finite_scores.h"
#include "engine/logits_file.h"
#include "engine/model_parts.h"
#include "memory/pot.h"
#include "models/decoder_pass.h"

namespace ondine::engine {
namespace {

using models::DecoderPass;

// Mean and standard error of values as they come.
class Average {
 public:
  void Add(double value) {
    ++n_;
    sum_ += value;
    squares_ += value * value;
  }
  std::int64_t count() const { return n_; }
  double mean() const { return sum_ / static_cast<double>(n_); }
  double standard_error() const {
    if (n_ < 2) return 0;
    const auto n = static_cast<double>(n_);
    return std::sqrt(std::max(0.0, squares_ / n - mean() * mean()) / (n - 1));
  }

 private:
  std::int64_t n_ = 0;
  double sum_ = 0, squares_ = 0;
};

class Measurement {
 public:
  Measurement(const Model& model, const PerplexityOptions& options)
      : options_(options),
        parts_(model.parts()),
        pool_(compute::ThreadCount(options.threads)),
        vocabulary_(parts_.decoder->vocabulary()) {}

  Result<PerplexityResult> Run(std::string_view text) {
    std::vector<TokenId> tokens = parts_.tokenizer.Encode(text);
    const auto total = static_cast<std::int64_t>(tokens.size());
    if (total < 2 * options_.context) {
      return MakeError(ErrorCode::kInvalidArgument,
                       "the text has " + std::to_string(total) + " tokens; at least " +
                           std::to_string(2 * options_.context) + " are needed (see --ctx)");
    }
    chunks_ = total / options_.context;
    if (options_.chunks >= 0) chunks_ = std::min(chunks_, options_.chunks);
    if (chunks_ == 0) return MakeError(ErrorCode::kInvalidArgument, "no chunk to measure");
    tokens.resize(static_cast<std::size_t>(chunks_ * options_.context));
    ONDINE_TRY(options_.pot ? RunThroughPot(tokens) : RunChunks(tokens));

    if (surprise_.count() == 0) {
      return MakeError(ErrorCode::kInvalidArgument,
                       "the first chunk of a stream is not scored: take more than one");
    }
    const auto mean = static_cast<float>(surprise_.mean());
    ONDINE_TRY(CheckScores({&mean, 1}));
    PerplexityResult result;
    result.perplexity = std::exp(surprise_.mean());
    result.standard_error = surprise_.standard_error() * result.perplexity;
    result.tokens = surprise_.count();
    result.chunks = chunks_;
    result.seconds = timer_.Elapsed();
    if (divergence_.count() > 0) {
      result.divergence =
          Divergence{divergence_.mean(), divergence_.standard_error(), largest_divergence_,
                     static_cast<double>(same_top_) / static_cast<double>(divergence_.count())};
    }
    return result;
  }

 private:
  Status RunChunks(std::vector<TokenId>& tokens) {
    if (options_.kl_base.empty()) return RunAll(tokens);
    const LogitsHeader header{options_.context, vocabulary_, chunks_};
    std::error_code unreachable;  // which writing then says
    if (std::filesystem::exists(options_.kl_base, unreachable)) {
      ONDINE_ASSIGN(base_, LogitsReader::Open(options_.kl_base, header, tokens));
      return RunAll(tokens);
    }
    return base::WriteFileAtomically(options_.kl_base, [&](base::FileSink& sink) -> Status {
      sink_ = &sink;
      ONDINE_TRY(LogitsWriter::WriteHeader(sink, header, tokens));
      return RunAll(tokens);
    });
  }

  Status RunAll(std::vector<TokenId>& tokens) {
    ONDINE_ASSIGN(auto lora, Combine(options_.adapters, *parts_.decoder, pool_));
    DecoderPass pass(parts_.decoder, pool_, std::move(lora));
    const models::KvSettings settings = {options_.context, compute::KvType::kF16,
                                         models::Positions::kReset};
    ONDINE_TRY(models::KvCache::Check(parts_.decoder->spec(), settings));
    models::KvCache cache(parts_.decoder->spec(), settings);
    for (std::int64_t chunk = 0; chunk < chunks_; ++chunk) {
      const std::span<TokenId> part =
          std::span(tokens).subspan(static_cast<std::size_t>(chunk * options_.context),
                                    static_cast<std::size_t>(options_.context));
      if (parts_.tokenizer.adds_bos() && parts_.tokenizer.bos()) part[0] = *parts_.tokenizer.bos();
      ONDINE_TRY(RunChunk(part, pass, cache));
      Report(chunk + 1);
    }
    return {};
  }

  // Positions whose prediction is scored: second half of the chunk, without its last.
  Status RunChunk(std::span<const TokenId> chunk, DecoderPass& pass, models::KvCache& cache) {
    cache.Clear();
    const std::int64_t first_scored = options_.context / 2;
    for (std::int64_t begin = 0; begin < options_.context; begin += DecoderPass::kMaxTokens) {
      if (options_.stop_token.Stopped()) return MakeError(ErrorCode::kCancelled, "stopped");
      const std::int64_t n = std::min(DecoderPass::kMaxTokens, options_.context - begin);
      cache.Prepare(n);
      pass.Run(chunk.subspan(static_cast<std::size_t>(begin), static_cast<std::size_t>(n)), cache);
      const std::int64_t from = std::max<std::int64_t>(0, first_scored - begin);
      const std::int64_t to = std::min(n, options_.context - 1 - begin);
      for (std::int64_t row = from; row < to; row += kRows) {
        const std::int64_t rows = std::min(kRows, to - row);
        logits_.resize(static_cast<std::size_t>(rows * vocabulary_));
        pass.Logits(row, rows, logits_);
        for (std::int64_t i = 0; i < rows; ++i) {
          const TokenId next = chunk[static_cast<std::size_t>(begin + row + i + 1)];
          ONDINE_TRY(Score(
              {logits_.data() + i * vocabulary_, static_cast<std::size_t>(vocabulary_)}, next));
        }
      }
    }
    return {};
  }

  Status Score(std::span<const float> logits, TokenId next) {
    const float log_sum = compute::LogSumExp(logits);
    ONDINE_TRY(CheckScores({&log_sum, 1}));  // before they go into a file that others compare with
    surprise_.Add(log_sum - logits[static_cast<std::size_t>(next)]);
    if (sink_ != nullptr) return writer_.WriteRow(*sink_, logits, log_sum);
    if (!base_) return {};
    ONDINE_ASSIGN(const std::span<const float> base, base_->Next());
    double divergence = 0;
    std::size_t top = 0, base_top = 0;
    for (std::size_t i = 0; i < logits.size(); ++i) {
      const double p = base[i];
      // Such files know nothing of tokens below this floor; counted at it, the tens of thousands of
      // them would outweigh the rest.
      if (p > kLogProbabilityFloor) {
        divergence += std::exp(p) * (p - (static_cast<double>(logits[i]) - log_sum));
      }
      if (logits[i] > logits[top]) top = i;
      if (base[i] > base[base_top]) base_top = i;
    }
    divergence_.Add(divergence);
    largest_divergence_ = std::max(largest_divergence_, divergence);
    same_top_ += top == base_top ? 1 : 0;
    return {};
  }

  Status RunThroughPot(std::span<const TokenId> tokens) {
    if (!options_.kl_base.empty()) {
      return MakeError(ErrorCode::kInvalidArgument, "--kl-base cannot be used with --pot");
    }
    text::EncodeOptions plain;
    plain.add_bos = false;
    PotSettings settings = *options_.pot;
    settings.surprise_stride = 1;  // it is what is measured
    ONDINE_ASSIGN(auto lora, Combine(options_.adapters, *parts_.decoder, pool_));
    ONDINE_ASSIGN(auto pot, memory::Pot::Create(parts_.decoder, pool_, settings,
                                                parts_.tokenizer.Encode(settings.catalyst, plain),
                                                parts_.sentence_ends, std::move(lora)));
    std::int64_t position = 0;
    pot->OnSurprise([&](std::span<const float> values) {
      for (float value : values) {
        if (position++ >= options_.context) surprise_.Add(value);
      }
    });
    for (std::int64_t chunk = 0; chunk < chunks_; ++chunk) {
      ONDINE_TRY(pot->Feed(tokens.subspan(static_cast<std::size_t>(chunk * options_.context),
                                          static_cast<std::size_t>(options_.context)),
                           memory::Pot::Part::kText, options_.stop_token));
      if (surprise_.count() > 0) Report(chunk + 1);
    }
    return pot->Flush(options_.stop_token);
  }

  void Report(std::int64_t chunk) const {
    if (!options_.on_progress) return;
    options_.on_progress({chunk, chunks_, std::exp(surprise_.mean()), timer_.Elapsed()});
  }

  static constexpr std::int64_t kRows = 32;  // whose logits are there at once

  const PerplexityOptions& options_;
  const Model::Parts& parts_;
  compute::ThreadPool pool_;
  std::int64_t vocabulary_;
  std::int64_t chunks_ = 0;
  std::vector<float> logits_;
  std::optional<LogitsReader> base_;  // compared with
  base::FileSink* sink_ = nullptr;    // written to
  LogitsWriter writer_;
  Average surprise_, divergence_;
  double largest_divergence_ = 0;
  std::int64_t same_top_ = 0;
  base::Timer timer_;
};

}  // namespace

Result<PerplexityResult> MeasurePerplexity(const Model& model, std::string_view text,
                                           const PerplexityOptions& options) {
  return base::Guarded([&] { return Measurement(model, options).Run(text); });
}

}  // namespace ondine::engine
