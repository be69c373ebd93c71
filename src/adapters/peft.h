// LoRA adapters as PEFT saves them, made into ours: docs/formats/lora.md.
#ifndef ONDINE_SRC_ADAPTERS_PEFT_H_
#define ONDINE_SRC_ADAPTERS_PEFT_H_

#include <string>

#include "adapters/lora.h"
#include "adapters/peft_config.h"
#include "formats/safetensors.h"
#include "models/decoder.h"
#include "ondine/result.h"

namespace ondine::adapters {

// The factors under the names of GGUF files, with one alpha for all: where a matrix has a scale of
// its own, B is multiplied by the rest. Rows stay in PEFT's order, the architecture empty. Errors
// name the tensor: kUnsupported (no factor of a layer's matrix), kCorrupt (half a pair, shapes that
// do not fit, numbers that are not finite).
Result<LoraAdapter> ReadPeft(const PeftConfig& config, const formats::SafetensorsFile& file);

// From a folder with adapter_config.json and adapter_model.safetensors, checked against the decoder
// and with rows in its order. Errors: those of ReadPeft(), PeftConfig::Parse() and CheckFits().
Result<LoraAdapter> LoadPeft(const std::string& folder, const models::Decoder& decoder);

}  // namespace ondine::adapters

#endif  // ONDINE_SRC_ADAPTERS_PEFT_H_
