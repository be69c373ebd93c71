// Pot::Distil(): which entries stay when the pot is full.
#include <algorithm>
#include <cmath>
#include <optional>

#include "base/stopwatch.h"
#include "base/try.h"
#include "memory/pot.h"
#include "memory/selection.h"

namespace ondine::memory {
namespace {

constexpr int kSnapSpan = 7;  // SnapKV's pooling
// A catalyst is read in slices, so that the attention weights of its rows stay small.
constexpr std::int64_t kCatalystSlice = 64;

// Larger where a key differs more from the mean direction of its head's keys (KeyDiff).
void KeyDifference(const compute::KvLayer& layer, int head, std::span<float> out) {
  const auto dims = static_cast<std::size_t>(layer.shape().head_dim);
  std::vector<float> key(dims);
  std::vector<double> mean(dims, 0.0);
  const auto norm = [](const auto& v) {
    double sum = 1e-20;
    for (auto x : v) sum += static_cast<double>(x) * static_cast<double>(x);
    return std::sqrt(sum);
  };
  for (std::size_t j = 0; j < out.size(); ++j) {
    layer.ReadKey(head, static_cast<std::int64_t>(j), key.data());
    const double length = norm(key);
    for (std::size_t c = 0; c < dims; ++c) mean[c] += static_cast<double>(key[c]) / length;
  }
  const double mean_length = norm(mean);
  for (std::size_t j = 0; j < out.size(); ++j) {
    layer.ReadKey(head, static_cast<std::int64_t>(j), key.data());
    double dot = 0;
    for (std::size_t c = 0; c < dims; ++c) dot += static_cast<double>(key[c]) * mean[c];
    out[j] = static_cast<float>(-dot / (norm(key) * mean_length));
  }
}

}  // namespace

Status Pot::Distil() {
  if (!distils()) {
    return MakeError(ErrorCode::kOutOfMemory, "the text does not fit into a cache of " +
                                                  std::to_string(settings_.slots) +
                                                  " entries that is not distilled");
  }
  if (cache_.length() <= kept_) {
    return MakeError(ErrorCode::kInvalidArgument,
                     "question and protected text leave no room in a pot of " +
                         std::to_string(settings_.slots) + " slots");
  }
  ONDINE_TRY(Observe());
  const base::Stopwatch watch(counters_.seconds_selection);

  struct Item {
    int layer, head;
  };
  std::vector<Item> items;
  for (std::size_t l = 0; l < entries_.size(); ++l) {
    for (std::size_t h = 0; h < entries_[l].size(); ++h) {
      items.push_back({static_cast<int>(l), static_cast<int>(h)});
    }
  }
  // Every head is chosen before any is moved, so that an error leaves the pot as it was.
  std::vector<std::vector<std::int32_t>> survivors(items.size());
  std::vector<Status> statuses(items.size());
  compute::ThreadPool& pool = pass_.pool();
  pool.Run([&](compute::Worker& worker) {
    const compute::Worker::Range share = worker.Share(static_cast<std::int64_t>(items.size()));
    for (auto i = static_cast<std::size_t>(share.begin); i < static_cast<std::size_t>(share.end);
         ++i) {
      std::vector<char> kept;
      statuses[i] = Select(items[i].layer, items[i].head, kept);
      survivors[i] = Marked(kept);
    }
  });
  for (std::size_t i = 0; i < items.size(); ++i) {
    ONDINE_TRY(statuses[i]);
    if (static_cast<std::int64_t>(survivors[i].size()) != kept_) {
      return MakeError(ErrorCode::kInternal, "a distillation kept a wrong number of entries");
    }
  }
  pool.Run([&](compute::Worker& worker) {
    const compute::Worker::Range share = worker.Share(static_cast<std::int64_t>(items.size()));
    for (auto i = static_cast<std::size_t>(share.begin); i < static_cast<std::size_t>(share.end);
         ++i) {
      const auto [layer, head] = items[i];
      cache_.store(layer).Keep(head, survivors[i]);
      HeadEntries& entries =
          entries_[static_cast<std::size_t>(layer)][static_cast<std::size_t>(head)];
      for (std::size_t j = 0; j < survivors[i].size(); ++j) {
        const auto from = static_cast<std::size_t>(survivors[i][j]);
        entries.origin[j] = entries.origin[from];
        entries.surprise[j] = entries.surprise[from];
      }
      entries.origin.resize(survivors[i].size());
      entries.surprise.resize(survivors[i].size());
    }
  });
  cache_.SetLength(kept_);
  last_tokens_.clear();
  if (!text_ended_) archive_.Trim(entries_);
  ++counters_.distillations;
  return {};
}

Status Pot::Observe() {
  const base::Stopwatch watch(counters_.seconds_catalyst);
  switch (settings_.policy) {
    case PotPolicy::kCap: return ObserveCatalyst();
    case PotPolicy::kInfiniPot: return *settings_.alpha < 1 ? ObserveCatalyst() : Status();
    case PotPolicy::kTova: return ObserveLastTokens(1);
    case PotPolicy::kSnapKv: return ObserveLastTokens(kSnapWindow);
    default: return {};
  }
}

// The catalyst stands at the end of the pot while it is read and leaves no trace.
Status Pot::ObserveCatalyst() {
  const std::int64_t entries = cache_.length();
  scores_.Start(entries, kCatalystSlice, settings_.over_catalyst, settings_.past_only);
  if (!cache_.Prepare(static_cast<std::int64_t>(catalyst_.size()))) {
    return MakeError(ErrorCode::kInternal, "the catalyst does not fit into the pot");
  }
  const models::KvCache::MarkPoint mark = cache_.Mark();
  for (std::size_t done = 0; done < catalyst_.size();) {
    const std::size_t n = std::min<std::size_t>(kCatalystSlice, catalyst_.size() - done);
    pass_.Run(std::span(catalyst_).subspan(done, n), cache_, &scores_);
    done += n;
  }
  CountEntries(cache_.length());
  cache_.Rewind(mark);
  return {};
}

// Runs the newest tokens once more: their keys and values stay what they are, their queries are
// observed.
Status Pot::ObserveLastTokens(std::int64_t count) {
  const auto known = static_cast<std::int64_t>(last_tokens_.size());
  const std::int64_t n = std::min(count, known);
  if (n == 0)
    return MakeError(ErrorCode::kInternal, "nothing was read since the last distillation");
  scores_.Start(cache_.length(), n, Reduce::kSum, false);
  models::KvCache::MarkPoint mark = cache_.Mark();
  mark.length -= n;
  mark.position -= n;
  cache_.Rewind(mark);
  if (!cache_.Prepare(n)) return MakeError(ErrorCode::kInternal, "the pot would overflow");
  pass_.Run(std::span(last_tokens_).last(static_cast<std::size_t>(n)), cache_, &scores_);
  return {};
}

void Pot::MarkProtected(const HeadEntries& head, std::vector<char>& kept) const {
  const std::size_t n = head.origin.size();
  kept.assign(n, 0);
  const std::int64_t first = ProtectedBeginning();
  for (std::size_t i = 0; i < n; ++i) {
    const std::int64_t origin = head.origin[i];
    kept[i] = origin < first || (origin >= question_begin_ && origin < question_end_) ||
              static_cast<std::int64_t>(n - i) <= recent_;
  }
}

Status Pot::Select(int layer, int head, std::vector<char>& kept) const {
  const HeadEntries& entries =
      entries_[static_cast<std::size_t>(layer)][static_cast<std::size_t>(head)];
  MarkProtected(entries, kept);
  const std::int64_t open = kept_ - std::count(kept.begin(), kept.end(), 1);
  if (open < 0) {
    return MakeError(ErrorCode::kInvalidArgument,
                     "protected text (" + std::to_string(kept_ - open) +
                         " tokens) is longer than the " + std::to_string(kept_) +
                         " entries a distillation keeps; take a larger --pot");
  }
  const std::size_t n = kept.size();
  std::vector<float> first(n), second(n), buffer;
  std::vector<Ranking> rankings;
  const auto by_surprise = [&](std::vector<float>& scores, int span, std::int64_t count) {
    scores = entries.surprise;
    MeanOverNeighbours(scores, span, buffer);
    rankings.push_back({scores, count});
  };
  const auto by_catalyst = [&](std::vector<float>& scores, std::int64_t count) {
    scores_.ForHead(layer, head, settings_.over_group, scores);
    MeanOverNeighbours(scores, settings_.attention_span, buffer);
    rankings.push_back({scores, count});
  };
  switch (settings_.policy) {
    case PotPolicy::kInfiniPot: {
      const std::int64_t surprising = std::llround(*settings_.alpha * static_cast<double>(open));
      if (surprising > 0) by_surprise(first, settings_.surprise_span, surprising);
      if (surprising < open) by_catalyst(second, open - surprising);
      break;
    }
    case PotPolicy::kCap: by_catalyst(first, open); break;
    case PotPolicy::kSirLlm: by_surprise(first, settings_.surprise_span, open); break;
    case PotPolicy::kSnapKv:
      scores_.ForHead(layer, head, Reduce::kMean, first);
      MeanOverNeighbours(first, kSnapSpan, buffer);
      rankings.push_back({first, open});
      break;
    case PotPolicy::kTova:
      scores_.ForLayer(layer, first);
      rankings.push_back({first, open});
      break;
    case PotPolicy::kKeyDiff:
      KeyDifference(cache_.layer(layer).store, head, first);
      rankings.push_back({first, open});
      break;
    case PotPolicy::kStreaming:
      for (std::size_t i = 0; i < n; ++i) first[i] = static_cast<float>(i);
      rankings.push_back({first, open});
      break;
    case PotPolicy::kTruncate:
    case PotPolicy::kFull: break;
  }
  return Choose(rankings, kept);
}

}  // namespace ondine::memory
