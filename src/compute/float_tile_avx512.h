// The loops that the AVX-512 kernels of float matrices share. `Element` says how the weights of a
// panel and the input meet:
//   Input         type of the elements of a row of x
//   Vector        weights of one step: 16 outputs, kColumns columns
//   kColumns      columns of one step
//   kBytes        of a panel, for one step
//   Load(at), Broadcast(x), MultiplyAdd(weights, x, sum)
#ifndef ONDINE_SRC_COMPUTE_FLOAT_TILE_AVX512_H_
#define ONDINE_SRC_COMPUTE_FLOAT_TILE_AVX512_H_

#include <immintrin.h>

#include <array>
#include <cstddef>
#include <cstdint>

#include "compute/float_weights.h"
#include "compute/lanes_avx512.h"
#include "compute/tile_loops.h"

namespace ondine::compute {
// Each file compiles its own copies, for its own CPU.
namespace {  // NOLINT(google-build-namespaces)

constexpr int kMostPanels = 2;
constexpr int kMostRows = 12;  // 24 sums, two weights and an input fill the registers
// Of a pass: weights of two panels that stay in the first cache while all rows go by.
constexpr std::int64_t kPassBytes = 16 * 1024;

// kRows rows of x times kPanels panels, `steps` steps from the given pointers on.
template <typename Element, int kPanels, int kRows>
void MultiplyTile(const std::byte* weights, std::int64_t panel_bytes, std::int64_t steps,
                  const typename Element::Input* x, std::int64_t x_stride, bool add,
                  __mmask16 last_mask, float* y, std::int64_t stride) {
  constexpr std::int64_t kLanes = FloatWeights::kPanelRows;
  const auto mask = [last_mask](int p) {
    return p == kPanels - 1 ? last_mask : static_cast<__mmask16>(0xffff);
  };
  __m512 sums[kRows][kPanels];
  Unroll<kRows>([&](auto r) {
    Unroll<kPanels>([&](auto p) {
      sums[r][p] =
          add ? _mm512_maskz_loadu_ps(mask(p), y + r * stride + p * kLanes) : _mm512_setzero_ps();
    });
  });
  for (std::int64_t step = 0; step < steps; ++step) {
    typename Element::Vector w[kPanels];
    Unroll<kPanels>([&](auto p) { w[p] = Element::Load(weights + p * panel_bytes); });
    Unroll<kRows>([&](auto r) {
      const auto input = Element::Broadcast(x + r * x_stride);
      Unroll<kPanels>([&](auto p) { sums[r][p] = Element::MultiplyAdd(w[p], input, sums[r][p]); });
    });
    weights += Element::kBytes;
    x += Element::kColumns;
  }
  Unroll<kRows>([&](auto r) {
    Unroll<kPanels>(
        [&](auto p) { _mm512_mask_storeu_ps(y + r * stride + p * kLanes, mask(p), sums[r][p]); });
  });
}

template <typename Element, int kPanels>
constexpr auto kTiles = []<int... kIndex>(std::integer_sequence<int, kIndex...>) {
  return std::array{&MultiplyTile<Element, kPanels, kIndex + 1>...};
}
(std::make_integer_sequence<int, kMostRows>());

// All rows of x ([rows], `x_stride` apart, padded to whole steps) times the panels.
template <typename Element>
void MultiplyPanels(const FloatWeights& weights, Worker::Range panels,
                    const typename Element::Input* x, std::int64_t rows, std::int64_t x_stride,
                    bool add, float* y, std::int64_t stride) {
  constexpr std::int64_t kPassSteps = kPassBytes / kMostPanels / Element::kBytes;
  const std::int64_t steps = (weights.in() + Element::kColumns - 1) / Element::kColumns;
  for (std::int64_t panel = panels.begin; panel < panels.end; panel += kMostPanels) {
    const bool pair = panel + 1 < panels.end;
    const __mmask16 last_mask =
        FirstLanes(weights.out() - (panel + pair) * FloatWeights::kPanelRows);
    for (std::int64_t first = 0; first < steps; first += kPassSteps) {
      const std::int64_t count = steps - first < kPassSteps ? steps - first : kPassSteps;
      for (std::int64_t row = 0, tile_rows; row < rows; row += tile_rows) {
        tile_rows = NextTileRows(rows - row, kMostRows);
        const auto tile =
            pair ? kTiles<Element, 2>[tile_rows - 1] : kTiles<Element, 1>[tile_rows - 1];
        tile(weights.Panel(panel) + first * Element::kBytes, weights.panel_bytes(), count,
             x + row * x_stride + first * Element::kColumns, x_stride, add || first > 0, last_mask,
             y + row * stride + (panel - panels.begin) * FloatWeights::kPanelRows, stride);
      }
    }
  }
}

}  // namespace
}  // namespace ondine::compute

#endif  // ONDINE_SRC_COMPUTE_FLOAT_TILE_AVX512_H_
