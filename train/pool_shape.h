// What a pool of adapters consists of, whoever trains, writes or uses it.
#ifndef ONDINE_TRAIN_POOL_SHAPE_H_
#define ONDINE_TRAIN_POOL_SHAPE_H_

#include <vector>

#include "train/site.h"

namespace ondine::train {

enum class Blend {
  kSeparate,  // (sum w_n B_n)(sum w_n A_n)
  kProduct,   // sum w_n B_n A_n
};

struct PoolShape {
  int adapters = 8;
  int rank = 8;            // of each
  double lora_alpha = 16;  // products are scaled by lora_alpha / rank
  Blend blend = Blend::kSeparate;
  std::vector<Site> sites = {Site::kQuery, Site::kKey, Site::kValue, Site::kOutput};

  double scale() const { return lora_alpha / rank; }
};

}  // namespace ondine::train

#endif  // ONDINE_TRAIN_POOL_SHAPE_H_
