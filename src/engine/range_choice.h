// What the options of a quantization say: bits, and how ranges follow from what was seen.
#ifndef ONDINE_SRC_ENGINE_RANGE_CHOICE_H_
#define ONDINE_SRC_ENGINE_RANGE_CHOICE_H_

#include <string>
#include <vector>

#include "models/quantization.h"
#include "ondine/quantization.h"
#include "ondine/result.h"
#include "quant/input_statistics.h"

namespace ondine::engine {

struct Scheme {
  int weight_bits = 8, activation_bits = 8;
};
Result<Scheme> ParseScheme(const std::string& name);

// Ranges that follow from values; RangeChoice::kLearned stands for kOutliers here.
struct RangeRule {
  RangeChoice choice;
  double outliers;  // the share

  Status Check() const;
  bool KeepsOutliers() const;
  quant::Range RangeOf(const quant::Histogram& values, int bits) const;
  std::string Name() const;
};

// A code for each of the ranges.
std::vector<models::LayerCodes> CodesOf(const std::vector<quant::LayerRanges>& ranges, int bits,
                                        bool keeps_outliers);

}  // namespace ondine::engine

#endif  // ONDINE_SRC_ENGINE_RANGE_CHOICE_H_
