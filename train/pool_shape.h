// The shape of a pool of adapters to be trained.
#ifndef ONDINE_TRAIN_POOL_SHAPE_H_
#define ONDINE_TRAIN_POOL_SHAPE_H_

#include <vector>

#include "ondine/adapter_pool.h"
#include "train/site.h"

namespace ondine::train {

struct PoolShape {
  int adapters = 8;
  int rank = 8;            // of each
  double lora_alpha = 16;  // products are scaled by lora_alpha / rank
  BlendForm blend = BlendForm::kSeparate;
  std::vector<Site> sites = {Site::kQuery, Site::kKey, Site::kValue, Site::kOutput};

  double scale() const { return lora_alpha / rank; }
};

}  // namespace ondine::train

#endif  // ONDINE_TRAIN_POOL_SHAPE_H_
