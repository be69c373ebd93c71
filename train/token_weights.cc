#include "train/token_weights.h"

#include "base/try.h"
#include "formats/gguf.h"
#include "images/class_learner.h"
#include "train/clip_twin.h"
#include "train/device.h"
#include "train/guard.h"
#include "train/twin_texts.h"

namespace ondine::train {

Result<LearnedClasses> LearnTokenWeights(Clip& clip, const std::string& path,
                                         const std::string& device,
                                         const std::vector<ClassExamples>& examples,
                                         const LearnOptions& options) {
  ONDINE_ASSIGN(const torch::Device where, FindDevice(device));
  ONDINE_ASSIGN(const formats::GgufFile file, formats::GgufFile::Open(path));
  ONDINE_ASSIGN(const ClipTwin twin, ClipTwin::Load(file, where));
  return Guarded([&] {
    TwinTexts encoder(twin);
    return images::LearnClasses(clip.parts(), encoder, examples, options);
  });
}

}  // namespace ondine::train
