// Pictures made smaller or larger, row after row, as Pillow's Image.BICUBIC does it, to the bit.
#ifndef ONDINE_SRC_IMAGES_RESAMPLE_H_
#define ONDINE_SRC_IMAGES_RESAMPLE_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "images/resample_kernels.h"

namespace ondine::images {

// Along one side, in pixels: of the picture, of all that it becomes, and of what is kept of that.
struct ResampledSide {
  int from = 0, to = 0;
  int first = 0, kept = 0;
};

// What each kept pixel of a side is a weighted mean of. The weights are Keys' cubic with a = -1/2,
// stretched over as many pixels as become one, as integers of kResampleBits.
struct ResampleWeights {
  explicit ResampleWeights(const ResampledSide& side);

  std::size_t most = 0;               // pixels that one is made of
  std::vector<int> first, count;      // [kept]
  std::vector<std::int32_t> weights;  // [kept][most]
};

// Takes the rows of a picture of 8-bit red, green and blue from top to bottom and remembers no more
// of them than a row of the result is made of, as wide as the result.
class Resampler {
 public:
  Resampler(const ResampledSide& across, const ResampledSide& down,
            const ResampleKernels& kernels = FastestResampleKernels());

  // The next row: [across.from][3].
  void Add(const std::uint8_t* row);
  // [down.kept][across.kept][3], of what has been added.
  const std::vector<std::uint8_t>& pixels() const { return pixels_; }

 private:
  // The same weights, split.
  struct Across {
    explicit Across(ResampleWeights whole);
    RowWeights View() const {
      return {first.size(), first.data(), count.data(), high.data(), low.data(), stride};
    }
    std::vector<int> first, count;
    std::size_t stride;
    std::vector<std::int16_t> high, low;
  };

  std::uint8_t* Remembered(int row);

  const ResampleKernels& kernels_;
  const Across across_;
  const ResampleWeights down_;
  const std::size_t row_bytes_;         // of the result
  const std::size_t remembered_bytes_;  // of a row as it is remembered
  int rows_ = 0;                        // added
  std::size_t done_ = 0;                // rows of the result
  std::vector<std::uint8_t> row_;       // the last one added, and kResampleBehindRow
  std::vector<std::uint8_t> remembered_;
  std::vector<const std::uint8_t*> window_;
  std::vector<std::uint8_t> result_row_;
  std::vector<std::uint8_t> pixels_;
};

}  // namespace ondine::images

#endif  // ONDINE_SRC_IMAGES_RESAMPLE_H_
