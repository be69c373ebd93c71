// Writes a trained CLIP as a GGUF file: docs/formats/clip.md.
#ifndef ONDINE_TRAIN_CLIP_FILE_H_
#define ONDINE_TRAIN_CLIP_FILE_H_

#include <string>

#include "formats/tensor_type.h"
#include "ondine/result.h"
#include "text/clip_tokenizer.h"
#include "train/clip_training.h"

namespace ondine::train {

// Matrices are stored as `type` (kF32, kF16 or kQ8_0), but as kF16 where rows are no whole blocks
// of kQ8_0; norms, biases, positions and the class embedding as kF32. `provenance` says what the
// model was made from. Errors: those of GgufWriter::Write.
Status WriteClip(const TrainedClip& clip, const text::ClipVocabulary& vocabulary,
                 const std::string& provenance, formats::TensorType type, const std::string& path);

}  // namespace ondine::train

#endif  // ONDINE_TRAIN_CLIP_FILE_H_
