// The shape of a pool of adapters to be trained.
#ifndef ONDINE_TRAIN_POOL_SHAPE_H_
#define ONDINE_TRAIN_POOL_SHAPE_H_

#include <vector>

#include "models/lora.h"
#include "ondine/adapter_pool.h"

namespace ondine::train {

struct PoolShape {
  int adapters = 8;
  int rank = 8;            // of each
  double lora_alpha = 16;  // products are scaled by lora_alpha / rank
  BlendForm blend = BlendForm::kSeparate;
  std::vector<models::LoraSite> sites = {models::LoraSite::kQuery, models::LoraSite::kKey,
                                         models::LoraSite::kValue, models::LoraSite::kOutput};

  double scale() const { return lora_alpha / rank; }
};

}  // namespace ondine::train

#endif  // ONDINE_TRAIN_POOL_SHAPE_H_
