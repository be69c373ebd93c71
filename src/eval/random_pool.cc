#include "eval/random_pool.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/random.h"

namespace ondine::eval {
namespace {

// Of `count` elements, each `step` behind the one before.
double Dot(const float* x, const float* y, std::int64_t step, std::int64_t count) {
  double sum = 0;
  for (std::int64_t k = 0; k < count; ++k) {
    sum += static_cast<double>(x[k * step]) * static_cast<double>(y[k * step]);
  }
  return sum;
}

}  // namespace

double ProductNorm(const adapters::LowRankFactors& factors) {
  // |B A|^2 = sum over i, j of (B^T B)_ij (A A^T)_ij: as large as the rank, not as the matrix.
  double sum = 0;
  for (std::int64_t i = 0; i < factors.rank; ++i) {
    for (std::int64_t j = 0; j < factors.rank; ++j) {
      sum += Dot(&factors.a[static_cast<std::size_t>(i * factors.in)],
                 &factors.a[static_cast<std::size_t>(j * factors.in)], 1, factors.in) *
             Dot(&factors.b[static_cast<std::size_t>(i)], &factors.b[static_cast<std::size_t>(j)],
                 factors.rank, factors.out);
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
