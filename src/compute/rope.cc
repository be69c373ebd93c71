#include "compute/rope.h"

#include <cassert>
#include <cmath>
#include <cstddef>
#include <utility>

namespace ondine::compute {
Rope::Rope(RopeSettings settings) : settings_(std::move(settings)) {
  assert(settings_.dims % 2 == 0);
  const int pairs = settings_.dims / 2;
  assert(settings_.factors.empty() || settings_.factors.size() == static_cast<std::size_t>(pairs));
  frequencies_.resize(pairs);
  for (int i = 0; i < pairs; ++i) {
    const double factor = settings_.factors.empty() ? 1.0 : settings_.factors[i];
    frequencies_[i] =
        settings_.position_scale * std::pow(settings_.base, -2.0 * i / settings_.dims) / factor;
  }
  lane_cos_.Reserve(kLanes * settings_.dims);
  lane_sin_.Reserve(kLanes * settings_.dims);
  for (std::int64_t lane = 0; lane < kLanes; ++lane) {
    FillTables(lane, lane_cos_.data() + lane * settings_.dims,
               lane_sin_.data() + lane * settings_.dims);
  }
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

void Rope::Angles(std::int64_t position, float* cosines, float* sines) const {
  if (position >= reserved_) {
    FillTables(position, cosines, sines);
    return;
  }
  const int dims = settings_.dims;
  const float* lane_cos = lane_cos_.data() + position % kLanes * dims;
  const float* lane_sin = lane_sin_.data() + position % kLanes * dims;
  const float* tile_cos = tile_cos_.data() + position / kLanes * dims;
  const float* tile_sin = tile_sin_.data() + position / kLanes * dims;
  for (int e = 0; e < dims; ++e) {
    cosines[e] = tile_cos[e] * lane_cos[e] - tile_sin[e] * lane_sin[e];
    sines[e] = tile_sin[e] * lane_cos[e] + tile_cos[e] * lane_sin[e];
  }
}

void Rope::RotateHeads(float* first, int heads, std::int64_t stride, const float* c,
                       const float* s) const {
  const int dims = settings_.dims, pairs = dims / 2;
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
  for (; reserved_ < count; reserved_ += kLanes) {
    const std::size_t start = tile_cos_.size();
    tile_cos_.resize(start + settings_.dims);
    tile_sin_.resize(start + settings_.dims);
    FillTables(reserved_, tile_cos_.data() + start, tile_sin_.data() + start);
  }
}

void Rope::FillTables(std::int64_t position, float* cosines, float* sines) const {
  const int pairs = settings_.dims / 2;
  for (int i = 0; i < pairs; ++i) {
    const double angle = static_cast<double>(position) * frequencies_[i];
    const int a = settings_.neighbours ? 2 * i : i;
    const int b = settings_.neighbours ? 2 * i + 1 : i + pairs;
    cosines[a] = cosines[b] = static_cast<float>(std::cos(angle));
    sines[b] = static_cast<float>(std::sin(angle));
    sines[a] = -sines[b];
  }
}

}  // namespace ondine::compute
