// What tells one task from another: the query projection of a prompt in the first layer.
#ifndef ONDINE_TRAIN_FEATURES_H_
#define ONDINE_TRAIN_FEATURES_H_

#include <cstdint>
#include <span>
#include <vector>

#include "models/decoder.h"
#include "train/kmeans.h"

namespace ondine::train {

// q = W_Q mean(norm(e)) + bias over a prompt's token embeddings e, before the rotation and without
// adapters, in floats from the dequantised rows.
class QueryFeatures {
 public:
  explicit QueryFeatures(const models::Decoder& decoder);

  std::size_t dim() const { return bias_.size(); }
  // `tokens`, at least one, are the prompt without BOS.
  std::vector<float> Of(std::span<const std::int32_t> tokens) const;

 private:
  const models::Decoder& decoder_;
  std::vector<float> query_;  // [dim][width]
  std::vector<float> bias_;   // [dim]
};

// mean [dim] of points [count][dim].
std::vector<float> MeanOf(std::span<const float> points, std::size_t dim);
// z = (q - mean) / |q - mean| in place; 0 where q = mean.
void Center(std::span<float> q, std::span<const float> mean);

// softmax(cosine / temperature) over the indicators [adapters].
std::vector<float> BlendWeights(std::span<const float> z, const Points& indicators,
                                double temperature);

}  // namespace ondine::train

#endif  // ONDINE_TRAIN_FEATURES_H_
