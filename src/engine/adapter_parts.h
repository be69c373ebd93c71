// What adapters and pools consist of, for the library's own files.
#ifndef ONDINE_SRC_ENGINE_ADAPTER_PARTS_H_
#define ONDINE_SRC_ENGINE_ADAPTER_PARTS_H_

#include <memory>
#include <span>
#include <string>

#include "adapters/feature.h"
#include "adapters/lora.h"
#include "adapters/pool.h"
#include "compute/thread_pool.h"
#include "ondine/adapter.h"
#include "ondine/adapter_pool.h"

namespace ondine {

struct Adapter::Parts {
  AdapterInfo info;
  adapters::LoraAdapter lora;
};

struct AdapterPool::Parts {
  std::shared_ptr<const Model> model;
  PoolInfo info;
  adapters::Pool pool;
  adapters::FeatureReader features;
};

namespace engine {

// `path` is empty where it comes from no file.
std::shared_ptr<const Adapter> MakeAdapter(adapters::LoraAdapter lora, const std::string& path);

// All of them as one; null where they change nothing.
Result<std::shared_ptr<const models::Lora>> Combine(std::span<const ScaledAdapter> adapters,
                                                    const models::Decoder& decoder,
                                                    compute::ThreadPool& pool);

// Says which adapters with which scales; empty where they change nothing. What a model has read
// belongs to them.
std::string Identity(std::span<const ScaledAdapter> adapters);

// Tokens of the prompts, which features are read of. kInvalidArgument without examples, or for one
// whose prompt is empty.
Result<std::vector<std::vector<TokenId>>> PromptsOf(const std::vector<Example>& examples,
                                                    const Model& model);

}  // namespace engine
}  // namespace ondine

#endif  // ONDINE_SRC_ENGINE_ADAPTER_PARTS_H_
