#include "images/resample.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <vector>

#include "compute/cpu_features.h"

namespace ondine::images {
namespace {

// The pixels of a side and what becomes of them: all sizes, and all parts of a result.
ResampledSide AnySide() {
  ResampledSide side;
  side.from = *rc::gen::inRange(1, 90);
  side.to = *rc::gen::inRange(1, 90);
  side.first = *rc::gen::inRange(0, side.to);
  side.kept = *rc::gen::inRange(1, side.to - side.first + 1);
  return side;
}

std::vector<std::uint8_t> Resampled(const std::vector<std::uint8_t>& pixels,
                                    const ResampledSide& across, const ResampledSide& down,
                                    const ResampleKernels& kernels = FastestResampleKernels()) {
  Resampler resampler(across, down, kernels);
  const auto row_bytes = pixels.size() / static_cast<std::size_t>(down.from);
  for (std::size_t at = 0; at < pixels.size(); at += row_bytes) resampler.Add(&pixels[at]);
  return resampler.pixels();
}

std::vector<std::uint8_t> AnyPixels(const ResampledSide& across, const ResampledSide& down) {
  return *rc::gen::container<std::vector<std::uint8_t>>(
      static_cast<std::size_t>(3 * across.from * down.from), rc::gen::arbitrary<std::uint8_t>());
}

RC_GTEST_PROP(Resample, KernelsGiveTheSameBits, ()) {
#if defined(__x86_64__)
  if (!compute::HasAvx2()) RC_SUCCEED("no AVX2 here");
  const ResampledSide across = AnySide(), down = AnySide();
  const auto pixels = AnyPixels(across, down);
  RC_ASSERT(Resampled(pixels, across, down, Avx2ResampleKernels()) ==
            Resampled(pixels, across, down, PlainResampleKernels()));
#endif
}

RC_GTEST_PROP(Resample, OneColourStaysThatColour, ()) {
  const ResampledSide across = AnySide(), down = AnySide();
  const auto value = *rc::gen::arbitrary<std::uint8_t>();
  const auto pixels =
      std::vector<std::uint8_t>(static_cast<std::size_t>(3 * across.from * down.from), value);
  const auto result = Resampled(pixels, across, down);
  RC_ASSERT(result == std::vector<std::uint8_t>(
                          static_cast<std::size_t>(3 * across.kept * down.kept), value));
}

RC_GTEST_PROP(Resample, APartIsCutOutOfTheWhole, ()) {
  const ResampledSide across = AnySide(), down = AnySide();
  const auto pixels = AnyPixels(across, down);
  const auto whole =
      Resampled(pixels, {across.from, across.to, 0, across.to}, {down.from, down.to, 0, down.to});
  std::vector<std::uint8_t> part;
  for (int y = down.first; y < down.first + down.kept; ++y) {
    const auto* begin = &whole[static_cast<std::size_t>(3 * (y * across.to + across.first))];
    part.insert(part.end(), begin, begin + 3 * across.kept);
  }
  RC_ASSERT(Resampled(pixels, across, down) == part);
}

TEST(Resample, TheSameSizeIsTheSamePicture) {
  std::vector<std::uint8_t> pixels;
  for (int i = 0; i < 3 * 7 * 5; ++i) pixels.push_back(static_cast<std::uint8_t>(i * 37));
  EXPECT_EQ(Resampled(pixels, {7, 7, 0, 7}, {5, 5, 0, 5}), pixels);
}

}  // namespace
}  // namespace ondine::images
