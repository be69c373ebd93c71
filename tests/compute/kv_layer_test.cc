#include "compute/kv_layer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <random>
#include <vector>

#include "compute/cpu_features.h"

namespace ondine::compute {
namespace {

const std::vector<KvType> kTypes = {KvType::kF16, KvType::kQ8_0, KvType::kQ4_0};

std::vector<float> RandomRows(std::int64_t size, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::vector<float> values(size);
  for (float& value : values) value = normal(random);
  return values;
}

void Write(ThreadPool& pool, KvLayer& layer, std::int64_t slot, const std::vector<float>& k,
           const std::vector<float>& v) {
  const std::int64_t stride = layer.shape().kv_heads * layer.shape().head_dim;
  const auto n = static_cast<std::int64_t>(k.size()) / stride;
  pool.Run([&](Worker& worker) { layer.Write(worker, slot, n, k.data(), v.data(), stride); });
}

std::vector<float> ReadAll(const KvLayer& layer, int head, std::int64_t length, bool keys) {
  const int dim = layer.shape().head_dim;
  std::vector<float> rows(length * dim);
  for (std::int64_t slot = 0; slot < length; ++slot) {
    float* row = rows.data() + slot * dim;
    keys ? layer.ReadKey(head, slot, row) : layer.ReadValue(head, slot, row);
  }
  return rows;
}

// The most that storing may change an element of a block of 32, given the block's largest
// magnitude.
float Tolerance(KvType type, float value, float largest) {
  switch (type) {
    case KvType::kF16: return std::abs(value) / 2048 + 3e-8f;
    case KvType::kQ8_0: return largest / 127 * 0.51f;
    case KvType::kQ4_0: return largest / 8 * 1.01f;  // the end opposite to the extreme is clamped
  }
  return 0;
}

RC_GTEST_PROP(KvLayerTest, ReadsBackWhatWasWritten, (unsigned seed)) {
  const KvType type = *rc::gen::elementOf(kTypes);
  const KvShape shape{*rc::gen::inRange(1, 5), 32 * *rc::gen::inRange(1, 9)};
  const auto slot = *rc::gen::inRange<std::int64_t>(0, 20);
  const auto n = *rc::gen::inRange<std::int64_t>(1, 20);
  ThreadPool pool(*rc::gen::inRange(1, 4));
  KvLayer layer(shape, type, slot + n);
  const std::int64_t width = shape.kv_heads * shape.head_dim;
  const std::vector<float> k = RandomRows(n * width, seed), v = RandomRows(n * width, seed + 1);
  Write(pool, layer, slot, k, v);
  std::vector<float> row(shape.head_dim);
  for (std::int64_t i = 0; i < n; ++i) {
    for (int head = 0; head < shape.kv_heads; ++head) {
      for (const bool keys : {true, false}) {
        const float* want = (keys ? k : v).data() + i * width + head * shape.head_dim;
        keys ? layer.ReadKey(head, slot + i, row.data())
             : layer.ReadValue(head, slot + i, row.data());
        for (int d = 0; d < shape.head_dim; ++d) {
          float largest = 0;
          for (int e = d / 32 * 32; e < d / 32 * 32 + 32; ++e) {
            largest = std::max(largest, std::abs(want[e]));
          }
          RC_ASSERT(std::abs(row[d] - want[d]) <= Tolerance(type, want[d], largest));
        }
      }
    }
  }
}

// All encoders, of which a CPU only ever uses one, write the same bytes.
#if defined(__x86_64__)
RC_GTEST_PROP(KvLayerTest, EncodersAgree, (unsigned seed)) {
  std::vector<decltype(&EncodeKvRow)> encoders;
  if (HasAvx512()) encoders.push_back(EncodeKvRowAvx512);
  if (HasAvx2()) encoders.push_back(EncodeKvRowAvx2);
  if (encoders.empty()) GTEST_SKIP() << "no AVX2 here";
  const KvType type = *rc::gen::elementOf(kTypes);
  const int dim = 32 * *rc::gen::inRange(1, 9);
  std::vector<float> values = RandomRows(dim, seed);
  const float size = *rc::gen::element(1e-38f, 1e-8f, 1e-5f, 1.0f, 1e3f, 1e6f, 1e38f);
  for (float& value : values) value *= size;
  values[seed % dim] = *rc::gen::element(0.0f, -0.0f, 65519.0f, -65520.0f, 1e-7f,
                                         std::numeric_limits<float>::infinity(),
                                         std::numeric_limits<float>::quiet_NaN());
  std::vector<std::byte> plain(KvRowBytes(type, dim)), fast(plain.size());
  EncodeKvRow(type, values.data(), dim, plain.data());
  const auto encode = *rc::gen::elementOf(encoders);
  encode(type, values.data(), dim, fast.data());
  RC_ASSERT(plain == fast);
}
#endif

TEST(KvLayerTest, HalvesAreRoundedToNearestEvenAtEveryMagnitude) {
  const KvShape shape{1, 32};
  ThreadPool pool(1);
  KvLayer layer(shape, KvType::kF16, 1);
  std::vector<float> k(32, 0.0f);
  k[0] = 1.0f + 0x1p-11f;  // halfway between 1 and the next half: to even
  k[1] = 1.0f + 0x3p-11f;  // halfway, the even one is above
  k[2] = 0x1p-24f;         // the smallest subnormal
  k[3] = 0x1.8p-24f;       // halfway between two subnormals
  k[4] = 0x1p-26f;         // vanishes
  k[5] = 65504.0f;         // the largest half
  k[6] = 1e9f;             // beyond: clamped
  k[7] = -std::numeric_limits<float>::infinity();
  k[8] = 0x1.ffep-15f;  // the last place below the normal range
  k[9] = std::numeric_limits<float>::quiet_NaN();
  k[10] = -0.0f;
  k[11] = 65519.0f;
  Write(pool, layer, 0, k, k);
  const std::vector<float> got = ReadAll(layer, 0, 1, true);
  EXPECT_EQ(got[0], 1.0f);
  EXPECT_EQ(got[1], 1.0f + 0x1p-9f);
  EXPECT_EQ(got[2], 0x1p-24f);
  EXPECT_EQ(got[3], 0x1p-23f);
  EXPECT_EQ(got[4], 0.0f);
  EXPECT_EQ(got[5], 65504.0f);
  EXPECT_EQ(got[6], 65504.0f);
  EXPECT_EQ(got[7], -65504.0f);
  EXPECT_EQ(got[8], 0x1p-14f);
  EXPECT_TRUE(std::isnan(got[9]));
  EXPECT_TRUE(std::signbit(got[10]));
  EXPECT_EQ(got[11], 65504.0f);
}

TEST(KvLayerTest, ZeroTinyAndNonFiniteBlocksAreStoredWithoutHarm) {
  for (const KvType type : {KvType::kQ8_0, KvType::kQ4_0}) {
    ThreadPool pool(1);
    KvLayer layer({1, 96}, type, 1);
    std::vector<float> k(96, 0.0f);
    std::fill(k.begin() + 32, k.begin() + 64, 1e-30f);
    k[64] = std::numeric_limits<float>::quiet_NaN();
    k[65] = 2.0f;
    Write(pool, layer, 0, k, k);
    const std::vector<float> got = ReadAll(layer, 0, 1, true);
    for (int d = 0; d < 64; ++d) EXPECT_EQ(got[d], 0.0f);
    EXPECT_NEAR(got[65], 2.0f, 1e-2f);
  }
}

RC_GTEST_PROP(KvLayerTest, KeepMovesRowsUnchanged, (unsigned seed)) {
  const KvType type = *rc::gen::elementOf(kTypes);
  const KvShape shape{3, 64};
  constexpr std::int64_t kLength = 100;
  ThreadPool pool(2);
  KvLayer layer(shape, type, kLength);
  Write(pool, layer, 0, RandomRows(kLength * 192, seed), RandomRows(kLength * 192, seed + 1));
  const std::vector<float> other = ReadAll(layer, 0, kLength, true);
  const std::vector<float> keys = ReadAll(layer, 1, kLength, true);
  const std::vector<float> values = ReadAll(layer, 1, kLength, false);

  std::vector<std::int32_t> slots(kLength);
  std::iota(slots.begin(), slots.end(), 0);
  std::mt19937 random(seed);
  std::vector<std::int32_t> kept;
  std::sample(slots.begin(), slots.end(), std::back_inserter(kept),
              *rc::gen::inRange<std::int64_t>(0, kLength + 1), random);
  layer.Keep(1, kept);

  const auto size = static_cast<std::int64_t>(kept.size());
  const std::vector<float> got_keys = ReadAll(layer, 1, size, true);
  const std::vector<float> got_values = ReadAll(layer, 1, size, false);
  for (std::int64_t i = 0; i < size; ++i) {
    for (int d = 0; d < 64; ++d) {
      RC_ASSERT(got_keys[i * 64 + d] == keys[kept[i] * 64 + d]);
      RC_ASSERT(got_values[i * 64 + d] == values[kept[i] * 64 + d]);
    }
  }
  RC_ASSERT(ReadAll(layer, 0, kLength, true) == other);
}

TEST(KvLayerTest, ATokenMovedAThousandTimesDoesNotDrift) {
  for (const KvType type : kTypes) {
    constexpr std::int64_t kLength = 1100, kCycles = 1000;
    ThreadPool pool(1);
    KvLayer layer({1, 64}, type, kLength);
    Write(pool, layer, 0, RandomRows(kLength * 64, 1), RandomRows(kLength * 64, 2));
    std::vector<float> first(64), last(64);
    layer.ReadKey(0, kLength - 1, first.data());
    for (std::int64_t length = kLength; length > kLength - kCycles; --length) {
      std::vector<std::int32_t> all_but_the_first(length - 1);
      std::iota(all_but_the_first.begin(), all_but_the_first.end(), 1);
      layer.Keep(0, all_but_the_first);
    }
    layer.ReadKey(0, kLength - 1 - kCycles, last.data());
    EXPECT_EQ(first, last);
  }
}

RC_GTEST_PROP(KvLayerTest, ExportAndImportAreInverse, (unsigned seed)) {
  const KvType type = *rc::gen::elementOf(kTypes);
  constexpr std::int64_t kLength = 20;
  ThreadPool pool(1);
  KvLayer from({2, 32}, type, kLength + 7), to({2, 32}, type, kLength);
  Write(pool, from, 0, RandomRows(kLength * 64, seed), RandomRows(kLength * 64, seed + 1));
  std::vector<std::byte> keys(from.ExportBytes(kLength)), values(from.ExportBytes(kLength));
  for (int head = 0; head < 2; ++head) {
    from.ExportKeys(head, kLength, keys.data());
    from.ExportValues(head, kLength, values.data());
    to.ImportKeys(head, kLength, keys.data());
    to.ImportValues(head, kLength, values.data());
    RC_ASSERT(ReadAll(from, head, kLength, true) == ReadAll(to, head, kLength, true));
    RC_ASSERT(ReadAll(from, head, kLength, false) == ReadAll(to, head, kLength, false));
  }
}

TEST(KvLayerTest, ReportsItsBytes) {
  EXPECT_EQ(KvLayer({3, 64}, KvType::kF16, 1000).bytes(), 2u * 3 * 1000 * 128);
  EXPECT_EQ(KvLayer({3, 64}, KvType::kQ8_0, 1000).bytes(), 2u * 3 * 1000 * 68);
  EXPECT_EQ(KvLayer({3, 64}, KvType::kQ4_0, 1000).bytes(), 2u * 3 * 1000 * 36);
}

}  // namespace
}  // namespace ondine::compute
