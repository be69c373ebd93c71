#include "compute/linear.h"

#include <ggml-cpu.h>
#include <ggml.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "compute/cpu_features.h"

namespace ondine::compute {
namespace {

using formats::TensorType;

constexpr TensorType kWeightTypes[] = {
    TensorType::kF32,    TensorType::kF16,    TensorType::kBF16,    TensorType::kQ4_0,
    TensorType::kQ4_1,   TensorType::kQ5_0,   TensorType::kQ5_1,    TensorType::kQ8_0,
    TensorType::kQ2_K,   TensorType::kQ3_K,   TensorType::kQ4_K,    TensorType::kQ5_K,
    TensorType::kQ6_K,   TensorType::kIQ1_S,  TensorType::kIQ1_M,   TensorType::kIQ2_XXS,
    TensorType::kIQ2_XS, TensorType::kIQ2_S,  TensorType::kIQ3_XXS, TensorType::kIQ3_S,
    TensorType::kIQ4_NL, TensorType::kIQ4_XS, TensorType::kTQ1_0,   TensorType::kTQ2_0,
    TensorType::kMXFP4,  TensorType::kNVFP4,  TensorType::kQ1_0,    TensorType::kQ2_0};

struct Matrix {
  TensorType type;
  std::int64_t in, out;
  std::vector<std::byte> data;
  std::vector<float> values;  // dequantised by ggml, [out][in]
};

// Types whose codes are indices into large codebooks: ggml takes seconds to get ready for
// quantising to them, so their blocks are made of random bits, all of which are valid, and a scale.
bool IsCodebook(TensorType type) {
  const std::string_view name = formats::Describe(type).name;
  return name.starts_with("IQ1") || name.starts_with("IQ2") || name.starts_with("IQ3");
}

void FillWithRandomBlocks(TensorType type, std::size_t size, std::mt19937& random,
                          std::byte* data) {
  constexpr std::uint16_t kScale = 0x211f;  // 0.01 as a 16-bit float
  for (std::size_t i = 0; i < size; ++i) data[i] = static_cast<std::byte>(random() & 0xff);
  const std::size_t block = formats::Describe(type).bytes_per_block;
  for (std::size_t at = 0; at < size; at += block) {
    if (type != TensorType::kIQ1_M) {
      std::memcpy(data + at, &kScale, sizeof(kScale));
      continue;
    }
    // Its scale is spread over the top halves of the odd ones of the last 8 bytes.
    for (int i = 0; i < 4; ++i) {
      std::byte& byte = data[at + block - 7 + 2 * i];
      byte = (byte & std::byte{0x0f}) | static_cast<std::byte>((kScale >> (4 * i) & 15) << 4);
    }
  }
}

Matrix RandomMatrix(TensorType type, std::int64_t in, std::int64_t out, std::uint32_t seed) {
  ggml_cpu_init();
  Matrix matrix{type, in, out, {}, {}};
  std::mt19937 random(seed);
  std::normal_distribution<float> weights(0.01f, 0.05f);
  // Further rows repeat these, at other places of their panels.
  const std::int64_t distinct = std::min<std::int64_t>(out, 13);
  std::vector<float> values(in * distinct);
  for (float& value : values) value = weights(random);
  const auto number = static_cast<ggml_type>(type);
  const std::size_t row_bytes = ggml_row_size(number, in);
  matrix.data.resize(row_bytes * out);
  if (IsCodebook(type)) {
    FillWithRandomBlocks(type, distinct * row_bytes, random, matrix.data.data());
  } else {
    ggml_quantize_chunk(number, values.data(), matrix.data.data(), 0, distinct, in, nullptr);
  }
  for (std::int64_t row = distinct; row < out; ++row) {
    std::memcpy(matrix.data.data() + row * row_bytes,
                matrix.data.data() + (row - distinct) * row_bytes, row_bytes);
  }
  matrix.values.resize(in * out);
  if (type == TensorType::kF32) {
    std::memcpy(matrix.values.data(), matrix.data.data(), matrix.data.size());
  } else {
    ggml_get_type_traits(number)->to_float(matrix.data.data(), matrix.values.data(), in * out);
  }
  return matrix;
}

Linear MakeLinear(const Matrix& matrix, ThreadPool& pool,
                  KernelChoice choice = KernelChoice::kAuto) {
  auto linear = Linear::Create(matrix.type, matrix.in, matrix.out, matrix.data, pool, choice);
  EXPECT_TRUE(linear) << (linear ? "" : linear.error().ToString());
  return std::move(*linear);
}

Activations RandomActivations(std::int64_t rows, std::int64_t width, std::uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> values(0.0f, 1.0f);
  Activations x;
  x.Resize(rows, width);
  for (std::int64_t row = 0; row < rows; ++row) {
    for (std::int64_t i = 0; i < width; ++i) x.Row(row)[i] = values(random);
    x.Finish(row);
  }
  return x;
}

std::vector<float> Product(const Linear& linear, const Activations& x, ThreadPool& pool) {
  std::vector<float> y(x.rows() * linear.out(), std::nanf(""));
  pool.Run(
      [&](Worker& worker) { linear.Multiply(worker, x, Store::kAssign, y.data(), linear.out()); });
  return y;
}

// The product in double, and how far rounding the input to 8 bits may move it: ggml rounds it in
// blocks of 32 or, for the K and IQ types, of 256 elements.
void ExpectClose(const Matrix& matrix, const Activations& x, const std::vector<float>& y) {
  constexpr std::int64_t kLargestBlock = 256;
  for (std::int64_t i = 0; i < x.rows(); ++i) {
    for (std::int64_t j = 0; j < matrix.out; ++j) {
      const float* w = matrix.values.data() + j * matrix.in;
      double product = 0, tolerance = 1e-6;
      for (std::int64_t b = 0; b < matrix.in; b += kLargestBlock) {
        const std::int64_t end = std::min(b + kLargestBlock, matrix.in);
        double largest = 0, weight = 0, magnitude = 0;
        for (std::int64_t k = b; k < end; ++k) {
          product += double{w[k]} * x.Row(i)[k];
          magnitude += std::fabs(double{w[k]} * x.Row(i)[k]);
          weight += double{w[k]} * w[k];
          largest = std::max(largest, std::fabs(double{x.Row(i)[k]}));
        }
        // Rounding errors are independent and uniform in +-1/2 unit of largest / 127; 6 deviations.
        // Scales rounded to 16 bits move the sum by 2^-11 of its terms at most.
        const double deviation = largest / 127 * std::sqrt(weight / 12);
        tolerance += 6 * deviation + magnitude * std::exp2(-10);
      }
      ASSERT_NEAR(y[i * matrix.out + j], product, tolerance)
          << formats::Describe(matrix.type).name << " row " << i << " output " << j;
    }
  }
}

// What this CPU has for a type beside the plain kernels.
std::vector<KernelChoice> FastKernels(TensorType type) {
  std::vector<KernelChoice> kernels;
  const bool is_float =
      type == TensorType::kF32 || type == TensorType::kF16 || type == TensorType::kBF16;
  if (is_float ? HasAvx512() : HasAvx512Vnni()) kernels.push_back(KernelChoice::kAvx512);
  if (!is_float && HasAvxVnni()) kernels.push_back(KernelChoice::kAvxVnni);
  if (HasAvx2()) kernels.push_back(KernelChoice::kAvx2);
  if (is_float ? HasNeon() : HasNeonDot()) kernels.push_back(KernelChoice::kNeon);
  if (!kernels.empty()) kernels.push_back(KernelChoice::kAuto);
  return kernels;
}

constexpr KernelChoice kKernels[] = {
    KernelChoice::kAuto,    KernelChoice::kScalar, KernelChoice::kGgml, KernelChoice::kAvx2,
    KernelChoice::kAvxVnni, KernelChoice::kAvx512, KernelChoice::kNeon};

KernelChoice AnyKernel() {
  return *rc::gen::elementOf(std::vector<KernelChoice>(std::begin(kKernels), std::end(kKernels)));
}

class LinearTypeTest : public testing::TestWithParam<TensorType> {
 protected:
  std::int64_t RandomWidth() {
    const std::int64_t block = formats::Describe(GetParam()).block_size;
    return block * *rc::gen::inRange<std::int64_t>(1, std::max<std::int64_t>(2, 1024 / block));
  }
};

TEST_P(LinearTypeTest, MultipliesLikeTheDequantisedMatrix) {
  rc::check([this] {
    ThreadPool pool(*rc::gen::inRange(1, 5));
    const Matrix matrix = RandomMatrix(GetParam(), RandomWidth(), *rc::gen::inRange(1, 100),
                                       *rc::gen::arbitrary<std::uint32_t>());
    const Activations x = RandomActivations(*rc::gen::inRange(1, 20), matrix.in,
                                            *rc::gen::arbitrary<std::uint32_t>());
    const Linear linear = MakeLinear(matrix, pool, AnyKernel());
    ExpectClose(matrix, x, Product(linear, x, pool));
    RC_ASSERT(!testing::Test::HasFatalFailure());
  });
}

TEST_P(LinearTypeTest, GivesARowTheSameResultAloneInAnyBatchAndOnAnyTeam) {
  rc::check([this] {
    ThreadPool one(1), team(*rc::gen::inRange(2, 5));
    const Matrix matrix = RandomMatrix(GetParam(), RandomWidth(), *rc::gen::inRange(1, 100),
                                       *rc::gen::arbitrary<std::uint32_t>());
    const Activations all = RandomActivations(*rc::gen::inRange(2, 40), matrix.in,
                                              *rc::gen::arbitrary<std::uint32_t>());
    const Linear linear = MakeLinear(matrix, team, AnyKernel());
    const std::vector<float> together = Product(linear, all, team);
    Activations single;
    for (std::int64_t i = 0; i < all.rows(); ++i) {
      single.Resize(1, matrix.in);
      std::copy_n(all.Row(i), matrix.in, single.Row(0));
      single.Finish(0);
      const std::vector<float> alone = Product(linear, single, one);
      RC_ASSERT(std::memcmp(alone.data(), together.data() + i * matrix.out,
                            sizeof(float) * matrix.out) == 0);
    }
  });
}

TEST_P(LinearTypeTest, TheFastKernelEqualsItsScalarTwin) {
  const std::vector<KernelChoice> fast_kernels = FastKernels(GetParam());
  if (fast_kernels.empty()) GTEST_SKIP() << "this CPU has no kernel for it";
  rc::check([&] {
    ThreadPool pool(2);
    const Matrix matrix = RandomMatrix(GetParam(), RandomWidth(), *rc::gen::inRange(1, 100),
                                       *rc::gen::arbitrary<std::uint32_t>());
    const Activations x = RandomActivations(*rc::gen::inRange(1, 70), matrix.in,
                                            *rc::gen::arbitrary<std::uint32_t>());
    const auto product = [&](KernelChoice choice) {
      return Product(MakeLinear(matrix, pool, choice), x, pool);
    };
    const std::vector<float> fast = product(*rc::gen::elementOf(fast_kernels));
    const std::vector<float> scalar = product(KernelChoice::kScalar);
    if (GetParam() != TensorType::kBF16) RC_ASSERT(fast == scalar);
    // CPUs with dot products of BF16 pairs round the input to 8 bits of mantissa, others do not.
    for (std::size_t i = 0; i < fast.size(); ++i) {
      const auto row = static_cast<std::int64_t>(i) / matrix.out;
      const auto output = static_cast<std::int64_t>(i) % matrix.out;
      double size = 0;
      for (std::int64_t k = 0; k < matrix.in; ++k) {
        size += std::abs(static_cast<double>(matrix.values[output * matrix.in + k]) *
                         static_cast<double>(x.Row(row)[k]));
      }
      RC_ASSERT(std::abs(static_cast<double>(fast[i]) - static_cast<double>(scalar[i])) <=
                0x1p-8 * size);
    }
  });
}

// Kernels sum products in 16 bits for as long as the largest fit.
TEST(LinearTest, HoldsTheLargestCodesAndInputs) {
  constexpr std::uint16_t kScale = 0x211f;  // 0.01 as a 16-bit float
  ThreadPool pool(1);
  for (const TensorType type : {TensorType::kQ4_0, TensorType::kQ5_0, TensorType::kQ6_K,
                                TensorType::kQ8_0, TensorType::kIQ4_NL, TensorType::kTQ2_0}) {
    const formats::TensorTypeInfo info = formats::Describe(type);
    const bool scale_is_last = type == TensorType::kQ6_K || type == TensorType::kTQ2_0;
    for (const int code : {0x00, 0x7f, 0x80, 0xff}) {
      Matrix matrix{type, info.block_size, 37, {}, {}};
      matrix.data.assign(37 * info.bytes_per_block, static_cast<std::byte>(code));
      for (std::size_t at = 0; at < matrix.data.size(); at += info.bytes_per_block) {
        std::memcpy(&matrix.data[scale_is_last ? at + info.bytes_per_block - 2 : at], &kScale, 2);
      }
      Activations x;
      x.Resize(7, matrix.in);
      for (std::int64_t row = 0; row < x.rows(); ++row) {
        for (std::int64_t i = 0; i < matrix.in; ++i) x.Row(row)[i] = i % (row + 1) == 0 ? 1 : -1;
        x.Finish(row);
      }
      const auto product = [&](KernelChoice choice) {
        return Product(MakeLinear(matrix, pool, choice), x, pool);
      };
      const std::vector<float> expected = product(KernelChoice::kScalar);
      for (const KernelChoice choice : FastKernels(type)) {
        EXPECT_EQ(product(choice), expected) << info.name << " " << code;
      }
    }
  }
}

// `y` holds the rows of `floats` in `code`, and the outliers among them as they are.
void ExpectCoded(const Activations& y, const StaticCode& code, const std::vector<float>& floats) {
  const std::int64_t width = y.width();
  std::vector<std::uint8_t> codes(static_cast<std::size_t>(width));
  std::vector<std::uint16_t> outliers(static_cast<std::size_t>((width + 15) / 16));
  for (std::int64_t i = 0; i < y.rows(); ++i) {
    const float* row = floats.data() + i * width;
    Encode(code, row, width, codes.data(), outliers.data());
    EXPECT_EQ(std::vector<std::uint8_t>(y.Codes(i), y.Codes(i) + width), codes);
    std::vector<std::uint16_t> kept(outliers.size());
    y.ForOutliers(i, [&](std::int64_t column, float value) {
      kept[static_cast<std::size_t>(column / 16)] |= static_cast<std::uint16_t>(1 << column % 16);
      EXPECT_EQ(value, row[column]);
    });
    EXPECT_EQ(kept, outliers);
  }
}

TEST_P(LinearTypeTest, MultipliesGatedAsIfInSteps) {
  for (std::int64_t rows : {1, 3, 150}) {
    ThreadPool pool(2);
    const Matrix gate_matrix = RandomMatrix(GetParam(), 256, 300, 1);
    const Matrix up_matrix = RandomMatrix(GetParam(), 256, 300, 2);
    const Activations x = RandomActivations(rows, 256, 3);
    const Linear gate = MakeLinear(gate_matrix, pool), up = MakeLinear(up_matrix, pool);
    std::vector<float> expected = Product(gate, x, pool);
    ApplyGate(GateActivation::kGelu, expected, Product(up, x, pool));
    Activations y;
    y.Resize(rows, 300);
    pool.Run([&](Worker& worker) {
      Linear::MultiplyGated(worker, gate, up, GateActivation::kGelu, x, y);
    });
    EXPECT_EQ(std::vector<float>(y.Row(0), y.Row(0) + rows * 300), expected);
    // The same in a static code, which needs no floats of a whole row.
    const StaticCode code = {0.01f, 20, 255, true};
    pool.Run([&](Worker& worker) {
      Linear::MultiplyGated(worker, gate, up, GateActivation::kGelu, x, y, &code);
    });
    ExpectCoded(y, code, expected);
  }
}

TEST_P(LinearTypeTest, AddsABiasAndActivatesAsIfInSteps) {
  for (std::int64_t rows : {1, 3, 150}) {
    ThreadPool pool(2);
    const Matrix matrix = RandomMatrix(GetParam(), 256, 300, 1);
    const Activations x = RandomActivations(rows, 256, 3);
    const Linear linear = MakeLinear(matrix, pool);
    std::vector<float> bias(300);
    for (std::size_t j = 0; j < bias.size(); ++j) bias[j] = 0.01f * static_cast<float>(j) - 1;
    std::vector<float> expected = Product(linear, x, pool);
    for (std::size_t i = 0; i < expected.size(); ++i) expected[i] += bias[i % 300];
    std::vector<float> sum(expected.size());
    pool.Run(
        [&](Worker& worker) { linear.Multiply(worker, x, Store::kAssign, sum.data(), 300, bias); });
    EXPECT_EQ(sum, expected);
    std::vector<float> twice(expected.size(), 0.5f);
    pool.Run(
        [&](Worker& worker) { linear.Multiply(worker, x, Store::kAdd, twice.data(), 300, bias); });
    for (std::size_t i = 0; i < twice.size(); ++i) {
      EXPECT_NEAR(twice[i], expected[i] + 0.5f, 1e-5f * (1 + std::fabs(expected[i])));
    }

    QuickGelu(expected);
    Activations y;
    y.Resize(rows, 300);
    pool.Run([&](Worker& worker) { linear.MultiplyActivated(worker, x, bias, QuickGelu, y); });
    EXPECT_EQ(std::vector<float>(y.Row(0), y.Row(0) + rows * 300), expected);
    // The same in a static code.
    const StaticCode code = {0.01f, 20, 255, true};
    pool.Run(
        [&](Worker& worker) { linear.MultiplyActivated(worker, x, bias, QuickGelu, y, &code); });
    ExpectCoded(y, code, expected);
  }
}

TEST_P(LinearTypeTest, AddsToWhatIsThere) {
  ThreadPool pool(2);
  const Matrix matrix = RandomMatrix(GetParam(), 256, 37, 1);
  const Activations x = RandomActivations(5, matrix.in, 2);
  const Linear linear = MakeLinear(matrix, pool);
  const std::vector<float> product = Product(linear, x, pool);
  constexpr std::int64_t kStride = 50;
  std::vector<float> y(5 * kStride, 0.5f);
  pool.Run([&](Worker& worker) { linear.Multiply(worker, x, Store::kAdd, y.data(), kStride); });
  for (std::int64_t i = 0; i < 5; ++i) {
    for (std::int64_t j = 0; j < kStride; ++j) {
      const float expected = j < matrix.out ? 0.5f + product[i * matrix.out + j] : 0.5f;
      EXPECT_NEAR(y[i * kStride + j], expected, j < matrix.out ? 1e-5 : 0.0);
    }
  }
}

TEST_P(LinearTypeTest, ReturnsItsRows) {
  ThreadPool pool(2);
  const Matrix matrix = RandomMatrix(GetParam(), 512, 19, 3);
  const Linear linear = MakeLinear(matrix, pool);
  EXPECT_EQ(linear.in(), 512);
  EXPECT_EQ(linear.out(), 19);
  EXPECT_EQ(linear.type(), GetParam());
  std::vector<float> row(matrix.in);
  for (std::int64_t j = 0; j < matrix.out; ++j) {
    linear.GetRow(j, row.data());
    for (std::int64_t k = 0; k < matrix.in; ++k) {
      const float expected = matrix.values[j * matrix.in + k];
      EXPECT_NEAR(row[k], expected, std::fabs(expected) * 1e-3 + 1e-5);
    }
  }
}

TEST_P(LinearTypeTest, RefusesDataOfAnotherLength) {
  ThreadPool pool(1);
  Matrix matrix = RandomMatrix(GetParam(), 256, 3, 4);
  matrix.data.pop_back();
  const auto cut = Linear::Create(GetParam(), 256, 3, matrix.data, pool);
  ASSERT_FALSE(cut);
  EXPECT_EQ(cut.error().code, ErrorCode::kCorrupt);
}

std::string TypeName(const testing::TestParamInfo<TensorType>& info) {
  return std::string(formats::Describe(info.param).name);
}
INSTANTIATE_TEST_SUITE_P(AllTypes, LinearTypeTest, testing::ValuesIn(kWeightTypes), TypeName);

TEST(LinearTest, RefusesTypesThatAreNoWeights) {
  ThreadPool pool(1);
  for (TensorType type : {TensorType::kI8, TensorType::kI32, TensorType::kF64, TensorType::kQ8_K}) {
    const std::vector<std::byte> data(formats::Describe(type).bytes_per_block);
    const auto linear = Linear::Create(type, formats::Describe(type).block_size, 1, data, pool);
    ASSERT_FALSE(linear);
    EXPECT_EQ(linear.error().code, ErrorCode::kUnsupported);
  }
}

TEST(LinearTest, RefusesImpossibleShapes) {
  ThreadPool pool(1);
  const std::vector<std::byte> data(18);
  for (const auto& [in, out] : {std::pair<std::int64_t, std::int64_t>{31, 1},
                                {0, 1},
                                {32, 0},
                                {32, -1},
                                {std::int64_t{1} << 60, std::int64_t{1} << 60}}) {
    const auto linear = Linear::Create(TensorType::kQ4_0, in, out, data, pool);
    ASSERT_FALSE(linear);
    EXPECT_EQ(linear.error().code, ErrorCode::kCorrupt);
  }
}

TEST(LinearTest, NamesTheRowWhoseScaleIsNotFinite) {
  ThreadPool pool(2);
  for (TensorType type : {TensorType::kQ4_0, TensorType::kQ4_1, TensorType::kQ5_0,
                          TensorType::kQ5_1, TensorType::kQ8_0, TensorType::kF16}) {
    for (const KernelChoice choice : kKernels) {
      Matrix matrix = RandomMatrix(type, 64, 40, 5);
      const std::uint16_t infinity = 0x7c00;
      std::memcpy(matrix.data.data() + 21 * (matrix.data.size() / 40), &infinity, 2);
      const auto linear = Linear::Create(type, 64, 40, matrix.data, pool, choice);
      ASSERT_FALSE(linear);
      EXPECT_EQ(linear.error().code, ErrorCode::kCorrupt);
      EXPECT_THAT(linear.error().message, testing::HasSubstr("row 21"));
    }
  }
}

}  // namespace
}  // namespace ondine::compute
