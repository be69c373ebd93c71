#include "compute/rope.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <cmath>
#include <random>
#include <vector>

namespace ondine::compute {
namespace {

std::vector<float> RandomVector(int size, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::vector<float> values(size);
  for (float& value : values) value = normal(random);
  return values;
}

// The definition, with complex numbers' arithmetic in double.
std::vector<double> NaiveRotation(const RopeSettings& settings, const std::vector<float>& head,
                                  double position) {
  std::vector<double> out(head.begin(), head.end());
  for (int i = 0; i < settings.dims / 2; ++i) {
    double angle =
        position * settings.position_scale / std::pow(settings.base, 2.0 * i / settings.dims);
    if (!settings.factors.empty()) angle /= settings.factors[i];
    const int a = settings.neighbours ? 2 * i : i;
    const int b = settings.neighbours ? 2 * i + 1 : i + settings.dims / 2;
    out[a] = head[a] * std::cos(angle) - head[b] * std::sin(angle);
    out[b] = head[a] * std::sin(angle) + head[b] * std::cos(angle);
  }
  return out;
}

double LargestDifference(const std::vector<float>& a, const std::vector<double>& b) {
  double largest = 0;
  for (std::size_t i = 0; i < a.size(); ++i) largest = std::max(largest, std::abs(a[i] - b[i]));
  return largest;
}

RopeSettings AnySettings(int head_dim) {
  RopeSettings settings;
  settings.dims = *rc::gen::element(head_dim, head_dim / 2);
  settings.base = *rc::gen::element(10000.0, 100000.0, 1e6);
  settings.position_scale = *rc::gen::element(1.0, 0.125);
  settings.neighbours = *rc::gen::arbitrary<bool>();
  if (*rc::gen::arbitrary<bool>()) {
    for (int i = 0; i < settings.dims / 2; ++i) {
      settings.factors.push_back(1.0f + 7.0f * static_cast<float>(i) / 64.0f);
    }
  }
  return settings;
}

RC_GTEST_PROP(RopeTest, RotateFollowsTheDefinition, (unsigned seed)) {
  const int head_dim = *rc::gen::element(32, 64, 128, 256);
  const RopeSettings settings = AnySettings(head_dim);
  const auto position = *rc::gen::inRange<std::int64_t>(0, 1000000);
  const std::vector<float> head = RandomVector(head_dim, seed);
  std::vector<float> rotated = head;
  Rope(settings).Rotate(rotated.data(), position);
  RC_ASSERT(LargestDifference(rotated,
                              NaiveRotation(settings, head, static_cast<double>(position))) < 1e-6);
}

RC_GTEST_PROP(RopeTest, TablesAgreeWithRotate, (unsigned seed)) {
  const int head_dim = *rc::gen::element(32, 64, 128);
  Rope rope(AnySettings(head_dim));
  rope.Reserve(5000);
  ASSERT_GE(rope.reserved(), 5000);
  const auto position = *rc::gen::inRange<std::int64_t>(0, 5000);
  const int heads = *rc::gen::inRange(1, 4);
  const int stride = head_dim + *rc::gen::element(0, 32);
  const std::vector<float> rows = RandomVector(heads * stride, seed);
  std::vector<float> by_table = rows;
  std::vector<float> cosines(rope.settings().dims), sines(rope.settings().dims);
  rope.Angles(position, cosines.data(), sines.data());
  rope.RotateHeads(by_table.data(), heads, stride, cosines.data(), sines.data());
  for (int h = 0; h < heads; ++h) {
    std::vector<float> head(rows.begin() + h * stride, rows.begin() + (h + 1) * stride);
    rope.Rotate(head.data(), position);
    for (int d = 0; d < stride; ++d) {
      RC_ASSERT(std::abs(head[d] - by_table[h * stride + d]) < 3e-6f);
    }
  }
}

// The angle between two rotated vectors depends only on the difference of their positions.
TEST(RopeTest, RotatingByADifferenceEqualsRotatingFromTheStart) {
  for (const bool neighbours : {false, true}) {
    RopeSettings settings;
    settings.dims = 64;
    settings.neighbours = neighbours;
    const Rope rope(settings);
    const std::vector<float> head = RandomVector(64, 3);
    std::vector<float> twice = head, once = head;
    rope.Rotate(twice.data(), 700);
    rope.Rotate(twice.data(), 324);
    rope.Rotate(once.data(), 1024);
    EXPECT_THAT(twice, testing::Pointwise(testing::FloatNear(2e-6f), once));
  }
}

TEST(RopeTest, PositionZeroChangesNothing) {
  RopeSettings settings;
  settings.dims = 32;
  Rope rope(settings);
  rope.Reserve(1);
  const std::vector<float> head = RandomVector(32, 4);
  std::vector<float> rotated = head;
  rope.Rotate(rotated.data(), 0);
  std::vector<float> cosines(rope.settings().dims), sines(rope.settings().dims);
  rope.Angles(0, cosines.data(), sines.data());
  rope.RotateHeads(rotated.data(), 1, 32, cosines.data(), sines.data());
  EXPECT_EQ(rotated, head);
}

}  // namespace
}  // namespace ondine::compute
