// Reads the hyper-parameters that the decoder architectures share from a GGUF file.
#ifndef ONDINE_SRC_MODELS_HYPERPARAMETERS_H_
#define ONDINE_SRC_MODELS_HYPERPARAMETERS_H_

#include <optional>
#include <string>

#include "formats/gguf.h"
#include "models/decoder_spec.h"
#include "ondine/result.h"

namespace ondine::models {

// Keys are "<architecture>.<name>"; the functions take the name.
class Hyperparameters {
 public:
  Hyperparameters(const formats::GgufFile& file, std::string architecture)
      : file_(file), architecture_(std::move(architecture)) {}

  // A whole number in [low, high]; absent: `fallback`, or kCorrupt where there is none.
  Result<int> Int(const std::string& name, int low, int high,
                  std::optional<int> fallback = std::nullopt) const;
  // A finite number > 0; absent: `fallback`, or kCorrupt where there is none.
  Result<double> Positive(const std::string& name,
                          std::optional<double> fallback = std::nullopt) const;
  Result<std::string> String(const std::string& name, const std::string& fallback) const;
  bool Has(const std::string& name) const { return file_.Find(Key(name)) != nullptr; }
  // kUnsupported, naming the key: what it asks for would be left out.
  tl::unexpected<Error> Unsupported(const std::string& name) const;

  // Sizes and head counts. kUnsupported for a mixture of experts.
  Result<DecoderSpec> Sizes() const;
  // Sizes, norm epsilon, RoPE base, scaling and frequency factors: what llama, qwen2, qwen3 and
  // gemma3 name alike. kUnsupported also for a RoPE scaling not known.
  Result<DecoderSpec> Common() const;

 private:
  std::string Key(const std::string& name) const { return architecture_ + "." + name; }
  const formats::GgufFile& file_;
  std::string architecture_;
};

}  // namespace ondine::models

#endif  // ONDINE_SRC_MODELS_HYPERPARAMETERS_H_
