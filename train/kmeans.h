// k-means on the unit sphere.
#ifndef ONDINE_TRAIN_KMEANS_H_
#define ONDINE_TRAIN_KMEANS_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "ondine/result.h"

namespace ondine::train {

struct Points {
  std::size_t dim = 0;
  std::vector<float> values;  // [count][dim], every point of length 1

  std::size_t count() const { return dim == 0 ? 0 : values.size() / dim; }
  const float* operator[](std::size_t i) const { return values.data() + i * dim; }
};

struct Clusters {
  Points centroids;                  // rescaled to length 1
  std::vector<std::size_t> nearest;  // of each point, by cosine
  double cosine = 0;                 // mean cosine of the points to their centroids
};

// The best of `restarts` runs of Lloyd's algorithm from starts of k-means++ (Arthur and
// Vassilvitskii, 2007). The same seed gives the same clusters. kInvalidArgument where there are
// fewer points than clusters.
Result<Clusters> FindClusters(const Points& points, std::size_t k, int restarts,
                              std::uint64_t seed);

}  // namespace ondine::train

#endif  // ONDINE_TRAIN_KMEANS_H_
