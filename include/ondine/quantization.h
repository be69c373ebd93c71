// Writes a model file, or a CLIP, in 8-bit weights with static 8-bit activations, or with learned
// channel scales folded into its weights (Quadapter: Park et al., Findings of EMNLP 2022, arXiv
// 2211.16912). docs/quadapter.md
#ifndef ONDINE_QUANTIZATION_H_
#define ONDINE_QUANTIZATION_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ondine/progress.h"
#include "ondine/result.h"

namespace ondine {

// Where the range of an activation's code comes from.
enum class RangeChoice {
  kLearned,       // the file of scales where it has ranges, else as kOutliers
  kOutliers,      // nearly all of the text's values; the others stay floats beside the integers
  kMinMax,        // the least and the greatest value in the text
  kLeastSquares,  // the range with the least mean squared error on the text
};

struct QuantizationProgress {
  // "calibrating" (sequences; texts and pictures), "writing" (tensors); of a CLIP first "reading"
  // (pictures)
  std::string_view phase;
  std::int64_t done = 0, total = 0;
};

struct QuantizationOptions {
  // Channel scales, from one of these; from none, weights keep their channels.
  std::string scales;  // a file of learned ones
  // The strength of SmoothQuant's (Xiao et al., ICML 2023, arXiv 2211.10438), 0 to 1: how much of
  // the difficulty moves into the weights. They need the text. Where outliers are kept, only norms
  // have scales: the gated products' outliers are what is kept, and their channels need no others.
  std::optional<double> smooth;
  // Those of cross-layer equalisation (Nagel et al., ICCV 2019, arXiv 1906.04721).
  bool equalize = false;
  // Floats as before, with the scales folded in.
  bool fold_only = false;

  // "w8a8": bits of weights and of activations, from w2a2 on; fewer than 8 are for research, and
  // save neither time nor memory.
  std::string scheme = "w8a8";
  bool per_tensor = false;  // one scale for a whole matrix instead of one for each output
  RangeChoice ranges = RangeChoice::kLearned;
  double outliers = 0.002;  // the share of values outside of kOutliers' ranges, of each input
  // Needed unless the ranges are learned, or only scales that need none are folded in.
  std::string calibration_text;
  std::int64_t sequences = 64;  // of 512 tokens, of it

  bool statistics = false;  // report what the text shows of each site; needs the text
  int threads = 0;          // 0: one per core
  std::function<void(const QuantizationProgress&)> on_progress;
  StopToken stop_token;
};

// A place where a layer's activations become integers, on the text.
struct SiteStatistics {
  int layer = 0;
  std::string site;           // "attention", "output", "mlp", "down": what reads them
  float low = 0, high = 0;    // range of the code
  double outliers = 0;        // the share of values outside of it that are kept
  double relative_error = 0;  // mean squared error of coding, by the mean square
  // Of each channel, the greatest magnitude: as the model has it, and times its scale.
  std::vector<float> largest, largest_scaled;
};

struct QuantizationReport {
  std::int64_t bytes_before = 0, bytes_after = 0;  // of the files
  std::int64_t calibration_tokens = 0;
  std::vector<SiteStatistics> sites;  // where they were asked for
  double seconds_calibration = 0;
  double seconds = 0;  // in all
};

// Writes `out` from the GGUF file `model`; on an error `out` is left as it was. Errors: those of
// Model::Load; kInvalidArgument (too little text, an unknown scheme, a model that is quantised or
// folded already), kMismatch (scales of another model), kCorrupt (scales or activations that are
// none), kUnsupported (a matrix too wide for 32-bit sums), kIo, kCancelled.
Result<QuantizationReport> Quantize(const std::string& model, const std::string& out,
                                    const QuantizationOptions& options);

struct ClipQuantizationOptions {
  std::string pictures;              // a folder with photos like those that the CLIP will see
  int most_pictures = 128;           // of them, taken evenly from all
  std::optional<std::string> texts;  // like those that it will see, a line each; none: our own
  std::string scheme = "w8a8";
  bool per_tensor = false;                      // as in QuantizationOptions
  RangeChoice ranges = RangeChoice::kOutliers;  // kLearned is the same
  double outliers = 0.0005;
  int threads = 0;  // 0: one per core
  std::function<void(const QuantizationProgress&)> on_progress;
  StopToken stop_token;
};

struct ClipQuantizationReport {
  std::int64_t bytes_before = 0, bytes_after = 0;  // of the files
  std::int64_t pictures = 0, texts = 0;            // that ranges were taken from
  std::vector<Error> broken;                       // photos and folders that could not be read
  double seconds = 0;
};

// Writes `out` from the CLIP `model`, a GGUF file: the matrices in the blocks of both towers become
// 8-bit integers, whose inputs are coded in ranges that pictures and texts tell. On an error `out`
// is left as it was. Errors: those of Clip::Load; kNotFound (no such folder, or no photo in it),
// where no photo can be read the first one's, kInvalidArgument (no text, an unknown scheme, a CLIP
// that is quantised already), kCorrupt (activations that are none, or a matrix of another shape),
// kUnsupported (a matrix too wide for 32-bit sums), kIo, kCancelled.
Result<ClipQuantizationReport> QuantizeClip(const std::string& model, const std::string& out,
                                            const ClipQuantizationOptions& options);

}  // namespace ondine

#endif  // ONDINE_QUANTIZATION_H_
