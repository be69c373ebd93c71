#include "train/scale_training.h"

#include <ATen/Parallel.h>
#include <torch/optim/adam.h>
#include <torch/types.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "base/file.h"
#include "base/join.h"
#include "base/stopwatch.h"
#include "base/try.h"
#include "models/base_fingerprint.h"
#include "quant/calibration.h"
#include "train/checkpoint.h"
#include "train/decoder_twin.h"
#include "train/device.h"
#include "train/guard.h"
#include "train/pool_items.h"
#include "train/process_group.h"
#include "train/run_settings.h"
#include "train/scale_objective.h"
#include "train/tensors.h"

namespace ondine::train {
namespace {

using torch::Tensor;
using Mode = ChannelQuantizer::Mode;

class Training {
 public:
  Training(const models::Decoder& decoder, const DecoderTwin& twin, Settings settings,
           ProcessGroup group, const std::vector<TokenTree>& training,
           const std::vector<TokenTree>& validation, const ScaleTrainingOptions& options,
           const ScaleTrainingObserver& observer)
      : decoder_(decoder),
        twin_(twin),
        settings_(std::move(settings)),
        group_(std::move(group)),
        training_(training),
        validation_(validation),
        options_(options),
        observer_(observer),
        quantizer_(twin.spec(), options.sites, options.scheme, twin.device(),
                   options.bfloat16 ? torch::kBFloat16 : torch::kFloat),
        time_(static_cast<std::int64_t>(training.front().size())),
        objective_(twin, options.codes ? &quantizer_ : nullptr, options.learn_weights),
        exact_training_(training.size()),
        exact_validation_(validation.size()) {
    if (options.learn_weights) {
      for (const NamedWeight& weight : twin.Weights()) {
        weights_.push_back(weight.values);
        weights_.back().requires_grad_();
      }
    }
    steps_ = options.steps + options.layer_steps * twin.spec().layers;
  }

  Result<ChannelQuantizer> Run() {
    if (options_.codes) {
      ONDINE_TRY(Observe());
      Start();
    }
    for (int layer = 0; layer < twin_.spec().layers; ++layer) {
      const std::vector<Tensor> parameters = ParametersOf(layer);
      parameters_.insert(parameters_.end(), parameters.begin(), parameters.end());
    }
    // Before weights change.
    for (std::size_t i = 0; i < validation_.size() && options_.learn_weights; ++i) {
      objective_.ExactLogProbabilities(validation_[i], exact_validation_[i]);
    }
    std::vector<torch::optim::OptimizerParamGroup> groups;
    for (const std::vector<Tensor>* group : {&parameters_, &weights_}) {
      if (!group->empty()) groups.emplace_back(*group);
    }
    torch::optim::Adam optimizer(groups, torch::optim::AdamOptions(options_.rate));
    std::vector<Tensor> learned = parameters_;
    learned.insert(learned.end(), weights_.begin(), weights_.end());
    TrainingState state{settings_, learned, &optimizer, 0};
    if (options_.resume) ONDINE_TRY(LoadCheckpoint(options_.checkpoint, state));
    if (group_.rank() == 0) {
      if (!options_.checkpoint.empty()) ONDINE_TRY(base::CheckWritable(options_.checkpoint));
      if (observer_.on_start) ONDINE_TRY(observer_.on_start(settings_));
    }
    if (state.step == 0) Validate(0);
    if (learned.empty()) return quantizer_;  // as they begin: a baseline
    ONDINE_TRY(TrainLayers(state));
    ONDINE_TRY(TrainTogether(state));
    ONDINE_TRY(SaveCheckpoint(state, options_.checkpoint, group_));
    return quantizer_;
  }

  TunedWeights Weights() const {
    TunedWeights weights;
    for (const NamedWeight& weight : twin_.Weights()) {
      if (options_.learn_weights) weights[weight.name] = Floats(weight.values.detach());
    }
    for (int layer = 0; layer < twin_.spec().layers && options_.learn_rounding; ++layer) {
      for (const models::LoraPlace& place : models::kLoraPlaces) {
        if (!twin_.Matrix(layer, place.site).defined()) continue;
        weights[models::LoraTensorName(layer, place.site)] =
            Floats(quantizer_.RoundedWeights(layer, place.site));
      }
    }
    return weights;
  }

 private:
  std::vector<Tensor> ParametersOf(int layer) const {
    std::vector<Tensor> parameters;
    if (options_.learn_scales) parameters = quantizer_.Logarithms(layer);
    if (options_.learn_ranges) {
      const std::vector<Tensor> ends = quantizer_.Ends(layer);
      parameters.insert(parameters.end(), ends.begin(), ends.end());
    }
    const std::vector<Tensor> roundings = quantizer_.Roundings(layer);
    parameters.insert(parameters.end(), roundings.begin(), roundings.end());
    return parameters;
  }

  void Start() {
    using Kind = ScaleTrainingOptions::Start;
    if (options_.start != Kind::kOnes) {
      quantizer_.SetScales(
          options_.start == Kind::kSmooth
              ? quant::SmoothScales(decoder_, quantizer_.Largest(), options_.sites, options_.smooth)
              : quant::EqualizedScales(decoder_, options_.sites));
    }
    for (int layer = 0; layer < twin_.spec().layers; ++layer) {
      quantizer_.Clamp(layer, options_.limit);
      if (options_.learn_rounding) quantizer_.LearnRounding(layer, twin_);
    }
  }

  DecoderTwin::Geometry GeometryOf(std::span<const TokenTree* const> rows, int layer) const {
    return twin_.MakeGeometry(rows, time_, twin_.spec().IsLocal(layer));
  }

  // Sets the limits of all inputs of the float model. Those of a part of the text are of no use,
  // and nothing is saved that would tell them from those of all of it.
  Status Observe() {
    const torch::NoGradGuard no_gradient;
    quantizer_.SetMode(Mode::kObserve);
    for (const TokenTree& sequence : training_) {
      if (observer_.stop_token.Stopped()) break;
      const TokenTree* const row = &sequence;
      twin_.Hidden({&row, 1}, {.quantizer = &quantizer_});
    }
    quantizer_.SetMode(Mode::kCode);
    if (!group_.Any(observer_.stop_token.Stopped())) return {};
    return MakeError(ErrorCode::kCancelled,
                     "stopped while the text was observed: there is nothing to save yet");
  }

  // Which sequences step `step` takes, and of those, this process.
  std::vector<std::size_t> Batch(std::int64_t step) const {
    const std::size_t count = training_.size();
    std::vector<std::size_t> mine;
    for (std::size_t i = 0; i < options_.batch; ++i) {
      if (static_cast<int>(i % static_cast<std::size_t>(group_.size())) != group_.rank()) continue;
      const std::size_t at = static_cast<std::size_t>(step) * options_.batch + i;
      mine.push_back(
          EpochOrder(count, options_.seed, static_cast<std::int64_t>(at / count))[at % count]);
    }
    return mine;
  }

  // From the float model's inputs of a layer to its outputs; inputs become these.
  Status TrainLayers(TrainingState& state) {
    std::vector<Tensor> inputs;  // of the layer, [1][time][width] each
    {
      const torch::NoGradGuard no_gradient;
      for (const TokenTree& sequence : training_) {
        const TokenTree* const row = &sequence;
        inputs.push_back(twin_.Embed({&row, 1}, time_));
      }
    }
    const TokenTree* const any = &training_.front();
    for (int layer = 0; layer < twin_.spec().layers; ++layer) {
      const std::int64_t end = (layer + 1) * options_.layer_steps;
      // All rows are straight and of one length, so they share their geometry.
      const DecoderTwin::Geometry geometry = GeometryOf({&any, 1}, layer);
      const bool done = state.step >= end;
      if (done && state.step >= options_.layer_steps * twin_.spec().layers) break;
      std::vector<Tensor> outputs;
      {
        const torch::NoGradGuard no_gradient;
        for (const Tensor& x : inputs) outputs.push_back(twin_.Block(layer, x, geometry, {}));
      }
      const auto begin = end - options_.layer_steps;
      const double nearest =
          done || !options_.learn_rounding ? 0 : NearestError(layer, geometry, inputs, outputs);
      for (; state.step < end && !done; ++state.step) {
        double loss = 0;
        for (const std::size_t i : Batch(state.step)) {
          const Tensor y = twin_.Block(layer, inputs[i], geometry, {.quantizer = &quantizer_});
          const Tensor error = ScaleObjective::OfLayer(y - outputs[i], outputs[i] - inputs[i]) /
                               static_cast<double>(options_.batch);
          error.backward();
          loss += error.item<double>();
        }
        if (options_.learn_rounding && group_.rank() == 0) {
          Settle(layer, state.step - begin, nearest);
        }
        ONDINE_TRY(Apply(state, ParametersOf(layer), loss, layer));
      }
      inputs = std::move(outputs);
    }
    return {};
  }

  // Of the layer with weights rounded to the nearest, whatever was learned already, over the first
  // sequences.
  double NearestError(int layer, const DecoderTwin::Geometry& geometry,
                      const std::vector<Tensor>& inputs, const std::vector<Tensor>& outputs) const {
    constexpr std::size_t kMost = 8;
    const torch::NoGradGuard no_gradient;
    const ChannelQuantizer nearest = quantizer_.RoundingToNearest();
    const std::size_t count = std::min(kMost, inputs.size());
    double error = 0;
    for (std::size_t i = 0; i < count; ++i) {
      const Tensor y = twin_.Block(layer, inputs[i], geometry, {.quantizer = &nearest});
      error += ScaleObjective::OfLayer(y - outputs[i], outputs[i] - inputs[i]).item<double>();
    }
    return error / static_cast<double>(count);
  }

  // Adds to the gradients what makes each weight choose between down and up: nothing in the first
  // fifth of the steps, then more and more. `unit` is the layer's NearestError().
  void Settle(int layer, std::int64_t step, double unit) const {
    constexpr double kStrength = 30;  // enough for nearly all to have chosen in the end
    constexpr double kWarmUp = 0.2, kFirstBeta = 20, kLastBeta = 2;  // the paper's
    const double share = static_cast<double>(step) / static_cast<double>(options_.layer_steps);
    if (share < kWarmUp) return;
    const double left = 0.5 + 0.5 * std::cos(std::numbers::pi * (share - kWarmUp) / (1 - kWarmUp));
    const double beta = kLastBeta + (kFirstBeta - kLastBeta) * left;
    (kStrength * unit * quantizer_.RoundingPenalty(layer, beta)).backward();
  }

  Tensor Loss(std::size_t sequence) {
    return options_.target == ScaleTrainingOptions::Target::kText
               ? objective_.OfText(training_[sequence])
               : objective_.OfModel(training_[sequence], exact_training_[sequence]);
  }

  Status TrainTogether(TrainingState& state) {
    const std::int64_t begin = steps_ - options_.steps;
    if (options_.layer_steps > 0) Validate(state.step);
    for (; state.step < steps_; ++state.step) {
      double loss = 0;
      for (const std::size_t i : Batch(state.step)) {
        const Tensor error = Loss(i) / static_cast<double>(options_.batch);
        error.backward();
        loss += error.item<double>();
      }
      ONDINE_TRY(Apply(state, state.parameters, loss, std::nullopt));
      const std::int64_t done = state.step + 1 - begin;
      if (done % options_.validate_every == 0 || state.step + 1 == steps_) Validate(done + begin);
    }
    return {};
  }

  // What is left of a learning rate: half a cosine from 1 to a tenth.
  static double Decay(std::int64_t step, std::int64_t steps) {
    const double share = static_cast<double>(step) / static_cast<double>(steps);
    return 0.1 + 0.45 * (1 + std::cos(std::numbers::pi * share));
  }

  // Adds up the processes' gradients, and lets the optimizer make a step of `parameters` alone:
  // those of `layer`, or of all.
  Status Apply(TrainingState& state, const std::vector<Tensor>& parameters, double loss,
               std::optional<int> layer) {
    Tensor stopped =
        torch::tensor({observer_.stop_token.Stopped() ? 1.0 : 0.0, loss}, torch::kDouble);
    group_.Sum(stopped);
    if (stopped[0].item<double>() > 0) {
      return StopTraining(state, options_.checkpoint, group_);
    }
    ShareGradients(parameters, group_, options_.max_gradient);
    const double rate = layer ? options_.layer_rate : options_.rate;
    const double decay =
        layer ? Decay(state.step - *layer * options_.layer_steps, options_.layer_steps)
              : Decay(state.step - (steps_ - options_.steps), options_.steps);
    for (torch::optim::OptimizerParamGroup& group : state.optimizer->param_groups()) {
      const bool of_weights = !weights_.empty() && group.params().front().is_same(weights_.front());
      static_cast<torch::optim::AdamOptions&>(group.options())
          .lr((of_weights ? options_.weight_rate : rate) * decay);
    }
    state.optimizer->step();
    for (int i = 0; i < twin_.spec().layers; ++i) quantizer_.Clamp(i, options_.limit);
    // Undefined, so that a later step leaves the parameters of other layers alone.
    for (const Tensor& parameter : parameters) parameter.mutable_grad().reset();

    if (group_.rank() == 0 && observer_.on_step) {
      observer_.on_step(
          {layer, state.step + 1, steps_, stopped[1].item<double>(), since_start_.Elapsed()});
    }
    if (since_checkpoint_.Elapsed() > 60 * options_.checkpoint_minutes) {
      TrainingState next = state;
      ++next.step;
      ONDINE_TRY(SaveCheckpoint(next, options_.checkpoint, group_));
      since_checkpoint_ = {};
    }
    return {};
  }

  void Validate(std::int64_t step) {
    const torch::NoGradGuard no_gradient;
    Tensor sums = torch::zeros({3}, torch::kDouble);
    for (std::size_t i = 0; i < validation_.size(); ++i) {
      if (static_cast<int>(i % static_cast<std::size_t>(group_.size())) != group_.rank()) continue;
      sums += objective_.Measure(validation_[i], exact_validation_[i]);
    }
    group_.Sum(sums);
    if (group_.rank() != 0 || !observer_.on_validation || validation_.empty()) return;
    sums /= static_cast<double>(validation_.size());
    observer_.on_validation({step, std::exp(sums[0].item<double>()),
                             std::exp(sums[1].item<double>()), sums[2].item<double>()});
  }

  const models::Decoder& decoder_;
  const DecoderTwin& twin_;
  const Settings settings_;
  const ProcessGroup group_;
  const std::vector<TokenTree>& training_;
  const std::vector<TokenTree>& validation_;
  const ScaleTrainingOptions& options_;
  const ScaleTrainingObserver& observer_;
  ChannelQuantizer quantizer_;
  const std::int64_t time_;
  const ScaleObjective objective_;
  // Its `exact` of each sequence.
  std::vector<Tensor> exact_training_, exact_validation_;
  std::vector<Tensor> parameters_;  // of scales and ranges
  std::vector<Tensor> weights_;     // of the model, where they are learned
  std::int64_t steps_ = 0;
  base::Timer since_start_, since_checkpoint_;
};

Settings SettingsOf(const ScaleTrainingOptions& options, const models::Decoder& decoder,
                    const std::vector<TokenTree>& training, const ProcessGroup& group) {
  Settings settings = options.origin;
  settings.Add("base", models::BaseFingerprint(decoder));
  settings.Add("sequences", training.size());
  settings.Add("context", training.front().size());
  settings.Add("weight-bits", options.scheme.weight_bits);
  settings.Add("activation-bits", options.scheme.activation_bits);
  settings.Add("outliers", options.scheme.outliers);
  settings.Add("weight-scales", options.scheme.per_channel ? "per channel" : "per tensor");
  std::vector<std::string> sites;
  for (const models::FoldSite site : options.sites) {
    sites.emplace_back(models::kFoldSiteNames[static_cast<std::size_t>(site)]);
  }
  settings.Add("sites", base::Join(sites, "+"));
  using Start = ScaleTrainingOptions::Start;
  settings.Add("start", options.start == Start::kOnes ? std::string("ones")
                        : options.start == Start::kSmooth
                            ? "smooth " + std::to_string(options.smooth)
                            : "equalized");
  settings.Add("learn-scales", options.learn_scales ? 1 : 0);
  settings.Add("learn-ranges", options.learn_ranges ? 1 : 0);
  if (options.learn_rounding) settings.Add("learn-rounding", 1);
  if (options.learn_weights) {
    settings.Add("learn-weights", options.codes ? "with codes" : "without codes");
    settings.Add("weight-rate", options.weight_rate);
  }
  settings.Add("layer-steps", options.layer_steps);
  settings.Add("layer-rate", options.layer_rate);
  settings.Add("steps", options.steps);
  settings.Add("rate", options.rate);
  settings.Add("target", options.target == ScaleTrainingOptions::Target::kText ? "text" : "model");
  settings.Add("batch", options.batch);
  settings.Add("limit", options.limit);
  settings.Add("max-gradient", options.max_gradient);
  AddMachineSettings(options, group, settings);
  return settings;
}

// Those that `ondine quantize` would take from the text that was learned from.
Result<std::vector<quant::LayerRanges>> RangesOfText(const models::Decoder& decoder,
                                                     const std::vector<TokenTree>& rows,
                                                     const models::ChannelScales& scales,
                                                     const QuantizationScheme& scheme,
                                                     const StopToken& stop_token) {
  std::vector<std::int32_t> tokens;
  for (const TokenTree& row : rows) {
    tokens.insert(tokens.end(), row.tokens.begin(), row.tokens.end());
  }
  compute::ThreadPool pool(1);
  const std::shared_ptr<const models::Decoder> borrowed(std::shared_ptr<void>(), &decoder);
  ONDINE_ASSIGN(const quant::Calibration calibration,
                quant::Calibrate(borrowed, pool, tokens,
                                 {.context = static_cast<std::int64_t>(rows.front().size()),
                                  .sequences = static_cast<std::int64_t>(rows.size()),
                                  .scales = scales,
                                  .stop_token = stop_token}));
  return quant::RangesOf(calibration.layers, [&](const quant::Histogram& values) {
    return quant::EndsOnCodes(values.WithoutOutliers(scheme.outliers), scheme.activation_bits);
  });
}

Status Check(const ScaleTrainingOptions& options, const std::vector<TokenTree>& training,
             const std::vector<TokenTree>& validation) {
  const auto wrong = [](const std::string& what) {
    return MakeError(ErrorCode::kInvalidArgument, what);
  };
  if (training.empty()) return wrong("there is no sequence to learn from");
  for (const auto* rows : {&training, &validation}) {
    for (const TokenTree& row : *rows) {
      if (row.size() != training.front().size() || row.size() < 2) {
        return wrong("the sequences are not of one length of at least 2");
      }
    }
  }
  if (options.batch < 1 || options.layer_steps < 0 || options.steps < 0 ||
      options.validate_every < 1) {
    return wrong("a batch, and the steps between validations, are at least 1");
  }
  if (options.learn_weights &&
      (options.layer_steps > 0 || options.target != ScaleTrainingOptions::Target::kText)) {
    return wrong("weights are learned by all layers together, with the text as their target");
  }
  if (options.learn_rounding && (options.learn_scales || options.learn_ranges ||
                                 options.learn_weights || options.steps > 0)) {
    return wrong(
        "rounding is learned by itself and layer by layer, with no steps of all layers together");
  }
  if (!options.codes && (options.learn_scales || options.learn_ranges || !options.learn_weights)) {
    return wrong("where nothing is rounded there are only weights to learn");
  }
  if (options.scheme.outliers > 0 && (options.learn_ranges || options.bfloat16)) {
    return wrong(
        "where outliers are kept, ranges follow the values and are not learned, and bfloat16 does "
        "not hold them");
  }
  return CheckResume(options.resume, options.checkpoint);
}

}  // namespace

Result<TrainedScales> TrainScales(const models::Decoder& decoder,
                                  const std::vector<TokenTree>& training,
                                  const std::vector<TokenTree>& validation,
                                  const ScaleTrainingOptions& options,
                                  const ScaleTrainingObserver& observer) {
  ONDINE_TRY(Check(options, training, validation));
  ONDINE_ASSIGN(ProcessGroup group, ProcessGroup::FromEnvironment());
  return Guarded([&]() -> Result<TrainedScales> {
    if (options.threads > 0) at::set_num_threads(options.threads);
    ONDINE_ASSIGN(const torch::Device device, FindDevice(options.device));
    ONDINE_ASSIGN(const DecoderTwin twin, DecoderTwin::Create(decoder, device));
    Settings settings = SettingsOf(options, decoder, training, group);
    const bool first = group.rank() == 0;
    TrainedScales trained;
    quant::Scales& scales = trained.scales;
    scales.architecture = decoder.spec().architecture;
    scales.base_fingerprint = models::BaseFingerprint(decoder);
    scales.provenance = settings.Text();
    Training run(decoder, twin, std::move(settings), std::move(group), training, validation,
                 options, observer);
    ONDINE_ASSIGN(const ChannelQuantizer quantizer, run.Run());
    if (!first) return TrainedScales();
    scales.channels = quantizer.Scales();
    scales.keeps_outliers = options.scheme.outliers > 0;
    if (scales.keeps_outliers) {
      ONDINE_ASSIGN(scales.ranges, RangesOfText(decoder, training, scales.channels, options.scheme,
                                                observer.stop_token));
    } else if (options.codes) {
      scales.ranges = quantizer.Ranges();
    }
    trained.weights = run.Weights();
    return trained;
  });
}

}  // namespace ondine::train
