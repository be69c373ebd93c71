// A conversation's KV cache of fixed size: reads tokens, distils itself when it is full, generates.
// InfiniPot, Kim et al., EMNLP 2024 (arXiv 2410.01518): continual context distillation with the
// catalyst prompt (CaP) and novelty under compression (NuC).
#ifndef ONDINE_SRC_MEMORY_POT_H_
#define ONDINE_SRC_MEMORY_POT_H_

#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "memory/archive.h"
#include "memory/attention_scores.h"
#include "memory/sentences.h"
#include "models/decoder_pass.h"
#include "models/kv_cache.h"
#include "ondine/pot.h"
#include "ondine/progress.h"
#include "ondine/result.h"

namespace ondine::memory {

// Far more than any text that is read at once; streams may be much longer.
inline constexpr std::int64_t kMostSlots = std::int64_t{1} << 24;

// Tokens of a stream. Their origins have 32 bits; what a pot may hold for a moment has room behind.
inline constexpr std::int64_t kLongestStream =
    std::numeric_limits<std::int32_t>::max() - kMostSlots;

// SnapKV's window, as its authors use it under continual distillation.
inline constexpr std::int64_t kSnapWindow = 32;

struct PotCounters {
  std::int64_t tokens = 0;        // that went in, catalysts not counted
  std::int64_t peak_entries = 0;  // of any global layer and head, catalyst included
  std::int64_t distillations = 0;
  double seconds_model = 0;          // forward passes over text
  double seconds_surprise = 0;       // head over all positions (NuC)
  double seconds_catalyst = 0;       // forward passes over the catalyst (CaP)
  double seconds_selection = 0;      // choosing entries and moving them together
  double seconds_consolidation = 0;  // reading the survivors once more
};

// How the engine stores entries of a pot.
compute::KvType ToKvType(CacheType type);

class Pot {
 public:
  // `catalyst` is the general prompt (CaP-G), at most 512 tokens; its length is P. `ends` covers
  // the vocabulary; without it, text has no punctuation. `lora` may be null. Errors:
  // kInvalidArgument where settings contradict each other (C + P < M and protected < C must hold),
  // kOutOfMemory.
  static Result<std::unique_ptr<Pot>> Create(const std::shared_ptr<const models::Decoder>& decoder,
                                             compute::ThreadPool& pool, const PotSettings& settings,
                                             std::vector<TokenId> catalyst,
                                             std::shared_ptr<const SentenceEnds> ends = nullptr,
                                             std::shared_ptr<const models::Lora> lora = nullptr);

  // Whether Create() would take these settings, with a catalyst of so many tokens.
  static Status Check(const models::DecoderSpec& spec, const PotSettings& wanted,
                      std::int64_t catalyst);

  const PotSettings& settings() const { return settings_; }
  std::int64_t length() const { return cache_.length(); }
  std::int64_t capacity() const { return settings_.slots; }
  std::int64_t kept() const { return kept_; }  // C
  const PotCounters& counters() const { return counters_; }
  std::int64_t prefix_tokens() const { return prefix_end_; }
  // Keys and values, entry lists, scoring buffers and archive.
  std::size_t bytes() const;

  enum class Part {
    kPrefix,    // of a chat template, at the beginning: survives every distillation
    kText,      // may be dropped
    kQuestion,  // survives until ReleaseQuestion()
  };
  // Reads tokens, whose ids must be valid. They are collected into passes of 256, so that results
  // do not depend on how the caller cuts the text; Flush() runs what is left, and so does a change
  // of part. Errors: kCancelled, kOutOfMemory where the policy never distils and the pot is full,
  // kUnsupported where the stream would become longer than kLongestStream.
  Status Feed(std::span<const TokenId> tokens, Part part, const StopToken& stop);
  Status Flush(const StopToken& stop);

  // At the end of a text: what comes later does not get into known(). Where the text had to be
  // distilled and the settings ask for it, the tokens that at least half of the heads hold are read
  // once more, as one text. After an error the pot is unusable.
  Status EndText(const StopToken& stop);

  // Receives the surprise of all tokens as they are read, whatever the policy needs.
  void OnSurprise(std::function<void(std::span<const float>)> listener) {
    surprise_listener_ = std::move(listener);
  }

  // Logits [vocabulary] of the token that follows everything read so far; valid until the next call
  // of Feed(). Something must have been read and flushed.
  std::span<const float> Logits();

  // Ends the protection of the question.
  void ReleaseQuestion();
  // False where Rewind() could not undo `tokens` more: they would bring about a distillation, or a
  // sliding window would move on too far.
  bool CanRewind(std::int64_t tokens) const;
  // The longest question that is protected as a whole; what stands before is read as text.
  std::int64_t LongestQuestion() const;
  // Nothing more fits and nothing is distilled.
  bool Full() const;

  // Of every layer (empty for sliding-window layers) and KV head.
  const std::vector<LayerEntries>& entries() const { return entries_; }
  // What is known of the text as text.
  std::span<const KnownToken> known() const { return archive_.tokens(); }
  const models::KvCache& cache() const { return cache_; }
  const std::vector<float>& carried() const { return carried_; }

  // Undoes what was fed since the mark, as far as CanRewind() allowed it there.
  struct Mark {
    models::KvCache::MarkPoint cache;
    std::vector<float> carried;
    std::vector<TokenId> last_tokens;
    PotCounters counters;
    std::int64_t question_begin, question_end;
    bool logits;  // were known, on which the surprise of the next token depends
  };
  Mark SetMark() const;
  void Rewind(const Mark& mark);
  // Peaks of what was undone count.
  void NotePeak(std::int64_t entries) { CountEntries(entries); }

 private:
  friend class PotIo;
  friend class PotSnapshot;
  Pot(const std::shared_ptr<const models::Decoder>& decoder, compute::ThreadPool& pool,
      const PotSettings& settings, std::vector<TokenId> catalyst,
      std::shared_ptr<const SentenceEnds> ends, std::shared_ptr<const models::Lora> lora);
  bool distils() const;
  bool archives() const;  // whether tokens of the text are known
  bool needs_surprise() const;
  // Length up to which text is read: the catalyst must still fit above it.
  std::int64_t limit() const;
  // Tokens at the beginning that are never dropped.
  std::int64_t ProtectedBeginning() const;

  // Index in the stream of the next token.
  std::int64_t StreamPosition() const { return cache_.position() + skipped_; }
  Status Consolidate(const StopToken& stop);

  Status RunReady(std::int64_t at_least, const StopToken& stop);
  Status RunPass(std::span<const TokenId> tokens);
  void AppendEntries(std::span<const TokenId> tokens, std::span<const float> surprise);
  // Gives the entries of each sentence that `tokens`, the newest, belong to its mean surprise.
  void AverageSentences(std::span<const TokenId> tokens, std::span<const float> surprise);
  void Remember(std::span<const TokenId> tokens);

  Status Distil();
  // Attention scores for the policy at hand, where it needs some.
  Status Observe();
  Status ObserveCatalyst();
  Status ObserveLastTokens(std::int64_t count);
  Status Select(int layer, int head, std::vector<char>& kept) const;
  void MarkProtected(const HeadEntries& head, std::vector<char>& kept) const;
  void CountEntries(std::int64_t entries);
  // Everything of a mark but the cache and the entries.
  void Reset(const Mark& mark);

  PotSettings settings_;
  std::int64_t kept_;
  std::int64_t recent_;
  std::vector<TokenId> catalyst_;
  models::DecoderPass pass_;
  models::KvCache cache_;
  AttentionScores scores_;
  std::vector<LayerEntries> entries_;  // [layer][head]
  SentenceMean sentence_;              // the one being read
  Archive archive_;
  bool text_ended_ = false;
  std::vector<float> carried_;  // last row of the final norm: predicts the next token
  std::vector<float> logits_;   // [vocabulary], empty until asked for
  bool logits_valid_ = false;
  std::vector<TokenId> pending_;
  Part pending_part_ = Part::kText;
  std::vector<TokenId> last_tokens_;  // newest ones since the last distillation, for Observe()
  std::int64_t skipped_ = 0;          // tokens of the stream that consolidation left out
  std::int64_t prefix_end_ = 0;       // stream positions [0, prefix_end_) are protected
  std::int64_t question_begin_ = 0, question_end_ = 0;  // and these
  PotCounters counters_;
  std::function<void(std::span<const float>)> surprise_listener_;
};

}  // namespace ondine::memory

#endif  // ONDINE_SRC_MEMORY_POT_H_
