// Products of packed weights (packed_kernels.h), written once for the instruction sets that include
// this. `Cpu` says what one offers:
//   Lanes        its vectors (lanes_avx512.h)
//   Dot<kCodes>  start + the sum of products of four bytes: Begin(start), then, for groups 0 to
//                kGroups - 1, Add<kGroup, kGroups>(weights, input), then Total(start), which adds
//                `start` if Begin did not. kSigned: weights are the signed bytes that they mean,
//                else codes without sign, whose offset is in `start`
//   kMostPanels, kMostRows  of a tile
#ifndef ONDINE_SRC_COMPUTE_PACKED_TILES_H_
#define ONDINE_SRC_COMPUTE_PACKED_TILES_H_

#include <array>

#include "compute/packed_kernels.h"
#include "compute/packed_unpack.h"
#include "compute/tile_loops.h"

namespace ondine::compute {
// Each file compiles its own copies, for its own CPU.
namespace {  // NOLINT(google-build-namespaces)

template <typename Cpu, CodeKind kCodes, ScaleKind kScales>
class PackedProducts {
  using Lanes = typename Cpu::Lanes;
  using Floats = typename Lanes::Floats;
  using Integers = typename Lanes::Integers;
  using Dot = typename Cpu::template Dot<kCodes>;

  static constexpr int kVectors = static_cast<int>(kPanelRows) / Lanes::kCount;  // of a panel
  static constexpr int kMostPanels = Cpu::kMostPanels;
  static constexpr int kMostRows = Cpu::kMostRows;
  static constexpr int kParts = ScalesPerBlock(kScales);
  static constexpr int kPartGroups = static_cast<int>(kGroups) / kParts;
  static constexpr bool kMin = HasMin(kScales);
  // Unpacked weights of a pass, at most 24 x 512 bytes, stay in the first cache beside the
  // activations that stream by.
  static constexpr std::int64_t kMostBlocks = 24 / kMostPanels;

 public:
  static void Multiply(const PackedWeights& weights, Worker::Range panels, const PackedInput& x,
                       bool add, float* y, std::int64_t stride) {
    if (x.rows == 1) {
      MultiplyFewRows<1>(weights, panels, x, add, y, stride);
    } else if (x.rows <= 4) {
      MultiplyFewRows<4>(weights, panels, x, add, y, stride);
    } else {
      MultiplyRows(weights, panels, x, add, y, stride);
    }
  }

 private:
  struct UnpackedPanel {
    alignas(64) std::uint8_t values[kMostBlocks][kGroups][kVectorBytes];
    alignas(64) float scale[kMostBlocks * 2][kPanelRows];
    alignas(64) float minus_bias[kMostBlocks * 2][kPanelRows];  // -scale * kDotBiasValue, exact
    alignas(64) float min[kMostBlocks * 2][kPanelRows];
  };

  // Bytes of weights as a Dot takes them.
  class Decoder {
   public:
    explicit Decoder(const PackedWeights& weights)
        : table_(weights.format().table == nullptr
                     ? Lanes::SetIntegers(0)
                     : Lanes::LoadTable(weights.format().table->data())),
          offset_(Lanes::SetBytes(weights.format().offset)) {}

    template <int kGroup>
    Integers Get(const BlockValues<Lanes, kCodes>& values) const {
      const Integers bytes = values.template Get<kGroup>(table_);
      return Dot::kSigned ? Lanes::SubtractBytes(bytes, offset_) : bytes;
    }

   private:
    Integers table_, offset_;
  };

  static void Unpack(const PackedWeights& weights, std::int64_t panel, std::int64_t first_block,
                     std::int64_t blocks, UnpackedPanel& out) {
    const Decoder decoder(weights);
    const std::uint8_t* codes =
        weights.Codes(panel) + first_block * CodeVectors(kCodes) * kVectorBytes;
    const std::uint8_t* scales = weights.Scales(panel);
    for (std::int64_t block = 0; block < blocks; ++block) {
      Unroll<kVectors>([&](auto v) {
        constexpr int kRow = v * Lanes::kCount;
        const BlockValues<Lanes, kCodes> values(codes, v);
        Unroll<kGroups>([&](auto g) {
          Lanes::StoreIntegers(out.values[block][g] + kRow * 4, decoder.template Get<g>(values));
        });
        const auto vectors = LoadScales<Lanes, kScales>(scales, first_block + block, v);
        Unroll<kParts>([&](auto part) {
          const std::int64_t at = block * kParts + part;
          Lanes::Store(out.scale[at] + kRow, vectors.scale[part]);
          Lanes::Store(out.minus_bias[at] + kRow,
                       Lanes::Multiply(vectors.scale[part], Lanes::Set(-kDotBiasValue)));
          if constexpr (kMin) Lanes::Store(out.min[at] + kRow, vectors.min[part]);
        });
      });
      codes += CodeVectors(kCodes) * kVectorBytes;
    }
  }

  // kRows rows of x, from row `row` and block `block` on, times kPanels unpacked panels, which have
  // `outputs` outputs.
  template <int kPanels, int kRows>
  static void MultiplyTile(const UnpackedPanel* panels, std::int64_t blocks, const PackedInput& x,
                           std::int64_t row, std::int64_t first_block, bool add,
                           std::int64_t outputs, float* y, std::int64_t stride) {
    constexpr int kAll = kPanels * kVectors;
    const std::int64_t quant_stride = x.blocks * PackedFormat::kBlock;
    const std::int64_t at = row * x.blocks + first_block;
    const std::int8_t* quants = x.quants + at * PackedFormat::kBlock;
    const float* scales = x.scales + at;
    const std::int32_t* starts = x.starts + at * kParts;
    const float* scaled_sums = x.scaled_sums + at * kParts;

    Floats sums[kRows][kAll];
    Unroll<kRows>([&](auto r) {
      Unroll<kAll>([&](auto v) {
        constexpr int kRow = v * Lanes::kCount;
        sums[r][v] = add ? Lanes::LoadPart(y + r * stride + kRow, Lanes::First(outputs - kRow))
                         : Lanes::Set(0.0f);
      });
    });
    for (std::int64_t block = 0; block < blocks; ++block) {
      Unroll<kParts>([&](auto part) {
        const std::int64_t scale_at = block * kParts + part;
        const auto start = [&](int r) {
          return Lanes::SetIntegers(
              kMin || Dot::kSigned ? kDotBias : starts[r * x.blocks * kParts + scale_at]);
        };
        Dot dots[kRows][kAll];
        Unroll<kRows>([&](auto r) { Unroll<kAll>([&](auto v) { dots[r][v].Begin(start(r)); }); });
        Unroll<kPartGroups>([&](auto g) {
          constexpr int kGroup = part * kPartGroups + g;
          Integers weights[kAll];
          Unroll<kAll>([&](auto v) {
            weights[v] = Lanes::LoadIntegers(panels[v / kVectors].values[block][kGroup] +
                                             v % kVectors * Lanes::kCount * 4);
          });
          Unroll<kRows>([&](auto r) {
            const Integers input = Lanes::FourBytes(quants + r * quant_stride +
                                                    block * PackedFormat::kBlock + kGroup * 4);
            Unroll<kAll>(
                [&](auto v) { dots[r][v].template Add<g, kPartGroups>(weights[v], input); });
          });
        });
        Unroll<kRows>([&](auto r) {
          const Floats scale = Lanes::Set(scales[r * x.blocks + block]);
          Unroll<kAll>([&](auto v) {
            const UnpackedPanel& panel = panels[v / kVectors];
            constexpr int kRow = v % kVectors * Lanes::kCount;
            const Floats product =
                Lanes::MultiplyAdd(Lanes::AsFloats(dots[r][v].Total(start(r))),
                                   Lanes::Load(panel.scale[scale_at] + kRow),
                                   Lanes::Load(panel.minus_bias[scale_at] + kRow));
            sums[r][v] = Lanes::MultiplyAdd(product, scale, sums[r][v]);
            if constexpr (kMin) {
              const Floats scaled_sum = Lanes::Set(scaled_sums[r * x.blocks * kParts + scale_at]);
              sums[r][v] = Lanes::MultiplyAdd(Lanes::Load(panel.min[scale_at] + kRow), scaled_sum,
                                              sums[r][v]);
            }
          });
        });
      });
    }
    Unroll<kRows>([&](auto r) {
      Unroll<kAll>([&](auto v) {
        constexpr int kRow = v * Lanes::kCount;
        Lanes::StorePart(y + r * stride + kRow, sums[r][v], Lanes::First(outputs - kRow));
      });
    });
  }

  template <int kPanels>
  static constexpr auto kTiles = []<int... kIndex>(std::integer_sequence<int, kIndex...>) {
    return std::array{&MultiplyTile<kPanels, kIndex + 1>...};
  }
  (std::make_integer_sequence<int, kMostRows>());

  // Many rows: the panels of a tile are unpacked once, then pass over all rows.
  static void MultiplyRows(const PackedWeights& weights, Worker::Range panels, const PackedInput& x,
                           bool add, float* y, std::int64_t stride) {
    UnpackedPanel unpacked[kMostPanels];
    const std::int64_t passes = (x.blocks + kMostBlocks - 1) / kMostBlocks;
    for (std::int64_t panel = panels.begin; panel < panels.end; panel += kMostPanels) {
      const bool all = panel + kMostPanels <= panels.end;
      for (std::int64_t pass = 0; pass < passes; ++pass) {
        const std::int64_t first_block = x.blocks * pass / passes;
        const std::int64_t blocks = x.blocks * (pass + 1) / passes - first_block;
        for (int p = 0; p < (all ? kMostPanels : 1); ++p) {
          Unpack(weights, panel + p, first_block, blocks, unpacked[p]);
        }
        for (std::int64_t row = 0, rows; row < x.rows; row += rows) {
          rows = NextTileRows(x.rows - row, kMostRows);
          const auto tile = all ? kTiles<kMostPanels>[rows - 1] : kTiles<1>[rows - 1];
          tile(unpacked, blocks, x, row, first_block, add || pass > 0,
               weights.out() - panel * kPanelRows,
               y + row * stride + (panel - panels.begin) * kPanelRows, stride);
        }
      }
    }
  }

  // At most kRows rows: weights go from memory to registers and are used once for each row. Several
  // panels are read side by side, which keeps more of the memory's prefetchers busy: four streams
  // bring 4-bit weights at 28 GB/s to one core, where one stream brings 18.
  template <int kRows>
  static void MultiplyFewRows(const PackedWeights& weights, Worker::Range panels,
                              const PackedInput& x, bool add, float* y, std::int64_t stride) {
    constexpr std::int64_t kStreams = 4;
    const Decoder decoder(weights);
    // Missing rows repeat the last one.
    std::int64_t row_blocks[kRows];
    for (int r = 0; r < kRows; ++r) row_blocks[r] = (r < x.rows ? r : x.rows - 1) * x.blocks;

    for (std::int64_t panel = panels.begin; panel < panels.end; panel += kStreams) {
      const std::int64_t streams = panels.end - panel < kStreams ? panels.end - panel : kStreams;
      float* target = y + (panel - panels.begin) * kPanelRows;
      const std::int64_t outputs = weights.out() - panel * kPanelRows;
      Floats sums[kStreams * kVectors][kRows];
      for (std::int64_t v = 0; v < streams * kVectors; ++v) {
        const std::int64_t first = v * Lanes::kCount;
        for (int r = 0; r < kRows; ++r) {
          sums[v][r] = add && r < x.rows ? Lanes::LoadPart(target + r * stride + first,
                                                           Lanes::First(outputs - first))
                                         : Lanes::Set(0.0f);
        }
      }
      for (std::int64_t block = 0; block < x.blocks; ++block) {
        for (std::int64_t s = 0; s < streams; ++s) {
          const std::uint8_t* codes =
              weights.Codes(panel + s) + block * CodeVectors(kCodes) * kVectorBytes;
          Unroll<kVectors>([&](auto v) {
            AddBlock<kRows>(decoder, BlockValues<Lanes, kCodes>(codes, v),
                            LoadScales<Lanes, kScales>(weights.Scales(panel + s), block, v), x,
                            row_blocks, block, sums[s * kVectors + v]);
          });
        }
      }
      for (std::int64_t v = 0; v < streams * kVectors; ++v) {
        const std::int64_t first = v * Lanes::kCount;
        for (int r = 0; r < x.rows; ++r) {
          Lanes::StorePart(target + r * stride + first, sums[v][r], Lanes::First(outputs - first));
        }
      }
    }
  }

  // One block of one vector of outputs.
  template <int kRows>
  static void AddBlock(const Decoder& decoder, const BlockValues<Lanes, kCodes>& values,
                       const VectorScales<Lanes, kScales>& scales, const PackedInput& x,
                       const std::int64_t (&row_blocks)[kRows], std::int64_t block,
                       Floats (&sums)[kRows]) {
    Unroll<kParts>([&](auto part) {
      const auto start = [&](int r) {
        return Lanes::SetIntegers(
            kMin || Dot::kSigned ? 0
                                 : x.starts[(row_blocks[r] + block) * kParts + part] - kDotBias);
      };
      Dot dots[kRows];
      Unroll<kRows>([&](auto r) { dots[r].Begin(start(r)); });
      Unroll<kPartGroups>([&](auto g) {
        constexpr int kGroup = part * kPartGroups + g;
        const Integers weights = decoder.template Get<kGroup>(values);
        Unroll<kRows>([&](auto r) {
          const std::int64_t at = (row_blocks[r] + block) * PackedFormat::kBlock + kGroup * 4;
          dots[r].template Add<g, kPartGroups>(weights, Lanes::FourBytes(x.quants + at));
        });
      });
      Unroll<kRows>([&](auto r) {
        const std::int64_t at = row_blocks[r] + block;
        const Floats product =
            Lanes::Multiply(Lanes::ToFloats(dots[r].Total(start(r))), scales.scale[part]);
        sums[r] = Lanes::MultiplyAdd(product, Lanes::Set(x.scales[at]), sums[r]);
        if constexpr (kMin) {
          const Floats scaled_sum = Lanes::Set(x.scaled_sums[at * kParts + part]);
          sums[r] = Lanes::MultiplyAdd(scales.min[part], scaled_sum, sums[r]);
        }
      });
    });
  }
};

// The combinations that FindPackedFormat knows.
template <typename Cpu>
PackedKernel FindPackedKernel(const PackedFormat& format) {
  using C = CodeKind;
  using S = ScaleKind;
  const bool super = IsSuper(format.scales), min = HasMin(format.scales);
  switch (format.codes) {
    case C::k2:
      return min ? PackedProducts<Cpu, C::k2, S::kSuperPairMin>::Multiply
                 : PackedProducts<Cpu, C::k2, S::kSuper>::Multiply;
    case C::k3: return PackedProducts<Cpu, C::k3, S::kSuperPair>::Multiply;
    case C::k4:
      if (super) return PackedProducts<Cpu, C::k4, S::kSuperMin>::Multiply;
      return min ? PackedProducts<Cpu, C::k4, S::kHalfMin>::Multiply
                 : PackedProducts<Cpu, C::k4, S::kHalf>::Multiply;
    case C::k4Table:
      if (format.scales == S::kSuper) return PackedProducts<Cpu, C::k4Table, S::kSuper>::Multiply;
      if (super) return PackedProducts<Cpu, C::k4Table, S::kSuperPair>::Multiply;
      if (format.scales == S::kBFloat16) {
        return PackedProducts<Cpu, C::k4Table, S::kBFloat16>::Multiply;
      }
      return format.scales == S::kHalfPair ? PackedProducts<Cpu, C::k4Table, S::kHalfPair>::Multiply
                                           : PackedProducts<Cpu, C::k4Table, S::kHalf>::Multiply;
    case C::k5:
      if (super) return PackedProducts<Cpu, C::k5, S::kSuperMin>::Multiply;
      return min ? PackedProducts<Cpu, C::k5, S::kHalfMin>::Multiply
                 : PackedProducts<Cpu, C::k5, S::kHalf>::Multiply;
    case C::k6: return PackedProducts<Cpu, C::k6, S::kSuperPair>::Multiply;
    case C::k8: return PackedProducts<Cpu, C::k8, S::kHalf>::Multiply;
  }
  return nullptr;
}

}  // namespace
}  // namespace ondine::compute

#endif  // ONDINE_SRC_COMPUTE_PACKED_TILES_H_
