#include "eval/random_pool.h"

#include <gtest/gtest.h>

#include <cmath>

#include "adapters/adapter_fixture.h"
#include "engine/engine_fixture.h"
#include "engine/model_parts.h"

namespace ondine::eval {
namespace {

using adapters::LowRankFactors;

// By the definition.
double NormOfProduct(const LowRankFactors& factors) {
  double sum = 0;
  for (std::int64_t row = 0; row < factors.out; ++row) {
    for (std::int64_t column = 0; column < factors.in; ++column) {
      double value = 0;
      for (std::int64_t r = 0; r < factors.rank; ++r) {
        value += static_cast<double>(factors.b[static_cast<std::size_t>(row * factors.rank + r)]) *
                 static_cast<double>(factors.a[static_cast<std::size_t>(r * factors.in + column)]);
      }
      sum += value * value;
    }
  }
  return std::sqrt(sum);
}

TEST(RandomPool, HasProductsAsLongAsTheTrainedOnesAndNothingElseOfThem) {
  const adapters::Pool trained =
      testing::RandomPool(*testing::TinyLlamaModel()->parts().decoder, 3, 2);
  const adapters::Pool random = WithRandomFactors(trained, 1);
  EXPECT_EQ(random.tasks.indicators, trained.tasks.indicators);
  ASSERT_EQ(random.matrices.size(), trained.matrices.size());
  for (const auto& [tensor, all] : trained.matrices) {
    for (std::size_t n = 0; n < all.size(); ++n) {
      const LowRankFactors& other = random.matrices.at(tensor)[n];
      const double norm = NormOfProduct(all[n]);
      EXPECT_NEAR(NormOfProduct(other), norm, 1e-5 * norm);
      EXPECT_NE(other.a, all[n].a);
      EXPECT_NE(other.b, all[n].b);
    }
  }
  EXPECT_NE(WithRandomFactors(trained, 2).matrices.begin()->second[0].a,
            random.matrices.begin()->second[0].a);
}

}  // namespace
}  // namespace ondine::eval
