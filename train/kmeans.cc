#include "train/kmeans.h"

#include <algorithm>
#include <cmath>
#include <span>
#include <string>

#include "base/random.h"

namespace ondine::train {
namespace {

constexpr int kMaxRounds = 100;  // of Lloyd's algorithm; it stands still long before

// Cosines of a point to all centroids. They are stored in groups, [group][dim][kGroup], so that the
// sums of a group stand in registers and every sum keeps its order.
class Centroids {
 public:
  explicit Centroids(const Points& points) : dim_(points.dim), cosines_(points.count()) {
    const std::size_t groups = (points.count() + kGroup - 1) / kGroup;
    values_.resize(groups * dim_ * kGroup);
    for (std::size_t c = 0; c < points.count(); ++c) {
      float* group = values_.data() + c / kGroup * dim_ * kGroup;
      for (std::size_t i = 0; i < dim_; ++i) group[i * kGroup + c % kGroup] = points[c][i];
    }
  }

  std::span<const float> Cosines(const float* point) {
    for (std::size_t first = 0; first < cosines_.size(); first += kGroup) {
      const float* row = values_.data() + first * dim_;
      float sums[kGroup] = {};
      for (std::size_t i = 0; i < dim_; ++i, row += kGroup) {
        for (std::size_t c = 0; c < kGroup; ++c) sums[c] += point[i] * row[c];
      }
      std::copy_n(sums, std::min(kGroup, cosines_.size() - first),
                  cosines_.begin() + static_cast<std::ptrdiff_t>(first));
    }
    return cosines_;
  }

 private:
  static constexpr std::size_t kGroup = 8;
  std::size_t dim_;
  std::vector<float> values_, cosines_;
};

double Dot(const float* a, const float* b, std::size_t dim) {
  double sum = 0;
  for (std::size_t i = 0; i < dim; ++i)
    sum += static_cast<double>(a[i]) * static_cast<double>(b[i]);
  return sum;
}

// Each next start is drawn with a probability that grows with the squared distance to the others.
std::vector<float> DrawStarts(const Points& points, std::size_t k, base::Random& random) {
  std::vector<float> starts;
  std::vector<double> distances(points.count(), 4.0);  // of opposite points
  std::size_t chosen = random() % points.count();
  while (true) {
    starts.insert(starts.end(), points[chosen], points[chosen] + points.dim);
    if (starts.size() == k * points.dim) return starts;
    double total = 0;
    for (std::size_t i = 0; i < points.count(); ++i) {
      // Of unit vectors: |a - b|^2 = 2 - 2 cos.
      const double distance = 2 - 2 * Dot(points[i], points[chosen], points.dim);
      distances[i] = std::clamp(distance, 0.0, distances[i]);
      total += distances[i];
    }
    double left = base::RandomShare(random) * total;
    for (chosen = 0; chosen + 1 < points.count() && left >= distances[chosen]; ++chosen) {
      left -= distances[chosen];
    }
  }
}

void Assign(const Points& points, Clusters& clusters, std::vector<double>& cosines) {
  Centroids centroids(clusters.centroids);
  double total = 0;
  for (std::size_t i = 0; i < points.count(); ++i) {
    const std::span<const float> all = centroids.Cosines(points[i]);
    const auto best = std::max_element(all.begin(), all.end());
    clusters.nearest[i] = static_cast<std::size_t>(best - all.begin());
    cosines[i] = static_cast<double>(*best);
    total += cosines[i];
  }
  clusters.cosine = total / static_cast<double>(points.count());
}

void MoveCentroids(const Points& points, Clusters& clusters, std::vector<double>& cosines) {
  const std::size_t k = clusters.centroids.count();
  std::vector<double> sums(k * points.dim, 0.0);
  for (std::size_t i = 0; i < points.count(); ++i) {
    double* sum = sums.data() + clusters.nearest[i] * points.dim;
    for (std::size_t j = 0; j < points.dim; ++j) sum[j] += static_cast<double>(points[i][j]);
  }
  for (std::size_t c = 0; c < k; ++c) {
    const double* sum = sums.data() + c * points.dim;
    float* centroid = clusters.centroids.values.data() + c * points.dim;
    double length = 0;
    for (std::size_t j = 0; j < points.dim; ++j) length += sum[j] * sum[j];
    length = std::sqrt(length);
    if (length > 1e-9) {
      for (std::size_t j = 0; j < points.dim; ++j)
        centroid[j] = static_cast<float>(sum[j] / length);
      continue;
    }
    // Nobody is near: the point that is worst off becomes the centroid.
    const auto worst = std::min_element(cosines.begin(), cosines.end());
    std::copy_n(points[static_cast<std::size_t>(worst - cosines.begin())], points.dim, centroid);
    *worst = 1;
  }
}

}  // namespace

Result<Clusters> FindClusters(const Points& points, std::size_t k, int restarts,
                              std::uint64_t seed) {
  if (k < 1 || points.count() < k) {
    return MakeError(ErrorCode::kInvalidArgument, std::to_string(k) + " clusters of " +
                                                      std::to_string(points.count()) + " points");
  }
  base::Random random(seed);
  Clusters best;
  best.cosine = -2;
  std::vector<double> cosines(points.count());
  for (int run = 0; run < restarts; ++run) {
    Clusters clusters;
    clusters.centroids = {points.dim, DrawStarts(points, k, random)};
    clusters.nearest.resize(points.count());
    Assign(points, clusters, cosines);
    for (int round = 0; round < kMaxRounds; ++round) {
      const std::vector<std::size_t> before = clusters.nearest;
      MoveCentroids(points, clusters, cosines);
      Assign(points, clusters, cosines);
      if (clusters.nearest == before) break;
    }
    if (clusters.cosine > best.cosine) best = std::move(clusters);
  }
  return best;
}

}  // namespace ondine::train
