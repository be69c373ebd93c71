#include "images/resample.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "compute/cpu_features.h"

namespace ondine::images {
namespace {

// Keys, "Cubic convolution interpolation for digital image processing", 1981.
double Cubic(double x) {
  constexpr double kA = -0.5;
  x = std::abs(x);
  if (x < 1) return ((kA + 2) * x - (kA + 3)) * x * x + 1;
  if (x < 2) return (((x - 5) * x + 8) * x - 4) * kA;
  return 0;
}
constexpr double kReach = 2;

std::size_t RoundUp(std::size_t count, std::size_t block) {
  return (count + block - 1) / block * block;
}

std::uint8_t ToByte(std::int32_t sum) {
  sum >>= kResampleBits;
  return static_cast<std::uint8_t>(sum < 0 ? 0 : sum > 255 ? 255 : sum);
}

void AcrossPlain(const RowWeights& weights, const std::uint8_t* row, std::uint8_t* result) {
  for (std::size_t i = 0; i < weights.kept; ++i) {
    const std::uint8_t* pixel = row + 3 * static_cast<std::size_t>(weights.first[i]);
    const std::int16_t* high = weights.high + i * weights.stride;
    const std::int16_t* low = weights.low + i * weights.stride;
    std::int32_t sum[3] = {kResampleHalf, kResampleHalf, kResampleHalf};
    for (int k = 0; k < weights.count[i]; ++k) {
      const std::int32_t weight = high[k] * (1 << kResampleLowBits) + low[k];
      for (std::int32_t& channel : sum) channel += weight * *pixel++;
    }
    for (const std::int32_t channel : sum) *result++ = ToByte(channel);
  }
}

void DownPlain(const std::int32_t* weights, const std::uint8_t* const* rows, int count,
               std::size_t bytes, std::uint8_t* result) {
  for (std::size_t i = 0; i < bytes; ++i) {
    std::int32_t sum = kResampleHalf;
    for (int k = 0; k < count; ++k) sum += weights[k] * rows[k][i];
    result[i] = ToByte(sum);
  }
}

}  // namespace

const ResampleKernels& PlainResampleKernels() {
  static constexpr ResampleKernels kKernels = {AcrossPlain, DownPlain};
  return kKernels;
}

const ResampleKernels& FastestResampleKernels() {
#if defined(__x86_64__)
  if (compute::HasAvx2()) return Avx2ResampleKernels();
#endif
  return PlainResampleKernels();
}

ResampleWeights::ResampleWeights(const ResampledSide& side) {
  const double step = static_cast<double>(side.from) / side.to;
  const double stretch = std::max(step, 1.0);
  const double reach = kReach * stretch;
  most = 2 * static_cast<std::size_t>(std::ceil(reach)) + 1;
  weights.resize(static_cast<std::size_t>(side.kept) * most);
  std::vector<double> exact;
  for (int i = 0; i < side.kept; ++i) {
    const double centre = (side.first + i + 0.5) * step;
    const int begin = std::max(static_cast<int>(std::lround(centre - reach)), 0);
    const int end = std::min(static_cast<int>(std::lround(centre + reach)), side.from);
    exact.clear();
    double sum = 0;
    for (int x = begin; x < end; ++x) {
      exact.push_back(Cubic((x - centre + 0.5) * (1 / stretch)));
      sum += exact.back();
    }
    std::int32_t* weight = &weights[static_cast<std::size_t>(i) * most];
    for (const double value : exact) {
      *weight++ = static_cast<std::int32_t>(std::round(value * (1 / sum) * (1 << kResampleBits)));
    }
    first.push_back(begin);
    count.push_back(end - begin);
  }
}

Resampler::Across::Across(ResampleWeights whole)
    : first(std::move(whole.first)),
      count(std::move(whole.count)),
      stride(RoundUp(whole.most, kResampleTaps)),
      high(first.size() * stride),
      low(first.size() * stride) {
  for (std::size_t i = 0; i < first.size(); ++i) {
    for (std::size_t k = 0; k < whole.most; ++k) {
      const std::int32_t weight = whole.weights[i * whole.most + k];
      high[i * stride + k] = static_cast<std::int16_t>(weight >> kResampleLowBits);
      low[i * stride + k] = static_cast<std::int16_t>(weight & ((1 << kResampleLowBits) - 1));
    }
  }
}

Resampler::Resampler(const ResampledSide& across, const ResampledSide& down,
                     const ResampleKernels& kernels)
    : kernels_(kernels),
      across_(ResampleWeights(across)),
      down_(down),
      row_bytes_(3 * static_cast<std::size_t>(across.kept)),
      remembered_bytes_(RoundUp(row_bytes_ + 1, kResampleBlock)),
      row_(3 * static_cast<std::size_t>(across.from) + kResampleBehindRow),
      remembered_(remembered_bytes_ * down_.most),
      window_(down_.most),
      result_row_(remembered_bytes_),
      pixels_(row_bytes_ * static_cast<std::size_t>(down.kept)) {}

std::uint8_t* Resampler::Remembered(int row) {
  return &remembered_[remembered_bytes_ * (static_cast<std::size_t>(row) % down_.most)];
}

void Resampler::Add(const std::uint8_t* row) {
  std::copy_n(row, row_.size() - kResampleBehindRow, row_.data());
  kernels_.across(across_.View(), row_.data(), Remembered(rows_));
  ++rows_;
  for (; done_ < down_.first.size(); ++done_) {
    const int begin = down_.first[done_], count = down_.count[done_];
    if (begin + count > rows_) break;
    for (int k = 0; k < count; ++k) window_[static_cast<std::size_t>(k)] = Remembered(begin + k);
    kernels_.down(&down_.weights[done_ * down_.most], window_.data(), count, remembered_bytes_,
                  result_row_.data());
    std::copy_n(result_row_.data(), row_bytes_, &pixels_[done_ * row_bytes_]);
  }
}

}  // namespace ondine::images
