// A weight matrix prepared once for this CPU, and its products with activations.
#ifndef ONDINE_SRC_COMPUTE_LINEAR_H_
#define ONDINE_SRC_COMPUTE_LINEAR_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "compute/activations.h"
#include "compute/elementwise.h"
#include "compute/static_code.h"
#include "compute/thread_pool.h"
#include "formats/tensor_type.h"
#include "ondine/result.h"

namespace ondine::compute {

// Which implementation Linear::Create chooses. kAuto takes the fastest this CPU can run.
enum class KernelChoice { kAuto, kScalar, kGgml, kAvx2, kAvxVnni, kAvx512, kNeon };

enum class Store { kAssign, kAdd };  // y = W x, or y += W x

class Linear {
 public:
  // `data` is W as GGUF stores it: `out` rows of `in` elements. Copies (repacks) it; `data` is not
  // needed afterwards. Any ggml weight type. Errors: kCorrupt (length, NaN or infinite block
  // scale), kUnsupported (a type that is no weight type), kOutOfMemory.
  static Result<Linear> Create(formats::TensorType type, std::int64_t in, std::int64_t out,
                               std::span<const std::byte> data, ThreadPool& pool,
                               KernelChoice choice = KernelChoice::kAuto);
  // W[j][i] = scales[j] * data[j][i], with inputs in a static code: `data` is `out` rows of `in`
  // signed bytes, `scales` has one float for each output or one for all. All kernels compute
  // the same, bit for bit. Errors: kCorrupt (length, a scale that is not finite or
  // negative, a code that is none), kUnsupported (`in` above Int8Weights::kMostColumns),
  // kOutOfMemory.
  static Result<Linear> CreateInt8(std::int64_t in, std::int64_t out,
                                   std::span<const std::byte> data, std::span<const float> scales,
                                   const StaticCode& input, ThreadPool& pool,
                                   KernelChoice choice = KernelChoice::kAuto);
  Linear();
  Linear(Linear&&) noexcept;
  Linear& operator=(Linear&&) noexcept;
  ~Linear();

  bool present() const { return impl_ != nullptr; }  // not default-made: what follows asks for it
  std::int64_t in() const;
  std::int64_t out() const;
  std::size_t bytes() const;         // resident size of the prepared weights
  formats::TensorType type() const;  // the type they were stored in
  // What its inputs must be finished in (Activations::FinishStatic); null: in blocks.
  const StaticCode* input_code() const;

  // y[i * stride + j] for rows i < x.rows(), outputs j < out(). All workers of a team call it
  // together; each computes its share of the outputs, and nobody waits inside: put a Barrier
  // before reading y. x must be finished. A row's result does not depend on the other rows. `bias`
  // is added to each row: [out], or empty.
  void Multiply(const Worker& worker, const Activations& x, Store store, float* y,
                std::int64_t stride, std::span<const float> bias = {}) const;

  // y[i * stride + j] = (W x)[rows.begin + i][outputs.begin + j]: a part of the product, computed
  // by the calling thread alone. outputs.begin must be a multiple of kOutputGrain.
  static constexpr std::int64_t kOutputGrain = 16;  // a panel of packed weights; a cache line of y
  void MultiplyPart(Worker::Range outputs, Worker::Range rows, const Activations& x, float* y,
                    std::int64_t stride) const;

  // y = activation(gate x) * (up x), element by element: the first half of a gated MLP, without
  // writing the two products to memory. `gate` and `up` have one shape, which y has been resized
  // to. Same calling rule. `code`: y is finished in it instead, and of its floats only the
  // outliers are defined.
  static void MultiplyGated(const Worker& worker, const Linear& gate, const Linear& up,
                            GateActivation activation, const Activations& x, Activations& y,
                            const StaticCode* code = nullptr);

  // y = activation(W x + bias), bias [out]: the first half of an MLP without a gate. Same calling
  // rule, and `code` does the same.
  void MultiplyActivated(const Worker& worker, const Activations& x, std::span<const float> bias,
                         void (*activation)(std::span<float>), Activations& y,
                         const StaticCode* code = nullptr) const;

  // Row `row` of W as floats [in]: embedding look-up.
  void GetRow(std::int64_t row, float* out) const;

  class Impl;

 private:
  explicit Linear(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace ondine::compute

#endif  // ONDINE_SRC_COMPUTE_LINEAR_H_
