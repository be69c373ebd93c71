// Watches what the matrices of a model's layers read.
#ifndef ONDINE_SRC_MODELS_INPUT_OBSERVER_H_
#define ONDINE_SRC_MODELS_INPUT_OBSERVER_H_

#include "compute/activations.h"
#include "compute/thread_pool.h"
#include "models/quantization.h"

namespace ondine::models {

// Its functions are called by every worker of the team, and may use barriers.
class InputObserver {
 public:
  virtual ~InputObserver() = default;
  // The rows that matrices of a layer are about to read: floats, unless the matrices take codes.
  virtual void OnInput(compute::Worker& /*worker*/, int /*layer*/, CodeSite /*site*/,
                       const compute::Activations& /*rows*/) {}
};

}  // namespace ondine::models

#endif  // ONDINE_SRC_MODELS_INPUT_OBSERVER_H_
