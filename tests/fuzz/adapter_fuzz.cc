// Adapter and pool files: GGUF files whose tensors must fit together.
#include "adapters/lora_file.h"
#include "adapters/pool_file.h"
#include "base/file.h"
#include "base/temp_dir.h"
#include "fuzz/fuzzer.h"

namespace {

using namespace ondine::adapters;

LowRankFactors SmallFactors() {
  return {4, 3, 2, {1, 2, 3, 4, 5, 6, 7, 8}, {1, 0, 0, 1, 1, 1}};
}

std::string Content(const std::string& path) {
  return ondine::base::ReadFile(path).value();
}

}  // namespace

std::vector<std::string> ondine::testing::FuzzSeeds() {
  const TempDir folder;
  const std::string path = folder.File("seed.gguf");
  LoraAdapter lora;
  lora.architecture = "llama";
  lora.alpha = 16;
  lora.matrices["blk.0.attn_q.weight"] = SmallFactors();
  if (!WriteLora(lora, path)) return {};
  std::vector<std::string> seeds = {Content(path)};
  Pool pool;
  pool.architecture = "llama";
  pool.training = "joint";
  pool.alpha = 16;
  pool.temperature = 0.1;
  pool.tasks.mean = {0.5f, 0.25f};
  pool.tasks.indicators = {{1, 0}, {0, 1}};
  pool.matrices["blk.0.attn_q.weight"] = {SmallFactors(), SmallFactors()};
  if (!WritePool(pool, path)) return {};
  seeds.push_back(Content(path));
  return seeds;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto file = ondine::formats::GgufFile::Parse(std::as_bytes(std::span(data, size)), "fuzz");
  if (!file) return 0;
  static ondine::compute::ThreadPool threads(1);
  if (const auto lora = ReadLora(*file, threads)) Fingerprint(*lora);
  if (const auto pool = ReadPool(*file, threads)) {
    const std::vector<double> weights(pool->size(), 0.5);
    for (const auto form : {ondine::BlendForm::kSeparate, ondine::BlendForm::kProduct}) {
      [[maybe_unused]] const auto blend = Blend(*pool, weights, form);
    }
    [[maybe_unused]] const auto similarities = Similarities(pool->tasks, pool->tasks.mean);
  }
  return 0;
}
