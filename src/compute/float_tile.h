// The loops that kernels of float matrices share, whatever their instruction set. `Element` says
// how the weights of a panel and the input meet:
//   Lanes          the set's vectors (lanes_avx512.h)
//   Input          type of the elements of a row of x
//   Vector         weights of one step: Lanes::kCount outputs, kColumns columns
//   kColumns       columns of one step
//   kBytes         of a panel, for one step
//   Load(at, v)    the panel's vector v
//   Broadcast(x), MultiplyAdd(weights, x, sum)
#ifndef ONDINE_SRC_COMPUTE_FLOAT_TILE_H_
#define ONDINE_SRC_COMPUTE_FLOAT_TILE_H_

#include <array>
#include <cstddef>
#include <cstdint>

#include "compute/float_weights.h"
#include "compute/tile_loops.h"

namespace ondine::compute {
// Each file compiles its own copies, for its own CPU.
namespace {  // NOLINT(google-build-namespaces)

// F32, F16 and BF16 elements, of which the last are widened by moving bits, two columns at a time.

template <typename L>
struct FloatElement {
  using Lanes = L;
  using Input = float;
  using Vector = typename Lanes::Floats;
  static constexpr std::int64_t kColumns = 1;
  static Vector Broadcast(const float* x) { return Lanes::Set(*x); }
  static Vector MultiplyAdd(Vector w, Vector x, Vector sum) {
    return Lanes::MultiplyAdd(w, x, sum);
  }
};

template <typename L>
struct F32Element : FloatElement<L> {
  static constexpr std::int64_t kBytes = 64;
  static auto Load(const std::byte* at, int v) {
    return L::Load(reinterpret_cast<const float*>(at) + v * L::kCount);
  }
};

template <typename L>
struct F16Element : FloatElement<L> {
  static constexpr std::int64_t kBytes = 32;
  static auto Load(const std::byte* at, int v) { return L::LoadHalves(at + v * L::kCount * 2); }
};

template <typename L>
struct BFloat16Element {
  using Lanes = L;
  using Input = float;
  struct Vector {
    typename Lanes::Floats even, odd;
  };
  static constexpr std::int64_t kColumns = 2;
  static constexpr std::int64_t kBytes = 64;
  static Vector Load(const std::byte* at, int v) {
    const auto bits = Lanes::LoadIntegers(at + v * Lanes::kCount * 4);
    return {Lanes::EvenBFloat16s(bits), Lanes::OddBFloat16s(bits)};
  }
  static Vector Broadcast(const float* x) { return {Lanes::Set(x[0]), Lanes::Set(x[1])}; }
  static typename Lanes::Floats MultiplyAdd(const Vector& w, const Vector& x,
                                            typename Lanes::Floats sum) {
    return Lanes::MultiplyAdd(w.odd, x.odd, Lanes::MultiplyAdd(w.even, x.even, sum));
  }
};

template <typename Element>
class FloatProducts {
  using Lanes = typename Element::Lanes;
  using Input = typename Element::Input;

  static constexpr int kVectors = static_cast<int>(FloatWeights::kPanelRows) / Lanes::kCount;
  // Sums of a tile: 24 of 32 registers, or 12 of AVX2's 16.
  static constexpr int kMostPanels = kVectors == 1 ? 2 : 1;
  static constexpr int kMostRows = kVectors == 1 ? 12 : 6;
  // Of a tile of one row, which weights from memory pass by once: read side by side they keep more
  // of the memory's prefetchers busy, and their sums wait less for each other.
  static constexpr int kLonePanels = 4;
  // Of a pass: weights of a tile's panels that stay in the first cache while all rows go by.
  static constexpr std::int64_t kPassBytes = 16 * 1024;

 public:
  // All rows of x ([rows], `x_stride` apart, padded to whole steps) times the panels.
  static void Multiply(const FloatWeights& weights, Worker::Range panels, const Input* x,
                       std::int64_t rows, std::int64_t x_stride, bool add, float* y,
                       std::int64_t stride) {
    constexpr std::int64_t kPassSteps = kPassBytes / kMostPanels / Element::kBytes;
    const std::int64_t steps = (weights.in() + Element::kColumns - 1) / Element::kColumns;
    const int most = rows == 1 ? kLonePanels : kMostPanels;
    for (std::int64_t panel = panels.begin, count; panel < panels.end; panel += count) {
      count = panel + most <= panels.end ? most : 1;
      const std::int64_t outputs = weights.out() - panel * FloatWeights::kPanelRows;
      for (std::int64_t first = 0; first < steps; first += kPassSteps) {
        const std::int64_t pass = steps - first < kPassSteps ? steps - first : kPassSteps;
        for (std::int64_t row = 0, tile_rows; row < rows; row += tile_rows) {
          tile_rows = NextTileRows(rows - row, kMostRows);
          const auto tile = count == 1  ? kTiles<1>[tile_rows - 1]
                            : rows == 1 ? MultiplyTile<kLonePanels, 1>
                                        : kTiles<kMostPanels>[tile_rows - 1];
          tile(weights.Panel(panel) + first * Element::kBytes, weights.panel_bytes(), pass,
               x + row * x_stride + first * Element::kColumns, x_stride, add || first > 0, outputs,
               y + row * stride + (panel - panels.begin) * FloatWeights::kPanelRows, stride);
        }
      }
    }
  }

 private:
  // kRows rows of x times kPanels panels of `outputs` outputs, `steps` steps from the given
  // pointers on.
  template <int kPanels, int kRows>
  static void MultiplyTile(const std::byte* weights, std::int64_t panel_bytes, std::int64_t steps,
                           const Input* x, std::int64_t x_stride, bool add, std::int64_t outputs,
                           float* y, std::int64_t stride) {
    constexpr int kAll = kPanels * kVectors;
    typename Lanes::Floats sums[kRows][kAll];
    Unroll<kRows>([&](auto r) {
      Unroll<kAll>([&](auto v) {
        constexpr int kFirst = v * Lanes::kCount;
        sums[r][v] = add ? Lanes::LoadPart(y + r * stride + kFirst, Lanes::First(outputs - kFirst))
                         : Lanes::Set(0.0f);
      });
    });
    for (std::int64_t step = 0; step < steps; ++step) {
      typename Element::Vector w[kAll];
      Unroll<kAll>([&](auto v) {
        w[v] = Element::Load(weights + v / kVectors * panel_bytes, v % kVectors);
      });
      Unroll<kRows>([&](auto r) {
        const auto input = Element::Broadcast(x + r * x_stride);
        Unroll<kAll>([&](auto v) { sums[r][v] = Element::MultiplyAdd(w[v], input, sums[r][v]); });
      });
      weights += Element::kBytes;
      x += Element::kColumns;
    }
    Unroll<kRows>([&](auto r) {
      Unroll<kAll>([&](auto v) {
        constexpr int kFirst = v * Lanes::kCount;
        Lanes::StorePart(y + r * stride + kFirst, sums[r][v], Lanes::First(outputs - kFirst));
      });
    });
  }

  template <int kPanels>
  static constexpr auto kTiles = []<int... kIndex>(std::integer_sequence<int, kIndex...>) {
    return std::array{&MultiplyTile<kPanels, kIndex + 1>...};
  }
  (std::make_integer_sequence<int, kMostRows>());
};

// Of weights and inputs as they are, without rounding.
template <typename Lanes>
void MultiplyFloats(const FloatWeights& weights, Worker::Range panels, const float* x,
                    std::int64_t rows, std::int64_t x_stride, bool add, float* y,
                    std::int64_t stride) {
  const auto multiply = weights.type() == formats::TensorType::kF32
                            ? FloatProducts<F32Element<Lanes>>::Multiply
                        : weights.type() == formats::TensorType::kF16
                            ? FloatProducts<F16Element<Lanes>>::Multiply
                            : FloatProducts<BFloat16Element<Lanes>>::Multiply;
  multiply(weights, panels, x, rows, x_stride, add, y, stride);
}

}  // namespace
}  // namespace ondine::compute

#endif  // ONDINE_SRC_COMPUTE_FLOAT_TILE_H_
