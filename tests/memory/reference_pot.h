// The loop of continual context distillation in its plainest form, one step after the other: what
// Pot must equal.
#ifndef ONDINE_TESTS_MEMORY_REFERENCE_POT_H_
#define ONDINE_TESTS_MEMORY_REFERENCE_POT_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "memory/attention_scores.h"
#include "memory/pot_fixture.h"
#include "models/decoder_pass.h"
#include "models/kv_cache.h"

namespace ondine::testing {

// Policies infinipot, cap and sirllm; `recent` must be set.
class ReferencePot {
 public:
  ReferencePot(std::shared_ptr<const models::Decoder> decoder, compute::ThreadPool& pool,
               const PotSettings& settings, Tokens catalyst);
  void Read(const Tokens& text);
  // [layer][head]
  const std::vector<std::vector<memory::HeadEntries>>& entries() const { return entries_; }
  const std::vector<float>& carried() const { return carried_; }

 private:
  void RunBlock(const Tokens& block);
  void Distil();
  std::vector<std::int32_t> Select(int layer, int head, const memory::HeadEntries& entries) const;

  PotSettings settings_;
  std::int64_t kept_;
  Tokens catalyst_;
  models::DecoderPass pass_;
  models::KvCache cache_;
  memory::AttentionScores scores_;
  std::vector<std::vector<memory::HeadEntries>> entries_;
  std::vector<float> carried_;
};

}  // namespace ondine::testing

#endif  // ONDINE_TESTS_MEMORY_REFERENCE_POT_H_
