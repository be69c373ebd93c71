// A pool of base adapters for one model, and what is needed to weigh them for a task. Crayon (Bang,
// Lee, Shim, Yang, Chang, ACL 2024, arXiv 2406.07007).
#ifndef ONDINE_SRC_ADAPTERS_POOL_H_
#define ONDINE_SRC_ADAPTERS_POOL_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "adapters/lora.h"
#include "ondine/adapter_pool.h"
#include "ondine/result.h"

namespace ondine::adapters {

struct Pool {
  std::string name;
  std::string architecture;      // of the base model
  std::string base_name;         // of the base model, for messages
  std::string base_fingerprint;  // models::BaseFingerprint
  std::string training;          // "joint" or "independent"
  std::string provenance;        // data sets, steps, command
  BlendForm form = BlendForm::kSeparate;
  double alpha = 0;                            // as in LoraAdapter, never 0
  double temperature = 0;                      // of the softmax over similarities
  std::vector<float> mean;                     // [dims] of the training data's features
  std::vector<std::vector<float>> indicators;  // [adapters][dims], of length 1
  std::map<std::string, std::vector<LowRankFactors>> matrices;  // by tensor, [adapters]

  std::size_t size() const { return indicators.size(); }
};

// Cosines of a task, given by its mean feature [dims], with the indicators. All 0 where the feature
// is the pool's mean itself. kMismatch where the dimensions differ, kInvalidArgument where a number
// is not finite.
Result<std::vector<double>> Similarities(const Pool& pool, const std::vector<float>& feature);

// softmax(similarities / temperature).
std::vector<double> SoftmaxOf(const std::vector<double>& similarities, double temperature);

// One adapter out of all. `weights` has one for each, finite, whatever their sum.
Result<LoraAdapter> Blend(const Pool& pool, const std::vector<double>& weights, BlendForm form);

}  // namespace ondine::adapters

#endif  // ONDINE_SRC_ADAPTERS_POOL_H_
