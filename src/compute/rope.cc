#include "compute/rope.h"

#include <cassert>
#include <cmath>
#include <cstddef>
#include <utility>

namespace ondine::compute {
namespace {

// The widest head that RotateHeads keeps angles of on the stack.
constexpr int kMaxDims = 1024;

}  // namespace

Rope::Rope(RopeSettings settings) : settings_(std::move(settings)) {
  assert(settings_.dims % 2 == 0 && settings_.dims <= kMaxDims);
  const int pairs = settings_.dims / 2;
  assert(settings_.factors.empty() || settings_.factors.size() == static_cast<std::size_t>(pairs));
  frequencies_.resize(pairs);
  for (int i = 0; i < pairs; ++i) {
    const double factor = settings_.factors.empty() ? 1.0 : settings_.factors[i];
    frequencies_[i] =
        settings_.position_scale * std::pow(settings_.base, -2.0 * i / settings_.dims) / factor;
  }
  for (std::int64_t lane = 0; lane < kLanes; ++lane) AppendPosition(lane, lane_cos_, lane_sin_);
}

void Rope::Rotate(float* head, std::int64_t position) const {
  const int pairs = settings_.dims / 2;
  for (int i = 0; i < pairs; ++i) {
    const double angle = static_cast<double>(position) * frequencies_[i];
    const double c = std::cos(angle), s = std::sin(angle);
    float& first = head[settings_.neighbours ? 2 * i : i];
    float& second = head[settings_.neighbours ? 2 * i + 1 : i + pairs];
    const double x = first, y = second;
    first = static_cast<float>(x * c - y * s);
    second = static_cast<float>(x * s + y * c);
  }
}

void Rope::RotateHeads(float* first, int heads, std::int64_t stride, std::int64_t position) const {
  assert(position >= 0 && position < reserved_);
  const int dims = settings_.dims, pairs = dims / 2;
  const float* lane_cos = &lane_cos_[position % kLanes * dims];
  const float* lane_sin = &lane_sin_[position % kLanes * dims];
  const float* tile_cos = &tile_cos_[position / kLanes * dims];
  const float* tile_sin = &tile_sin_[position / kLanes * dims];
  float c[kMaxDims], s[kMaxDims];
  for (int e = 0; e < dims; ++e) {
    c[e] = tile_cos[e] * lane_cos[e] - tile_sin[e] * lane_sin[e];
    s[e] = tile_sin[e] * lane_cos[e] + tile_cos[e] * lane_sin[e];
  }
  for (int h = 0; h < heads; ++h) {
    float* head = first + h * stride;
    if (settings_.neighbours) {
      for (int e = 0; e < dims; e += 2) {
        const float x = head[e], y = head[e + 1];
        head[e] = x * c[e] + y * s[e];
        head[e + 1] = y * c[e] + x * s[e + 1];
      }
    } else {
      for (int e = 0; e < pairs; ++e) {
        const float x = head[e], y = head[e + pairs];
        head[e] = x * c[e] + y * s[e];
        head[e + pairs] = y * c[e] + x * s[e + pairs];
      }
    }
  }
}

void Rope::Reserve(std::int64_t count) {
  while (reserved_ < count) {
    AppendPosition(reserved_, tile_cos_, tile_sin_);
    reserved_ += kLanes;
  }
}

void Rope::AppendPosition(std::int64_t position, std::vector<float>& cosines,
                          std::vector<float>& sines) const {
  const int dims = settings_.dims, pairs = dims / 2;
  const std::size_t start = cosines.size();
  cosines.resize(start + dims);
  sines.resize(start + dims);
  for (int i = 0; i < pairs; ++i) {
    const double angle = static_cast<double>(position) * frequencies_[i];
    const int a = settings_.neighbours ? 2 * i : i;
    const int b = settings_.neighbours ? 2 * i + 1 : i + pairs;
    cosines[start + a] = cosines[start + b] = static_cast<float>(std::cos(angle));
    sines[start + b] = static_cast<float>(std::sin(angle));
    sines[start + a] = -sines[start + b];
  }
}

}  // namespace ondine::compute
