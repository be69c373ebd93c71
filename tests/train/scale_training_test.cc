#include "train/scale_training.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <span>

#include "compute/attention.h"
#include "compute/thread_pool.h"
#include "formats/gguf.h"
#include "models/base_fingerprint.h"
#include "models/decoder_pass.h"
#include "models/kv_cache.h"
#include "quant/convert.h"
#include "quant/weights.h"
#include "train/channel_quantizer.h"
#include "train/twin_fixture.h"

namespace ondine::testing {
namespace {

using models::FoldSite;
using ::testing::HasSubstr;
using train::ChannelQuantizer;
using train::DecoderTwin;
using train::ScaleTrainingOptions;
using train::TokenTree;

constexpr int kTime = 24;

const std::vector<FoldSite> kAllSites = {FoldSite::kAttentionNorm, FoldSite::kMlpNorm,
                                         FoldSite::kValue, FoldSite::kUp};

std::vector<TinyModel> Architectures() {
  return {{.architecture = "llama"},
          {.architecture = "qwen2", .seed = 2},
          {.architecture = "qwen3", .seed = 3},
          {.architecture = "gemma3", .layers = 7, .window = 8, .seed = 4},
          {.architecture = "gpt2", .width = 128, .kv_heads = 4, .seed = 5}};
}

std::vector<TokenTree> Rows(int count, int first = 0) {
  std::vector<TokenTree> rows;
  for (int i = 0; i < count; ++i) rows.push_back(Straight(SomeTokens(kTime, 11 + 7 * (first + i))));
  return rows;
}

torch::Tensor Logits(const DecoderTwin& twin, const TokenTree& row,
                     const train::Quantizer* quantizer) {
  const torch::NoGradGuard no_gradient;
  const TokenTree* const one = &row;
  return twin.Logits(twin.Hidden({&one, 1}, {.quantizer = quantizer})[0]);
}

// Limits from some rows, and random scales.
ChannelQuantizer Observed(const DecoderTwin& twin, double spread) {
  ChannelQuantizer quantizer(twin.spec(), kAllSites, {}, torch::kCPU);
  quantizer.SetMode(ChannelQuantizer::Mode::kObserve);
  for (const TokenTree& row : Rows(4)) Logits(twin, row, &quantizer);
  const torch::NoGradGuard no_gradient;
  torch::manual_seed(5);
  for (int layer = 0; layer < twin.spec().layers; ++layer) {
    for (torch::Tensor& logarithms : quantizer.Logarithms(layer)) {
      logarithms.uniform_(-spread, spread);
    }
  }
  return quantizer;
}

TEST(ChannelQuantizer, ChangesNothingWhereNothingIsRounded) {
  for (const TinyModel& model : Architectures()) {
    SCOPED_TRACE(model.architecture);
    compute::ThreadPool pool(1);
    const auto decoder = LoadTiny(model, pool);
    const auto twin = DecoderTwin::Create(*decoder, torch::kCPU);
    ASSERT_TRUE(twin);
    ChannelQuantizer quantizer = Observed(*twin, 2);
    const torch::Tensor plain = Logits(*twin, Rows(1)[0], nullptr);
    const torch::Tensor scaled = Logits(*twin, Rows(1)[0], &quantizer);
    EXPECT_LT((scaled - plain).abs().max().item<float>(), 1e-4 * plain.abs().max().item<float>());
    // And is not idle: with codes it differs.
    quantizer.SetMode(ChannelQuantizer::Mode::kCode);
    EXPECT_GT((Logits(*twin, Rows(1)[0], &quantizer) - plain).abs().max().item<float>(), 1e-3);
  }
}

// The engine's integers against training's rounded floats.
TEST(ChannelQuantizer, AgreesWithTheConvertedModel) {
  for (TinyModel model : Architectures()) {
    SCOPED_TRACE(model.architecture);
    // The engine rounds keys and values to 16 bits, which moves some codes in a hundred to their
    // neighbours. One layer has no others that would see these; two models with nothing in common
    // but the float one would be 1.4 times as far from each other as from that.
    model.layers = 1;
    const TempDir folder;
    const std::string in = folder.File("model.gguf"), out = folder.File("w8a8.gguf");
    ASSERT_TRUE(WriteTinyModel(model, in));
    compute::ThreadPool pool(1);
    const auto file = formats::GgufFile::Open(in);
    const auto decoder = *models::Decoder::Load(*file, pool);
    const auto twin = DecoderTwin::Create(*decoder, torch::kCPU);
    ASSERT_TRUE(twin);
    ChannelQuantizer quantizer = Observed(*twin, 0.5);
    quantizer.SetMode(ChannelQuantizer::Mode::kCode);

    models::Quantization quantization = {.scheme = "w8a8"};
    for (const quant::LayerRanges& ranges : quantizer.Ranges()) {
      models::LayerCodes& codes = quantization.layers.emplace_back();
      for (std::size_t site = 0; site < models::kCodeSites; ++site) {
        codes.of_site[site] = quant::CodeOf(ranges[site], 8);
      }
    }
    ASSERT_TRUE(
        quant::Convert(*file, decoder->spec(), pool,
                       {.fold = models::Fold{models::BaseFingerprint(*decoder), quantizer.Scales()},
                        .quantization = quantization},
                       out));
    const auto converted_file = formats::GgufFile::Open(out);
    const auto converted = *models::Decoder::Load(*converted_file, pool);

    const TokenTree row = Rows(1)[0];
    const torch::Tensor exact = Logits(*twin, row, nullptr);
    const torch::Tensor expected = Logits(*twin, row, &quantizer);
    models::DecoderPass pass(converted, pool);
    models::KvCache cache(converted->spec(), {kTime, compute::KvType::kF16});
    const std::int64_t vocabulary = converted->vocabulary();
    torch::Tensor logits = torch::empty({kTime, vocabulary});
    // Attention of few queries is in floats, as training's is; that of many has 8 bits.
    for (std::int64_t t = 0; t < kTime; t += compute::kFewQueries) {
      const std::int64_t count = std::min(compute::kFewQueries, kTime - t);
      ASSERT_TRUE(cache.Prepare(count));
      pass.Run(std::span(row.tokens)
                   .subspan(static_cast<std::size_t>(t), static_cast<std::size_t>(count)),
               cache);
      pass.Logits(0, count,
                  {logits.data_ptr<float>() + t * vocabulary,
                   static_cast<std::size_t>(count * vocabulary)});
    }
    const double coding = (expected - exact).square().mean().sqrt().item<double>();
    const double difference = (logits - expected).square().mean().sqrt().item<double>();
    EXPECT_GT(coding, 1e-3);
    EXPECT_LT(difference, 0.6 * coding);
  }
}

Result<train::TrainedScales> TrainTinyAndWeights(
    const ScaleTrainingOptions& options, const train::ScaleTrainingObserver& observer = {}) {
  compute::ThreadPool pool(1);
  const auto decoder = LoadTiny({}, pool);
  return TrainScales(*decoder, Rows(6), Rows(2, 6), options, observer);
}

Result<quant::Scales> TrainTiny(const ScaleTrainingOptions& options,
                                const train::ScaleTrainingObserver& observer = {}) {
  auto trained = TrainTinyAndWeights(options, observer);
  if (!trained) return tl::make_unexpected(std::move(trained).error());
  EXPECT_TRUE(trained->weights.empty());
  return std::move(trained->scales);
}

ScaleTrainingOptions SmallTraining() {
  ScaleTrainingOptions options;
  options.scheme = {.weight_bits = 6, .activation_bits = 4};
  options.start = ScaleTrainingOptions::Start::kOnes;
  options.layer_steps = 20;
  options.layer_rate = 3e-2;
  options.steps = 10;
  options.rate = 1e-2;
  options.batch = 2;
  options.threads = 1;
  return options;
}

std::vector<float> Values(const quant::Scales& scales) {
  std::vector<float> values;
  for (const models::LayerScales& layer : scales.channels) {
    for (const std::vector<float>& of_site : layer.of_site) {
      values.insert(values.end(), of_site.begin(), of_site.end());
    }
  }
  for (const quant::LayerRanges& layer : scales.ranges) {
    for (const quant::Range& range : layer) values.insert(values.end(), {range.low, range.high});
  }
  return values;
}

TEST(ScaleTraining, BringsTheModelCloserToTheFloatOne) {
  std::vector<train::ScaleValidationReport> validations;
  std::vector<train::ScaleStepReport> steps;
  train::ScaleTrainingObserver observer;
  observer.on_step = [&](const train::ScaleStepReport& report) { steps.push_back(report); };
  observer.on_validation = [&](const train::ScaleValidationReport& r) { validations.push_back(r); };
  const auto scales = TrainTiny(SmallTraining(), observer);
  ASSERT_TRUE(scales) << scales.error().ToString();
  ASSERT_EQ(validations.size(), 3u);  // before, after the layers, at the end
  EXPECT_LT(validations[1].divergence, 0.9 * validations[0].divergence);
  EXPECT_LT(validations[2].divergence, 0.9 * validations[0].divergence);
  ASSERT_EQ(steps.size(), 2u * 20 + 10);
  EXPECT_EQ(steps[0].layer, 0);
  EXPECT_EQ(steps[39].layer, 1);
  EXPECT_EQ(steps[40].layer, std::nullopt);
  EXPECT_LT(steps[19].loss, steps[0].loss);
  ASSERT_EQ(scales->ranges.size(), 2u);
  EXPECT_TRUE(scales->channels[0].at(FoldSite::kValue).empty());
  const std::vector<float>& up = scales->channels[1].at(FoldSite::kUp);
  ASSERT_EQ(up.size(), 96u);
  EXPECT_GT(*std::ranges::max_element(up), 1.01f);
}

TEST(ScaleTraining, LearnsOnlyWhatItIsToldTo) {
  ScaleTrainingOptions options = SmallTraining();
  options.layer_steps = options.steps = 0;
  const auto nothing = TrainTiny(options);
  ASSERT_TRUE(nothing) << nothing.error().ToString();
  EXPECT_THAT(nothing->channels[1].at(FoldSite::kUp), ::testing::Each(1.0f));
  options = SmallTraining();
  options.learn_scales = false;
  const auto ranges = TrainTiny(options);
  ASSERT_TRUE(ranges);
  EXPECT_THAT(ranges->channels[1].at(FoldSite::kUp), ::testing::Each(1.0f));
  EXPECT_NE(Values(*ranges), Values(*nothing));
}

TEST(ScaleTraining, LearnsHowToRound) {
  ScaleTrainingOptions options = SmallTraining();
  options.scheme = {.weight_bits = 3, .activation_bits = 8};
  options.learn_scales = options.learn_ranges = false;
  options.steps = 0;
  std::vector<train::ScaleValidationReport> validations;
  train::ScaleTrainingObserver observer;
  observer.on_validation = [&](const train::ScaleValidationReport& r) { validations.push_back(r); };
  options.learn_rounding = true;
  options.layer_steps = 200;
  options.layer_rate = 1e-1;
  compute::ThreadPool pool(1);
  const auto decoder = LoadTiny({}, pool);
  const auto trained = TrainScales(*decoder, Rows(24), Rows(8), options, observer);
  ASSERT_TRUE(trained) << trained.error().ToString();
  ASSERT_EQ(validations.size(), 2u);  // rounded to the nearest, and as was learned
  EXPECT_LT(validations[1].divergence, 0.8 * validations[0].divergence);

  // Weights lie on the grid, next to what they were, and the converter keeps them there.
  EXPECT_EQ(trained->weights.size(), 2U * 7);
  const std::vector<float>& rounded = trained->weights.at("blk.1.ffn_up.weight");
  std::vector<float> before(rounded.size());
  for (std::int64_t row = 0; row < 96; ++row)
    decoder->layers()[1].up.GetRow(row, &before[row * 64]);
  const quant::WeightCodes grid = quant::EncodeWeights(before, 96, 3, true);
  const quant::WeightCodes codes = quant::EncodeWeights(rounded, 96, 3, true);
  int other = 0;
  for (std::size_t i = 0; i < rounded.size(); ++i) {
    const float scale = grid.scales[i / 64];
    EXPECT_NEAR(rounded[i], static_cast<float>(codes.codes[i]) * scale, 1e-5f * scale);
    EXPECT_LT(std::abs(rounded[i] - before[i]), 1.001f * scale);
    other += codes.codes[i] != grid.codes[i] ? 1 : 0;
  }
  EXPECT_GT(other, 10);
}

// Quantisation-aware training, and training of the float model: both learn the text by heart.
TEST(ScaleTraining, LearnsWeightsWhereItIsToldTo) {
  for (const bool codes : {true, false}) {
    SCOPED_TRACE(codes);
    ScaleTrainingOptions options = SmallTraining();
    options.layer_steps = 0;
    options.steps = 40;
    options.target = ScaleTrainingOptions::Target::kText;
    options.learn_weights = true;
    options.weight_rate = 1e-3;
    if (!codes) options.rate = 0;  // of nothing
    options.codes = codes;
    options.learn_scales = false;
    options.learn_ranges = codes;
    std::vector<double> losses;
    std::vector<train::ScaleValidationReport> validations;
    train::ScaleTrainingObserver observer;
    observer.on_step = [&](const train::ScaleStepReport& report) { losses.push_back(report.loss); };
    observer.on_validation = [&](const train::ScaleValidationReport& r) {
      validations.push_back(r);
    };
    const auto trained = TrainTinyAndWeights(options, observer);
    ASSERT_TRUE(trained) << trained.error().ToString();
    EXPECT_LT(losses.back(), 0.7 * losses.front());
    // What it is compared with stays the float model as it was.
    EXPECT_EQ(validations.front().float_perplexity, validations.back().float_perplexity);
    EXPECT_EQ(trained->weights.size(), 2U * (7 + 2) + 2);  // with norms and embedding
    compute::ThreadPool pool(1);
    const auto decoder = LoadTiny({}, pool);
    std::vector<float> row(64);
    decoder->layers()[1].up.GetRow(0, row.data());
    const std::vector<float>& tuned = trained->weights.at("blk.1.ffn_up.weight");
    ASSERT_EQ(tuned.size(), 64U * 96);
    double difference = 0;
    for (std::size_t i = 0; i < row.size(); ++i) difference += std::abs(tuned[i] - row[i]);
    EXPECT_GT(difference, 1e-3);
    EXPECT_LT(difference, 64 * 0.05);
  }
  ScaleTrainingOptions options = SmallTraining();
  options.learn_weights = true;  // but layer by layer, and with the float model as target
  EXPECT_FALSE(TrainTinyAndWeights(options));
}

// Also where scales are not learned, and so not in the checkpoint.
TEST(ScaleTraining, GoesOnWhereItStopped) {
  for (const bool learn_scales : {true, false}) {
    const TempDir folder;
    ScaleTrainingOptions options = SmallTraining();
    options.learn_scales = learn_scales;
    options.start = ScaleTrainingOptions::Start::kSmooth;
    const auto whole = TrainTiny(options);
    ASSERT_TRUE(whole) << whole.error().ToString();
    options.checkpoint = folder.File("checkpoint");
    // Before the text was observed to its end: limits of a part of it are kept nowhere.
    train::ScaleTrainingObserver early;
    early.stop_token.Stop();
    const auto unobserved = TrainTiny(options, early);
    ASSERT_FALSE(unobserved);
    EXPECT_EQ(unobserved.error().code, ErrorCode::kCancelled);
    EXPECT_FALSE(std::filesystem::exists(options.checkpoint));
    for (const std::int64_t stop_after : {7, 20, 33, 45}) {
      SCOPED_TRACE(stop_after);
      train::ScaleTrainingObserver observer;
      observer.on_step = [&](const train::ScaleStepReport& report) {
        if (report.step == stop_after) observer.stop_token.Stop();
      };
      options.resume = false;
      const auto stopped = TrainTiny(options, observer);
      ASSERT_FALSE(stopped);
      EXPECT_EQ(stopped.error().code, ErrorCode::kCancelled);
      options.resume = true;
      const auto resumed = TrainTiny(options);
      ASSERT_TRUE(resumed) << resumed.error().ToString();
      EXPECT_EQ(Values(*resumed), Values(*whole));
    }
    options.rate *= 2;
    const auto other = TrainTiny(options);
    ASSERT_FALSE(other);
    EXPECT_EQ(other.error().code, ErrorCode::kMismatch);
  }
}

// A stopped baseline is none, though it has no steps in which to stop.
TEST(ScaleTraining, ABaselineObservesAllOfTheText) {
  ScaleTrainingOptions options = SmallTraining();
  options.learn_scales = options.learn_ranges = false;
  options.layer_steps = options.steps = 0;
  ASSERT_TRUE(TrainTiny(options));
  train::ScaleTrainingObserver observer;
  observer.stop_token.Stop();
  const auto stopped = TrainTiny(options, observer);
  ASSERT_FALSE(stopped);
  EXPECT_EQ(stopped.error().code, ErrorCode::kCancelled);
}

// Before weights are made to choose, in the midst of it, and in another layer.
TEST(ScaleTraining, LearningHowToRoundGoesOnWhereItStopped) {
  const TempDir folder;
  ScaleTrainingOptions options = SmallTraining();
  options.scheme = {.weight_bits = 3, .activation_bits = 8};
  options.learn_scales = options.learn_ranges = false;
  options.learn_rounding = true;
  options.layer_rate = 1e-1;
  options.steps = 0;
  const auto whole = TrainTinyAndWeights(options);
  ASSERT_TRUE(whole) << whole.error().ToString();
  options.checkpoint = folder.File("checkpoint");
  for (const std::int64_t stop_after : {3, 12, 35}) {
    SCOPED_TRACE(stop_after);
    train::ScaleTrainingObserver observer;
    observer.on_step = [&](const train::ScaleStepReport& report) {
      if (report.step == stop_after) observer.stop_token.Stop();
    };
    options.resume = false;
    ASSERT_FALSE(TrainTinyAndWeights(options, observer));
    options.resume = true;
    const auto resumed = TrainTinyAndWeights(options);
    ASSERT_TRUE(resumed) << resumed.error().ToString();
    EXPECT_EQ(resumed->weights, whole->weights);
  }
}

TEST(ScaleTraining, RefusesWhatMakesNoSense) {
  ScaleTrainingOptions options = SmallTraining();
  options.batch = 0;
  EXPECT_FALSE(TrainTiny(options));
  options = SmallTraining();
  options.learn_rounding = true;  // and scales, and ranges
  EXPECT_FALSE(TrainTiny(options));
  options.learn_scales = options.learn_ranges = false;  // with steps of all layers together
  EXPECT_FALSE(TrainTiny(options));
  options = SmallTraining();
  options.resume = true;
  const auto no_file = TrainTiny(options);
  ASSERT_FALSE(no_file);
  EXPECT_THAT(no_file.error().ToString(), HasSubstr("checkpoint"));
  compute::ThreadPool pool(1);
  const auto decoder = LoadTiny({}, pool);
  std::vector<TokenTree> rows = Rows(2);
  rows.push_back(Straight(SomeTokens(5)));
  EXPECT_FALSE(TrainScales(*decoder, rows, {}, SmallTraining(), {}));
  EXPECT_FALSE(TrainScales(*decoder, {}, {}, SmallTraining(), {}));
}

}  // namespace
}  // namespace ondine::testing
