// Pot::EndText(): what survived is read once more as one text.
#include <algorithm>

#include "base/stopwatch.h"
#include "base/try.h"
#include "memory/pot.h"

namespace ondine::memory {

Status Pot::EndText(const StopToken& stop) {
  ONDINE_TRY(Flush(stop));
  text_ended_ = true;
  const bool consolidate = distils() && *settings_.consolidate && counters_.distillations > 0;
  return consolidate ? Consolidate(stop) : Status();
}

Status Pot::Consolidate(const StopToken& stop) {
  const base::Stopwatch watch(counters_.seconds_consolidation);
  archive_.CountHolders(entries_);
  const std::size_t heads = CountHeads(entries_);
  std::vector<std::int32_t> origins;
  std::vector<TokenId> tokens;
  for (const KnownToken& token : known()) {
    if (!IsHeld(token, heads)) continue;
    origins.push_back(token.origin);
    tokens.push_back(token.token);
  }
  // Heads that differ much may agree on more than one of them can hold: the oldest go.
  const auto most = static_cast<std::size_t>(cache_.length());
  if (tokens.size() > most) {
    const auto excess = static_cast<std::ptrdiff_t>(tokens.size() - most);
    const auto first = static_cast<std::ptrdiff_t>(ProtectedBeginning());
    origins.erase(origins.begin() + first, origins.begin() + first + excess);
    tokens.erase(tokens.begin() + first, tokens.begin() + first + excess);
  }
  if (tokens.empty()) return {};  // heads that agree on nothing keep what each of them has

  const std::int64_t stream = StreamPosition();
  const PotCounters before = counters_;
  cache_.Clear();
  for (LayerEntries& layer : entries_) {
    for (HeadEntries& head : layer) head = {};
  }
  carried_.clear();
  logits_valid_ = false;
  last_tokens_.clear();
  sentence_.Clear();
  skipped_ = 0;
  constexpr auto kPass = static_cast<std::size_t>(models::DecoderPass::kMaxTokens);
  for (std::size_t i = 0; i < tokens.size(); i += kPass) {
    if (stop.Stopped()) return MakeError(ErrorCode::kCancelled, "stopped");
    ONDINE_TRY(RunPass(std::span(tokens).subspan(i, std::min(kPass, tokens.size() - i))));
  }
  sentence_.Clear();
  // Entries keep telling where in the text they come from.
  for (LayerEntries& layer : entries_) {
    for (HeadEntries& head : layer) head.origin = origins;
  }
  skipped_ = stream - cache_.position();
  counters_.tokens = before.tokens;
  counters_.seconds_model = before.seconds_model;
  counters_.seconds_surprise = before.seconds_surprise;
  return {};
}

}  // namespace ondine::memory
