// Strengths of the words of classes, learned with torch: on any device it has, and with its
// gradients instead of the engine's.
#ifndef ONDINE_TRAIN_TOKEN_WEIGHTS_H_
#define ONDINE_TRAIN_TOKEN_WEIGHTS_H_

#include <string>
#include <vector>

#include "ondine/images.h"
#include "ondine/result.h"

namespace ondine::train {

// LearnClasses() with the twin of `clip`, which was loaded from the file `path`, on torch's device
// `device`. Errors: those of LearnClasses(), ClipTwin::Load() and FindDevice(); kInternal (torch).
Result<LearnedClasses> LearnTokenWeights(Clip& clip, const std::string& path,
                                         const std::string& device,
                                         const std::vector<ClassExamples>& examples,
                                         const LearnOptions& options);

}  // namespace ondine::train

#endif  // ONDINE_TRAIN_TOKEN_WEIGHTS_H_
