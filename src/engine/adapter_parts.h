// What an Adapter consists of, for the engine's own files.
#ifndef ONDINE_SRC_ENGINE_ADAPTER_PARTS_H_
#define ONDINE_SRC_ENGINE_ADAPTER_PARTS_H_

#include <memory>
#include <span>
#include <string>

#include "adapters/lora.h"
#include "compute/thread_pool.h"
#include "ondine/adapter.h"

namespace ondine {

struct Adapter::Parts {
  AdapterInfo info;
  adapters::LoraAdapter lora;
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

}  // namespace engine
}  // namespace ondine

#endif  // ONDINE_SRC_ENGINE_ADAPTER_PARTS_H_
