// Random adapters and pools for tiny models.
#ifndef ONDINE_TESTS_ADAPTERS_ADAPTER_FIXTURE_H_
#define ONDINE_TESTS_ADAPTERS_ADAPTER_FIXTURE_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "adapters/lora.h"
#include "adapters/pool.h"
#include "base/temp_dir.h"
#include "formats/gguf.h"
#include "models/decoder.h"
#include "models/tiny_model.h"

namespace ondine::testing {

std::shared_ptr<const models::Decoder> LoadDecoder(const std::string& path);

// Changes the matrices named, of all layers: "attn_q", ...
adapters::LoraAdapter RandomLora(const models::Decoder& decoder,
                                 const std::vector<std::string>& targets, std::int64_t rank,
                                 std::uint32_t seed);

// For the queries and values of all layers; indicators and mean are random.
adapters::Pool RandomPool(const models::Decoder& decoder, std::int64_t adapters, std::int64_t rank,
                          std::uint32_t seed = 1);

// factor * B A, [out][in].
std::vector<float> Product(const adapters::LowRankFactors& factors, float factor);

// Logits [vocabulary] after a few tokens, read with these adapters.
std::vector<float> LogitsWith(const std::shared_ptr<const models::Decoder>& decoder,
                              const std::vector<adapters::ScaledLora>& adapters, int threads = 2,
                              std::int64_t pass_length = 24);

float LargestDifference(const std::vector<float>& x, const std::vector<float>& y);

// A file's metadata and tensors, to be changed and written again.
struct GgufParts {
  struct Tensor {
    formats::TensorType type;
    std::vector<std::int64_t> shape;
    std::vector<std::byte> data;
  };
  std::map<std::string, formats::GgufValue> metadata;
  std::map<std::string, Tensor> tensors;

  static GgufParts Read(const std::string& path);
  void Write(const std::string& path) const;
  std::vector<float> Floats(const std::string& tensor) const;  // of an F32 tensor
  void SetFloats(const std::string& tensor, const std::vector<float>& values);
};

}  // namespace ondine::testing

#endif  // ONDINE_TESTS_ADAPTERS_ADAPTER_FIXTURE_H_
