// The decoder architectures this program knows. A new one is a file with one function and a line in
// architectures.cc.
#ifndef ONDINE_SRC_MODELS_ARCHITECTURES_H_
#define ONDINE_SRC_MODELS_ARCHITECTURES_H_

#include "formats/gguf.h"
#include "models/decoder_spec.h"
#include "ondine/result.h"

namespace ondine::models {

Result<DecoderSpec> ReadGpt2(const formats::GgufFile& file);
Result<DecoderSpec> ReadLlama(const formats::GgufFile& file);
Result<DecoderSpec> ReadQwen2(const formats::GgufFile& file);
Result<DecoderSpec> ReadQwen3(const formats::GgufFile& file);
Result<DecoderSpec> ReadGemma3(const formats::GgufFile& file);

// Chooses by general.architecture. kUnsupported names the known ones.
Result<DecoderSpec> ReadDecoderSpec(const formats::GgufFile& file);

}  // namespace ondine::models

#endif  // ONDINE_SRC_MODELS_ARCHITECTURES_H_
