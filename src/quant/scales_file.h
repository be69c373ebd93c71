// Learned channel scales and ranges in a GGUF file: docs/formats/scales.md.
#ifndef ONDINE_SRC_QUANT_SCALES_FILE_H_
#define ONDINE_SRC_QUANT_SCALES_FILE_H_

#include <string>
#include <vector>

#include "formats/gguf.h"
#include "models/channel_scales.h"
#include "models/decoder.h"
#include "ondine/result.h"
#include "quant/calibration.h"

namespace ondine::quant {

struct Scales {
  std::string name;
  std::string architecture;
  std::string base_fingerprint;  // of the model that they were learned for
  std::string provenance;
  models::ChannelScales channels;
  std::vector<LayerRanges> ranges;  // of the scaled activations; empty: a text has to tell
  bool keeps_outliers = false;      // what lies outside of the ranges (compute::StaticCode)
};

// Errors: kUnsupported (no file of scales, another version), kMismatch (of another model), kCorrupt
// (widths, a scale that is not positive, a range without 0), naming key or tensor.
Result<Scales> ReadScales(const formats::GgufFile& file, const models::Decoder& decoder);

// Errors: those of GgufWriter::Write.
Status WriteScales(const Scales& scales, const models::DecoderSpec& spec, const std::string& path);

}  // namespace ondine::quant

#endif  // ONDINE_SRC_QUANT_SCALES_FILE_H_
