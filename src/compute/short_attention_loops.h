// The kernel of short_attention_kernels.h, which each file that includes this compiles for its own
// instruction set. Keys are transposed and values copied once a head, with zeros behind their ends;
// then four rows at a time take their products.
#ifndef ONDINE_SRC_COMPUTE_SHORT_ATTENTION_LOOPS_H_
#define ONDINE_SRC_COMPUTE_SHORT_ATTENTION_LOOPS_H_

#include <algorithm>
#include <cstring>
#include <limits>

#include "compute/aligned_array.h"
#include "compute/exp.h"
#include "compute/short_attention_kernels.h"

namespace ondine::compute {
// Deliberately unnamed: every including file needs functions of its own.
namespace {  // NOLINT(google-build-namespaces)

constexpr std::int64_t kLane = 16;         // floats of a vector
constexpr std::int64_t kStep = 2 * kLane;  // columns at a time
constexpr std::int64_t kTile = 4;          // rows at a time
constexpr float kHidden = -std::numeric_limits<float>::infinity();

using Lanes = float __attribute__((vector_size(64)));

inline std::int64_t RoundUp(std::int64_t n) {
  return (n + kStep - 1) / kStep * kStep;
}

// out[r][0, width) = sum over i < count of a[r][i] * b[i][0, width), for kTile rows; `width` is a
// multiple of kStep.
inline void MultiplyTile(const float* const (&a)[kTile], std::int64_t count, const float* b,
                         std::int64_t width, float* out) {
  for (std::int64_t column = 0; column < width; column += kStep) {
    Lanes sums[kTile][2] = {};
    for (std::int64_t i = 0; i < count; ++i) {
      Lanes low, high;
      std::memcpy(&low, b + i * width + column, sizeof low);
      std::memcpy(&high, b + i * width + column + kLane, sizeof high);
      for (std::int64_t r = 0; r < kTile; ++r) {
        sums[r][0] += a[r][i] * low;
        sums[r][1] += a[r][i] * high;
      }
    }
    for (std::int64_t r = 0; r < kTile; ++r) {
      std::memcpy(out + r * width + column, &sums[r], sizeof sums[r]);
    }
  }
}

// Turns scores into weights, which add up to one; those in [seen, width) become 0. `width` is a
// multiple of kLane. Maxima and sums are kept in kLane parts, so that they can be vectors.
inline void Softmax(float* scores, const float* bias, float scale, std::int64_t seen,
                    std::int64_t width) {
  for (std::int64_t j = 0; j < seen; ++j) {
    scores[j] = bias == nullptr ? scores[j] * scale : scores[j] * scale + bias[j];
  }
  std::fill(scores + seen, scores + width, kHidden);
  float lanes[kLane];
  std::fill_n(lanes, kLane, kHidden);
  for (std::int64_t j = 0; j < width; j += kLane) {
    for (std::int64_t i = 0; i < kLane; ++i) {
      lanes[i] = scores[j + i] > lanes[i] ? scores[j + i] : lanes[i];
    }
  }
  const float largest = *std::max_element(lanes, lanes + kLane);
  if (largest == kHidden) {
    std::fill(scores, scores + width, 0.0f);
    return;
  }
  std::fill_n(lanes, kLane, 0.0f);
  for (std::int64_t j = 0; j < width; j += kLane) {
    for (std::int64_t i = 0; i < kLane; ++i) {
      // Exp never returns 0.
      scores[j + i] = scores[j + i] == kHidden ? 0.0f : Exp(scores[j + i] - largest);
      lanes[i] += scores[j + i];
    }
  }
  float sum = 0;
  for (const float lane : lanes) sum += lane;
  const float share = 1 / sum;
  for (std::int64_t j = 0; j < width; ++j) scores[j] *= share;
}

inline void AttendHead(const ShortHead& head) {
  const std::int64_t n = head.length, dim = head.head_dim;
  const std::int64_t keys = RoundUp(n), channels = RoundUp(dim);
  thread_local AlignedArray<float> memory;
  memory.Reserve(static_cast<std::size_t>(dim * keys + n * channels + kTile * (keys + channels)));
  float* k = memory.data();             // [dim][keys]
  float* v = k + dim * keys;            // [n][channels]
  float* scores = v + n * channels;     // [kTile][keys]
  float* sums = scores + kTile * keys;  // [kTile][channels]
  for (std::int64_t c = 0; c < dim; ++c) {
    for (std::int64_t j = 0; j < n; ++j) k[c * keys + j] = head.k[j * head.stride + c];
    std::fill(k + c * keys + n, k + (c + 1) * keys, 0.0f);
  }
  for (std::int64_t j = 0; j < n; ++j) {
    std::copy_n(head.v + j * head.stride, dim, v + j * channels);
    std::fill(v + j * channels + dim, v + (j + 1) * channels, 0.0f);
  }
  for (std::int64_t first = 0; first < n; first += kTile) {
    const float *q[kTile], *weights[kTile];
    for (std::int64_t r = 0; r < kTile; ++r) {
      q[r] = head.q + std::min(first + r, n - 1) * head.stride;
      weights[r] = scores + r * keys;
    }
    const std::int64_t rows = std::min(kTile, n - first);
    MultiplyTile(q, dim, k, keys, scores);
    for (std::int64_t r = 0; r < kTile; ++r) {
      const std::int64_t row = std::min(first + r, n - 1);
      const bool biased = !head.bias_for_last_row_only || row == n - 1;
      Softmax(scores + r * keys, biased ? head.bias : nullptr, head.scale,
              head.causal ? row + 1 : n, keys);
    }
    MultiplyTile(weights, head.causal ? first + rows : n, v, channels, sums);
    for (std::int64_t r = 0; r < rows; ++r) {
      std::copy_n(sums + r * channels, dim, head.out + (first + r) * head.out_stride);
    }
    if (head.last_weights != nullptr && first + rows == n) {
      std::copy_n(weights[rows - 1], n, head.last_weights);
    }
  }
}

}  // namespace
}  // namespace ondine::compute

#endif  // ONDINE_SRC_COMPUTE_SHORT_ATTENTION_LOOPS_H_
