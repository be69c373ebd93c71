// A model file with other weights.
#ifndef ONDINE_TRAIN_TUNED_MODEL_H_
#define ONDINE_TRAIN_TUNED_MODEL_H_

#include <map>
#include <string>
#include <vector>

#include "formats/gguf.h"
#include "ondine/result.h"

namespace ondine::train {

// By the names of train::NamedWeight; matrices are [out][in].
using TunedWeights = std::map<std::string, std::vector<float>>;

// Writes `file` anew with these weights as F32 and everything else as it is. Errors: those of
// GgufWriter::Write.
Status WriteTunedModel(const formats::GgufFile& file, const TunedWeights& weights,
                       const std::string& path);

}  // namespace ondine::train

#endif  // ONDINE_TRAIN_TUNED_MODEL_H_
