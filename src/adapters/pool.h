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

// Where tasks lie, as the features of a pool's training data show.
struct TaskSpace {
  std::vector<float> mean;                     // [dims]
  std::vector<std::vector<float>> indicators;  // one an adapter, [dims], of length 1
};

// feature - mean, of length 1; 0 where they are the same.
std::vector<float> Direction(const TaskSpace& tasks, const std::vector<float>& feature);

// Cosines of a task, given by its mean feature [dims], with the indicators. All 0 where the feature
// is the mean itself. kMismatch where the dimensions differ, kInvalidArgument where a number is not
// finite.
Result<std::vector<double>> Similarities(const TaskSpace& tasks, const std::vector<float>& feature);

// softmax(similarities / temperature).
std::vector<double> SoftmaxOf(const std::vector<double>& similarities, double temperature);

struct Pool {
  std::string name;
  std::string architecture;      // of the base model
  std::string base_name;         // of the base model, for messages
  std::string base_fingerprint;  // models::BaseFingerprint
  std::string training;          // "joint" or "independent"
  std::string provenance;        // data sets, steps, objective, seed
  BlendForm form = BlendForm::kSeparate;
  double alpha = 0;        // as in LoraAdapter, never 0
  double temperature = 0;  // of the softmax over similarities
  TaskSpace tasks;
  std::map<std::string, std::vector<LowRankFactors>> matrices;  // by tensor, [adapters]

  std::size_t size() const { return tasks.indicators.size(); }
};

// 16 hexadecimal digits of a hash over what decides of a blend.
std::string Fingerprint(const Pool& pool);

// One adapter out of all. `weights` has one for each, finite, whatever their sum.
Result<LoraAdapter> Blend(const Pool& pool, const std::vector<double>& weights, BlendForm form);

}  // namespace ondine::adapters

#endif  // ONDINE_SRC_ADAPTERS_POOL_H_
