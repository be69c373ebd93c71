#include "compute/attention.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <optional>
#include <random>
#include <vector>

namespace ondine::compute {
namespace {

const std::vector<KvType> kTypes = {KvType::kF16, KvType::kQ8_0, KvType::kQ4_0};
const std::vector<AttentionKernel> kKernels = {AttentionKernel::kAuto, AttentionKernel::kInt8,
                                               AttentionKernel::kScalar};

// What an error may be: where integers of 8 bits are multiplied, a score of 15 is some 0.05 off.
double Allowed(AttentionKernel kernel, double exact) {
  return kernel == AttentionKernel::kInt8 ? 0.15 : exact;
}

struct Shape {
  int kv_heads = 3, group = 3, head_dim = 64;
  std::int64_t past = 0, n = 1, window = 0;
  KvType type = KvType::kF16;
  std::optional<RopeSettings> rope = std::nullopt;
  int heads() const { return kv_heads * group; }
  std::int64_t slots() const { return past + n; }
};

// A filled layer and queries for it. Scores reach about +-15.
struct Case {
  explicit Case(const Shape& s, unsigned seed = 1)
      : shape(s), layer({s.kv_heads, s.head_dim}, s.type, s.slots() + 5), q(s.n * stride()) {
    std::mt19937 random(seed);
    std::normal_distribution<float> normal;
    for (float& value : q) value = 2.0f * normal(random);
    if (s.rope) {
      rope.emplace(*s.rope);
      rope->Reserve(layer.capacity());
    }
    const std::int64_t width = s.kv_heads * s.head_dim;
    std::vector<float> k(layer.capacity() * width), v(k.size());
    for (float& value : k) value = 1.5f * normal(random);
    for (float& value : v) value = normal(random);
    ThreadPool pool(1);
    pool.Run([&](Worker& worker) {
      layer.Write(worker, 0, layer.capacity(), k.data(), v.data(), width);
    });
  }

  // Rows of q are a little longer than needed, to tell the stride from the width.
  std::int64_t stride() const { return shape.heads() * shape.head_dim + 16; }

  AttentionInput Input(std::int64_t first = 0, std::int64_t count = -1) const {
    AttentionInput input;
    input.q = q.data() + first * stride();
    input.q_stride = stride();
    input.n = count < 0 ? shape.n - first : count;
    input.heads = shape.heads();
    input.scale = 1.0f / std::sqrt(static_cast<float>(shape.head_dim));
    input.past = shape.past + first;
    input.window = shape.window;
    input.rope = rope ? &*rope : nullptr;
    return input;
  }

  Shape shape;
  KvLayer layer;
  std::optional<Rope> rope;
  std::vector<float> q;
};

std::vector<float> RunAttend(const Case& c, int threads, AttentionKernel kernel,
                             std::int64_t first = 0, std::int64_t count = -1) {
  const AttentionInput input = c.Input(first, count);
  std::vector<float> out(input.n * c.stride(), -7.0f);
  ThreadPool pool(threads);
  AttentionScratch scratch;
  pool.Run([&](Worker& worker) {
    Attend(worker, c.layer, input, scratch, out.data(), c.stride(), kernel);
  });
  return out;
}

std::vector<float> RunWeights(const Case& c, std::int64_t key_limit, int threads,
                              AttentionKernel kernel) {
  std::vector<float> weights(c.shape.heads() * c.shape.n * key_limit, -7.0f);
  ThreadPool pool(threads);
  AttentionScratch scratch;
  pool.Run([&](Worker& worker) {
    AttentionWeights(worker, c.layer, c.Input(), key_limit, scratch, weights.data(), kernel);
  });
  return weights;
}

// softmax over the slots [0, limit) that query i sees, in double.
std::vector<double> NaiveWeights(const Case& c, int head, std::int64_t i, std::int64_t limit) {
  const Shape& s = c.shape;
  const float* q = c.q.data() + i * c.stride() + head * s.head_dim;
  const std::int64_t position = s.past + i;
  const std::int64_t first = s.window > 0 ? std::max<std::int64_t>(0, position - s.window + 1) : 0;
  std::vector<double> weights(limit, 0.0);
  std::vector<float> key(s.head_dim);
  double largest = -1e300, total = 0;
  for (std::int64_t j = first; j <= position && j < limit; ++j) {
    c.layer.ReadKey(head / s.group, j, key.data());
    if (c.rope) c.rope->Rotate(key.data(), j);
    double dot = 0;
    for (int d = 0; d < s.head_dim; ++d) dot += static_cast<double>(q[d]) * key[d];
    weights[j] = dot / std::sqrt(static_cast<double>(s.head_dim));
    largest = std::max(largest, weights[j]);
  }
  for (std::int64_t j = first; j <= position && j < limit; ++j) {
    total += weights[j] = std::exp(weights[j] - largest);
  }
  for (double& weight : weights) weight = total > 0 ? weight / total : 0;
  return weights;
}

std::vector<double> NaiveRow(const Case& c, int head, std::int64_t i) {
  const std::vector<double> weights = NaiveWeights(c, head, i, c.shape.slots());
  std::vector<double> out(c.shape.head_dim, 0.0);
  std::vector<float> value(c.shape.head_dim);
  for (std::int64_t j = 0; j < c.shape.slots(); ++j) {
    if (weights[j] == 0) continue;
    c.layer.ReadValue(head / c.shape.group, j, value.data());
    for (int d = 0; d < c.shape.head_dim; ++d) out[d] += weights[j] * value[d];
  }
  return out;
}

// Largest error of a row, relative to the row's length.
double WorstError(const Case& c, const std::vector<float>& got, int rows_to_check = 12) {
  std::mt19937 random(5);
  double worst = 0;
  for (int r = 0; r < rows_to_check; ++r) {
    const auto i = r == 0 ? c.shape.n - 1 : static_cast<std::int64_t>(random() % c.shape.n);
    const auto head = static_cast<int>(random() % c.shape.heads());
    const std::vector<double> want = NaiveRow(c, head, i);
    double error = 0, length = 0;
    for (int d = 0; d < c.shape.head_dim; ++d) {
      const double difference = want[d] - got[i * c.stride() + head * c.shape.head_dim + d];
      error += difference * difference;
      length += want[d] * want[d];
    }
    worst = std::max(worst, std::sqrt(error / length));
  }
  return worst;
}

RopeSettings AnyRope(int head_dim) {
  RopeSettings settings;
  settings.dims = *rc::gen::weightedElement<int>({{4, head_dim}, {1, head_dim / 2}, {1, 20}});
  settings.base = *rc::gen::element(10000.0, 1e6);
  settings.neighbours = *rc::gen::arbitrary<bool>();
  settings.position_scale = *rc::gen::element(1.0, 0.125);
  return settings;
}

Shape AnyShape() {
  Shape s;
  s.kv_heads = *rc::gen::inRange(1, 4);
  s.group = *rc::gen::inRange(1, 17);
  s.head_dim = 32 * *rc::gen::inRange(1, 9);
  s.past = *rc::gen::weightedOneOf<std::int64_t>(
      {{1, rc::gen::just<std::int64_t>(0)}, {3, rc::gen::inRange<std::int64_t>(1, 700)}});
  s.n = *rc::gen::weightedOneOf<std::int64_t>(
      {{1, rc::gen::inRange<std::int64_t>(1, 5)}, {1, rc::gen::inRange<std::int64_t>(5, 150)}});
  s.window = *rc::gen::weightedOneOf<std::int64_t>(
      {{1, rc::gen::just<std::int64_t>(0)}, {1, rc::gen::inRange<std::int64_t>(1, 300)}});
  s.type = *rc::gen::elementOf(kTypes);
  if (*rc::gen::arbitrary<bool>()) s.rope = AnyRope(s.head_dim);
  return s;
}

RC_GTEST_PROP(AttentionTest, AgreesWithTheDefinition, (unsigned seed)) {
  const Case c(AnyShape(), seed);
  const AttentionKernel kernel = *rc::gen::elementOf(kKernels);
  const std::vector<float> out = RunAttend(c, *rc::gen::inRange(1, 4), kernel);
  RC_ASSERT(WorstError(c, out, 4) < Allowed(kernel, 2e-3));
  // Nothing is written between the rows.
  RC_ASSERT(out[c.shape.heads() * c.shape.head_dim] == -7.0f);
}

TEST(AttentionTest, IsAccurateAtTheShapesOfRealModels) {
  RopeSettings rope;
  for (const int head_dim : {64, 128, 256}) {
    for (const std::int64_t n : {1, 3, 200}) {
      for (const std::int64_t window : {0, 512}) {
        Shape s{.kv_heads = 1, .group = 4, .head_dim = head_dim, .past = 1700, .n = n};
        s.window = window;
        rope.dims = head_dim;
        if (window == 0) s.rope = rope;
        const Case c(s);
        for (const AttentionKernel kernel : kKernels) {
          EXPECT_LT(WorstError(c, RunAttend(c, 2, kernel)), Allowed(kernel, 8e-4))
              << head_dim << " " << n;
        }
      }
    }
  }
}

// Fills the layer with random values and with the keys that key(slot, channel, noise) makes.
template <typename Key>
void FillKeys(Case& c, const Key& key) {
  std::mt19937 random(3);
  std::normal_distribution<float> normal;
  const int width = c.shape.kv_heads * c.shape.head_dim;
  std::vector<float> k(width), v(width);
  ThreadPool pool(1);
  for (std::int64_t slot = 0; slot < c.shape.slots(); ++slot) {
    for (int i = 0; i < width; ++i) {
      k[i] = key(slot, i % c.shape.head_dim, normal(random));
      v[i] = normal(random);
    }
    pool.Run([&](Worker& worker) { c.layer.Write(worker, slot, 1, k.data(), v.data(), width); });
  }
}

void LookAwayFrom(int first_channel, int count, Case& c) {
  for (std::int64_t i = 0; i < c.shape.n; ++i) {
    for (int h = 0; h < c.shape.heads(); ++h) {
      std::fill_n(&c.q[i * c.stride() + h * c.shape.head_dim + first_channel], count, 0.0f);
    }
  }
}

TEST(AttentionTest, AnOutlierInKeysLeavesTheOtherChannelsTheirBits) {
  for (const int head_dim : {32, 64, 96, 128}) {
    Case c({.kv_heads = 2, .group = 3, .head_dim = head_dim, .past = 500, .n = 40});
    const int outlier = head_dim - 5;
    FillKeys(c, [&](std::int64_t slot, int channel, float noise) {
      return channel == outlier ? (slot % 3 == 0 ? 20.0f : -20.0f) : noise;
    });
    LookAwayFrom(outlier, 1, c);
    for (const AttentionKernel kernel : kKernels) {
      EXPECT_LT(WorstError(c, RunAttend(c, 2, kernel)), Allowed(kernel, 2e-3)) << head_dim;
    }
  }
}

TEST(AttentionTest, WhatAllKeysHaveInCommonCostsNothing) {
  for (const int head_dim : {64, 96}) {
    Case c({.kv_heads = 2, .group = 3, .head_dim = head_dim, .past = 500, .n = 40});
    FillKeys(c, [](std::int64_t, int channel, float noise) {
      return noise + 40.0f * std::sin(static_cast<float>(channel * channel));
    });
    for (const AttentionKernel kernel : kKernels) {
      EXPECT_LT(WorstError(c, RunAttend(c, 2, kernel)), Allowed(kernel, 2e-2)) << head_dim;
    }
  }
}

// As models make it, to have somewhere to look.
TEST(AttentionTest, AFirstKeyUnlikeAllOthersCostsThemNothing) {
  Case c({.kv_heads = 2, .group = 3, .head_dim = 64, .past = 500, .n = 40});
  FillKeys(c, [](std::int64_t slot, int channel, float noise) {
    return slot == 0 && channel < 32 ? 40 * noise : noise;
  });
  LookAwayFrom(0, 32, c);
  for (const AttentionKernel kernel : kKernels) {
    EXPECT_LT(WorstError(c, RunAttend(c, 2, kernel)), Allowed(kernel, 2e-3));
  }
}

// Many small weights beside a large one must count, even where each is less than a unit of the
// block's integers.
TEST(AttentionTest, ManySmallWeightsBesideALargeOneCount) {
  constexpr int kHeadDim = 64;
  for (const float first_value : {0.01f, 0.3f}) {
    Case c({.kv_heads = 1, .group = 2, .head_dim = kHeadDim, .past = 1000, .n = 30});
    std::fill(c.q.begin(), c.q.end(), 1.0f);
    ThreadPool pool(1);
    for (std::int64_t slot = 0; slot < c.shape.slots(); ++slot) {
      // Scores of 8 and 0: the first slot's weight is three times that of all the others together.
      const std::vector<float> k(kHeadDim, slot == 0 ? 1.0f : 0.0f);
      const std::vector<float> v(kHeadDim, slot == 0 ? first_value : 1.0f);
      pool.Run(
          [&](Worker& worker) { c.layer.Write(worker, slot, 1, k.data(), v.data(), kHeadDim); });
    }
    for (const AttentionKernel kernel : kKernels) {
      EXPECT_LT(WorstError(c, RunAttend(c, 2, kernel)), 0.02) << first_value;
    }
  }
}

RC_GTEST_PROP(AttentionTest, DoesNotDependOnTheNumberOfThreads, (unsigned seed)) {
  const Case c(AnyShape(), seed);
  const AttentionKernel kernel = *rc::gen::elementOf(kKernels);
  const std::vector<float> one = RunAttend(c, 1, kernel);
  for (const int threads : {2, 3, 4}) RC_ASSERT(RunAttend(c, threads, kernel) == one);
}

RC_GTEST_PROP(AttentionTest, DoesNotDependOnTheCutIntoBlocks, (unsigned seed)) {
  Shape s = AnyShape();
  s.n = *rc::gen::inRange<std::int64_t>(10, 150);
  const Case c(s, seed);
  const auto cut = *rc::gen::inRange<std::int64_t>(kFewQueries + 1, s.n - kFewQueries);
  const AttentionKernel kernel = *rc::gen::elementOf(kKernels);
  std::vector<float> parts = RunAttend(c, 2, kernel, 0, cut);
  const std::vector<float> rest = RunAttend(c, 2, kernel, cut);
  parts.insert(parts.end(), rest.begin(), rest.end());
  RC_ASSERT(parts == RunAttend(c, 2, kernel));
}

// Also of a value so large that it would spoil anything it is added to with weight zero.
RC_GTEST_PROP(AttentionTest, InvisibleSlotsChangeNothing, (unsigned seed)) {
  Shape s = AnyShape();
  s.window = *rc::gen::inRange<std::int64_t>(0, 300);
  Case c(s, seed);
  const AttentionKernel kernel = *rc::gen::elementOf(kKernels);
  const auto i = *rc::gen::inRange<std::int64_t>(0, s.n);
  const std::vector<float> before = RunAttend(c, 2, kernel);
  const std::int64_t width = s.kv_heads * s.head_dim;
  const std::vector<float> huge(width, *rc::gen::element(0.0f, 30000.0f, -30000.0f));
  ThreadPool pool(1);
  pool.Run([&](Worker& worker) {
    for (std::int64_t slot = 0; slot < c.layer.capacity(); ++slot) {
      // Bytes without a window take the first keys as an example of all.
      if (s.window == 0 && slot <= kFewQueries) continue;
      if (slot > s.past + i || (s.window > 0 && slot <= s.past + i - s.window)) {
        c.layer.Write(worker, slot, 1, huge.data(), huge.data(), width);
      }
    }
  });
  const std::vector<float> after = RunAttend(c, 2, kernel);
  RC_ASSERT(std::memcmp(before.data() + i * c.stride(), after.data() + i * c.stride(),
                        width * s.group * sizeof(float)) == 0);
}

// Keys stored with their rotation and keys rotated while they are read give the same result.
TEST(AttentionTest, RotatingWhileReadingEqualsStoringRotatedKeys) {
  for (const bool neighbours : {false, true}) {
    for (const std::int64_t n : {1, 20}) {
      Shape s{.kv_heads = 2, .group = 2, .head_dim = 64, .past = 300, .n = n};
      s.rope.emplace();
      s.rope->dims = 64;
      s.rope->neighbours = neighbours;
      Case c(s);
      const std::vector<float> reading = RunAttend(c, 2, AttentionKernel::kAuto);
      std::vector<float> k(2 * 64), v(2 * 64);
      ThreadPool pool(1);
      for (std::int64_t slot = 0; slot < s.slots(); ++slot) {
        for (int head = 0; head < 2; ++head) {
          c.layer.ReadKey(head, slot, k.data() + head * 64);
          c.layer.ReadValue(head, slot, v.data() + head * 64);
        }
        std::vector<float> cosines(64), sines(64);
        c.rope->Angles(slot, cosines.data(), sines.data());
        c.rope->RotateHeads(k.data(), 2, 64, cosines.data(), sines.data());
        pool.Run(
            [&](Worker& worker) { c.layer.Write(worker, slot, 1, k.data(), v.data(), 2 * 64); });
      }
      c.rope.reset();
      const std::vector<float> stored = RunAttend(c, 2, AttentionKernel::kAuto);
      // Storing rounds to half precision, and scores of about 10 enlarge that.
      EXPECT_THAT(reading, testing::Pointwise(testing::FloatNear(2e-2f), stored));
    }
  }
}

TEST(AttentionTest, LongCachesAreWorkedOffInBoundedMemory) {
  Shape s{.kv_heads = 2, .group = 2, .head_dim = 64, .past = 20000, .n = 10};
  s.rope.emplace();
  s.rope->dims = 64;
  const Case c(s);
  std::vector<float> out(s.n * c.stride());
  const AttentionInput input = c.Input();
  for (const AttentionKernel kernel : kKernels) {
    ThreadPool pool(2);
    AttentionScratch scratch;
    EXPECT_EQ(scratch.bytes(), 0u);
    pool.Run([&](Worker& worker) {
      Attend(worker, c.layer, input, scratch, out.data(), c.stride(), kernel);
    });
    EXPECT_LT(scratch.bytes(), 5u << 20);
    EXPECT_LT(WorstError(c, out), Allowed(kernel, 1e-3));
  }
}

RC_GTEST_PROP(AttentionTest, WeightsAgreeWithTheDefinition, (unsigned seed)) {
  Shape s = AnyShape();
  s.n = *rc::gen::inRange<std::int64_t>(1, 70);
  const Case c(s, seed);
  const auto limit = *rc::gen::inRange<std::int64_t>(1, s.slots() + 1);
  const AttentionKernel kernel = *rc::gen::elementOf(kKernels);
  const std::vector<float> weights = RunWeights(c, limit, *rc::gen::inRange(1, 4), kernel);
  for (int check = 0; check < 6; ++check) {
    const auto i = *rc::gen::inRange<std::int64_t>(0, s.n);
    const auto head = *rc::gen::inRange(0, s.heads());
    const std::vector<double> want = NaiveWeights(c, head, i, limit);
    for (std::int64_t j = 0; j < limit; ++j) {
      const double got = weights[(head * s.n + i) * limit + j];
      RC_ASSERT(std::abs(got - want[j]) < 1e-3);
      RC_ASSERT((want[j] == 0) <= (got == 0));
    }
  }
}

TEST(AttentionTest, WeightsOfLongCachesSumToOneOverWhatIsVisible) {
  Shape s{.kv_heads = 2, .group = 2, .head_dim = 64, .past = 20000, .n = 8};
  s.rope.emplace();
  s.rope->dims = 64;
  const Case c(s);
  for (const AttentionKernel kernel : kKernels) {
    const std::vector<float> weights = RunWeights(c, s.past, 2, kernel);
    for (std::int64_t row = 0; row < s.heads() * s.n; ++row) {
      double sum = 0;
      for (std::int64_t j = 0; j < s.past; ++j) sum += weights[row * s.past + j];
      EXPECT_NEAR(sum, 1.0, 1e-4);
    }
  }
}

}  // namespace
}  // namespace ondine::compute
