// Folders as PEFT saves adapters.
#ifndef ONDINE_TESTS_ADAPTERS_PEFT_FIXTURE_H_
#define ONDINE_TESTS_ADAPTERS_PEFT_FIXTURE_H_

#include <map>
#include <string>

#include "adapters/lora.h"
#include "formats/safetensors_bytes.h"

namespace ondine::testing {

// To be changed and written.
struct PeftParts {
  std::map<std::string, std::string> config;  // values as JSON: "8", "\"none\"", "true"
  SafetensorsParts file;

  // Every matrix of `lora` has this rank; rows are taken as they are.
  static PeftParts From(const adapters::LoraAdapter& lora, std::int64_t rank);
  std::string Config() const;
  void Write(const std::string& folder) const;  // which is made
};

// "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight" of layer 0, "self_attn.q_proj"
// and 'A'.
std::string PeftName(int layer, const std::string& module, char factor);

}  // namespace ondine::testing

#endif  // ONDINE_TESTS_ADAPTERS_PEFT_FIXTURE_H_
