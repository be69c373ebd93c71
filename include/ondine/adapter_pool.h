// Customising a model from a few examples, without training: base adapters of a pool are blended
// into one. Crayon (Bang, Lee, Shim, Yang, Chang, ACL 2024, arXiv 2406.07007).
#ifndef ONDINE_ADAPTER_POOL_H_
#define ONDINE_ADAPTER_POOL_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ondine/adapter.h"
#include "ondine/model.h"
#include "ondine/result.h"

namespace ondine {

// What a user wants of the model. Blending looks at prompts only.
struct Example {
  std::string prompt;
  std::string answer;  // may be empty
};

// From a file of JSON lines, {"prompt": "...", "answer": "..."}, the answer optional; blank lines
// do not count. Errors: kNotFound, kIo, kCorrupt (names the line), kInvalidArgument (no example).
Result<std::vector<Example>> LoadExamples(const std::string& path);

// How weights w become one adapter: (sum w B)(sum w A), of the pool's rank, or sum w (B A), of the
// summed rank.
enum class BlendForm { kSeparate, kProduct };
Result<BlendForm> ParseBlendForm(std::string_view name);
const char* BlendFormName(BlendForm form);

struct PoolInfo {
  std::string path;
  std::string fingerprint;                 // of what decides of a blend
  std::string base;                        // name of the model it was trained for
  std::string training;                    // "joint" or "independent"
  std::string provenance;                  // data sets, steps, command
  BlendForm blend = BlendForm::kSeparate;  // that it was trained for
  std::int64_t adapters = 0, rank = 0;
  double alpha = 0, temperature = 0;
};

struct PoolWeights {
  std::vector<double> similarities;  // of the task to each adapter's data, -1 to 1
  std::vector<double> weights;       // softmax(similarities / temperature)
};

// Immutable; share it between threads freely.
class AdapterPool {
 public:
  // kMismatch where the pool was trained for another model; quantisations of one model are alike.
  static Result<std::shared_ptr<const AdapterPool>> Load(std::shared_ptr<const Model> model,
                                                         const std::string& path);
  ~AdapterPool();

  const PoolInfo& info() const;

  // For the task that these examples stand for; their order does not matter. `temperature`: instead
  // of the pool's. kInvalidArgument without examples, or for one whose prompt is empty.
  Result<PoolWeights> Weigh(const std::vector<Example>& examples,
                            std::optional<double> temperature = {}) const;

  // Where the task of these examples lies: a direction of length 1 among the questions that the
  // pool was trained on. Errors: those of Weigh().
  Result<std::vector<float>> TaskOf(const std::vector<Example>& examples) const;
  // How much a question is of the task: the cosine of both directions, -1 to 1. Needs no pass
  // through the model.
  Result<double> Likeness(const std::vector<float>& task, std::string_view question) const;

  // One adapter out of all: `weights` has a finite number for each. `form`: the pool's own.
  Result<std::shared_ptr<const Adapter>> Blend(const std::vector<double>& weights,
                                               std::optional<BlendForm> form = {}) const;

  // For the library's own use.
  struct Parts;
  const Parts& parts() const { return *parts_; }

 private:
  explicit AdapterPool(std::unique_ptr<Parts> parts);
  Result<std::vector<float>> FeatureOf(const std::vector<Example>& examples) const;
  std::unique_ptr<Parts> parts_;
};

}  // namespace ondine

#endif  // ONDINE_ADAPTER_POOL_H_
