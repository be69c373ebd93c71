#include "compute/short_attention.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <vector>

namespace ondine::compute {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

struct Problem {
  std::vector<std::int64_t> begins = {0};
  int heads = 1, head_dim = 1;
  bool causal = false, last_row_only = false;
  std::vector<float> qkv;   // [rows][3][heads][head_dim]
  std::vector<float> bias;  // [rows] or none

  std::int64_t rows() const { return begins.back(); }
  std::int64_t width() const { return std::int64_t{heads} * head_dim; }
  float scale() const { return 1 / std::sqrt(static_cast<float>(head_dim)); }
  float At(std::int64_t row, int part, int head, int c) const {
    return qkv[static_cast<std::size_t>((row * 3 + part) * width() + head * head_dim + c)];
  }
};

struct Outcome {
  std::vector<float> out;           // [rows][width]
  std::vector<float> last_weights;  // [heads][rows]
};

Outcome Attended(const Problem& problem, int threads, ShortAttentionKernel kernel) {
  ShortAttentionInput input;
  input.q = problem.qkv.data();
  input.k = input.q + problem.width();
  input.v = input.k + problem.width();
  input.stride = 3 * problem.width();
  input.begins = problem.begins;
  input.heads = problem.heads;
  input.head_dim = problem.head_dim;
  input.scale = problem.scale();
  input.causal = problem.causal;
  input.bias = problem.bias.empty() ? nullptr : problem.bias.data();
  input.bias_for_last_row_only = problem.last_row_only;
  Outcome outcome;
  outcome.out.assign(static_cast<std::size_t>(problem.rows() * problem.width()), -7.0f);
  outcome.last_weights.assign(static_cast<std::size_t>(problem.rows() * problem.heads), -7.0f);
  ThreadPool pool(threads);
  pool.Run([&](Worker& worker) {
    AttendShort(worker, input, outcome.out.data(), problem.width(), outcome.last_weights.data(),
                kernel);
  });
  return outcome;
}

// Weights of row i of its sequence, in doubles.
std::vector<double> Weights(const Problem& problem, std::size_t sequence, std::int64_t i,
                            int head) {
  const std::int64_t first = problem.begins[sequence];
  const std::int64_t length = problem.begins[sequence + 1] - first;
  std::vector<double> weights(static_cast<std::size_t>(length), 0.0);
  double sum = 0;
  for (std::int64_t j = 0; j < (problem.causal ? i + 1 : length); ++j) {
    double product = 0;
    for (int c = 0; c < problem.head_dim; ++c) {
      product += double{problem.At(first + i, 0, head, c)} * problem.At(first + j, 1, head, c);
    }
    double bias = 0;
    if (!problem.bias.empty() && (!problem.last_row_only || i + 1 == length)) {
      bias = problem.bias[static_cast<std::size_t>(first + j)];
    }
    sum += weights[static_cast<std::size_t>(j)] = std::exp(product * problem.scale() + bias);
  }
  for (double& weight : weights) weight = sum > 0 ? weight / sum : 0;
  return weights;
}

std::vector<float> RandomFloats(std::size_t count, float deviation, std::uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0.0f, deviation);
  std::vector<float> values(count);
  for (float& value : values) value = normal(random);
  return values;
}

Problem RandomProblem() {
  Problem problem;
  const int sequences = *rc::gen::inRange(1, 4);
  for (int i = 0; i < sequences; ++i) {
    problem.begins.push_back(problem.begins.back() + *rc::gen::inRange(1, 80));
  }
  problem.heads = *rc::gen::inRange(1, 4);
  problem.head_dim = *rc::gen::element(1, 8, 31, 32, 64, 80, 104);
  problem.causal = *rc::gen::arbitrary<bool>();
  problem.qkv = RandomFloats(static_cast<std::size_t>(problem.rows() * 3 * problem.width()), 1.5f,
                             *rc::gen::arbitrary<std::uint32_t>());
  if (*rc::gen::arbitrary<bool>()) {
    problem.bias = RandomFloats(static_cast<std::size_t>(problem.rows()), 2.0f,
                                *rc::gen::arbitrary<std::uint32_t>());
    problem.bias[static_cast<std::size_t>(*rc::gen::inRange<std::int64_t>(0, problem.rows()))] =
        -kInfinity;
    problem.last_row_only = *rc::gen::arbitrary<bool>();
  }
  return problem;
}

void CheckAgainstFormula(const Problem& problem, const Outcome& outcome) {
  for (std::size_t s = 0; s + 1 < problem.begins.size(); ++s) {
    const std::int64_t first = problem.begins[s], length = problem.begins[s + 1] - first;
    for (int h = 0; h < problem.heads; ++h) {
      for (std::int64_t i = 0; i < length; ++i) {
        const std::vector<double> weights = Weights(problem, s, i, h);
        for (int c = 0; c < problem.head_dim; ++c) {
          double expected = 0;
          for (std::int64_t j = 0; j < length; ++j) {
            expected += weights[static_cast<std::size_t>(j)] * problem.At(first + j, 2, h, c);
          }
          const float found = outcome.out[static_cast<std::size_t>((first + i) * problem.width() +
                                                                   h * problem.head_dim + c)];
          RC_ASSERT(std::fabs(found - expected) < 2e-5);
        }
        if (i + 1 < length) continue;
        for (std::int64_t j = 0; j < length; ++j) {
          const float found =
              outcome.last_weights[static_cast<std::size_t>(h * problem.rows() + first + j)];
          RC_ASSERT(std::fabs(found - weights[static_cast<std::size_t>(j)]) < 1e-5);
        }
      }
    }
  }
}

RC_GTEST_PROP(ShortAttentionTest, EqualsItsFormula, ()) {
  const Problem problem = RandomProblem();
  const int threads = *rc::gen::inRange(1, 4);
  CheckAgainstFormula(problem, Attended(problem, threads, ShortAttentionKernel::kAuto));
  CheckAgainstFormula(problem, Attended(problem, threads, ShortAttentionKernel::kScalar));
}

RC_GTEST_PROP(ShortAttentionTest, ASequenceDoesNotDependOnOthers, ()) {
  const Problem all = RandomProblem();
  const Outcome together = Attended(all, 2, ShortAttentionKernel::kAuto);
  for (std::size_t s = 0; s + 1 < all.begins.size(); ++s) {
    Problem one = all;
    const std::int64_t first = all.begins[s], length = all.begins[s + 1] - first;
    one.begins = {0, length};
    one.qkv.assign(all.qkv.begin() + first * 3 * all.width(),
                   all.qkv.begin() + (first + length) * 3 * all.width());
    if (!all.bias.empty()) {
      one.bias.assign(all.bias.begin() + first, all.bias.begin() + first + length);
    }
    const Outcome alone = Attended(one, 1, ShortAttentionKernel::kAuto);
    RC_ASSERT(
        std::equal(alone.out.begin(), alone.out.end(), together.out.begin() + first * all.width()));
  }
}

// What makes a word's strength harmless: no bias, a bias of zeros and rows before a biased key give
// the same bits.
TEST(ShortAttentionTest, ABiasOfZeroChangesNothing) {
  Problem plain;
  plain.begins = {0, 23};
  plain.heads = 2;
  plain.head_dim = 64;
  plain.causal = true;
  plain.qkv = RandomFloats(static_cast<std::size_t>(23 * 3 * plain.width()), 1.0f, 5);
  Problem zeros = plain, late = plain;
  zeros.bias.assign(23, 0.0f);
  late.bias = zeros.bias;
  late.bias[9] = 1.5f;
  for (const auto kernel : {ShortAttentionKernel::kAuto, ShortAttentionKernel::kScalar}) {
    const Outcome expected = Attended(plain, 1, kernel);
    EXPECT_EQ(Attended(zeros, 1, kernel).out, expected.out);
    const Outcome changed = Attended(late, 1, kernel);
    const auto before = static_cast<std::ptrdiff_t>(9 * plain.width());
    EXPECT_TRUE(
        std::equal(expected.out.begin(), expected.out.begin() + before, changed.out.begin()));
    EXPECT_NE(changed.out, expected.out);
  }
}

// A weight w multiplies a key's odds by w.
TEST(ShortAttentionTest, TheLogarithmOfAWeightMultipliesTheOdds) {
  Problem plain;
  plain.begins = {0, 12};
  plain.head_dim = 32;
  plain.causal = true;
  plain.qkv = RandomFloats(static_cast<std::size_t>(12 * 3 * plain.width()), 1.0f, 6);
  Problem weighted = plain;
  weighted.bias.assign(12, 0.0f);
  weighted.bias[4] = std::log(2.5f);
  const double before = Attended(plain, 1, ShortAttentionKernel::kAuto).last_weights[4];
  const double after = Attended(weighted, 1, ShortAttentionKernel::kAuto).last_weights[4];
  EXPECT_NEAR(after / (1 - after), 2.5 * before / (1 - before), 1e-5);
}

TEST(ShortAttentionTest, ARowThatSeesNothingGivesZeros) {
  Problem problem;
  problem.begins = {0, 2};
  problem.head_dim = 3;
  problem.qkv = RandomFloats(18, 1.0f, 7);
  problem.bias = {-kInfinity, -kInfinity};
  const Outcome outcome = Attended(problem, 1, ShortAttentionKernel::kAuto);
  EXPECT_EQ(outcome.out, std::vector<float>(6, 0.0f));
}

}  // namespace
}  // namespace ondine::compute
