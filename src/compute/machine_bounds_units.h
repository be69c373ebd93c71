// What multiplies bytes on this processor, for machine_bounds.cc.
#ifndef ONDINE_SRC_COMPUTE_MACHINE_BOUNDS_UNITS_H_
#define ONDINE_SRC_COMPUTE_MACHINE_BOUNDS_UNITS_H_

#include <cstdint>

namespace ondine::compute {

// Operations done in `rounds` rounds of products that do not wait for each other. Each needs what
// the function of cpu_features.h says that is named like it.
using Int8Products = double (*)(std::int64_t rounds, std::int32_t* sink);
double RunInt8ProductsAvx2(std::int64_t rounds, std::int32_t* sink);
double RunInt8ProductsAvxVnni(std::int64_t rounds, std::int32_t* sink);
double RunInt8ProductsAvx512(std::int64_t rounds, std::int32_t* sink);
double RunInt8ProductsAmx(std::int64_t rounds, std::int32_t* sink);
double RunInt8ProductsNeon(std::int64_t rounds, std::int32_t* sink);

}  // namespace ondine::compute

#endif  // ONDINE_SRC_COMPUTE_MACHINE_BOUNDS_UNITS_H_
