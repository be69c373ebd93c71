// Products of 8-bit weights (int8_kernels.h), written once for the instruction sets that include
// this. `Cpu` says what one offers:
//   Lanes                 its vectors (lanes_avx512.h; AddInt8Outliers: with SignedByte)
//   Weights, Load(from)   four columns of Lanes::kCount outputs, ready for products
//   Codes, Spread(from)   four codes of an input, the same for all outputs
//   Add(sum, codes, weights)
//   kMostPanels, kMostRows   of a tile
//   kMostStreams          panels that are read side by side where there is one row
#ifndef ONDINE_SRC_COMPUTE_INT8_TILES_H_
#define ONDINE_SRC_COMPUTE_INT8_TILES_H_

#include <array>
#include <span>

#include "compute/int8_kernels.h"
#include "compute/tile_loops.h"

namespace ondine::compute {
// Each file compiles its own copies, for its own CPU.
namespace {  // NOLINT(google-build-namespaces)

template <typename Cpu>
class Int8Products {
  using Lanes = typename Cpu::Lanes;

  static constexpr int kPanelRows = static_cast<int>(Int8Weights::kPanelRows);
  static constexpr int kVectors = kPanelRows / Lanes::kCount;  // of a panel
  static constexpr std::int64_t kGroupBytes = kPanelRows * Int8Weights::kGroup;

 public:
  static void Multiply(const Int8Weights& weights, Worker::Range panels, const Int8Input& x,
                       const Int8Outputs& outputs, bool add, float* y, std::int64_t stride) {
    const std::int64_t most = x.rows == 1 ? Cpu::kMostStreams : Cpu::kMostPanels;
    std::int64_t count = 0;
    for (std::int64_t panel = panels.begin; panel < panels.end; panel += count) {
      count = panel + most <= panels.end ? most : 1;
      const Int8Outputs here = {outputs.starts + panel * kPanelRows,
                                outputs.scales + panel * kPanelRows};
      float* target = y + (panel - panels.begin) * kPanelRows;
      for (std::int64_t row = 0, rows; row < x.rows; row += rows) {
        rows = NextTileRows(x.rows - row, Cpu::kMostRows);
        const auto tile = count == 1    ? kTiles<1>[rows - 1]
                          : x.rows == 1 ? MultiplyTile<Cpu::kMostStreams, 1>
                                        : kTiles<Cpu::kMostPanels>[rows - 1];
        tile(weights.Panel(panel), weights.panel_bytes(), weights.groups(),
             x.codes + row * x.stride, x.stride, here, weights.out() - panel * kPanelRows, add,
             target + row * stride, stride);
      }
    }
  }

 private:
  // kRows rows of x times kPanels panels of `count` outputs, whose numbers `outputs` begins with.
  template <int kPanels, int kRows>
  static void MultiplyTile(const std::int8_t* panel, std::int64_t panel_bytes, std::int64_t groups,
                           const std::uint8_t* codes, std::int64_t code_stride,
                           const Int8Outputs& outputs, std::int64_t count, bool add, float* y,
                           std::int64_t stride) {
    constexpr int kAll = kPanels * kVectors;
    typename Lanes::Part parts[kAll];
    typename Lanes::Integers sums[kRows][kAll];
#pragma GCC unroll 16
    for (int v = 0; v < kAll; ++v) {
      parts[v] = Lanes::First(count - v * Lanes::kCount);
      const auto start = Lanes::LoadIntegers(outputs.starts + v * Lanes::kCount);
#pragma GCC unroll 16
      for (int r = 0; r < kRows; ++r) sums[r][v] = start;
    }
    // A loop that runs at least once: where it may not, GCC 12 keeps a second copy of the sums in
    // memory for what comes after it.
    std::int64_t g = 0;
    do {
      typename Cpu::Weights weights[kAll];
#pragma GCC unroll 16
      for (int v = 0; v < kAll; ++v) {
        weights[v] = Cpu::Load(panel + v / kVectors * panel_bytes + g * kGroupBytes +
                               v % kVectors * Lanes::kCount * Int8Weights::kGroup);
      }
#pragma GCC unroll 16
      for (int r = 0; r < kRows; ++r) {
        const auto input = Cpu::Spread(codes + r * code_stride + g * Int8Weights::kGroup);
#pragma GCC unroll 16
        for (int v = 0; v < kAll; ++v) Cpu::Add(sums[r][v], input, weights[v]);
      }
    } while (++g < groups);
#pragma GCC unroll 16
    for (int v = 0; v < kAll; ++v) {
      const auto scale = Lanes::Load(outputs.scales + v * Lanes::kCount);
#pragma GCC unroll 16
      for (int r = 0; r < kRows; ++r) {
        float* target = y + r * stride + v * Lanes::kCount;
        const auto old = add ? Lanes::LoadPart(target, parts[v]) : Lanes::Set(0.0f);
        Lanes::StorePart(target, Lanes::MultiplyAdd(Lanes::ToFloats(sums[r][v]), scale, old),
                         parts[v]);
      }
    }
  }

  template <int kPanels>
  static constexpr auto kTiles = []<int... kIndex>(std::integer_sequence<int, kIndex...>) {
    return std::array{&MultiplyTile<kPanels, kIndex + 1>...};
  }
  (std::make_integer_sequence<int, Cpu::kMostRows>());
};

// As AddInt8OutliersScalar.
template <typename Lanes>
void AddInt8Outliers(const Int8Weights& weights, Worker::Range panels,
                     std::span<const Int8Outlier> outliers, const float* scales, float* y) {
  constexpr int kPanelRows = static_cast<int>(Int8Weights::kPanelRows);
  constexpr int kGroup = static_cast<int>(Int8Weights::kGroup);
  constexpr int kVectors = kPanelRows / Lanes::kCount;
  for (std::int64_t panel = panels.begin; panel < panels.end; ++panel, y += kPanelRows) {
    typename Lanes::Floats sums[kVectors];
    for (auto& sum : sums) sum = Lanes::Set(0.0f);
    for (const Int8Outlier& outlier : outliers) {
      // A column is a byte of each four of its group.
      const std::int8_t* group =
          weights.Panel(panel) + outlier.column / kGroup * kGroup * kPanelRows;
      const auto excess = Lanes::Set(outlier.excess);
      Unroll<kVectors>([&](auto v) {
        const auto bytes = Lanes::SignedByte(
            Lanes::LoadIntegers(group + v * Lanes::kCount * kGroup), outlier.column % kGroup);
        sums[v] = Lanes::MultiplyAdd(excess, Lanes::ToFloats(bytes), sums[v]);
      });
    }
    const std::int64_t first = panel * kPanelRows;
    Unroll<kVectors>([&](auto v) {
      constexpr int kRow = v * Lanes::kCount;
      const auto part = Lanes::First(weights.out() - first - kRow);
      const auto scale = Lanes::Load(scales + first + kRow);
      Lanes::StorePart(y + kRow,
                       Lanes::MultiplyAdd(sums[v], scale, Lanes::LoadPart(y + kRow, part)), part);
    });
  }
}

}  // namespace
}  // namespace ondine::compute

#endif  // ONDINE_SRC_COMPUTE_INT8_TILES_H_
