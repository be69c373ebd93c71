// Learns channel scales and ranges of a quantised decoder whose weights stay as they are
// (Quadapter: Park et al., Findings of EMNLP 2022, arXiv 2211.16912): layer by layer against the
// float layer's outputs, then end to end.
#ifndef ONDINE_TRAIN_SCALE_TRAINING_H_
#define ONDINE_TRAIN_SCALE_TRAINING_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "models/decoder.h"
#include "ondine/progress.h"
#include "ondine/result.h"
#include "quant/scales_file.h"
#include "train/channel_quantizer.h"
#include "train/settings.h"
#include "train/token_tree.h"
#include "train/tuned_model.h"

namespace ondine::train {

struct ScaleTrainingOptions {
  Settings origin;  // of the model and the text, as the caller knows them
  std::vector<models::FoldSite> sites = {models::FoldSite::kAttentionNorm,
                                         models::FoldSite::kMlpNorm, models::FoldSite::kUp};
  QuantizationScheme scheme;
  enum class Start { kOnes, kSmooth, kEqualized };  // the scales to begin with: quant/smoothing.h
  Start start = Start::kSmooth;
  double smooth = 0.75;  // strength of kSmooth
  bool learn_scales = true, learn_ranges = true;
  // Also all weights of the model, as quantisation-aware training does: to compare with. Needs
  // layer_steps = 0 and the text as its target.
  bool learn_weights = false;
  // Instead of all others: how each weight is rounded (AdaRound: train/weight_rounding.h), to
  // compare with. Needs steps = 0.
  bool learn_rounding = false;
  bool codes = true;  // false: nothing is rounded, the float model itself is tuned

  std::int64_t layer_steps = 200;  // of each layer by itself, each fed by the float model
  double layer_rate = 5e-3;
  std::int64_t steps = 200;  // of all layers together
  double rate = 5e-4;
  double weight_rate = 2e-5;            // of the model, where they are learned
  enum class Target { kText, kModel };  // the text's next token, or the float model's distribution
  Target target = Target::kModel;
  std::size_t batch = 2;    // sequences a step, of all processes together
  double limit = 7;         // of a scale's logarithm, to both sides
  double max_gradient = 1;  // longer gradients are scaled to this length
  std::uint64_t seed = 1;
  bool bfloat16 = false;  // products of codes, which are exact in it; gradients are not
  std::string device = "cpu";
  int threads = 0;  // 0: torch's choice

  std::string checkpoint;  // file; empty: none is written
  double checkpoint_minutes = 5;
  bool resume = false;
  std::int64_t validate_every = 50;  // of the steps of all layers; after the last in any case
};

struct ScaleStepReport {
  std::optional<int> layer;          // trained by itself; none: all together
  std::int64_t step = 0, steps = 0;  // of the whole training
  // Of the layer: squared error relative to what the layer adds. Of all: nats a token.
  double loss = 0;
  double seconds = 0;
};

struct ScaleValidationReport {
  std::int64_t step = 0;
  double perplexity = 0;  // of the quantised model on the validation sequences
  double float_perplexity = 0;
  double divergence = 0;  // mean KL from the float model, in nats
};

struct ScaleTrainingObserver {
  std::function<Status(const Settings&)> on_start;  // an error ends the training
  std::function<void(const ScaleStepReport&)> on_step;
  std::function<void(const ScaleValidationReport&)> on_validation;
  StopToken stop_token;
};

struct TrainedScales {
  quant::Scales scales;  // with their ranges
  TunedWeights weights;  // where they were learned
};

// Rows are of one length. Only the first process returns something; when it is stopped, the error
// is kCancelled, and a checkpoint is written once all of the text has been observed. Other errors:
// kInvalidArgument, kMismatch (the checkpoint is of another training), kIo.
Result<TrainedScales> TrainScales(const models::Decoder& decoder,
                                  const std::vector<TokenTree>& training,
                                  const std::vector<TokenTree>& validation,
                                  const ScaleTrainingOptions& options,
                                  const ScaleTrainingObserver& observer);

}  // namespace ondine::train

#endif  // ONDINE_TRAIN_SCALE_TRAINING_H_
