// LoRA adapters as numbers: what they add to a model's matrices, and how several become one.
#ifndef ONDINE_SRC_ADAPTERS_LORA_H_
#define ONDINE_SRC_ADAPTERS_LORA_H_

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "compute/thread_pool.h"
#include "models/lora.h"
#include "ondine/result.h"

namespace ondine::adapters {

// Far more than anyone trains.
inline constexpr std::int64_t kMostRank = 4096;

// What is added to one matrix W: scale * B A.
struct LowRankFactors {
  std::int64_t in = 0, out = 0, rank = 0;
  std::vector<float> a;  // [rank][in]
  std::vector<float> b;  // [out][rank]
};

struct LoraAdapter {
  std::string name;
  std::string architecture;  // of the model it belongs to
  // The product is multiplied by alpha / rank, or taken as it is where alpha is 0.
  double alpha = 0;
  std::map<std::string, LowRankFactors> matrices;  // by tensor: "blk.0.attn_q.weight"

  float Factor(const LowRankFactors& factors) const;
};

// 16 hexadecimal digits of a hash over all that it adds.
std::string Fingerprint(const LoraAdapter& adapter);

// ||B A||^2, Frobenius.
double SquaredNorm(const LowRankFactors& factors);

// Errors: kMismatch (another architecture, a matrix that the model has not or of another shape, by
// name).
Status CheckFits(const LoraAdapter& adapter, const models::Decoder& decoder);

struct ScaledLora {
  const LoraAdapter* adapter;
  float scale;
};

// All of them as one addition to the decoder's matrices: factors are stacked, so that the rank is
// the sum of the ranks. Adapters with scale 0 are left out; null where nothing remains. Errors:
// those of CheckFits(), kInvalidArgument (a scale that is not finite), kOutOfMemory.
Result<std::shared_ptr<const models::Lora>> Combine(std::span<const ScaledLora> adapters,
                                                    const models::Decoder& decoder,
                                                    compute::ThreadPool& pool);

}  // namespace ondine::adapters

#endif  // ONDINE_SRC_ADAPTERS_LORA_H_
