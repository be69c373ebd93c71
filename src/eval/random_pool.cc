#include "eval/random_pool.h"

#include <cmath>
#include <cstdint>
#include <vector>

#include "base/random.h"

namespace ondine::eval {

adapters::Pool WithRandomFactors(adapters::Pool pool, std::uint64_t seed) {
  base::Random random(seed);
  const auto fill = [&](std::vector<float>& values) {
    for (float& value : values) value = static_cast<float>(2 * base::RandomShare(random) - 1);
  };
  for (auto& [tensor, all] : pool.matrices) {
    for (adapters::LowRankFactors& factors : all) {
      const double wanted = adapters::SquaredNorm(factors);
      fill(factors.a);
      fill(factors.b);
      const auto scale = static_cast<float>(std::sqrt(wanted / adapters::SquaredNorm(factors)));
      for (float& value : factors.b) value *= scale;
    }
  }
  return pool;
}

}  // namespace ondine::eval
