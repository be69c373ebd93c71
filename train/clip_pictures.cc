#include "train/clip_pictures.h"

#include <torch/nn/functional/vision.h>

#include <array>
#include <cmath>

namespace ondine::train {
namespace {

using torch::Tensor;

Tensor Channels(const std::array<float, 3>& values, const torch::Device& device) {
  return torch::tensor({values[0], values[1], values[2]}).view({1, 3, 1, 1}).to(device);
}

// Floats in [0, 1], channels first.
Tensor Shares(const Tensor& bytes) {
  return bytes.permute({0, 3, 1, 2}).to(torch::kFloat).contiguous() / 255;
}

Tensor Whitened(const Tensor& shares, const models::ClipSpec& spec) {
  return (shares - Channels(spec.mean, shares.device())) /
         Channels(spec.deviation, shares.device());
}

}  // namespace

Tensor BytesOf(const PhotoSet& photos) {
  // Torch knows no tensors of what it may not change.
  return torch::from_blob(
      const_cast<std::uint8_t*>(photos.pixels.data()),
      {static_cast<std::int64_t>(photos.items.size()), photos.size, photos.size, 3}, torch::kByte);
}

Tensor Normalised(const Tensor& bytes, const models::ClipSpec& spec) {
  return Whitened(Shares(bytes), spec);
}

Tensor Varied(const Tensor& bytes, const Tensor& draws, const models::ClipSpec& spec) {
  namespace F = torch::nn::functional;
  const double least_side = std::sqrt(0.6);
  constexpr double kBrightness = 0.1;
  const std::int64_t count = bytes.size(0), size = spec.image_size;
  const auto draw = [&](std::int64_t i) { return draws.select(1, i); };
  // Places in the picture run from -1 to 1.
  const Tensor width = least_side + (1 - least_side) * draw(0);
  const Tensor height = least_side + (1 - least_side) * draw(1);
  const Tensor x = (2 * draw(2) - 1) * (1 - width), y = (2 * draw(3) - 1) * (1 - height);
  const Tensor mirrored = torch::where(draw(4) < 0.5, -width, width);
  const Tensor zero = torch::zeros_like(x);
  const Tensor maps = torch::stack({mirrored, zero, x, zero, height, y}, 1).view({count, 2, 3});
  const Tensor grid = F::affine_grid(maps, {count, 3, size, size}, false);
  const Tensor cut = F::grid_sample(Shares(bytes), grid,
                                    F::GridSampleFuncOptions()
                                        .mode(torch::kBilinear)
                                        .padding_mode(torch::kBorder)
                                        .align_corners(false));
  const Tensor brightness = 1 + kBrightness * (2 * draw(5) - 1);
  return Whitened((cut * brightness.view({count, 1, 1, 1})).clamp(0, 1), spec);
}

}  // namespace ondine::train
