// Pot::Consolidate() and what it needs to know: the text that survived.
#include <algorithm>

#include "base/stopwatch.h"
#include "base/try.h"
#include "memory/pot.h"

namespace ondine::memory {
namespace {

// How many heads hold each of the tokens; both ascend by origin.
std::vector<int> Holders(const std::vector<std::vector<HeadEntries>>& entries,
                         const std::vector<ReadToken>& tokens) {
  std::vector<int> holders(tokens.size(), 0);
  for (const auto& layer : entries) {
    for (const HeadEntries& head : layer) {
      std::size_t i = 0;
      for (const std::int32_t origin : head.origin) {
        while (i < tokens.size() && tokens[i].origin < origin) ++i;
        if (i < tokens.size() && tokens[i].origin == origin) ++holders[i];
      }
    }
  }
  return holders;
}

int Heads(const std::vector<std::vector<HeadEntries>>& entries) {
  std::size_t heads = 0;
  for (const auto& layer : entries) heads += layer.size();
  return static_cast<int>(heads);
}

}  // namespace

bool Pot::consolidates() const {
  return distils() && *settings_.consolidate;
}

void Pot::ForgetDropped() {
  if (!consolidates()) return;
  const std::vector<int> holders = Holders(entries_, read_);
  std::size_t kept = 0;
  for (std::size_t i = 0; i < read_.size(); ++i) {
    if (holders[i] > 0) read_[kept++] = read_[i];
  }
  read_.resize(kept);
}

Status Pot::Consolidate(const StopToken& stop) {
  ONDINE_TRY(Flush(stop));
  if (!consolidates() || counters_.distillations == 0) return {};
  const base::Stopwatch watch(counters_.seconds_consolidation);
  const std::vector<int> holders = Holders(entries_, read_);
  const int heads = Heads(entries_);
  std::vector<ReadToken> agreed;
  for (std::size_t i = 0; i < read_.size(); ++i) {
    if (2 * holders[i] >= heads) agreed.push_back(read_[i]);
  }
  // Heads that differ much may agree on more than one of them can hold: the oldest go.
  const auto most = static_cast<std::size_t>(cache_.length());
  if (agreed.size() > most) {
    agreed.erase(agreed.begin() + prefix_end_,
                 agreed.begin() + prefix_end_ + static_cast<std::ptrdiff_t>(agreed.size() - most));
  }

  const std::int64_t stream = StreamPosition();
  const PotCounters before = counters_;
  cache_.Clear();
  for (auto& layer : entries_) {
    for (HeadEntries& head : layer) head = {};
  }
  carried_.clear();
  logits_valid_ = false;
  last_tokens_.clear();
  sentence_.Clear();
  skipped_ = 0;
  std::vector<TokenId> tokens;
  tokens.reserve(agreed.size());
  for (const ReadToken& token : agreed) tokens.push_back(token.token);
  constexpr auto kPass = static_cast<std::size_t>(models::DecoderPass::kMaxTokens);
  for (std::size_t i = 0; i < tokens.size(); i += kPass) {
    if (stop.Stopped()) return MakeError(ErrorCode::kCancelled, "stopped");
    ONDINE_TRY(RunPass(std::span(tokens).subspan(i, std::min(kPass, tokens.size() - i))));
  }
  sentence_.Clear();
  // Entries keep telling where in the text they come from.
  for (auto& layer : entries_) {
    for (HeadEntries& head : layer) {
      for (std::size_t i = 0; i < agreed.size(); ++i) head.origin[i] = agreed[i].origin;
    }
  }
  read_.clear();  // nothing is consolidated twice
  skipped_ = stream - cache_.position();
  counters_.tokens = before.tokens;
  counters_.seconds_model = before.seconds_model;
  counters_.seconds_surprise = before.seconds_surprise;
  return {};
}

}  // namespace ondine::memory
