#include "adapters/adapter_fixture.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <random>

#include "models/base_fingerprint.h"
#include "models/decoder_pass.h"

namespace ondine::testing {
namespace {

std::vector<float> RandomFloats(std::int64_t count, std::mt19937& random, float scale) {
  std::vector<float> values(static_cast<std::size_t>(count));
  for (float& value : values) {
    value = (static_cast<float>(random() >> 8) * 0x1p-23f - 1.0f) * scale;
  }
  return values;
}

adapters::LowRankFactors RandomFactors(const compute::Linear& weights, std::int64_t rank,
                                       std::mt19937& random) {
  return {weights.in(), weights.out(), rank, RandomFloats(rank * weights.in(), random, 0.3f),
          RandomFloats(weights.out() * rank, random, 0.3f)};
}

}  // namespace

std::shared_ptr<const models::Decoder> LoadDecoder(const std::string& path) {
  const auto file = formats::GgufFile::Open(path);
  EXPECT_TRUE(file) << file.error().ToString();
  compute::ThreadPool pool(1);
  auto decoder = models::Decoder::Load(*file, pool);
  EXPECT_TRUE(decoder) << decoder.error().ToString();
  return *decoder;
}

adapters::LoraAdapter RandomLora(const models::Decoder& decoder,
                                 const std::vector<std::string>& targets, std::int64_t rank,
                                 std::uint32_t seed) {
  std::mt19937 random(seed);
  adapters::LoraAdapter lora;
  lora.name = "random";
  lora.architecture = decoder.spec().architecture;
  lora.alpha = 3;
  for (int layer = 0; layer < decoder.spec().layers; ++layer) {
    for (const std::string& target : targets) {
      const std::string tensor = "blk." + std::to_string(layer) + "." + target + ".weight";
      const auto found = models::FindLoraTarget(decoder, tensor);
      EXPECT_TRUE(found) << tensor;
      lora.matrices[tensor] = RandomFactors(*found->weights, rank, random);
    }
  }
  return lora;
}

adapters::Pool RandomPool(const models::Decoder& decoder, std::int64_t adapters, std::int64_t rank,
                          std::uint32_t seed) {
  std::mt19937 random(seed);
  adapters::Pool pool;
  pool.name = "random";
  pool.architecture = decoder.spec().architecture;
  pool.base_name = "tiny";
  pool.base_fingerprint = models::BaseFingerprint(decoder);
  pool.training = "joint";
  pool.provenance = "made up";
  pool.alpha = 3;
  pool.temperature = 0.1;
  const std::int64_t dims = decoder.layers().front().query.out();
  pool.tasks.mean = RandomFloats(dims, random, 0.1f);
  for (std::int64_t n = 0; n < adapters; ++n) {
    std::vector<float> indicator = RandomFloats(dims, random, 1);
    double square = 0;
    for (const float x : indicator) square += static_cast<double>(x) * x;
    for (float& x : indicator) x /= static_cast<float>(std::sqrt(square));
    pool.tasks.indicators.push_back(std::move(indicator));
    const auto lora = RandomLora(decoder, {"attn_q", "attn_v"}, rank,
                                 seed * 1000 + static_cast<std::uint32_t>(n));
    for (const auto& [tensor, factors] : lora.matrices) pool.matrices[tensor].push_back(factors);
  }
  return pool;
}

std::vector<float> Product(const adapters::LowRankFactors& factors, float factor) {
  std::vector<float> product(static_cast<std::size_t>(factors.out * factors.in));
  for (std::int64_t i = 0; i < factors.out; ++i) {
    for (std::int64_t j = 0; j < factors.in; ++j) {
      double sum = 0;
      for (std::int64_t r = 0; r < factors.rank; ++r) {
        sum += static_cast<double>(factors.b[static_cast<std::size_t>(i * factors.rank + r)]) *
               factors.a[static_cast<std::size_t>(r * factors.in + j)];
      }
      product[static_cast<std::size_t>(i * factors.in + j)] = static_cast<float>(factor * sum);
    }
  }
  return product;
}

std::vector<float> LogitsWith(const std::shared_ptr<const models::Decoder>& decoder,
                              const std::vector<adapters::ScaledLora>& adapters, int threads,
                              std::int64_t pass_length) {
  compute::ThreadPool pool(threads);
  auto lora = adapters::Combine(adapters, *decoder, pool);
  EXPECT_TRUE(lora) << lora.error().ToString();
  models::DecoderPass pass(decoder, pool, *lora);
  models::KvCache cache(decoder->spec(), {64, compute::KvType::kF16, models::Positions::kReset});
  std::vector<std::int32_t> tokens;
  for (int i = 0; i < 40; ++i) tokens.push_back((i * 37 + 11) % 256);
  for (std::size_t i = 0; i < tokens.size(); i += static_cast<std::size_t>(pass_length)) {
    const auto n = std::min(static_cast<std::size_t>(pass_length), tokens.size() - i);
    EXPECT_TRUE(cache.Prepare(static_cast<std::int64_t>(n)));
    pass.Run(std::span(tokens).subspan(i, n), cache);
  }
  std::vector<float> logits(static_cast<std::size_t>(decoder->vocabulary()));
  pass.Logits(pass.Hidden(pass.rows() - 1), logits);
  return logits;
}

float LargestDifference(const std::vector<float>& x, const std::vector<float>& y) {
  EXPECT_EQ(x.size(), y.size());
  float largest = 0;
  for (std::size_t i = 0; i < std::min(x.size(), y.size()); ++i) {
    largest = std::max(largest, std::abs(x[i] - y[i]));
  }
  return largest;
}

GgufParts GgufParts::Read(const std::string& path) {
  const auto file = formats::GgufFile::Open(path);
  EXPECT_TRUE(file) << file.error().ToString();
  GgufParts parts;
  for (const auto& [key, value] : file->metadata()) parts.metadata[key] = value;
  for (const formats::GgufTensor& tensor : file->tensors()) {
    parts.tensors[tensor.name] = {tensor.type,
                                  {tensor.shape.begin(), tensor.shape.begin() + tensor.dims},
                                  {tensor.data.begin(), tensor.data.end()}};
  }
  return parts;
}

void GgufParts::Write(const std::string& path) const {
  formats::GgufWriter file;
  for (const auto& [key, value] : metadata) file.Set(key, value);
  for (const auto& [name, tensor] : tensors) file.Add(name, tensor.type, tensor.shape, tensor.data);
  const Status written = file.Write(path);
  EXPECT_TRUE(written) << written.error().ToString();
}

std::vector<float> GgufParts::Floats(const std::string& tensor) const {
  const Tensor& found = tensors.at(tensor);
  EXPECT_EQ(found.type, formats::TensorType::kF32);
  std::vector<float> values(found.data.size() / sizeof(float));
  std::memcpy(values.data(), found.data.data(), found.data.size());
  return values;
}

void GgufParts::SetFloats(const std::string& tensor, const std::vector<float>& values) {
  const auto bytes = std::as_bytes(std::span(values));
  tensors.at(tensor).data.assign(bytes.begin(), bytes.end());
}

}  // namespace ondine::testing
