// Attention in floats, written once for the instruction sets that include this. Keys of 16 slots
// stand side by side, so that a vector is some slots of one query row; of values it is some
// dimensions. Four rows share what is loaded. `Lanes` says what a set offers: its vectors
// (lanes_avx512.h) and
//   Add(a, b)
//   Maximum(a, b)            b where one of them is a NaN
//   Largest(x), Sum(x)       of all places
//   Nearest(x)               whole numbers, ties to even
//   PowerOfTwo(whole)        of whole numbers from -126 on
//   Mask, Within(at, first, last)   the places whose numbers, `at` on, are in [first, last]
//   Choose(mask, x, other)   x there, `other` elsewhere
//   Transpose(from, from_stride, to, to_stride)   a square of floats; strides of rows in floats
#ifndef ONDINE_SRC_COMPUTE_ATTENTION_FLOATS_H_
#define ONDINE_SRC_COMPUTE_ATTENTION_FLOATS_H_

#include <algorithm>

#include "compute/attention_rotation.h"
#include "compute/attention_state.h"
#include "compute/kv_rows_loops.h"
#include "compute/tile_loops.h"

namespace ondine::compute {
// Each file compiles its own copies, for its own CPU.
namespace {  // NOLINT(google-build-namespaces)

template <typename Lanes>
class FloatAttention {
  using Floats = typename Lanes::Floats;

  static constexpr int kLanes = Lanes::kCount;
  static constexpr int kVectors = kSlotTile / kLanes;
  // With its sums of each vector, which hide a product's latency.
  static constexpr int kRowGroup = 4;

  // Slots of a panel where queries are few: with 64 dimensions it stays in the first cache.
  static constexpr int kFewBlock = 32;

  // Panels: keys [slot / 16][dim][16]; values [slot / block][dim / 16][slot % block][16], a block
  // being kSlotBlock or kFewBlock slots.

  static void ReadRow(const StoredHead& head, const std::byte* row, float* out) {
    if (head.type != KvType::kF16) return Decode(head.type, row, head.head_dim, out);
    for (int d = 0; d < head.head_dim; d += kLanes) {
      Lanes::Store(out + d, Lanes::LoadHalves(row + 2 * d));
    }
  }

  // Up to 16 slots, from a multiple of 16 on; zeros stand for those that are not there.
  static void PackTile(const StoredHead& head, std::int64_t slot, std::int64_t end, int block,
                       const Panel& panel,
                       void (*rotate)(const StoredHead&, std::int64_t, float*)) {
    const int dim = head.head_dim;
    alignas(64) float rows[kSlotTile][kMaxHeadDim];
    const auto read = [&](const std::byte* stored, int i) {
      if (slot + i < end) {
        ReadRow(head, stored + (slot + i) * head.row_bytes, rows[i]);
      } else {
        std::fill_n(rows[i], dim, 0.0f);
      }
    };
    const std::int64_t at = slot - panel.begin;
    float* keys = static_cast<float*>(panel.keys) + at * dim;
    for (int i = 0; i < kSlotTile; ++i) {
      read(head.keys, i);
      if (slot + i < end) rotate(head, slot + i, rows[i]);
    }
    for (int d = 0; d < dim; d += kLanes) {
      for (int i = 0; i < kSlotTile; i += kLanes) {
        Lanes::Transpose(rows[i] + d, kMaxHeadDim, keys + d * kSlotTile + i, kSlotTile);
      }
    }
    if (panel.values == nullptr) return;
    float* values =
        static_cast<float*>(panel.values) + at / block * block * dim + at % block * kSlotTile;
    for (int i = 0; i < kSlotTile; ++i) {
      read(head.values, i);
      for (int d = 0; d < dim; d += kSlotTile) {
        std::copy_n(rows[i] + d, kSlotTile, values + d * block + i * kSlotTile);
      }
    }
  }

  using BlockScores = float[kTileRows][kSlotBlock];

  // q.k of kRows rows and 16 slots.
  template <int kRows>
  static void ScoreSlots(const float* const* q, const float* keys, int dim,
                         float (*scores)[kSlotBlock]) {
    Floats sums[kRows][kVectors];
    Unroll<kRows>(
        [&](auto r) { Unroll<kVectors>([&](auto v) { sums[r][v] = Lanes::Set(0.0f); }); });
    for (int d = 0; d < dim; ++d, keys += kSlotTile) {
      Floats slots[kVectors];
      Unroll<kVectors>([&](auto v) { slots[v] = Lanes::Load(keys + v * kLanes); });
      Unroll<kRows>([&](auto r) {
        const Floats x = Lanes::Set(q[r][d]);
        Unroll<kVectors>([&](auto v) { sums[r][v] = Lanes::MultiplyAdd(x, slots[v], sums[r][v]); });
      });
    }
    Unroll<kRows>([&](auto r) {
      Unroll<kVectors>([&](auto v) { Lanes::Store(scores[r] + v * kLanes, sums[r][v]); });
    });
  }

  // sums = factor * sums + weights * values, for kRows rows and 16 dimensions.
  template <int kRows>
  static void AddValues(const float (*weights)[kSlotBlock], const float* values, int slots,
                        const float* factors, float* const* sums, int d) {
    Floats totals[kRows][kVectors];
    Unroll<kRows>([&](auto r) {
      const Floats factor = Lanes::Set(factors[r]);
      Unroll<kVectors>([&](auto v) {
        totals[r][v] = Lanes::Multiply(factor, Lanes::Load(sums[r] + d + v * kLanes));
      });
    });
    for (int slot = 0; slot < slots; ++slot, values += kSlotTile) {
      Floats dimensions[kVectors];
      Unroll<kVectors>([&](auto v) { dimensions[v] = Lanes::Load(values + v * kLanes); });
      Unroll<kRows>([&](auto r) {
        const Floats weight = Lanes::Set(weights[r][slot]);
        Unroll<kVectors>([&](auto v) {
          totals[r][v] = Lanes::MultiplyAdd(weight, dimensions[v], totals[r][v]);
        });
      });
    }
    Unroll<kRows>([&](auto r) {
      Unroll<kVectors>([&](auto v) { Lanes::Store(sums[r] + d + v * kLanes, totals[r][v]); });
    });
  }

  // Calls work(rows, row), `rows` a constant up to kRowGroup, for groups of the tile's rows.
  template <typename Work>
  static void ForRowGroups(int rows, const Work& work) {
    int row = 0;
    for (; row + kRowGroup <= rows; row += kRowGroup) {
      work(std::integral_constant<int, kRowGroup>(), row);
    }
    switch (rows - row) {
      case 1: return work(std::integral_constant<int, 1>(), row);
      case 2: return work(std::integral_constant<int, 2>(), row);
      case 3: return work(std::integral_constant<int, 3>(), row);
      default: return;
    }
  }

  // 2^x for x <= 0, within 3e-6 relative and exact for whole x; 2^-126 below that.
  static Floats Exp2(Floats x) {
    x = Lanes::Maximum(Lanes::Set(-126.0f), x);  // in this order a NaN stays
    const Floats whole = Lanes::Nearest(x);
    const Floats f = Lanes::Subtract(x, whole);
    // Minimax polynomial of 2^f on [-1/2, 1/2], given 1 at 0.
    Floats power = Lanes::Set(0.009582853f);
    power = Lanes::MultiplyAdd(power, f, Lanes::Set(0.055906426f));
    power = Lanes::MultiplyAdd(power, f, Lanes::Set(0.24024099f));
    power = Lanes::MultiplyAdd(power, f, Lanes::Set(0.6931242f));
    power = Lanes::MultiplyAdd(power, f, Lanes::Set(1.0f));
    return Lanes::Multiply(power, Lanes::PowerOfTwo(whole));
  }

  // The largest of `largest` and the scores in [first, last] among those from `at` on.
  static Floats LargestSeen(Floats scores, std::int64_t at, std::int64_t first, std::int64_t last,
                            Floats largest) {
    const Floats seen = Lanes::Choose(Lanes::Within(at, first, last), scores, Lanes::Set(kNothing));
    return Lanes::Maximum(seen, largest);
  }

  // Their weights, 0 for the others.
  static Floats Weights(Floats scores, std::int64_t at, std::int64_t first, std::int64_t last,
                        Floats maximum) {
    const Floats power = Exp2(Lanes::Subtract(scores, maximum));
    return Lanes::Choose(Lanes::Within(at, first, last), power, Lanes::Set(0.0f));
  }

  // Turns a row's scores of a block into weights, invisible ones into 0. Returns what older sums
  // are to be multiplied by.
  static float BlockWeights(const QueryTile& tile, int row, std::int64_t block, int slots,
                            float* scores, const Running& to) {
    const std::int64_t first = tile.first[row], last = tile.last[row];
    const Floats scale = Lanes::Set(tile.scale);
    Floats largest = Lanes::Set(*to.maximum);
    for (int slot = 0; slot < slots; slot += kLanes) {
      const Floats score = Lanes::Multiply(Lanes::Load(scores + slot), scale);
      largest = LargestSeen(score, block + slot, first, last, largest);
      Lanes::Store(scores + slot, score);
    }
    const float now = Lanes::Largest(largest);
    const Floats maximum = Lanes::Set(now);
    Floats sum = Lanes::Set(0.0f);
    for (int slot = 0; slot < slots; slot += kLanes) {
      const Floats weight = Weights(Lanes::Load(scores + slot), block + slot, first, last, maximum);
      sum = Lanes::Add(sum, weight);
      Lanes::Store(scores + slot, weight);
    }
    const float keep = Exp2(Lanes::Set(*to.maximum - now))[0];
    *to.maximum = now;
    *to.total = *to.total * keep + Lanes::Sum(sum);
    return keep;
  }

  // Adds `slots` slots from `block` on, a multiple of 16 at most kBlock, which the panel's keys and
  // values begin with. queries(slot) are the tile's rows as the keys of the 16 slots from there on
  // meet them.
  template <int kBlock, typename Queries>
  static void AddBlock(const QueryTile& tile, const Queries& queries, const float* keys,
                       const float* values, int dim, std::int64_t block, int slots, float* state) {
    alignas(64) BlockScores scores;
    for (int slot = 0; slot < slots; slot += kSlotTile) {
      const float* const* q = queries(block + slot);
      ForRowGroups(tile.rows, [&](auto rows, int row) {
        float(*to)[kSlotBlock] = reinterpret_cast<float(*)[kSlotBlock]>(scores[row] + slot);
        ScoreSlots<rows>(q + row, keys + slot * dim, dim, to);
      });
    }
    float keep[kTileRows];
    float* sums[kTileRows];
    for (int row = 0; row < tile.rows; ++row) {
      const Running running = RowState(state, dim, row);
      keep[row] = BlockWeights(tile, row, block, slots, scores[row], running);
      sums[row] = running.sums;
    }
    for (int d = 0; d < dim; d += kSlotTile) {
      ForRowGroups(tile.rows, [&](auto rows, int row) {
        AddValues<rows>(scores + row, values + d * kBlock, slots, keep + row, sums + row, d);
      });
    }
  }

  static int RoundUpToTile(std::int64_t slots) {
    return static_cast<int>((slots + kSlotTile - 1) / kSlotTile * kSlotTile);
  }

  static void Pack(const StoredHead& head, std::int64_t begin, std::int64_t end,
                   const Panel& panel) {
    for (std::int64_t slot = begin; slot < end; slot += kSlotTile) {
      PackTile(head, slot, end, kSlotBlock, panel, RotateKey);
    }
  }

  static void Begin(int dim, float* state) { Clear(kTileRows, dim, state); }

  static void AddPanel(const QueryTile& tile, const Panel& panel, int dim, std::int64_t begin,
                       std::int64_t end, float* state) {
    const auto queries = [&](std::int64_t /*slot*/) { return tile.q; };
    for (std::int64_t block = begin; block < end; block += kSlotBlock) {
      const std::int64_t at = (block - panel.begin) * dim;
      const int slots = RoundUpToTile(std::min<std::int64_t>(kSlotBlock, end - block));
      AddBlock<kSlotBlock>(tile, queries, static_cast<const float*>(panel.keys) + at,
                           static_cast<const float*>(panel.values) + at, dim, block, slots, state);
    }
  }

  static void Finish(const QueryTile& tile, int dim, const float* state, float* const* out) {
    for (int row = 0; row < tile.rows; ++row) {
      const float* sums = state + row * (dim + 2);
      const Floats inverse = Lanes::Set(1 / sums[dim + 1]);
      for (int d = 0; d < dim; d += kLanes) {
        Lanes::Store(out[row] + d, Lanes::Multiply(Lanes::Load(sums + d), inverse));
      }
    }
  }

  static void Scores(const QueryTile& tile, const Panel& panel, int dim, std::int64_t begin,
                     std::int64_t end, float* const* out) {
    const float* keys = static_cast<const float*>(panel.keys) - panel.begin * dim;
    const Floats scale = Lanes::Set(tile.scale);
    for (std::int64_t slot = begin; slot < end; slot += kSlotTile) {
      alignas(64) float scores[kRowGroup][kSlotBlock];
      ForRowGroups(tile.rows, [&](auto rows, int row) {
        ScoreSlots<rows>(tile.q + row, keys + slot * dim, dim, scores);
        for (int r = 0; r < rows; ++r) {
          for (int i = 0; i < kSlotTile; i += kLanes) {
            const Floats score = Lanes::Multiply(Lanes::Load(scores[r] + i), scale);
            Lanes::StorePart(out[row + r] + (slot - begin) + i, score,
                             Lanes::First(end - slot - i));
          }
        }
      });
    }
  }

  static void Normalise(float* row, std::int64_t first, std::int64_t last, std::int64_t count) {
    Floats largest = Lanes::Set(kNothing);
    for (std::int64_t j = 0; j < count; j += kLanes) {
      const Floats score = Lanes::LoadPart(row + j, Lanes::First(count - j));
      largest = LargestSeen(score, j, first, last, largest);
    }
    const Floats maximum = Lanes::Set(Lanes::Largest(largest));
    Floats sum = Lanes::Set(0.0f);
    for (std::int64_t j = 0; j < count; j += kLanes) {
      const auto part = Lanes::First(count - j);
      const Floats weight = Weights(Lanes::LoadPart(row + j, part), j, first, last, maximum);
      sum = Lanes::Add(sum, weight);
      Lanes::StorePart(row + j, weight, part);
    }
    const float total = Lanes::Sum(sum);
    const float inverse = total > 0 ? 1 / total : 0;
    for (std::int64_t j = 0; j < count; ++j) row[j] *= inverse;
  }

  static void Few(const QueryTile& tile, const StoredHead& head, std::int64_t begin,
                  std::int64_t end, float* partial) {
    const int dim = head.head_dim;
    alignas(64) float keys[kFewBlock * kMaxHeadDim], values[kFewBlock * kMaxHeadDim];
    Clear(tile.rows, dim, partial);
    alignas(64) float turned[kTileRows][kMaxHeadDim];
    const float* turned_rows[kTileRows];
    for (int row = 0; row < tile.rows; ++row) turned_rows[row] = turned[row];
    const auto queries = [&](std::int64_t slot) -> const float* const* {
      if (head.rope_dims == 0) return tile.q;
      for (int row = 0; row < tile.rows; ++row) {
        std::copy_n(tile.q[row], dim, turned[row]);
        RotateQueryBack(head, slot / kSlotTile, turned[row]);
      }
      return turned_rows;
    };
    // Blocks begin at multiples of their size, so that a row's result does not depend on where the
    // rows around it begin.
    for (std::int64_t slot = begin; slot < end;) {
      const std::int64_t block = slot / kFewBlock * kFewBlock;
      const std::int64_t stop = std::min(block + kFewBlock, end);
      const Panel panel = {block, keys, values, nullptr, nullptr};
      for (std::int64_t tile_slot = block; tile_slot < stop; tile_slot += kSlotTile) {
        PackTile(head, tile_slot, stop, kFewBlock, panel, RotateKeyByLane);
      }
      AddBlock<kFewBlock>(tile, queries, keys, values, dim, block, RoundUpToTile(stop - block),
                          partial);
      slot = stop;
    }
  }

 public:
  static constexpr AttentionKernels kKernels = {
      .panel_element_bytes = sizeof(float),
      .pack = Pack,
      .begin = Begin,
      .add = AddPanel,
      .finish = Finish,
      .scores = Scores,
      .normalise = Normalise,
      .few = Few,
  };
};

}  // namespace
}  // namespace ondine::compute

#endif  // ONDINE_SRC_COMPUTE_ATTENTION_FLOATS_H_
