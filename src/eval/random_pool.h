// The control that every pool of trained adapters has to beat.
#ifndef ONDINE_SRC_EVAL_RANDOM_POOL_H_
#define ONDINE_SRC_EVAL_RANDOM_POOL_H_

#include <cstdint>

#include "adapters/pool.h"

namespace ondine::eval {

// The same indicators, ranks and matrices, but random factors; each product B A is as long (in the
// Frobenius norm) as the trained one. "Random LoRAs do about as well" was reported of adaptive
// merging (arXiv 2602.12323).
adapters::Pool WithRandomFactors(adapters::Pool pool, std::uint64_t seed);

}  // namespace ondine::eval

#endif  // ONDINE_SRC_EVAL_RANDOM_POOL_H_
