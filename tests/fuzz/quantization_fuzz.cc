// Files of channel scales, and models with 8-bit matrices and scales folded in.
#include <cstdlib>

#include "base/file.h"
#include "base/temp_dir.h"
#include "fuzz/fuzzer.h"
#include "models/base_fingerprint.h"
#include "models/tiny_model.h"
#include "quant/convert.h"
#include "quant/scales_file.h"

namespace {

using namespace ondine;

constexpr int kWidth = 32, kHidden = 32;

// The model that seeds are made for and scales are read for.
struct Base {
  ondine::testing::TempDir folder;
  std::string path = folder.File("model.gguf");
  compute::ThreadPool threads{1};
  std::shared_ptr<const models::Decoder> decoder;

  Base() {
    const ondine::testing::TinyModel model = {
        .layers = 1, .width = kWidth, .heads = 2, .kv_heads = 1, .head_dim = 32, .hidden = kHidden};
    if (!WriteTinyModel(model, path)) return;
    const auto file = formats::GgufFile::Open(path);
    if (file) decoder = models::Decoder::Load(*file, threads).value_or(nullptr);
  }
};

Base& TheBase() {
  static Base base;
  return base;
}

}  // namespace

std::vector<std::string> ondine::testing::FuzzSeeds() {
  Base& base = TheBase();
  if (base.decoder == nullptr) std::abort();  // fuzzing without seeds would find nothing
  const std::string path = base.folder.File("seed.gguf");
  const std::string fingerprint = models::BaseFingerprint(*base.decoder);
  quant::Scales scales;
  scales.base_fingerprint = fingerprint;
  scales.channels.resize(1);
  scales.channels[0].at(models::FoldSite::kMlpNorm).assign(kWidth, 0.5f);
  scales.channels[0].at(models::FoldSite::kUp).assign(kHidden, 2.0f);
  scales.ranges.push_back({quant::Range{-1, 1}, {-1, 1}, {0, 1}, {-2, 1}});
  if (!WriteScales(scales, base.decoder->spec(), path)) return {};
  std::vector<std::string> seeds = {base::ReadFile(path).value()};

  const auto file = formats::GgufFile::Open(base.path);
  models::Quantization quantization = {.scheme = "w8a8", .provenance = ""};
  quantization.layers.resize(1);
  quant::ConversionOptions options;
  options.fold = models::Fold{fingerprint, scales.channels};
  options.quantization = quantization;
  if (!file || !quant::Convert(*file, base.decoder->spec(), base.threads, options, path))
    return seeds;
  seeds.push_back(base::ReadFile(path).value());
  return seeds;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto file = formats::GgufFile::Parse(std::as_bytes(std::span(data, size)), "fuzz");
  Base& base = TheBase();
  if (!file || base.decoder == nullptr) return 0;
  [[maybe_unused]] const auto scales = quant::ReadScales(*file, *base.decoder);
  [[maybe_unused]] const auto model = models::Decoder::Load(*file, base.threads);
  return 0;
}
