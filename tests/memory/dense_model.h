// The tiny Llama computed as plainly as possible, in double, without a cache: what everything
// clever is compared with.
#ifndef ONDINE_TESTS_MEMORY_DENSE_MODEL_H_
#define ONDINE_TESTS_MEMORY_DENSE_MODEL_H_

#include <cstdint>
#include <vector>

namespace ondine::testing {

struct DenseRun {
  // -log p of each token given all before it; 0 for the first.
  std::vector<double> surprise;
  // [layer][head][query][key]: scaled dot products q.k of all pairs, and their softmax over keys up
  // to the query.
  std::vector<std::vector<std::vector<std::vector<double>>>> products, weights;
};

// Of the model that TinyLlama() loads.
DenseRun RunDense(const std::vector<std::int32_t>& tokens);

}  // namespace ondine::testing

#endif  // ONDINE_TESTS_MEMORY_DENSE_MODEL_H_
