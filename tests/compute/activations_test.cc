#include "compute/activations.h"

#include <ggml-cpu.h>
#include <ggml.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

#include "compute/activation_quants.h"

namespace ondine::compute {
namespace {

struct Q8Block {  // ggml's block_q8_0
  std::uint16_t scale;
  std::int8_t quants[32];
};

RC_GTEST_PROP(ActivationsTest, IntegersAndScalesAreThoseOfGgml, ()) {
  ggml_cpu_init();
  const std::int64_t blocks = *rc::gen::inRange<std::int64_t>(1, 20);
  const std::int64_t rows = *rc::gen::inRange<std::int64_t>(1, 4);
  std::mt19937 random(*rc::gen::arbitrary<std::uint32_t>());
  std::normal_distribution<float> values(0.0f, std::ldexp(1.0f, *rc::gen::inRange(-12, 12)));
  Activations x;
  x.Resize(rows, blocks * 32);
  for (std::int64_t row = 0; row < rows; ++row) {
    for (std::int64_t i = 0; i < x.width(); ++i) x.Row(row)[i] = values(random);
    x.Finish(row);
    std::vector<Q8Block> expected(blocks);
    ggml_get_type_traits_cpu(GGML_TYPE_Q8_0)->from_float(x.Row(row), expected.data(), x.width());
    for (std::int64_t b = 0; b < blocks; ++b) {
      RC_ASSERT(std::memcmp(x.Quants(row) + b * 32, expected[b].quants, 32) == 0);
      RC_ASSERT(ggml_fp32_to_fp16(x.Scales(row)[b]) == expected[b].scale);
      for (int half = 0; half < 2; ++half) {
        int sum = 0;
        for (int i = 0; i < 16; ++i) sum += expected[b].quants[half * 16 + i];
        RC_ASSERT(x.HalfSums(row)[b * 2 + half] == sum);
      }
    }
  }
}

RC_GTEST_PROP(ActivationsTest, TheFastestQuantizerEqualsTheScalarOne, ()) {
  const std::int64_t blocks = *rc::gen::inRange<std::int64_t>(1, 6);
  std::mt19937 random(*rc::gen::arbitrary<std::uint32_t>());
  // Any bits at all: denormals, infinities and NaNs too.
  std::vector<float> x(blocks * 32);
  const std::uint32_t exponents = *rc::gen::element(0xffffffffu, 0xbfffffffu, 0x80ffffffu);
  for (float& value : x)
    value = std::bit_cast<float>(static_cast<std::uint32_t>(random()) & exponents);
  struct Result {
    std::vector<std::int8_t> quants;
    std::vector<float> scales;
    std::vector<std::int32_t> half_sums;
  };
  const auto quantize = [&](RowQuantizer quantizer) {
    Result result{std::vector<std::int8_t>(blocks * 32), std::vector<float>(blocks),
                  std::vector<std::int32_t>(blocks * 2)};
    quantizer(x.data(), blocks, result.quants.data(), result.scales.data(),
              result.half_sums.data());
    return result;
  };
  const Result fast = quantize(BestRowQuantizer()), scalar = quantize(QuantizeRowScalar);
  RC_ASSERT(fast.quants == scalar.quants);
  RC_ASSERT(fast.half_sums == scalar.half_sums);
  RC_ASSERT(std::memcmp(fast.scales.data(), scalar.scales.data(), sizeof(float) * blocks) == 0);
}

TEST(ActivationsTest, PadsTheLastBlockWithZeros) {
  Activations x;
  x.Resize(2, 37);
  EXPECT_EQ(x.blocks(), 2);
  for (int row = 0; row < 2; ++row) {
    for (int i = 0; i < 37; ++i) x.Row(row)[i] = static_cast<float>(i + row + 1);
    x.Finish(row);
    EXPECT_EQ(x.Quants(row)[32 + 4], 127);
    for (int i = 37; i < 64; ++i) EXPECT_EQ(x.Quants(row)[i], 0);
  }
}

TEST(ActivationsTest, ZerosTinyAndNonFiniteBlocks) {
  const float infinity = std::numeric_limits<float>::infinity();
  const float cases[] = {0.0f, 1e-42f, infinity, -infinity, std::nanf("")};
  for (float value : cases) {
    Activations x;
    x.Resize(1, 64);
    for (int i = 0; i < 64; ++i) x.Row(0)[i] = i == 5 ? value : i < 32 ? 0.0f : 1.0f;
    x.Finish(0);
    for (int i = 0; i < 32; ++i) EXPECT_EQ(x.Quants(0)[i], 0);
    if (std::isfinite(value)) {
      EXPECT_EQ(x.Scales(0)[0], 0.0f);
    } else {
      EXPECT_TRUE(std::isnan(x.Scales(0)[0]));
    }
    EXPECT_EQ(x.Quants(0)[40], 127);
    EXPECT_EQ(x.Scales(0)[1], 1.0f / 127.0f);
  }
}

TEST(ActivationsTest, KeepsItsMemoryWhenItShrinksAndGrowsAgain) {
  Activations x;
  x.Resize(8, 64);
  const float* values = x.Row(0);
  x.Resize(1, 64);
  x.Resize(4, 128);
  EXPECT_EQ(x.Row(0), values);
}

}  // namespace
}  // namespace ondine::compute
