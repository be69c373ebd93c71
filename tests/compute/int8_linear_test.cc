#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "compute/cpu_features.h"
#include "compute/int8_weights.h"
#include "compute/linear.h"

namespace ondine::compute {
namespace {

using ::testing::HasSubstr;

constexpr KernelChoice kKernels[] = {KernelChoice::kAuto, KernelChoice::kAvx512,
                                     KernelChoice::kAvxVnni, KernelChoice::kAvx2,
                                     KernelChoice::kScalar};

struct Int8Matrix {
  std::int64_t in, out;
  std::vector<std::int8_t> values;  // [out][in]
  std::vector<float> scales;
};

// Every other time whole steps of all kernels.
std::int64_t AnyColumns() {
  return *rc::gen::arbitrary<bool>() ? *rc::gen::inRange(1, 300) : 64 * *rc::gen::inRange(1, 6);
}

Int8Matrix RandomInt8(std::int64_t in, std::int64_t out, std::uint32_t seed) {
  std::mt19937 random(seed);
  std::uniform_int_distribution<int> values(-127, 127);
  std::uniform_real_distribution<float> scales(0.001f, 0.1f);
  Int8Matrix matrix = {in, out, {}, {}};
  for (std::int64_t i = 0; i < in * out; ++i) {
    matrix.values.push_back(static_cast<std::int8_t>(values(random)));
  }
  for (std::int64_t j = 0; j < out; ++j) matrix.scales.push_back(scales(random));
  return matrix;
}

Result<Linear> Make(const Int8Matrix& matrix, const StaticCode& code, ThreadPool& pool,
                    KernelChoice choice = KernelChoice::kAuto) {
  return Linear::CreateInt8(matrix.in, matrix.out, std::as_bytes(std::span(matrix.values)),
                            matrix.scales, code, pool, choice);
}

Activations RandomRows(std::int64_t rows, std::int64_t width, const StaticCode& code,
                       std::uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> values(0.0f, 1.0f);
  Activations x;
  x.Resize(rows, width);
  for (std::int64_t row = 0; row < rows; ++row) {
    for (std::int64_t i = 0; i < width; ++i) x.Row(row)[i] = values(random);
    x.FinishStatic(row, code);
  }
  return x;
}

std::vector<float> Product(const Linear& linear, const Activations& x, ThreadPool& pool,
                           Store store = Store::kAssign) {
  std::vector<float> y(static_cast<std::size_t>(x.rows() * linear.out()), 0.25f);
  pool.Run([&](Worker& worker) { linear.Multiply(worker, x, store, y.data(), linear.out()); });
  return y;
}

StaticCode RandomCode() {
  const int largest = *rc::gen::element(255, 63, 15);
  return {static_cast<float>(*rc::gen::inRange(1, 100)) * 0.001f, *rc::gen::inRange(0, largest + 1),
          largest};
}

RC_GTEST_PROP(StaticCode, IsTheNearestCodeOrTheNearestEnd, ()) {
  const StaticCode code = RandomCode();
  const auto count = *rc::gen::inRange<std::int64_t>(1, 70);
  std::vector<float> x;
  for (std::int64_t i = 0; i < count; ++i) {
    x.push_back(static_cast<float>(*rc::gen::inRange(-40000, 40000)) * 0.001f);
  }
  std::vector<std::uint8_t> q(x.size()), scalar(x.size());
  std::vector<std::uint16_t> outliers((x.size() + 15) / 16, 0xffff), scalar_outliers = outliers;
  Encode(code, x.data(), count, q.data(), outliers.data());
  EncodeScalar(code, x.data(), count, scalar.data(), scalar_outliers.data());
  RC_ASSERT(q == scalar);
  RC_ASSERT(outliers == scalar_outliers);
  for (std::size_t i = 0; i < outliers.size() * 16; ++i) {
    const bool outlier = (outliers[i / 16] >> i % 16 & 1) != 0;
    if (i >= x.size()) {
      RC_ASSERT(!outlier);
      continue;
    }
    const float steps = x[i] * (1.0f / code.scale);
    RC_ASSERT(outlier == (steps < static_cast<float>(-code.zero) ||
                          steps > static_cast<float>(code.largest - code.zero)));
    if (outlier) {
      const double held = steps < 0 ? -code.zero : code.largest - code.zero;
      RC_ASSERT(std::abs(Excess(code, x[i]) + held - static_cast<double>(steps)) <=
                1e-6 * std::abs(static_cast<double>(steps)));
    }
  }
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double exact = static_cast<double>(x[i]) / static_cast<double>(code.scale) + code.zero;
    const double held = std::clamp<double>(exact, 0, code.largest);
    RC_ASSERT(std::abs(q[i] - held) <= 0.5 + 1e-3);
  }
}

TEST(StaticCode, KnowsZeroTiesAndWhatIsNoNumber) {
  const StaticCode code = {0.5f, 7, 255};
  const float infinity = std::numeric_limits<float>::infinity();
  const std::vector<float> x = {0,        -0.0f,     0.25f,         0.75f, -0.25f,
                                infinity, -infinity, std::nanf(""), 1e30f};
  for (const Encoder encode : {Encode, EncodeScalar}) {
    std::vector<std::uint8_t> q(x.size());
    std::uint16_t outliers = 0;
    encode(code, x.data(), static_cast<std::int64_t>(x.size()), q.data(), &outliers);
    EXPECT_THAT(q, ::testing::ElementsAre(7, 7, 7, 9, 7, 255, 0, 0, 255));
    EXPECT_EQ(outliers, 0b1'0110'0000);
  }
}

RC_GTEST_PROP(Int8Linear, MultipliesTheIntegersExactlyOnEveryKernel, ()) {
  ThreadPool pool(*rc::gen::inRange(1, 5));
  const StaticCode code = RandomCode();
  const Int8Matrix matrix =
      RandomInt8(AnyColumns(), *rc::gen::inRange(1, 100), *rc::gen::arbitrary<std::uint32_t>());
  const Activations x =
      RandomRows(*rc::gen::inRange(1, 70), matrix.in, code, *rc::gen::arbitrary<std::uint32_t>());
  for (const Store store : {Store::kAssign, Store::kAdd}) {
    std::vector<float> expected;
    for (std::int64_t i = 0; i < x.rows(); ++i) {
      for (std::int64_t j = 0; j < matrix.out; ++j) {
        std::int64_t sum = 0;
        for (std::int64_t c = 0; c < matrix.in; ++c) {
          sum += std::int64_t{x.Codes(i)[c] - code.zero} * matrix.values[j * matrix.in + c];
        }
        expected.push_back(std::fma(static_cast<float>(sum), code.scale * matrix.scales[j],
                                    store == Store::kAdd ? 0.25f : 0.0f));
      }
    }
    for (const KernelChoice choice : kKernels) {
      const auto linear = Make(matrix, code, pool, choice);
      RC_ASSERT(linear.has_value());
      RC_ASSERT(Product(*linear, x, pool, store) == expected);
    }
  }
}

// With outliers a product is that of values that are exact outside of the range.
RC_GTEST_PROP(Int8Linear, LosesNothingOfOutliersOnAnyKernel, ()) {
  ThreadPool pool(*rc::gen::inRange(1, 5));
  StaticCode code = RandomCode();
  code.keeps_outliers = true;
  const Int8Matrix matrix =
      RandomInt8(AnyColumns(), *rc::gen::inRange(1, 150), *rc::gen::arbitrary<std::uint32_t>());
  const Activations x =
      RandomRows(*rc::gen::inRange(1, 70), matrix.in, code, *rc::gen::arbitrary<std::uint32_t>());
  std::vector<std::vector<float>> products;
  for (const KernelChoice choice : kKernels) {
    const auto linear = Make(matrix, code, pool, choice);
    RC_ASSERT(linear.has_value());
    products.push_back(Product(*linear, x, pool));
    RC_ASSERT(products.back() == products.front());
  }
  for (std::int64_t i = 0; i < x.rows(); ++i) {
    for (std::int64_t j = 0; j < matrix.out; ++j) {
      double sum = 0, size = 0;
      for (std::int64_t c = 0; c < matrix.in; ++c) {
        const double exact = static_cast<double>(x.Row(i)[c]) / static_cast<double>(code.scale);
        const bool held = exact >= -code.zero && exact <= code.largest - code.zero;
        const double value = held ? x.Codes(i)[c] - code.zero : exact;
        sum += value * matrix.values[j * matrix.in + c];
        size += std::abs(value * matrix.values[j * matrix.in + c]);
      }
      const double scale = static_cast<double>(code.scale * matrix.scales[j]);
      // A value at an end of the range is on either side of it, half a step apart.
      RC_ASSERT(std::abs(static_cast<double>(products.front()[i * matrix.out + j]) - sum * scale) <=
                1e-4 * size * scale + 1e-6);
    }
  }
}

TEST(Int8Linear, HoldsTheLargestSums) {
  ThreadPool pool(2);
  const StaticCode code = {1, 0, 255};
  const std::int64_t in = Int8Weights::kMostColumns;
  Int8Matrix matrix = {in, 2, {}, {1.0f}};
  matrix.values.assign(static_cast<std::size_t>(in), -128);
  matrix.values.insert(matrix.values.end(), static_cast<std::size_t>(in), 127);
  Activations x;
  x.Resize(1, in);
  std::fill_n(x.Row(0), in, 1e6f);
  x.FinishStatic(0, code);
  for (const KernelChoice choice : kKernels) {
    const auto linear = Make(matrix, code, pool, choice);
    ASSERT_TRUE(linear);
    EXPECT_THAT(Product(*linear, x, pool),
                ::testing::ElementsAre(static_cast<float>(in * 255 * -128),
                                       static_cast<float>(in * 255 * 127)));
  }
}

TEST(Int8Linear, OfZerosIsExactlyZero) {
  ThreadPool pool(1);
  const StaticCode code = {0.013f, 131, 255};
  const Int8Matrix matrix = RandomInt8(100, 40, 1);
  Activations x;
  x.Resize(3, matrix.in);
  std::fill_n(x.Row(0), 3 * matrix.in, 0.0f);
  for (std::int64_t i = 0; i < 3; ++i) x.FinishStatic(i, code);
  const auto linear = Make(matrix, code, pool);
  ASSERT_TRUE(linear);
  EXPECT_THAT(Product(*linear, x, pool), ::testing::Each(0.0f));
}

TEST(Int8Linear, ReturnsItsRowsAndItsCode) {
  ThreadPool pool(1);
  const StaticCode code = {0.5f, 3, 63};
  const Int8Matrix matrix = RandomInt8(37, 19, 1);
  const auto linear = Make(matrix, code, pool);
  ASSERT_TRUE(linear);
  ASSERT_NE(linear->input_code(), nullptr);
  EXPECT_EQ(*linear->input_code(), code);
  EXPECT_EQ(linear->type(), formats::TensorType::kI8);
  EXPECT_GE(linear->bytes(), matrix.values.size());
  std::vector<float> row(37);
  linear->GetRow(18, row.data());
  for (std::size_t c = 0; c < 37; ++c) {
    EXPECT_EQ(row[c], matrix.scales[18] * static_cast<float>(matrix.values[18 * 37 + c]));
  }
}

TEST(Int8Linear, RefusesWhatIsNoSuchMatrix) {
  ThreadPool pool(1);
  const auto error = [&](auto change) {
    Int8Matrix matrix = RandomInt8(32, 8, 1);
    StaticCode code = {0.1f, 3, 255};
    change(matrix, code);
    const auto linear = Make(matrix, code, pool);
    return linear ? "accepted" : linear.error().ToString();
  };
  EXPECT_EQ(error([](Int8Matrix&, StaticCode&) {}), "accepted");
  EXPECT_EQ(error([](Int8Matrix& m, StaticCode&) { m.scales = {0.5f}; }), "accepted");
  EXPECT_EQ(error([](Int8Matrix& m, StaticCode&) { m.scales[3] = 0; }), "accepted");
  EXPECT_THAT(error([](Int8Matrix& m, StaticCode&) { m.scales.pop_back(); }),
              HasSubstr("7 scales for 8 outputs"));
  EXPECT_THAT(error([](Int8Matrix& m, StaticCode&) { m.values.pop_back(); }), HasSubstr("bytes"));
  for (const float bad : {-1.0f, std::nanf(""), std::numeric_limits<float>::infinity()}) {
    EXPECT_THAT(error([&](Int8Matrix& m, StaticCode&) { m.scales[3] = bad; }),
                HasSubstr("scale of weights"));
    EXPECT_THAT(error([&](Int8Matrix&, StaticCode& c) { c.scale = bad; }), HasSubstr("inputs"));
  }
  EXPECT_THAT(error([](Int8Matrix&, StaticCode& c) { c.scale = 1e-45f; }), HasSubstr("inputs"));
  EXPECT_THAT(error([](Int8Matrix&, StaticCode& c) { c.zero = 256; }), HasSubstr("zero"));
  EXPECT_THAT(error([](Int8Matrix&, StaticCode& c) { c.largest = 256; }), HasSubstr("zero"));
  EXPECT_THAT(error([](Int8Matrix& m, StaticCode&) {
                m.in = Int8Weights::kMostColumns + 1;
                m.values.resize(static_cast<std::size_t>(m.in * m.out));
              }),
              HasSubstr("columns"));
}

}  // namespace
}  // namespace ondine::compute
