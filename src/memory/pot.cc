#include "memory/pot.h"

#include <algorithm>
#include <cmath>

#include "base/guarded.h"
#include "base/memory.h"
#include "base/stopwatch.h"
#include "base/try.h"
#include "compute/elementwise.h"
#include "memory/rarity.h"

namespace ondine::memory {

compute::KvType ToKvType(CacheType type) {
  switch (type) {
    case CacheType::kF16: return compute::KvType::kF16;
    case CacheType::kQ8_0: return compute::KvType::kQ8_0;
    case CacheType::kQ4_0: return compute::KvType::kQ4_0;
  }
  return compute::KvType::kF16;
}

namespace {

models::KvSettings CacheSettings(const PotSettings& settings) {
  return {settings.slots, ToKvType(settings.type),
          settings.reset_positions ? models::Positions::kReset : models::Positions::kOriginal};
}

bool Distils(PotPolicy policy) {
  return policy != PotPolicy::kFull && policy != PotPolicy::kTruncate;
}

std::int64_t Kept(const PotSettings& settings) {
  return static_cast<std::int64_t>(settings.keep * static_cast<double>(settings.slots));
}

std::int64_t Recent(const PotSettings& settings) {
  const std::int64_t recent =
      settings.recent ? *settings.recent : std::min(settings.slots / 10, Kept(settings) / 4);
  return settings.policy == PotPolicy::kSnapKv ? std::max(recent, kSnapWindow) : recent;
}

Status CheckSettings(const PotSettings& settings, std::int64_t catalyst) {
  const auto invalid = [](std::string message) {
    return MakeError(ErrorCode::kInvalidArgument, std::move(message));
  };
  if (settings.slots < 1 || settings.slots > kMostSlots) {
    return invalid("a pot has 1 to " + std::to_string(kMostSlots) + " slots, not " +
                   std::to_string(settings.slots));
  }
  // Written so that NaN fails too.
  if (!(settings.keep > 0 && settings.keep < 1)) return invalid("keep must lie between 0 and 1");
  if (!(*settings.alpha >= 0 && *settings.alpha <= 1)) {
    return invalid("alpha must lie between 0 and 1");
  }
  if (!(settings.rarity >= 0 && settings.rarity <= 1)) {
    return invalid("rarity must lie between 0 and 1");
  }
  if (*settings.archive < 0 || *settings.archive > kMostSlots) {
    return invalid("an archive has 0 to " + std::to_string(kMostSlots) + " tokens, not " +
                   std::to_string(*settings.archive));
  }
  if (settings.surprise_stride < 1) return invalid("the stride of surprise must be at least 1");
  if (settings.surprise_span < 0 || settings.attention_span < 1 || settings.sinks < 0 ||
      settings.recent.value_or(0) < 0) {
    return invalid(
        "spans must be at least 1 (0 for surprise: sentences), sinks and recent at least 0");
  }
  if (settings.over_catalyst == Reduce::kMean || settings.over_group == Reduce::kSum) {
    return invalid(
        "attention is summed up or maximal over the catalyst, mean or maximal over heads");
  }
  if (!Distils(settings.policy)) return {};
  if (catalyst > models::KvCache::kMaxPrepared) {
    return invalid("the catalyst has " + std::to_string(catalyst) + " tokens; at most " +
                   std::to_string(models::KvCache::kMaxPrepared) + " are possible");
  }
  if (catalyst == 0 && (settings.policy == PotPolicy::kCap ||
                        (settings.policy == PotPolicy::kInfiniPot && *settings.alpha < 1))) {
    return invalid("an empty catalyst needs alpha = 1 or a policy that uses none");
  }
  const std::int64_t kept = Kept(settings), protected_entries = settings.sinks + Recent(settings);
  if (kept + catalyst >= settings.slots || protected_entries >= kept) {
    return invalid("a pot of " + std::to_string(settings.slots) + " slots is too small: it keeps " +
                   std::to_string(kept) + ", protects " + std::to_string(protected_entries) +
                   " of them and needs " + std::to_string(catalyst) +
                   " for the catalyst; take a larger --pot");
  }
  return {};
}

PotSettings WithDefaults(PotSettings settings) {
  if (!settings.alpha) settings.alpha = 1;
  if (!settings.consolidate) settings.consolidate = false;
  if (!settings.archive) settings.archive = 0;
  return settings;
}

}  // namespace

Pot::Pot(const std::shared_ptr<const models::Decoder>& decoder, compute::ThreadPool& pool,
         const PotSettings& settings, std::vector<TokenId> catalyst,
         std::shared_ptr<const SentenceEnds> ends, std::shared_ptr<const models::Lora> lora)
    : settings_(settings),
      kept_(Kept(settings)),
      recent_(Recent(settings)),
      catalyst_(std::move(catalyst)),
      pass_(decoder, pool, std::move(lora)),
      cache_(decoder->spec(), CacheSettings(settings)),
      scores_(decoder->spec(), settings.slots),
      sentence_(ends),
      archive_(*settings_.archive, std::move(ends)) {
  if (archives()) archive_.Reserve(kept_, settings_.slots);
  const models::DecoderSpec& spec = decoder->spec();
  entries_.resize(static_cast<std::size_t>(spec.layers));
  for (int i = 0; i < spec.layers; ++i) {
    if (!spec.IsLocal(i)) {
      entries_[static_cast<std::size_t>(i)].resize(static_cast<std::size_t>(spec.kv_heads));
    }
  }
}

Status Pot::Check(const models::DecoderSpec& spec, const PotSettings& wanted,
                  std::int64_t catalyst) {
  const PotSettings settings = WithDefaults(wanted);
  ONDINE_TRY(CheckSettings(settings, catalyst));
  return models::KvCache::Check(spec, CacheSettings(settings));
}

Result<std::unique_ptr<Pot>> Pot::Create(const std::shared_ptr<const models::Decoder>& decoder,
                                         compute::ThreadPool& pool, const PotSettings& wanted,
                                         std::vector<TokenId> catalyst,
                                         std::shared_ptr<const SentenceEnds> ends,
                                         std::shared_ptr<const models::Lora> lora) {
  ONDINE_TRY(Check(decoder->spec(), wanted, static_cast<std::int64_t>(catalyst.size())));
  const PotSettings settings = WithDefaults(wanted);
  const std::string no_memory = "no memory for a pot of " + std::to_string(settings.slots) +
                                " slots; take a smaller --pot or --cache-type q8_0";
  const auto create = [&]() -> Result<std::unique_ptr<Pot>> {
    std::unique_ptr<Pot> pot(
        new Pot(decoder, pool, settings, std::move(catalyst), std::move(ends), std::move(lora)));
    // Systems promise more than they have, and end the program when it is used.
    const auto available = base::AvailableBytes();
    if (available && pot->bytes() > *available) {
      return MakeError(ErrorCode::kOutOfMemory, no_memory);
    }
    return pot;
  };
  return base::Guarded(create, no_memory);
}

std::size_t Pot::bytes() const {
  std::size_t total = cache_.bytes() + scores_.bytes() + archive_.bytes();
  for (const auto& layer : entries_) {
    for (const HeadEntries& head : layer) {
      total +=
          head.origin.capacity() * sizeof(std::int32_t) + head.surprise.capacity() * sizeof(float);
    }
  }
  return total;
}

bool Pot::distils() const {
  return Distils(settings_.policy);
}

bool Pot::archives() const {
  return distils() && (*settings_.archive > 0 || *settings_.consolidate);
}

bool Pot::needs_surprise() const {
  return settings_.policy == PotPolicy::kSirLlm ||
         (settings_.policy == PotPolicy::kInfiniPot && *settings_.alpha > 0);
}

std::int64_t Pot::limit() const {
  return settings_.slots - (distils() ? static_cast<std::int64_t>(catalyst_.size()) : 0);
}

std::int64_t Pot::LongestQuestion() const {
  if (!distils()) return settings_.slots;
  const auto catalyst = static_cast<std::int64_t>(catalyst_.size());
  // Of what survives, at least one entry is chosen.
  const std::int64_t left = kept_ - ProtectedBeginning() - recent_ - 1;
  return std::min({settings_.slots / 4, (settings_.slots - kept_ - catalyst) / 2, kept_ / 2, left});
}

std::int64_t Pot::ProtectedBeginning() const {
  return std::max<std::int64_t>(settings_.sinks, prefix_end_);
}

bool Pot::Full() const {
  return !distils() && cache_.length() + std::ssize(pending_) >= settings_.slots;
}

bool Pot::CanRewind(std::int64_t tokens) const {
  const std::int64_t more = static_cast<std::int64_t>(pending_.size()) + tokens;
  return cache_.CanRewind(more) && (!distils() || cache_.length() + more <= limit());
}

Status Pot::Feed(std::span<const TokenId> tokens, Part part, const StopToken& stop) {
  if (tokens.empty()) return {};
  const std::int64_t begin = StreamPosition() + static_cast<std::int64_t>(pending_.size());
  const std::int64_t end = begin + static_cast<std::int64_t>(tokens.size());
  if (end > kLongestStream) {
    return MakeError(ErrorCode::kUnsupported,
                     "a pot reads at most " + std::to_string(kLongestStream) + " tokens");
  }
  if (part != pending_part_) ONDINE_TRY(Flush(stop));
  pending_part_ = part;
  if (part == Part::kPrefix) {
    prefix_end_ = end;
    if (distils() && LongestQuestion() < 1) {
      return MakeError(ErrorCode::kInvalidArgument,
                       "a pot of " + std::to_string(settings_.slots) + " slots keeps " +
                           std::to_string(kept_) + ": too few for the " + std::to_string(end) +
                           " tokens before the text and " + std::to_string(recent_) +
                           " newest ones; take a larger --pot or a shorter system message");
    }
  }
  if (part == Part::kQuestion) {
    if (question_begin_ == question_end_) question_begin_ = begin;
    question_end_ = end;
  }
  pending_.insert(pending_.end(), tokens.begin(), tokens.end());
  return RunReady(models::DecoderPass::kMaxTokens, stop);
}

Status Pot::Flush(const StopToken& stop) {
  ONDINE_TRY(RunReady(1, stop));
  // No sentence reaches from one part into the next.
  sentence_.Clear();
  archive_.EndSentence();
  return {};
}

// Runs passes as long as `at_least` tokens, or as many as a full pass takes, are waiting.
Status Pot::RunReady(std::int64_t at_least, const StopToken& stop) {
  std::size_t done = 0;
  Status status;
  while (done < pending_.size()) {
    if (stop.Stopped()) {
      status = MakeError(ErrorCode::kCancelled, "stopped");
      break;
    }
    const std::int64_t waiting = static_cast<std::int64_t>(pending_.size() - done);
    std::int64_t room = limit() - cache_.length();
    const std::int64_t room_later = room > 0 ? room : limit() - kept_;
    if (waiting < std::min({at_least, models::DecoderPass::kMaxTokens, room_later})) break;
    if (room <= 0) {
      status = Distil();
      if (!status) break;
      room = limit() - cache_.length();
    }
    const std::int64_t n = std::min({waiting, models::DecoderPass::kMaxTokens, room});
    status = RunPass(std::span(pending_).subspan(done, static_cast<std::size_t>(n)));
    if (!status) break;
    done += static_cast<std::size_t>(n);
  }
  pending_.erase(pending_.begin(), pending_.begin() + static_cast<std::ptrdiff_t>(done));
  return status;
}

Status Pot::RunPass(std::span<const TokenId> tokens) {
  const auto n = static_cast<std::int64_t>(tokens.size());
  if (!cache_.Prepare(n)) return MakeError(ErrorCode::kInternal, "the pot would overflow");
  {
    const base::Stopwatch watch(counters_.seconds_model);
    pass_.Run(tokens, cache_);
  }
  CountEntries(cache_.length());
  std::vector<float> surprise(tokens.size(), 0.0f);
  if (needs_surprise() || surprise_listener_) {
    const base::Stopwatch watch(counters_.seconds_surprise);
    pass_.Surprise(tokens.subspan(1), settings_.surprise_stride, std::span(surprise).subspan(1));
    if (logits_valid_) {
      surprise[0] = compute::LogSumExp(logits_) - logits_[static_cast<std::size_t>(tokens[0])];
    } else if (!carried_.empty()) {
      surprise[0] = pass_.Surprise(carried_, tokens[0], settings_.surprise_stride);
    }
  }
  if (surprise_listener_) surprise_listener_(surprise);
  if (needs_surprise() && settings_.rarity > 0) {
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      surprise[i] -= static_cast<float>(settings_.rarity * Rarity(tokens[i]));
    }
  }
  const std::span<const float> last = pass_.Hidden(n - 1);
  carried_.assign(last.begin(), last.end());
  logits_valid_ = false;
  AppendEntries(tokens, surprise);
  Remember(tokens);
  counters_.tokens += n;
  return {};
}

void Pot::AppendEntries(std::span<const TokenId> tokens, std::span<const float> surprise) {
  const std::int64_t first = StreamPosition() - static_cast<std::int64_t>(tokens.size());
  for (auto& layer : entries_) {
    for (HeadEntries& head : layer) {
      for (std::size_t i = 0; i < surprise.size(); ++i) {
        head.origin.push_back(static_cast<std::int32_t>(first + static_cast<std::int64_t>(i)));
      }
      head.surprise.insert(head.surprise.end(), surprise.begin(), surprise.end());
    }
  }
  if (archives() && !text_ended_) archive_.Append(first, tokens, surprise);
  if (settings_.surprise_span == 0 && needs_surprise()) AverageSentences(tokens, surprise);
}

void Pot::AverageSentences(std::span<const TokenId> tokens, std::span<const float> surprise) {
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    sentence_.Add(tokens[i], surprise[i]);
    if (!sentence_.ended() && i + 1 < tokens.size()) continue;
    const auto newer = static_cast<std::ptrdiff_t>(tokens.size() - 1 - i);
    const auto last = StreamPosition() - 1 - newer;
    const auto first = static_cast<std::int32_t>(last - sentence_.length() + 1);
    for (auto& layer : entries_) {
      for (HeadEntries& head : layer) {
        // Less than the whole sentence where a distillation came in between.
        const auto end = head.origin.end() - newer;
        const auto begin = std::lower_bound(head.origin.begin(), end, first);
        std::fill_n(head.surprise.begin() + (begin - head.origin.begin()), end - begin,
                    sentence_.mean());
      }
    }
    if (sentence_.ended()) sentence_.Clear();
  }
}

void Pot::Remember(std::span<const TokenId> tokens) {
  last_tokens_.insert(last_tokens_.end(), tokens.begin(), tokens.end());
  const auto excess = static_cast<std::ptrdiff_t>(last_tokens_.size()) - kSnapWindow;
  if (excess > 0) last_tokens_.erase(last_tokens_.begin(), last_tokens_.begin() + excess);
}

void Pot::CountEntries(std::int64_t entries) {
  counters_.peak_entries = std::max(counters_.peak_entries, entries);
}

std::span<const float> Pot::Logits() {
  if (!logits_valid_) {
    logits_.resize(static_cast<std::size_t>(pass_.decoder().vocabulary()));
    pass_.Logits(carried_, logits_);
    logits_valid_ = true;
  }
  return logits_;
}

void Pot::ReleaseQuestion() {
  question_begin_ = question_end_ = 0;
}

Pot::Mark Pot::SetMark() const {
  return {cache_.Mark(),   carried_,      last_tokens_, counters_,
          question_begin_, question_end_, logits_valid_};
}

void Pot::Rewind(const Mark& mark) {
  cache_.Rewind(mark.cache);
  for (auto& layer : entries_) {
    for (HeadEntries& head : layer) {
      head.origin.resize(static_cast<std::size_t>(mark.cache.length));
      head.surprise.resize(static_cast<std::size_t>(mark.cache.length));
    }
  }
  Reset(mark);
}

void Pot::Reset(const Mark& mark) {
  carried_ = mark.carried;
  last_tokens_ = mark.last_tokens;
  logits_valid_ = false;
  counters_ = mark.counters;
  sentence_.Clear();
  archive_.EndSentence();
  if (!text_ended_) archive_.Truncate(StreamPosition());
  question_begin_ = mark.question_begin;
  question_end_ = mark.question_end;
  pending_.clear();
  if (mark.logits) Logits();
}

}  // namespace ondine::memory
