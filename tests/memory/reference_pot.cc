#include "memory/reference_pot.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace ondine::testing {
namespace {

std::vector<float> Pooled(const std::vector<float>& values, int span) {
  if (span == 1) return values;
  const int n = static_cast<int>(values.size()), left = (span - 1) / 2, right = span - 1 - left;
  std::vector<float> means;
  for (int i = 0; i < n; ++i) {
    const auto begin = values.begin() + std::max(0, i - left);
    const auto end = values.begin() + std::min(n, i + right + 1);
    means.push_back(
        static_cast<float>(std::accumulate(begin, end, 0.0) / static_cast<double>(end - begin)));
  }
  return means;
}

// Adds the `count` best that are not there yet.
void TakeBest(const std::vector<float>& scores, std::int64_t count, std::vector<char>& taken) {
  std::vector<std::size_t> order(scores.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return scores[a] > scores[b]; });
  for (const std::size_t i : order) {
    if (count > 0 && !taken[i]) {
      taken[i] = 1;
      --count;
    }
  }
}

}  // namespace

ReferencePot::ReferencePot(std::shared_ptr<const models::Decoder> decoder,
                           compute::ThreadPool& pool, const PotSettings& settings, Tokens catalyst)
    : settings_(settings),
      kept_(static_cast<std::int64_t>(settings.keep * static_cast<double>(settings.slots))),
      catalyst_(std::move(catalyst)),
      pass_(decoder, pool),
      cache_(decoder->spec(),
             {settings.slots, compute::KvType::kF16,
              settings.reset_positions ? models::Positions::kReset : models::Positions::kOriginal}),
      scores_(decoder->spec(), settings.slots),
      entries_(static_cast<std::size_t>(decoder->spec().layers)) {
  for (auto& layer : entries_) layer.resize(static_cast<std::size_t>(decoder->spec().kv_heads));
}

void ReferencePot::Read(const Tokens& text) {
  for (std::size_t done = 0; done < text.size();) {
    const auto room =
        settings_.slots - static_cast<std::int64_t>(catalyst_.size()) - cache_.length();
    if (room == 0) {
      Distil();
      continue;
    }
    const std::size_t n = std::min({static_cast<std::size_t>(room), text.size() - done,
                                    static_cast<std::size_t>(models::DecoderPass::kMaxTokens)});
    const auto begin = text.begin() + static_cast<std::ptrdiff_t>(done);
    RunBlock(Tokens(begin, begin + static_cast<std::ptrdiff_t>(n)));
    done += n;
  }
}

void ReferencePot::RunBlock(const Tokens& block) {
  const auto first = static_cast<std::int32_t>(cache_.position());
  cache_.Prepare(static_cast<std::int64_t>(block.size()));
  pass_.Run(block, cache_);
  std::vector<float> surprise(block.size(), 0.0f);
  pass_.Surprise(std::span(block).subspan(1), 1, std::span(surprise).subspan(1));
  if (!carried_.empty()) surprise[0] = pass_.Surprise(carried_, block[0], 1);
  const auto last = pass_.Hidden(pass_.rows() - 1);
  carried_.assign(last.begin(), last.end());
  for (auto& layer : entries_) {
    for (memory::HeadEntries& head : layer) {
      for (std::size_t i = 0; i < block.size(); ++i) {
        head.origin.push_back(first + static_cast<std::int32_t>(i));
        head.surprise.push_back(surprise[i]);
      }
    }
  }
}

void ReferencePot::Distil() {
  scores_.Start(cache_.length(), static_cast<std::int64_t>(catalyst_.size()),
                settings_.over_catalyst, settings_.past_only);
  if (!catalyst_.empty()) {
    const auto mark = cache_.Mark();
    cache_.Prepare(static_cast<std::int64_t>(catalyst_.size()));
    pass_.Run(catalyst_, cache_, &scores_);
    cache_.Rewind(mark);
  }
  for (std::size_t l = 0; l < entries_.size(); ++l) {
    for (std::size_t h = 0; h < entries_[l].size(); ++h) {
      memory::HeadEntries& head = entries_[l][h];
      const std::vector<std::int32_t> slots =
          Select(static_cast<int>(l), static_cast<int>(h), head);
      cache_.store(static_cast<int>(l)).Keep(static_cast<int>(h), slots);
      memory::HeadEntries survivors;
      for (const std::int32_t slot : slots) {
        survivors.origin.push_back(head.origin[static_cast<std::size_t>(slot)]);
        survivors.surprise.push_back(head.surprise[static_cast<std::size_t>(slot)]);
      }
      head = std::move(survivors);
    }
  }
  cache_.SetLength(kept_);
}

std::vector<std::int32_t> ReferencePot::Select(int layer, int head,
                                               const memory::HeadEntries& entries) const {
  const std::size_t n = entries.origin.size();
  std::vector<char> taken(n, 0);
  for (std::size_t i = 0; i < n; ++i) {
    taken[i] = entries.origin[i] < settings_.sinks ||
               static_cast<std::int64_t>(n - i) <= *settings_.recent;
  }
  const auto open = kept_ - std::count(taken.begin(), taken.end(), 1);
  std::int64_t surprising = std::llround(*settings_.alpha * static_cast<double>(open));
  if (settings_.policy == PotPolicy::kCap) surprising = 0;
  if (settings_.policy == PotPolicy::kSirLlm) surprising = open;
  TakeBest(Pooled(entries.surprise, settings_.surprise_span), surprising, taken);
  std::vector<float> attention(n);
  scores_.ForHead(layer, head, settings_.over_group, attention);
  TakeBest(Pooled(attention, settings_.attention_span), open - surprising, taken);
  std::vector<std::int32_t> slots;
  for (std::size_t i = 0; i < n; ++i) {
    if (taken[i]) slots.push_back(static_cast<std::int32_t>(i));
  }
  return slots;
}

}  // namespace ondine::testing
