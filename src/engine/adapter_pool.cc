#include "ondine/adapter_pool.h"

#include <cmath>
#include <numeric>

#include "adapters/feature.h"
#include "adapters/pool_file.h"
#include "base/guarded.h"
#include "base/quote.h"
#include "base/try.h"
#include "engine/adapter_parts.h"
#include "engine/model_parts.h"
#include "formats/gguf.h"
#include "models/base_fingerprint.h"

namespace ondine {
Result<std::vector<std::vector<TokenId>>> engine::PromptsOf(const std::vector<Example>& examples,
                                                            const Model& model) {
  if (examples.empty()) return MakeError(ErrorCode::kInvalidArgument, "there are no examples");
  std::vector<std::vector<TokenId>> prompts;
  for (const Example& example : examples) {
    prompts.push_back(model.Tokenize(example.prompt, /*add_bos=*/false));
    if (prompts.back().empty()) {
      return MakeError(ErrorCode::kInvalidArgument,
                       "example " + std::to_string(prompts.size()) + " has an empty prompt");
    }
  }
  return prompts;
}

Result<std::shared_ptr<const AdapterPool>> AdapterPool::Load(std::shared_ptr<const Model> model,
                                                             const std::string& path) {
  const auto load = [&]() -> Result<std::shared_ptr<const AdapterPool>> {
    if (model == nullptr) return MakeError(ErrorCode::kInvalidArgument, "a pool needs a model");
    ONDINE_ASSIGN(const formats::GgufFile file, formats::GgufFile::Open(path));
    compute::ThreadPool threads(1);
    ONDINE_ASSIGN(adapters::Pool pool, adapters::ReadPool(file, threads));
    const models::Decoder& decoder = *model->parts().decoder;
    const std::string fingerprint = models::BaseFingerprint(decoder);
    if (pool.base_fingerprint != fingerprint) {
      return MakeError(ErrorCode::kMismatch,
                       "the pool belongs to " + base::Quote(pool.base_name) +
                           " (pool.base.fingerprint " + base::Quote(pool.base_fingerprint) +
                           "), the model is " + base::Quote(model->info().name) + " (" +
                           fingerprint + ")",
                       path);
    }
    // Any blend has the tensors and shapes of the first adapter.
    adapters::LoraAdapter sample;
    sample.name = path;
    sample.architecture = pool.architecture;
    for (const auto& [tensor, all] : pool.matrices) sample.matrices[tensor] = all.front();
    ONDINE_TRY(adapters::CheckFits(sample, decoder));
    if (static_cast<std::int64_t>(pool.tasks.mean.size()) != decoder.layers().front().query.out()) {
      return MakeError(ErrorCode::kMismatch,
                       "the pool's mean has " + std::to_string(pool.tasks.mean.size()) +
                           " dimensions; the model's features have " +
                           std::to_string(decoder.layers().front().query.out()),
                       path);
    }
    PoolInfo info;
    info.path = path;
    info.fingerprint = adapters::Fingerprint(pool);
    info.base = pool.base_name;
    info.training = pool.training;
    info.provenance = pool.provenance;
    info.blend = pool.form;
    info.adapters = static_cast<std::int64_t>(pool.size());
    info.rank = pool.matrices.begin()->second.front().rank;
    info.alpha = pool.alpha;
    info.temperature = pool.temperature;
    adapters::FeatureReader features(model->parts().decoder);
    return std::shared_ptr<const AdapterPool>(new AdapterPool(std::make_unique<Parts>(
        Parts{std::move(model), std::move(info), std::move(pool), std::move(features)})));
  };
  return base::Guarded(load, "no memory for the pool", path);
}

AdapterPool::AdapterPool(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
AdapterPool::~AdapterPool() = default;

const PoolInfo& AdapterPool::info() const {
  return parts_->info;
}

// [query width]
Result<std::vector<float>> AdapterPool::FeatureOf(const std::vector<Example>& examples) const {
  return base::Guarded([&]() -> Result<std::vector<float>> {
    ONDINE_ASSIGN(const auto prompts, engine::PromptsOf(examples, *parts_->model));
    return parts_->features.Read(prompts);
  });
}

Result<PoolWeights> AdapterPool::Weigh(const std::vector<Example>& examples,
                                       std::optional<double> temperature) const {
  const double used = temperature.value_or(parts_->info.temperature);
  if (!std::isfinite(used) || !(used > 0)) {
    return MakeError(ErrorCode::kInvalidArgument, "a temperature must be above 0");
  }
  PoolWeights result;
  ONDINE_ASSIGN(const std::vector<float> feature, FeatureOf(examples));
  ONDINE_ASSIGN(result.similarities, adapters::Similarities(parts_->pool.tasks, feature));
  result.weights = adapters::SoftmaxOf(result.similarities, used);
  return result;
}

Result<std::vector<float>> AdapterPool::TaskOf(const std::vector<Example>& examples) const {
  ONDINE_ASSIGN(const std::vector<float> feature, FeatureOf(examples));
  return adapters::Direction(parts_->pool.tasks, feature);
}

Result<double> AdapterPool::Likeness(const std::vector<float>& task,
                                     std::string_view question) const {
  ONDINE_ASSIGN(const std::vector<float> direction, TaskOf({{std::string(question), ""}}));
  if (task.size() != direction.size()) {
    return MakeError(ErrorCode::kMismatch, "the task belongs to another pool");
  }
  return std::inner_product(task.begin(), task.end(), direction.begin(), 0.0);
}

Result<std::shared_ptr<const Adapter>> AdapterPool::Blend(const std::vector<double>& weights,
                                                          std::optional<BlendForm> form) const {
  const auto blend = [&]() -> Result<std::shared_ptr<const Adapter>> {
    ONDINE_ASSIGN(adapters::LoraAdapter lora,
                  adapters::Blend(parts_->pool, weights, form.value_or(parts_->info.blend)));
    return engine::MakeAdapter(std::move(lora), "");
  };
  return base::Guarded(blend, "no memory for the adapter");
}

}  // namespace ondine
