#include "train/kmeans.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/random.h"

namespace ondine::testing {
namespace {

using train::Clusters;
using train::FindClusters;
using train::Points;

// `count` points of length 1 near each axis of three dimensions.
Points NearAxes(int count) {
  base::Random random(5);
  Points points;
  points.dim = 3;
  for (int i = 0; i < 3 * count; ++i) {
    float point[3];
    double length = 0;
    for (int j = 0; j < 3; ++j) {
      point[j] = static_cast<float>((j == i % 3 ? 1 : 0) + 0.4 * base::RandomShare(random) - 0.2);
      length += static_cast<double>(point[j] * point[j]);
    }
    for (const float x : point) points.values.push_back(x / static_cast<float>(std::sqrt(length)));
  }
  return points;
}

TEST(KMeans, FindsWhatIsApart) {
  const Points points = NearAxes(50);
  const auto clusters = FindClusters(points, 3, 10, 1);
  ASSERT_TRUE(clusters) << clusters.error().ToString();
  for (std::size_t i = 0; i < points.count(); ++i) {
    EXPECT_EQ(clusters->nearest[i], clusters->nearest[i % 3]);
  }
  EXPECT_NE(clusters->nearest[0], clusters->nearest[1]);
  EXPECT_NE(clusters->nearest[1], clusters->nearest[2]);
  EXPECT_NE(clusters->nearest[0], clusters->nearest[2]);
  for (std::size_t c = 0; c < 3; ++c) {
    double length = 0;
    for (std::size_t j = 0; j < 3; ++j) length += std::pow(clusters->centroids[c][j], 2);
    EXPECT_NEAR(length, 1, 1e-6);
  }
}

TEST(KMeans, TheSeedDecides) {
  const Points points = NearAxes(30);
  const auto first = FindClusters(points, 5, 3, 9), second = FindClusters(points, 5, 3, 9);
  ASSERT_TRUE(first && second);
  EXPECT_EQ(first->centroids.values, second->centroids.values);
  EXPECT_EQ(first->nearest, second->nearest);
}

TEST(KMeans, EqualPointsAndTooFew) {
  Points points;
  points.dim = 2;
  points.values = {0.6f, 0.8f, 0.6f, 0.8f, 0.6f, 0.8f, 0.6f, 0.8f};
  EXPECT_TRUE(FindClusters(points, 3, 2, 1));
  EXPECT_FALSE(FindClusters(points, 5, 2, 1));
  EXPECT_FALSE(FindClusters(points, 0, 2, 1));
}

}  // namespace
}  // namespace ondine::testing
