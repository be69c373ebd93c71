// Writes a trained pool as a GGUF file (docs/formats/pool.md).
#ifndef ONDINE_TRAIN_POOL_FILE_H_
#define ONDINE_TRAIN_POOL_FILE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "ondine/result.h"
#include "train/pool_items.h"
#include "train/pool_shape.h"

namespace ondine::train {

// Factors of one matrix for all adapters, as IEEE halves.
struct TrainedMatrix {
  std::string tensor;  // "blk.0.attn_q.weight"
  MatrixShape shape;
  std::vector<std::uint16_t> a;  // [adapters][rank][in]
  std::vector<std::uint16_t> b;  // [adapters][out][rank]
};
using TrainedAdapters = std::vector<TrainedMatrix>;

struct PoolDescription {
  PoolShape shape;
  Mode mode = Mode::kJoint;
  double temperature = 0.1;
  std::string name;          // general.name
  std::string architecture;  // of the base model
  std::string base_name, base_fingerprint;
  std::string provenance;  // data sets, steps, seed, command
};

Status WritePool(const PoolDescription& description, const TaskSpace& space,
                 const TrainedAdapters& adapters, const std::string& path);

}  // namespace ondine::train

#endif  // ONDINE_TRAIN_POOL_FILE_H_
