// Attention in plain loops: the reference for the other kernels, written so that a compiler can
// make vector code of it.
#include <algorithm>
#include <cmath>

#include "compute/attention_rotation.h"
#include "compute/attention_state.h"

namespace ondine::compute {
namespace {

void ReadKey(const StoredHead& head, std::int64_t slot, float* out) {
  DecodeKvRow(head.type, head.keys + slot * head.row_bytes, head.head_dim, out);
  RotateKey(head, slot, out);
}

void ReadValue(const StoredHead& head, std::int64_t slot, float* out) {
  DecodeKvRow(head.type, head.values + slot * head.row_bytes, head.head_dim, out);
}

// Panels are rows of floats.
void Pack(const StoredHead& head, std::int64_t begin, std::int64_t end, const Panel& panel) {
  float* keys = static_cast<float*>(panel.keys);
  float* values = static_cast<float*>(panel.values);
  for (std::int64_t slot = begin; slot < end; ++slot) {
    const std::int64_t row = (slot - panel.begin) * head.head_dim;
    ReadKey(head, slot, keys + row);
    if (values != nullptr) ReadValue(head, slot, values + row);
  }
}

float Dot(const float* a, const float* b, int dim) {
  // Independent sums, since a compiler may not reorder one.
  constexpr int kSums = 16;
  float sums[kSums] = {};
  for (int d = 0; d < dim; d += kSums) {
    for (int i = 0; i < kSums; ++i) sums[i] += a[d + i] * b[d + i];
  }
  for (int width = kSums / 2; width > 0; width /= 2) {
    for (int i = 0; i < width; ++i) sums[i] += sums[i + width];
  }
  return sums[0];
}

// Adds the values of `count` slots, whose scores are given, to a row's running result.
void AddBlock(float* scores, std::int64_t count, const float* values, int head_dim, Running to) {
  float maximum = *to.maximum;
  for (std::int64_t j = 0; j < count; ++j) maximum = std::max(maximum, scores[j]);
  const float rescale = std::exp2(*to.maximum - maximum);
  *to.maximum = maximum;
  *to.total *= rescale;
  for (int d = 0; d < head_dim; ++d) to.sums[d] *= rescale;
  for (std::int64_t j = 0; j < count; ++j) {
    const float weight = std::exp2(scores[j] - maximum);
    const float* value = values + j * head_dim;
    *to.total += weight;
    for (int d = 0; d < head_dim; ++d) to.sums[d] += weight * value[d];
  }
}

void Begin(int head_dim, float* state) {
  Clear(kTileRows, head_dim, state);
}

void Add(const QueryTile& tile, const Panel& panel, int head_dim, std::int64_t begin,
         std::int64_t end, float* state) {
  const float* keys = static_cast<const float*>(panel.keys) - panel.begin * head_dim;
  const float* values = static_cast<const float*>(panel.values) - panel.begin * head_dim;
  for (std::int64_t block = begin; block < end; block += kSlotBlock) {
    for (int row = 0; row < tile.rows; ++row) {
      const std::int64_t first = std::max(block, tile.first[row]);
      const std::int64_t stop = std::min({block + kSlotBlock, end, tile.last[row] + 1});
      if (first >= stop) continue;
      float scores[kSlotBlock];
      for (std::int64_t slot = first; slot < stop; ++slot) {
        scores[slot - first] = tile.scale * Dot(tile.q[row], keys + slot * head_dim, head_dim);
      }
      AddBlock(scores, stop - first, values + first * head_dim, head_dim,
               RowState(state, head_dim, row));
    }
  }
}

void Finish(const QueryTile& tile, int head_dim, const float* state, float* const* out) {
  for (int row = 0; row < tile.rows; ++row) {
    const float* sums = state + row * (head_dim + 2);
    const float inverse = 1 / sums[head_dim + 1];
    for (int d = 0; d < head_dim; ++d) out[row][d] = sums[d] * inverse;
  }
}

void Scores(const QueryTile& tile, const Panel& panel, int head_dim, std::int64_t begin,
            std::int64_t end, float* const* out) {
  const float* keys = static_cast<const float*>(panel.keys) - panel.begin * head_dim;
  for (std::int64_t slot = begin; slot < end; ++slot) {
    for (int row = 0; row < tile.rows; ++row) {
      out[row][slot - begin] = tile.scale * Dot(tile.q[row], keys + slot * head_dim, head_dim);
    }
  }
}

void Normalise(float* row, std::int64_t first, std::int64_t last, std::int64_t count) {
  float maximum = kNothing, total = 0;
  for (std::int64_t j = first; j <= last; ++j) maximum = std::max(maximum, row[j]);
  for (std::int64_t j = first; j <= last; ++j) total += row[j] = std::exp2(row[j] - maximum);
  const float inverse = total > 0 ? 1 / total : 0;
  for (std::int64_t j = 0; j < count; ++j) row[j] = j >= first && j <= last ? row[j] * inverse : 0;
}

void Few(const QueryTile& tile, const StoredHead& head, std::int64_t begin, std::int64_t end,
         float* partial) {
  const int head_dim = head.head_dim;
  Clear(tile.rows, head_dim, partial);
  float keys[kSlotTile * kMaxHeadDim], values[kSlotTile * kMaxHeadDim];
  for (std::int64_t slot = begin; slot < end; slot += kSlotTile) {
    const std::int64_t stop = std::min<std::int64_t>(slot + kSlotTile, end);
    for (std::int64_t s = slot; s < stop; ++s) {
      ReadKey(head, s, keys + (s - slot) * head_dim);
      ReadValue(head, s, values + (s - slot) * head_dim);
    }
    for (int row = 0; row < tile.rows; ++row) {
      const std::int64_t first = std::max(slot, tile.first[row]);
      const std::int64_t last = std::min(stop, tile.last[row] + 1);
      if (first >= last) continue;
      float scores[kSlotTile];
      for (std::int64_t s = first; s < last; ++s) {
        scores[s - first] = tile.scale * Dot(tile.q[row], keys + (s - slot) * head_dim, head_dim);
      }
      AddBlock(scores, last - first, values + (first - slot) * head_dim, head_dim,
               RowState(partial, head_dim, row));
    }
  }
}

}  // namespace

const AttentionKernels kPlainAttention = {
    .panel_element_bytes = sizeof(float),
    .pack = Pack,
    .begin = Begin,
    .add = Add,
    .finish = Finish,
    .scores = Scores,
    .normalise = Normalise,
    .few = Few,
};

}  // namespace ondine::compute
