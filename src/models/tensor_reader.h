// Takes the tensors of a model out of its file one by one, each checked against the shape that the
// hyper-parameters ask for. Errors name file and tensor: kNotFound, kCorrupt (shape, NaN),
// kUnsupported (type).
#ifndef ONDINE_SRC_MODELS_TENSOR_READER_H_
#define ONDINE_SRC_MODELS_TENSOR_READER_H_

#include <array>
#include <cstdint>
#include <initializer_list>
#include <set>
#include <string>
#include <vector>

#include "compute/linear.h"
#include "compute/static_code.h"
#include "compute/thread_pool.h"
#include "formats/gguf.h"
#include "models/norm.h"
#include "ondine/result.h"

namespace ondine::models {

class TensorReader {
 public:
  // Both must outlive it.
  TensorReader(const formats::GgufFile& file, compute::ThreadPool& pool)
      : file_(file), pool_(pool) {}

  bool Has(const std::string& name) const { return file_.FindTensor(name) != nullptr; }

  // Repacked; the file's pages are given back. `code`: of the inputs where the matrix may be of
  // 8-bit integers.
  Result<compute::Linear> Matrix(const std::string& name, std::int64_t in, std::int64_t out,
                                 const compute::StaticCode* code = nullptr) const {
    return Rows(name, in, {0, out}, out, code);
  }
  // Some of the rows of a matrix that has `out` of them.
  Result<compute::Linear> Rows(const std::string& name, std::int64_t in,
                               compute::Worker::Range rows, std::int64_t out,
                               const compute::StaticCode* code) const;
  // A tensor of this shape, innermost dimension first, whose outermost one are the rows.
  Result<compute::Linear> Convolution(const std::string& name,
                                      const std::array<std::int64_t, 4>& shape) const;
  // Stored as F32.
  Result<std::vector<float>> Vector(const std::string& name, std::int64_t length) const;
  // kUnsupported where the model has a tensor that was not taken: without it something else would
  // be computed than its makers meant, such as a bias left out.
  Status CheckAllTaken() const;
  // `name`.weight and, where it has one, `name`.bias.
  Result<NormWeights> Norm(const std::string& name, std::int64_t width, bool bias) const;

 private:
  Result<const formats::GgufTensor*> Find(const std::string& name,
                                          const std::array<std::int64_t, 4>& shape) const;
  Result<compute::Linear> RowsOf(const formats::GgufTensor& tensor, std::int64_t in,
                                 compute::Worker::Range rows, std::int64_t out,
                                 const compute::StaticCode* code) const;
  Result<compute::Linear> Int8Matrix(const formats::GgufTensor& tensor,
                                     std::span<const std::byte> data, compute::Worker::Range rows,
                                     const compute::StaticCode* code) const;
  Result<std::vector<float>> Values(const formats::GgufTensor& tensor) const;

  const formats::GgufFile& file_;
  compute::ThreadPool& pool_;
  mutable std::set<const formats::GgufTensor*> taken_;
};

// Matrices that read the same activations must read them in the same form: kUnsupported, naming
// `place`.
Status CheckReaders(std::initializer_list<const compute::Linear*> matrices,
                    const std::string& place);

}  // namespace ondine::models

#endif  // ONDINE_SRC_MODELS_TENSOR_READER_H_
