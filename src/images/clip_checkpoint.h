// CLIP checkpoints as transformers and OpenCLIP save them, made into one GGUF file.
#ifndef ONDINE_SRC_IMAGES_CLIP_CHECKPOINT_H_
#define ONDINE_SRC_IMAGES_CLIP_CHECKPOINT_H_

#include <string>

#include "formats/tensor_type.h"
#include "models/clip_spec.h"
#include "ondine/result.h"

namespace ondine::images {

// `folder` holds config.json, model.safetensors and merges.txt or tokenizer.json, with or without
// preprocessor_config.json; or open_clip_config.json with open_clip_model.safetensors and the same
// tokenizer files. Matrices are stored as `type`, kF32, kF16 or kBF16, everything else as F32.
// Errors: kNotFound (a file or tensor, by name), kUnsupported (another kind of model), kCorrupt
// (shapes that do not fit the configuration, numbers that are not finite or too large for 16 bits),
// those of base::WriteFileAtomically.
Result<models::ClipSpec> ConvertClip(const std::string& folder, const std::string& output,
                                     formats::TensorType type);

}  // namespace ondine::images

#endif  // ONDINE_SRC_IMAGES_CLIP_CHECKPOINT_H_
