// The running result of rows that lie one after the other. Each file that includes this compiles it
// for its own instruction set.
#ifndef ONDINE_SRC_COMPUTE_ATTENTION_STATE_H_
#define ONDINE_SRC_COMPUTE_ATTENTION_STATE_H_

#include <algorithm>

namespace ondine::compute {
// Deliberately unnamed: every including file needs functions of its own.
namespace {  // NOLINT(google-build-namespaces)

// Stands for "no slot seen yet". Finite, so that differences of two of them are.
constexpr float kNothing = -1e30f;

// One row's sums [head_dim], maximum (log2) and sum of weights.
struct Running {
  float* sums;
  float* maximum;
  float* total;
};

inline Running RowState(float* state, int head_dim, int row) {
  float* base = state + row * (head_dim + 2);
  return {base, base + head_dim, base + head_dim + 1};
}

inline void Clear(int rows, int head_dim, float* state) {
  for (int row = 0; row < rows; ++row) {
    const Running running = RowState(state, head_dim, row);
    std::fill_n(running.sums, head_dim, 0.0f);
    *running.maximum = kNothing;
    *running.total = 0;
  }
}

}  // namespace
}  // namespace ondine::compute

#endif  // ONDINE_SRC_COMPUTE_ATTENTION_STATE_H_
