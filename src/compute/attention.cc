#include "compute/attention.h"

#include <algorithm>
#include <atomic>
#include <cassert>
#include <cmath>
#include <numbers>

#include "compute/aligned_array.h"
#include "compute/attention_kernels.h"
#include "compute/cpu_features.h"

namespace ondine::compute {
namespace {

// Converted keys and values: as many heads or slots at a time as fit in this.
constexpr std::int64_t kPanelBytes = 4 << 20;
// Slots of a work item where queries are few, and how many such items a head is cut into at most.
constexpr std::int64_t kFewSlots = 256;
constexpr std::int64_t kMaxFewItems = 128;

std::int64_t RoundDown(std::int64_t x, std::int64_t grain) {
  return x - x % grain;
}
std::int64_t RoundUp(std::int64_t x, std::int64_t grain) {
  return RoundDown(x + grain - 1, grain);
}

const AttentionKernels& Choose(AttentionKernel kernel) {
  if (kernel == AttentionKernel::kScalar) return kPlainAttention;
#if defined(__x86_64__)
  if (HasAvx512Vnni()) {
    return kernel == AttentionKernel::kInt8 ? kAvx512ByteAttention : kAvx512Attention;
  }
  if (HasAvx2()) return kAvx2Attention;
#elif defined(__aarch64__)
  if (HasNeon()) return kNeonAttention;
#endif
  return kPlainAttention;
}

// A call, cut into tiles of rows.
class Problem {
 public:
  Problem(const KvLayer& layer, const AttentionInput& input) : layer_(layer), input_(input) {
    assert(input.heads % layer.shape().kv_heads == 0);
    assert(layer.shape().head_dim <= kMaxHeadDim);
    assert(input.past + input.n <= layer.capacity());
    assert(input.rope == nullptr || input.rope->reserved() >= input.past + input.n);
    group_ = input.heads / layer.shape().kv_heads;
    tiles_ = RoundUp(input.n * group_, kTileRows) / kTileRows;
  }

  int kv_heads() const { return layer_.shape().kv_heads; }
  int head_dim() const { return layer_.shape().head_dim; }
  std::int64_t tiles() const { return tiles_; }  // of each KV head
  std::int64_t slots() const { return input_.past + input_.n; }
  std::int64_t FirstSlot() const { return FirstVisible(0); }
  std::int64_t StateFloats() const { return kTileRows * (head_dim() + 2); }

  StoredHead Head(int kv_head) const {
    StoredHead head{};
    head.type = layer_.type();
    head.head_dim = head_dim();
    head.row_bytes = layer_.RowBytes();
    head.keys = layer_.KeyRows(kv_head);
    head.values = layer_.ValueRows(kv_head);
    // With a window the first slots may be gone. Many queries are more than kCommonSlots.
    static_assert(kFewQueries >= kCommonSlots);
    head.takes_off_common = input_.window == 0;
    if (const Rope* rope = input_.rope; rope != nullptr) {
      head.rope_dims = rope->settings().dims;
      head.neighbours = rope->settings().neighbours;
      head.lane_cos = rope->LaneCos();
      head.lane_sin = rope->LaneSin();
      head.tile_cos = rope->TileCos();
      head.tile_sin = rope->TileSin();
    }
    return head;
  }

  QueryTile Tile(int kv_head, std::int64_t tile) const {
    QueryTile rows{};
    rows.rows =
        static_cast<int>(std::min<std::int64_t>(kTileRows, input_.n * group_ - tile * kTileRows));
    for (int row = 0; row < rows.rows; ++row) {
      const std::int64_t i = Query(tile, row);
      rows.q[row] = input_.q + i * input_.q_stride + QueryHead(kv_head, tile, row) * head_dim();
      rows.first[row] = FirstVisible(i);
      rows.last[row] = input_.past + i;
    }
    rows.scale = input_.scale * std::numbers::log2e_v<float>;
    return rows;
  }

  // Which query and which query head a row of a tile is.
  std::int64_t Query(std::int64_t tile, int row) const { return (tile * kTileRows + row) / group_; }
  int QueryHead(int kv_head, std::int64_t tile, int row) const {
    return kv_head * group_ + static_cast<int>((tile * kTileRows + row) % group_);
  }

 private:
  std::int64_t FirstVisible(std::int64_t i) const {
    return input_.window > 0 ? std::max<std::int64_t>(0, input_.past + i - input_.window + 1) : 0;
  }

  const KvLayer& layer_;
  const AttentionInput& input_;
  int group_;
  std::int64_t tiles_;
};

}  // namespace

struct AttentionScratch::Buffers {
  AlignedArray<std::byte> keys, values;
  AlignedArray<float> key_scales, value_scales;
  AlignedArray<float> states;    // [tiles or workers][StateFloats]
  AlignedArray<float> partials;  // [KV head][tile][item][StateFloats]
  std::atomic<std::int64_t> next{0};
};

AttentionScratch::AttentionScratch() : buffers_(std::make_unique<Buffers>()) {}
AttentionScratch::~AttentionScratch() = default;

std::size_t AttentionScratch::bytes() const {
  return buffers_->keys.capacity() + buffers_->values.capacity() +
         sizeof(float) * (buffers_->key_scales.capacity() + buffers_->value_scales.capacity() +
                          buffers_->states.capacity() + buffers_->partials.capacity());
}

namespace {

using Buffers = AttentionScratch::Buffers;

// Slots [begin, end) of all KV heads, some heads and slots at a time converted to panels in the
// scratch: several whole heads where that fits, else one head in steps.
class Panels {
 public:
  Panels(const Problem& problem, const AttentionKernels& kernels, Buffers& buffers,
         std::int64_t end, bool with_values)
      : problem_(problem),
        kernels_(kernels),
        buffers_(buffers),
        with_values_(with_values),
        begin_(RoundDown(std::min(problem.FirstSlot(), end - 1), kSlotBlock)),
        end_(end) {
    const std::int64_t slot_bytes = 2 * problem.head_dim() * kernels.panel_element_bytes;
    const std::int64_t room = RoundDown(kPanelBytes / slot_bytes, kSlotBlock);
    step_ = std::min(RoundUp(end - begin_, kSlotBlock), room);
    heads_ =
        OneStep() ? static_cast<int>(std::min<std::int64_t>(problem.kv_heads(), room / step_)) : 1;
  }

  std::int64_t begin() const { return begin_; }
  std::int64_t end() const { return end_; }
  std::int64_t step() const { return step_; }  // slots at a time
  int heads() const { return heads_; }         // heads at a time
  bool OneStep() const { return begin_ + step_ >= end_; }

  // For one worker; a barrier must follow.
  void Reserve() const {
    const std::size_t rows = heads_ * step_;
    const std::size_t bytes = rows * problem_.head_dim() * kernels_.panel_element_bytes;
    buffers_.keys.Reserve(bytes);
    buffers_.key_scales.Reserve(rows);
    if (with_values_) {
      buffers_.values.Reserve(bytes);
      buffers_.value_scales.Reserve(rows);
    }
  }

  Panel Get(int kv_head, std::int64_t begin) const {
    const std::int64_t row = kv_head % heads_ * step_;
    const std::int64_t byte = row * problem_.head_dim() * kernels_.panel_element_bytes;
    return {.begin = begin,
            .keys = buffers_.keys.data() + byte,
            .values = with_values_ ? buffers_.values.data() + byte : nullptr,
            .key_scales = buffers_.key_scales.data() + row,
            .value_scales = with_values_ ? buffers_.value_scales.data() + row : nullptr};
  }

  // This worker's share of converting [begin, begin + step()) of the heads [head, head + count); a
  // barrier must follow.
  void Pack(const Worker& worker, int head, int count, std::int64_t begin) const {
    const std::int64_t stop = std::min(begin + step_, end_);
    const std::int64_t tiles = RoundUp(stop - begin, kSlotTile) / kSlotTile;
    const Worker::Range range = worker.Share(count * tiles);
    for (std::int64_t unit = range.begin; unit < range.end;) {
      const int kv_head = head + static_cast<int>(unit / tiles);
      const std::int64_t first = unit % tiles, last = std::min(tiles, first + range.end - unit);
      kernels_.pack(problem_.Head(kv_head), begin + first * kSlotTile,
                    std::min(begin + last * kSlotTile, stop), Get(kv_head, begin));
      unit += last - first;
    }
  }

 private:
  const Problem& problem_;
  const AttentionKernels& kernels_;
  Buffers& buffers_;
  bool with_values_;
  std::int64_t begin_, end_, step_;
  int heads_;
};

// Converts some slots, lets the workers take (KV head, tile) pairs one after the other, and so on.
// work(kv_head, tile, begin) handles the slots [begin, begin + step()) of one pair.
template <typename Work>
void ForEachTile(Worker& worker, const Problem& problem, const Panels& panels, Buffers& buffers,
                 const Work& work) {
  for (int head = 0; head < problem.kv_heads(); head += panels.heads()) {
    const int heads = std::min(panels.heads(), problem.kv_heads() - head);
    for (std::int64_t begin = panels.begin(); begin < panels.end(); begin += panels.step()) {
      if (worker.index() == 0) buffers.next.store(0, std::memory_order_relaxed);
      panels.Pack(worker, head, heads, begin);
      worker.Barrier();
      for (;;) {
        const std::int64_t item = buffers.next.fetch_add(1, std::memory_order_relaxed);
        if (item >= heads * problem.tiles()) break;
        // A head's tiles run together, while its panel is in the cache; the tiles that see the
        // fewest slots come last and fill the gaps at the end.
        const std::int64_t tile = problem.tiles() - 1 - item % problem.tiles();
        work(head + static_cast<int>(item / problem.tiles()), tile, begin);
      }
      worker.Barrier();
    }
  }
}

struct Slots {
  std::int64_t begin, end;
};

// What a tile has to see of the slots [begin, end); its begin is a multiple of `grain`.
Slots Visible(const QueryTile& tile, std::int64_t begin, std::int64_t end, std::int64_t grain) {
  return {std::max(begin, RoundDown(tile.first[0], grain)),
          std::min(end, tile.last[tile.rows - 1] + 1)};
}

void AttendMany(Worker& worker, const Problem& problem, const AttentionKernels& kernels,
                Buffers& buffers, float* out, std::int64_t out_stride) {
  const int head_dim = problem.head_dim();
  const Panels panels(problem, kernels, buffers, problem.slots(), true);
  if (worker.index() == 0) {
    panels.Reserve();
    const std::int64_t states = panels.OneStep() ? worker.count() : problem.tiles();
    buffers.states.Reserve(states * problem.StateFloats());
  }
  worker.Barrier();
  ForEachTile(
      worker, problem, panels, buffers, [&](int kv_head, std::int64_t t, std::int64_t begin) {
        const QueryTile tile = problem.Tile(kv_head, t);
        const std::int64_t index = panels.OneStep() ? worker.index() : t;
        float* state = buffers.states.data() + index * problem.StateFloats();
        if (begin == panels.begin()) kernels.begin(head_dim, state);
        const std::int64_t end = std::min(begin + panels.step(), panels.end());
        const Slots slots = Visible(tile, begin, end, kSlotBlock);
        if (slots.begin < slots.end) {
          kernels.add(tile, panels.Get(kv_head, begin), head_dim, slots.begin, slots.end, state);
        }
        if (end < panels.end()) return;
        float* rows[kTileRows];
        for (int row = 0; row < tile.rows; ++row) {
          rows[row] = out + problem.Query(t, row) * out_stride +
                      problem.QueryHead(kv_head, t, row) * head_dim;
        }
        kernels.finish(tile, head_dim, state, rows);
      });
}

// Adds up one row's partial results, `stride` floats apart.
void Merge(const float* partials, std::int64_t count, std::int64_t stride, int head_dim,
           float* out) {
  float maximum = partials[head_dim];
  for (std::int64_t p = 1; p < count; ++p) {
    maximum = std::max(maximum, partials[p * stride + head_dim]);
  }
  float total = 0;
  std::fill(out, out + head_dim, 0.0f);
  for (std::int64_t p = 0; p < count; ++p) {
    const float* partial = partials + p * stride;
    const float weight = std::exp2(partial[head_dim] - maximum);
    total += weight * partial[head_dim + 1];
    for (int d = 0; d < head_dim; ++d) out[d] += weight * partial[d];
  }
  const float inverse = 1 / total;
  for (int d = 0; d < head_dim; ++d) out[d] *= inverse;
}

// There are too few rows to share out, so the slots are (Dao et al., "Flash-Decoding", 2023).
void AttendFew(Worker& worker, const Problem& problem, const AttentionKernels& kernels,
               Buffers& buffers, float* out, std::int64_t out_stride) {
  const int head_dim = problem.head_dim();
  std::int64_t size = kFewSlots;
  while (problem.slots() > size * kMaxFewItems) size *= 2;
  const std::int64_t first = problem.FirstSlot() / size;
  const std::int64_t cuts = RoundUp(problem.slots(), size) / size - first;
  const std::int64_t tiles = problem.kv_heads() * problem.tiles();
  const std::int64_t stride = problem.StateFloats();
  if (worker.index() == 0) buffers.partials.Reserve(tiles * cuts * stride);
  worker.Barrier();
  const Worker::Range range = worker.Share(tiles * cuts);
  for (std::int64_t item = range.begin; item < range.end; ++item) {
    const int kv_head = static_cast<int>(item / cuts / problem.tiles());
    const QueryTile tile = problem.Tile(kv_head, item / cuts % problem.tiles());
    const std::int64_t cut = first + item % cuts;
    const Slots slots = Visible(tile, cut * size, (cut + 1) * size, kSlotTile);
    kernels.few(tile, problem.Head(kv_head), slots.begin, slots.end,
                buffers.partials.data() + item * stride);
  }
  worker.Barrier();
  for (std::int64_t unit = worker.index(); unit < tiles * kTileRows; unit += worker.count()) {
    const std::int64_t t = unit / kTileRows % problem.tiles();
    const int kv_head = static_cast<int>(unit / kTileRows / problem.tiles());
    const int row = static_cast<int>(unit % kTileRows);
    if (row >= problem.Tile(kv_head, t).rows) continue;
    const float* partials = buffers.partials.data() + unit / kTileRows * cuts * stride;
    Merge(partials + row * (head_dim + 2), cuts, stride, head_dim,
          out + problem.Query(t, row) * out_stride + problem.QueryHead(kv_head, t, row) * head_dim);
  }
  worker.Barrier();
}

}  // namespace

void Attend(Worker& worker, const KvLayer& layer, const AttentionInput& input,
            AttentionScratch& scratch, float* out, std::int64_t out_stride,
            AttentionKernel kernel) {
  const Problem problem(layer, input);
  const auto attend = input.n <= kFewQueries ? AttendFew : AttendMany;
  attend(worker, problem, Choose(kernel), scratch.buffers(), out, out_stride);
}

void AttentionWeights(Worker& worker, const KvLayer& layer, const AttentionInput& input,
                      std::int64_t key_limit, AttentionScratch& scratch, float* weights,
                      AttentionKernel kernel) {
  assert(key_limit > 0 && key_limit <= input.past + input.n);
  const Problem problem(layer, input);
  const AttentionKernels& kernels =
      Choose(kernel == AttentionKernel::kInt8 ? AttentionKernel::kAuto : kernel);
  Buffers& buffers = scratch.buffers();
  const Panels panels(problem, kernels, buffers, key_limit, false);
  if (worker.index() == 0) panels.Reserve();
  worker.Barrier();
  const auto row_of = [&](int kv_head, std::int64_t t, int row) {
    return weights +
           (problem.QueryHead(kv_head, t, row) * input.n + problem.Query(t, row)) * key_limit;
  };
  ForEachTile(worker, problem, panels, buffers,
              [&](int kv_head, std::int64_t t, std::int64_t begin) {
                const QueryTile tile = problem.Tile(kv_head, t);
                const std::int64_t end = std::min(begin + panels.step(), panels.end());
                const Slots slots = Visible(tile, begin, end, kSlotBlock);
                float* rows[kTileRows];
                for (int row = 0; row < tile.rows; ++row)
                  rows[row] = row_of(kv_head, t, row) + slots.begin;
                if (slots.begin < slots.end) {
                  kernels.scores(tile, panels.Get(kv_head, begin), problem.head_dim(), slots.begin,
                                 slots.end, rows);
                }
                if (end < panels.end()) return;
                for (int row = 0; row < tile.rows; ++row) {
                  kernels.normalise(row_of(kv_head, t, row), tile.first[row],
                                    std::min(tile.last[row], key_limit - 1), key_limit);
                }
              });
}

}  // namespace ondine::compute
