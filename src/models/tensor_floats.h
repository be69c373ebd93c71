// Tensors of a file as floats.
#ifndef ONDINE_SRC_MODELS_TENSOR_FLOATS_H_
#define ONDINE_SRC_MODELS_TENSOR_FLOATS_H_

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "compute/thread_pool.h"
#include "formats/gguf.h"
#include "ondine/result.h"

namespace ondine::models {

// "file, tensor 'name'", where errors are.
std::string TensorPlace(const formats::GgufFile& file, std::string_view tensor);

// All elements, in the file's order, whatever weight type they have. kCorrupt where one is not
// finite, naming file and tensor.
Result<std::vector<float>> ReadFloats(const formats::GgufFile& file,
                                      const formats::GgufTensor& tensor, compute::ThreadPool& pool);

// kCorrupt where one is not finite; `place` stands in the message.
Status CheckFinite(std::span<const float> values, const std::string& place);

}  // namespace ondine::models

#endif  // ONDINE_SRC_MODELS_TENSOR_FLOATS_H_
