// The pot: a KV cache of fixed size that is distilled to its most useful entries whenever it is
// full, so that a model reads text of any length in it. InfiniPot, Kim et al., EMNLP 2024 (arXiv
// 2410.01518). The memory is lossy.
#ifndef ONDINE_POT_H_
#define ONDINE_POT_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ondine/result.h"

namespace ondine {

// What a distillation keeps. All work on the same loop, protection and positions.
enum class PotPolicy {
  kInfiniPot,  // surprise first (NuC), then attention of the catalyst prompt (CaP)
  kCap,        // attention of the catalyst prompt only
  kSirLlm,     // surprise only
  kSnapKv,     // attention of the last tokens
  kTova,       // attention of the last token, the same entries for all heads of a layer
  kKeyDiff,    // keys that differ most from the mean key
  kStreaming,  // sinks and the most recent entries
  kTruncate,   // never distils: first and last part of the text, the middle is not read
  kFull,       // never distils: an error where the text does not fit
};

Result<PotPolicy> ParsePotPolicy(std::string_view name);
const char* PotPolicyName(PotPolicy policy);
std::vector<std::string> PotPolicyNames();

// Element type of stored keys and values. q8_0 holds nearly twice, q4_0 3.6 times the entries of
// f16 in the same bytes.
enum class CacheType { kF16, kQ8_0, kQ4_0 };

Result<CacheType> ParseCacheType(std::string_view name);
const char* CacheTypeName(CacheType type);

// How attention of catalyst tokens becomes one number per entry.
enum class Reduce { kSum, kMax, kMean };

struct PotSettings {
  std::int64_t slots = 2048;  // M: entries per layer and KV head, never exceeded, catalyst included
  PotPolicy policy = PotPolicy::kInfiniPot;
  double keep = 0.5;  // share of the slots that survives a distillation: C = floor(keep * M)
  // Share of the free survivors that is chosen by surprise. Absent: 1; 0.5 where the question is
  // known while the text is read.
  std::optional<double> alpha;
  // Surprise is averaged over whole sentences (0) or over this many neighbours in the text,
  // attention over that many; 1 is the paper's form. Small models need whole statements to survive,
  // not single tokens.
  int surprise_span = 0;
  int attention_span = 7;
  // How much of a token's rarity is taken off its surprise: -log p(x | text) + rarity * log p(x),
  // with p(x) from the rank in the vocabulary. 1: how unexpected a token is here; 0: the paper's
  // form, which rare words fill.
  double rarity = 1;
  // Surprise needs the model's head at every position. With 1 it is exact; with n the normaliser is
  // estimated from the 4,096 most frequent tokens and every n-th slice of the others
  // (docs/results).
  int surprise_stride = 16;
  Reduce over_catalyst = Reduce::kSum;  // kSum or kMax over the catalyst's tokens
  Reduce over_group = Reduce::kMax;     // kMax or kMean over the query heads that share a KV head
  bool past_only = false;               // softmax over the text's entries only, not the catalyst's
  int sinks = 4;                        // first tokens of the text, always kept
  std::optional<int> recent;            // newest tokens, always kept; absent: min(M/10, C/4)
  bool reset_positions = true;          // survivors move up to positions 0, 1, 2, ... (CR-RoPE)
  CacheType type = CacheType::kF16;
  // At the end of a text that had to be distilled, what survived is read once more as one text, so
  // that its keys and values fit together. Absent: where Session::Read() reads it and with
  // kInfiniPot.
  std::optional<bool> consolidate;
  // Tokens of the text that stay known as text, 16 bytes each: what half of the heads hold, and the
  // most surprising sentences. What is known can be read once more for a question. Absent: 32 for
  // each slot where `consolidate` would be, else 0.
  std::optional<std::int64_t> archive;
  // Read like a future question to score entries (CaP-G).
  std::string catalyst = "Summarize the critical points";
};

}  // namespace ondine

#endif  // ONDINE_POT_H_
