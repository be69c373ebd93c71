// LoRA adapters: low-rank additions to a model's matrices (Hu et al., ICLR 2022, arXiv 2106.09685).
#ifndef ONDINE_ADAPTER_H_
#define ONDINE_ADAPTER_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "ondine/model.h"
#include "ondine/result.h"

namespace ondine {

struct AdapterInfo {
  std::string path;         // empty where it was blended, not loaded
  std::string fingerprint;  // of what it adds; the same once saved and loaded
  double alpha = 0;         // the product is multiplied by alpha / rank; 0: by 1
  std::int64_t rank = 0;    // largest of all matrices
  std::int64_t matrices = 0;
  std::int64_t parameters = 0;
};

// Immutable; share it between threads and sessions freely.
class Adapter {
 public:
  // From a GGUF file in llama.cpp's form. Errors: kNotFound, kIo, kCorrupt, kUnsupported, and
  // kMismatch where it does not fit the model, naming the tensor.
  static Result<std::shared_ptr<const Adapter>> Load(const Model& model, const std::string& path);
  // From a folder as PEFT saves it, with adapter_config.json and adapter_model.safetensors. Errors:
  // the same, naming the tensor or the field of the configuration; kUnsupported where the adapter
  // is more than products of two matrices (DoRA, biases, whole modules, ...).
  static Result<std::shared_ptr<const Adapter>> LoadPeft(const Model& model,
                                                         const std::string& folder);
  ~Adapter();

  const AdapterInfo& info() const;
  // Frobenius norm of all that is added, relative to that of the matrices it is added to. An
  // adapter with a tiny one has no effect.
  double RelativeSize(const Model& model) const;
  // As an ordinary LoRA file, which other programs load too. Factors are written as F32.
  Status Save(const std::string& path) const;

  // For the library's own use.
  struct Parts;
  explicit Adapter(std::unique_ptr<Parts> parts);
  const Parts& parts() const { return *parts_; }

 private:
  std::unique_ptr<Parts> parts_;
};

// Scale 1 is as the adapter was trained, 0 is without it.
struct ScaledAdapter {
  std::shared_ptr<const Adapter> adapter;
  float scale = 1;
};

}  // namespace ondine

#endif  // ONDINE_ADAPTER_H_
