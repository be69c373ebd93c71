#include "eval/random_pool.h"

#include <cmath>
#include <cstddef>
#include <vector>

#include "base/random.h"

namespace ondine::eval {

double ProductNorm(const adapters::LowRankFactors& factors) {
  // |B A|^2 = sum over i, j of (B^T B)_ij (A A^T)_ij: as large as the rank, not as the matrix.
  const auto gram = [](const std::vector<float>& values, std::int64_t count,
                       std::int64_t step_count, std::int64_t step, std::int64_t i, std::int64_t j) {
    double sum = 0;
    for (std::int64_t k = 0; k < count; ++k) {
      sum += static_cast<double>(values[static_cast<std::size_t>(i * step_count + k * step)]) *
             static_cast<double>(values[static_cast<std::size_t>(j * step_count + k * step)]);
    }
    return sum;
  };
  double sum = 0;
  for (std::int64_t i = 0; i < factors.rank; ++i) {
    for (std::int64_t j = 0; j < factors.rank; ++j) {
      sum += gram(factors.a, factors.in, factors.in, 1, i, j) *
             gram(factors.b, factors.out, 1, factors.rank, i, j);
    }
  }
  return std::sqrt(std::max(0.0, sum));
}

adapters::Pool WithRandomFactors(adapters::Pool pool, std::uint64_t seed) {
  base::Random random(seed);
  const auto fill = [&](std::vector<float>& values) {
    for (float& value : values) value = static_cast<float>(2 * base::RandomShare(random) - 1);
  };
  for (auto& [tensor, all] : pool.matrices) {
    for (adapters::LowRankFactors& factors : all) {
      const double wanted = ProductNorm(factors);
      fill(factors.a);
      fill(factors.b);
      const auto scale = static_cast<float>(wanted / ProductNorm(factors));
      for (float& value : factors.b) value *= scale;
    }
  }
  return pool;
}

}  // namespace ondine::eval
