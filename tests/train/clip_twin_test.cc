#include "train/clip_twin.h"

#include <gmock/gmock.h>

#include <numeric>

#include "base/temp_dir.h"
#include "models/clip_pass.h"
#include "train/clip_file.h"
#include "train/clip_fixture.h"
#include "train/clip_vectors.h"
#include "train/tensors.h"

namespace ondine::testing {
namespace {

using ::testing::HasSubstr;
using torch::Tensor;
using train::ClipTwin;

// As clip_transformers.py has it.
Tensor Noise(std::uint64_t seed, std::int64_t count) {
  std::vector<float> values;
  for (std::int64_t i = 0; i < count; ++i) {
    std::uint64_t bits =
        (static_cast<std::uint64_t>(i) + seed * 1000003) * 2654435761U % (1ULL << 32);
    bits = (bits ^ bits >> 15) * 2246822519U % (1ULL << 32);
    bits ^= bits >> 13;
    values.push_back(static_cast<float>(static_cast<double>(bits) / 0x1p31 - 1));
  }
  return torch::tensor(values);
}

void FillWithNoise(const ClipTwin& twin) {
  const torch::NoGradGuard no_gradient;
  for (const train::NamedWeight& weight : twin.Weights()) {
    const std::string& name = weight.name;
    const auto sum = std::accumulate(name.begin(), name.end(), std::uint64_t{0});
    const bool norm = name.find("ln") != std::string::npos && name.ends_with(".weight");
    const Tensor some = 0.3 * Noise(sum, weight.values.numel());
    weight.values.copy_((norm ? 1 + some : some).view_as(weight.values));
  }
}

models::ClipSpec GoldenSpec(models::ClipActivation activation) {
  models::ClipSpec spec;
  spec.projection = 8;
  spec.activation = activation;
  spec.text = {.layers = 2, .width = 16, .heads = 2, .hidden = 40};
  spec.vocabulary = 40;
  spec.context = 10;
  spec.image = {.layers = 3, .width = 24, .heads = 3, .hidden = 48};
  spec.image_size = 12;
  spec.patch_size = 4;
  return spec;
}
const std::vector<std::vector<std::int32_t>> kTokens = {{38, 5, 6, 7, 30, 2, 39}, {38, 9, 39}};

Tensor GoldenPixels() {
  return Noise(0, 2 * 3 * 12 * 12).view({2, 3, 12, 12});
}

void ExpectNear(const Tensor& vectors, std::span<const float> golden, float tolerance) {
  const std::vector<float> values = train::Floats(vectors);
  ASSERT_EQ(values.size(), golden.size());
  for (std::size_t i = 0; i < values.size(); ++i) EXPECT_NEAR(values[i], golden[i], tolerance) << i;
}

TEST(ClipTwin, ComputesWhatTransformersDoes) {
  const ClipTwin quick(GoldenSpec(models::ClipActivation::kQuickGelu), torch::kCPU);
  FillWithNoise(quick);
  ExpectNear(quick.EncodeTexts(kTokens), kTextsQuickGelu, 2e-6F);
  ExpectNear(quick.EncodePictures(GoldenPixels()), kPicturesQuickGelu, 2e-6F);
  const ClipTwin gelu(GoldenSpec(models::ClipActivation::kGelu), torch::kCPU);
  FillWithNoise(gelu);
  ExpectNear(gelu.EncodeTexts(kTokens), kTextsGelu, 2e-6F);
  ExpectNear(gelu.EncodePictures(GoldenPixels()), kPicturesGelu, 2e-6F);
}

TEST(ClipTwin, RoundsLittleInBfloat16) {
  const ClipTwin twin(GoldenSpec(models::ClipActivation::kGelu), torch::kCPU, torch::kBFloat16);
  FillWithNoise(twin);
  ExpectNear(twin.EncodeTexts(kTokens), kTextsGelu, 0.03F);
  ExpectNear(twin.EncodePictures(GoldenPixels()), kPicturesGelu, 0.03F);
}

TEST(ClipTwin, AllPatchesInAnyOrderAreThePicture) {
  const ClipTwin twin(GoldenSpec(models::ClipActivation::kGelu), torch::kCPU);
  FillWithNoise(twin);
  const Tensor order = torch::tensor({8, 0, 3, 1, 2, 7, 4, 6, 5}).view({1, 9}).expand({2, 9});
  ExpectNear(twin.EncodePictures(GoldenPixels(), order), kPicturesGelu, 2e-6F);
  const Tensor few = twin.EncodePictures(GoldenPixels(), order.narrow(1, 0, 4));
  EXPECT_GT((few - twin.EncodePictures(GoldenPixels())).norm().item<double>(), 1e-3);
}

// More than a group of them, of all lengths.
TEST(ClipTwin, TextsKeepTheirOrder) {
  const ClipTwin twin(GoldenSpec(models::ClipActivation::kGelu), torch::kCPU);
  FillWithNoise(twin);
  std::vector<std::vector<std::int32_t>> texts;
  for (int i = 0; i < 150; ++i) {
    std::vector<std::int32_t>& text = texts.emplace_back();
    for (int k = 0; k < i % 9; ++k) text.push_back((i * 7 + k * 3) % 38);
    text.push_back(39);
  }
  const Tensor together = twin.EncodeTexts(texts);
  for (const int i : {0, 1, 8, 77, 149}) {
    const Tensor alone = twin.EncodeTexts({texts[static_cast<std::size_t>(i)]});
    EXPECT_LT((together[i] - alone[0]).norm().item<double>(), 1e-5) << i;
  }
}

TEST(ClipTwin, GradientsAreThoseOfDifferences) {
  const ClipTwin twin(GoldenSpec(models::ClipActivation::kQuickGelu), torch::kCPU);
  FillWithNoise(twin);
  for (const train::NamedWeight& weight : twin.Weights()) Tensor(weight.values).requires_grad_();
  const auto loss = [&] {
    return (twin.EncodeTexts(kTokens) * twin.EncodePictures(GoldenPixels())).sum();
  };
  loss().backward();
  const torch::NoGradGuard no_gradient;
  for (const train::NamedWeight& weight : twin.Weights()) {
    // Along the gradient, where the slope is its length.
    const Tensor gradient = weight.values.grad();
    ASSERT_TRUE(gradient.defined()) << weight.name;
    const double length = gradient.norm().item<double>();
    if (length < 1e-2)
      continue;  // keys' biases, which change nothing, and others too flat to measure
    const double step = 2e-3 / std::max(1.0, length);
    Tensor(weight.values).add_(gradient, step / length);
    const double above = loss().item<double>();
    Tensor(weight.values).add_(gradient, -2 * step / length);
    const double below = loss().item<double>();
    Tensor(weight.values).add_(gradient, step / length);
    EXPECT_NEAR((above - below) / (2 * step), length, 0.05 * length) << weight.name;
  }
}

train::TrainedClip Trained(const ClipTwin& twin) {
  train::TrainedClip trained;
  trained.spec = twin.spec();
  trained.spec.logit_scale = 33;
  for (const train::NamedWeight& weight : twin.Weights()) {
    trained.weights.push_back(
        {weight.name, weight.values.sizes().vec(), train::Floats(weight.values)});
  }
  return trained;
}

TEST(ClipTwin, IsReadFromTheFileThatItWasWrittenTo) {
  const TempDir folder;
  torch::manual_seed(1);
  const ClipTwin twin(TinyClipSpec(), torch::kCPU);
  const Tensor pixels = Noise(3, 2 * 3 * 8 * 8).view({2, 3, 8, 8});
  const std::vector<std::vector<std::int32_t>> texts = {{515, 97, 98, 516}, {515, 516}};
  using formats::TensorType;
  for (const auto& [type, tolerance] :
       {std::pair{TensorType::kF32, 1e-6}, {TensorType::kF16, 2e-3}, {TensorType::kQ8_0, 3e-2}}) {
    SCOPED_TRACE(Describe(type).name);
    const std::string path = folder.File("clip.gguf");
    ASSERT_TRUE(WriteClip(Trained(twin), TinyClipVocabulary(), "made here", type, path));
    const auto file = formats::GgufFile::Open(path);
    ASSERT_TRUE(file) << file.error().ToString();
    EXPECT_EQ(file->FindString("ondine.clip.provenance").value(), "made here");
    EXPECT_TRUE(text::ClipTokenizer::FromGguf(*file));
    EXPECT_EQ(file->FindTensor("v.blk.1.ffn_up.weight")->type, type);
    EXPECT_EQ(file->FindTensor("v.position_embd.weight")->type, TensorType::kF32);
    const auto read = ClipTwin::Load(*file, torch::kCPU);
    ASSERT_TRUE(read) << read.error().ToString();
    EXPECT_NEAR(read->logit_scale().item<double>(), std::log(33), 1e-6);
    EXPECT_LT((read->EncodeTexts(texts) - twin.EncodeTexts(texts)).norm().item<double>(),
              tolerance);
    EXPECT_LT((read->EncodePictures(pixels) - twin.EncodePictures(pixels)).norm().item<double>(),
              tolerance);
  }
}

// A file that training wrote, read by the engine.
TEST(ClipTwin, TheEngineComputesTheSame) {
  const models::ClipSpec spec = TinyClipSpec();
  torch::manual_seed(1);
  const ClipTwin twin(spec, torch::kCPU);
  const TempDir folder;
  const std::string path = folder.File("clip.gguf");
  ASSERT_TRUE(
      WriteClip(Trained(twin), TinyClipVocabulary(), "made here", formats::TensorType::kF32, path));
  compute::ThreadPool pool(2);
  const auto clip = models::Clip::Load(*formats::GgufFile::Open(path), pool);
  ASSERT_TRUE(clip) << clip.error().ToString();
  models::ClipPass pass(*clip, pool);

  const std::vector<std::int32_t> tokens = {515, 512, 70, 513, 516};
  std::vector<float> vector(static_cast<std::size_t>(spec.projection));
  const models::ClipText text{tokens};
  pass.EncodeTexts({&text, 1}, {}, vector.data());
  ExpectNear(twin.EncodeTexts({tokens}), vector, 1e-5F);

  std::vector<std::uint8_t> bytes(8 * 8 * 3);
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::uint8_t>(i * 37);
  const std::uint8_t* picture = bytes.data();
  pass.EncodePictures({&picture, 1}, vector.data());
  const Tensor pixels = torch::from_blob(bytes.data(), {1, 8, 8, 3}, torch::kByte)
                            .to(torch::kFloat)
                            .permute({0, 3, 1, 2}) /
                        255;
  ExpectNear(twin.EncodePictures((pixels - 0.5) / 0.5), vector, 1e-5F);
}

TEST(ClipTwin, AFileWithoutATensorIsRefused) {
  const TempDir folder;
  const ClipTwin twin(TinyClipSpec(), torch::kCPU);
  const auto refusal = [&](const train::TrainedClip& clip) {
    const std::string path = folder.File("clip.gguf");
    EXPECT_TRUE(WriteClip(clip, TinyClipVocabulary(), "", formats::TensorType::kF32, path));
    const auto read = ClipTwin::Load(*formats::GgufFile::Open(path), torch::kCPU);
    EXPECT_FALSE(read);
    return read ? std::string() : read.error().ToString();
  };
  train::TrainedClip clip = Trained(twin);
  const auto up =
      std::ranges::find(clip.weights, "t.blk.1.ffn_up.weight", &train::TrainedWeight::name);
  ASSERT_NE(up, clip.weights.end());
  up->shape = {32, 64};
  EXPECT_THAT(refusal(clip), HasSubstr("t.blk.1.ffn_up.weight"));
  clip.weights.erase(up);
  EXPECT_THAT(refusal(clip), HasSubstr("t.blk.1.ffn_up.weight"));
}

}  // namespace
}  // namespace ondine::testing
