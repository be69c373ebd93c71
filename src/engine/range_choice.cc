#include "engine/range_choice.h"

#include "base/quote.h"

namespace ondine::engine {

Result<Scheme> ParseScheme(const std::string& name) {
  const auto bits = [&](std::size_t at) { return name[at] - '0'; };
  if (name.size() != 4 || name[0] != 'w' || name[2] != 'a' || bits(1) < 2 || bits(1) > 8 ||
      bits(3) < 2 || bits(3) > 8) {
    return MakeError(ErrorCode::kInvalidArgument, "unknown scheme " + base::Quote(name) +
                                                      "; known are w8a8 and, for research, "
                                                      "fewer bits, such as w8a6");
  }
  return Scheme{bits(1), bits(3)};
}

Status RangeRule::Check() const {
  if (outliers >= 0 && outliers < 1) return {};
  return MakeError(ErrorCode::kInvalidArgument, "the share of outliers lies between 0 and 1");
}

bool RangeRule::KeepsOutliers() const {
  return choice == RangeChoice::kLearned || choice == RangeChoice::kOutliers;
}

quant::Range RangeRule::RangeOf(const quant::Histogram& values, int bits) const {
  if (choice == RangeChoice::kMinMax) return values.range();
  if (choice == RangeChoice::kLeastSquares) return quant::LeastSquares(values, bits);
  return quant::EndsOnCodes(values.WithoutOutliers(outliers), bits);
}

std::string RangeRule::Name() const {
  if (choice == RangeChoice::kMinMax) return "min-max";
  if (choice == RangeChoice::kLeastSquares) return "least squares";
  return "all but a share of " + std::to_string(outliers);
}

std::vector<models::LayerCodes> CodesOf(const std::vector<quant::LayerRanges>& ranges, int bits,
                                        bool keeps_outliers) {
  std::vector<models::LayerCodes> all;
  for (const quant::LayerRanges& of_layer : ranges) {
    models::LayerCodes& codes = all.emplace_back();
    for (std::size_t site = 0; site < models::kCodeSites; ++site) {
      codes.of_site[site] = quant::CodeOf(of_layer[site], bits);
      codes.of_site[site].keeps_outliers = keeps_outliers;
    }
  }
  return all;
}

}  // namespace ondine::engine
