#include "train/clip_training.h"

#include <ATen/Parallel.h>
#include <torch/optim/adamw.h>
#include <torch/types.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>

#include "base/file.h"
#include "base/stopwatch.h"
#include "base/try.h"
#include "formats/fingerprint.h"
#include "formats/gguf.h"
#include "train/checkpoint.h"
#include "train/clip_batches.h"
#include "train/clip_pictures.h"
#include "train/clip_twin.h"
#include "train/clip_validation.h"
#include "train/contrastive_loss.h"
#include "train/device.h"
#include "train/guard.h"
#include "train/process_group.h"
#include "train/run_settings.h"
#include "train/schedule.h"
#include "train/tensors.h"

namespace ondine::train {
namespace {

using torch::Tensor;

const double kMostLogitScale = std::log(100.0);

bool Decays(const NamedWeight& weight) {
  return weight.values.dim() > 1 && weight.name.find("position_embd") == std::string::npos;
}

bool OfTexts(const NamedWeight& weight) {
  return weight.name.starts_with("t.") || weight.name.starts_with("text_");
}

// Also what only decides how sums are rounded: a training that goes on ends, bit for bit, where it
// would have ended.
Settings SettingsOf(const ClipTrainingOptions& options, const models::ClipSpec& spec,
                    const ClipBatches& batches, const ProcessGroup& group) {
  Settings settings = options.origin;
  settings.Add("data", batches.Fingerprint());
  settings.Add("image-size", spec.image_size);
  settings.Add("patch", spec.patch_size);
  settings.Add("width", spec.image.width);
  settings.Add("layers", spec.image.layers);
  settings.Add("heads", spec.image.heads);
  settings.Add("text-width", spec.text.width);
  settings.Add("text-layers", spec.text.layers);
  settings.Add("text-heads", spec.text.heads);
  settings.Add("vocabulary", spec.vocabulary);
  settings.Add("context", spec.context);
  settings.Add("projection", spec.projection);
  AddStepSettings(options, settings);
  if (options.texts_only) {
    settings.Add("texts-only", "yes");
  } else {
    settings.Add("keep-patches", options.keep_patches);
    settings.Add("full-share", options.full_share);
  }
  if (options.strengths > 0) settings.Add("strengths", options.strengths);
  AddMachineSettings(options, group, settings);
  return settings;
}

class Training {
 public:
  Training(ClipTwin twin, Settings settings, ProcessGroup group, ClipBatches batches,
           const ClipValidation& validation, const ClipTrainingOptions& options,
           const ClipTrainingObserver& observer)
      : twin_(std::move(twin)),
        settings_(std::move(settings)),
        group_(std::move(group)),
        batches_(std::move(batches)),
        validation_(validation),
        options_(options),
        observer_(observer),
        optimizer_(Groups(twin_, options), torch::optim::AdamWOptions(options.learning_rate)) {
    for (const torch::optim::OptimizerParamGroup& group_of : optimizer_.param_groups()) {
      parameters_.insert(parameters_.end(), group_of.params().begin(), group_of.params().end());
    }
    for (Tensor& parameter : parameters_) parameter.requires_grad_();
    steps_ = batches_.steps_per_epoch() * options.epochs;
    if (options.max_steps > 0) steps_ = std::min(steps_, options.max_steps);
    full_from_ = steps_ - std::llround(options.full_share * static_cast<double>(steps_));
  }

  Result<TrainedClip> Run() {
    TrainingState state{settings_, parameters_, &optimizer_, 0};
    if (options_.resume) ONDINE_TRY(LoadCheckpoint(options_.checkpoint, state));
    if (group_.rank() == 0) {
      if (!options_.checkpoint.empty()) ONDINE_TRY(base::CheckWritable(options_.checkpoint));
      if (observer_.on_start) ONDINE_TRY(observer_.on_start(settings_));
    }
    if (options_.texts_only) {
      photos_ = PhotoVectors(twin_, batches_.photos(), group_, observer_.stop_token);
    }
    if (state.step == 0 && !group_.Any(observer_.stop_token.Stopped())) Validate(0);
    base::Timer since_checkpoint;
    while (state.step < steps_) {
      if (group_.Any(observer_.stop_token.Stopped())) {
        return StopTraining(state, options_.checkpoint, group_);
      }
      Step(state.step);
      ++state.step;
      if (state.step % options_.validate_every == 0 || state.step == steps_) Validate(state.step);
      if (since_checkpoint.Elapsed() > 60 * options_.checkpoint_minutes || state.step == steps_) {
        ONDINE_TRY(SaveCheckpoint(state, options_.checkpoint, group_));
        since_checkpoint = {};
      }
    }
    return Trained();
  }

 private:
  static std::vector<torch::optim::OptimizerParamGroup> Groups(const ClipTwin& twin,
                                                               const ClipTrainingOptions& options) {
    std::vector<Tensor> decaying, others;
    if (!options.texts_only) others.push_back(twin.logit_scale());
    for (const NamedWeight& weight : twin.Weights()) {
      if (options.texts_only && !OfTexts(weight)) continue;
      (Decays(weight) ? decaying : others).push_back(weight.values);
    }
    const auto decay = [&](double share) {
      return std::make_unique<torch::optim::AdamWOptions>(
          torch::optim::AdamWOptions(options.learning_rate)
              .betas({0.9, 0.98})
              .eps(1e-6)
              .weight_decay(share));
    };
    std::vector<torch::optim::OptimizerParamGroup> groups;
    groups.emplace_back(decaying, decay(options.weight_decay));
    groups.emplace_back(others, decay(0));
    return groups;
  }

  void Step(std::int64_t step) {
    const base::Timer timer;
    // Of the step's number, so that a training that goes on draws what it would have drawn; and the
    // same in all processes, so that their number decides nothing.
    torch::manual_seed(options_.seed * 1000003 + static_cast<std::uint64_t>(step));
    const ClipBatch batch = batches_.Draw(step, group_);
    optimizer_.zero_grad();
    const Tensor pictures = Pictures(batch, step);
    // [part][kinds][projection]
    std::vector<Tensor> kinds = {pictures};
    std::vector<std::vector<std::int32_t>> texts = batch.names;
    texts.insert(texts.end(), batch.phrases.begin(), batch.phrases.end());
    const std::vector<Tensor> plain = twin_.EncodeTexts(texts).chunk(2);
    kinds.insert(kinds.end(), plain.begin(), plain.end());
    if (options_.strengths > 0) {
      kinds.push_back(twin_.EncodeTexts(batch.weighted, batch.log_weights.to(twin_.device())));
    }
    const std::vector<Tensor> vectors =
        Gathered(torch::stack(kinds, 1), batches_.size(), group_).unbind(1);
    // All processes compute the same loss: one of them is to learn the scale from it.
    const Tensor& logarithm = twin_.logit_scale();
    const Tensor scale = (group_.rank() == 0 ? logarithm : logarithm.detach()).exp();
    const auto logits_of = [&](const Tensor& texts_of) {
      return scale * torch::matmul(vectors[0], texts_of.t());
    };
    const auto loss_of = [&](const Tensor& texts_of, const Tensor& stated) {
      return ContrastiveLoss(logits_of(texts_of), Holds(batch.traits, stated).to(twin_.device()));
    };
    const Tensor name_loss = loss_of(vectors[1], batch.stated_by_names);
    const Tensor attribute_loss = loss_of(vectors[2], batch.stated_by_phrases);
    Tensor loss = (name_loss + attribute_loss) / 2, strength_loss = torch::zeros({});
    if (options_.strengths > 0) {
      strength_loss = StrengthLoss(logits_of(vectors[3]), batch.shares.to(twin_.device()));
      loss = loss + options_.strengths * strength_loss;
    }
    loss.backward();

    ClipStepReport report;
    report.gradient = ShareGradients(parameters_, group_, options_.max_gradient);
    report.learning_rate = WarmedUpRate(options_.learning_rate, step, steps_, options_.warmup);
    for (torch::optim::OptimizerParamGroup& parameters : optimizer_.param_groups()) {
      static_cast<torch::optim::AdamWOptions&>(parameters.options()).lr(report.learning_rate);
    }
    optimizer_.step();
    if (!options_.texts_only) {
      const torch::NoGradGuard no_gradient;
      Tensor(logarithm).clamp_(0, kMostLogitScale);
    }
    if (group_.rank() != 0 || !observer_.on_step) return;
    report.step = step + 1;
    report.steps = steps_;
    report.epoch = static_cast<double>(step + 1) / static_cast<double>(batches_.steps_per_epoch());
    report.loss = loss.item<double>();
    report.name_loss = name_loss.item<double>();
    report.attribute_loss = attribute_loss.item<double>();
    report.strength_loss = strength_loss.item<double>();
    report.logit_scale = std::exp(logarithm.item<double>());
    report.photos_per_second = static_cast<double>(batches_.size()) / timer.Elapsed();
    report.seconds = since_start_.Elapsed();
    observer_.on_step(report);
  }

  // Vectors of the process's own part. What varies them is drawn for the whole batch.
  Tensor Pictures(const ClipBatch& batch, std::int64_t step) const {
    const Part part = Part::Own(batches_.size(), group_);
    if (options_.texts_only) {
      return photos_.index_select(0, batch.index.narrow(0, part.begin, part.size()))
          .to(twin_.device());
    }
    const auto own = [&](std::int64_t draws) {
      return torch::rand({batches_.size(), draws})
          .narrow(0, part.begin, part.size())
          .to(twin_.device());
    };
    const models::ClipSpec& spec = twin_.spec();
    const Tensor pixels = Varied(batch.photos.to(twin_.device()), own(kPictureDraws), spec);
    if (step >= full_from_ || options_.keep_patches >= 1) return twin_.EncodePictures(pixels);
    const auto kept = std::max<std::int64_t>(
        1, std::llround(options_.keep_patches * static_cast<double>(spec.Patches())));
    return twin_.EncodePictures(
        pixels, own(spec.Patches()).argsort(std::int64_t{1}, false).narrow(1, 0, kept));
  }

  void Validate(std::int64_t step) {
    const ClipScores scores = validation_.Measure(twin_, group_);
    if (group_.rank() == 0 && observer_.on_validation) observer_.on_validation(step, scores);
  }

  TrainedClip Trained() const {
    TrainedClip trained;
    trained.spec = twin_.spec();
    if (!options_.texts_only) {
      trained.spec.logit_scale = static_cast<float>(std::exp(twin_.logit_scale().item<double>()));
    }
    if (group_.rank() != 0) return trained;
    for (const NamedWeight& weight : twin_.Weights()) {
      trained.weights.push_back({weight.name, weight.values.sizes().vec(), Floats(weight.values)});
    }
    return trained;
  }

  ClipTwin twin_;
  const Settings settings_;
  const ProcessGroup group_;
  ClipBatches batches_;
  const ClipValidation& validation_;
  const ClipTrainingOptions& options_;
  const ClipTrainingObserver& observer_;
  Tensor photos_;  // vectors of all, where the texts alone are trained
  torch::optim::AdamW optimizer_;
  std::vector<Tensor> parameters_;
  std::int64_t steps_ = 0;
  std::int64_t full_from_ = 0;  // the step from which on all patches are read
  base::Timer since_start_;
};

Status Check(const models::ClipSpec& spec, const PhotoSet& training, const PhotoSet& validation,
             const ClipTrainingOptions& options) {
  const auto wrong = [](const std::string& what) {
    return MakeError(ErrorCode::kInvalidArgument, what);
  };
  if (training.items.empty() || validation.items.empty()) return wrong("there are no photos");
  if (validation.size != spec.image_size ||
      (options.texts_only && training.size != validation.size)) {
    return wrong("the photos have another size");
  }
  if (options.texts_only && options.start.empty()) {
    return wrong("texts alone are trained for a CLIP that there is already");
  }
  if (spec.resize != models::ResizeMode::kSquash) {
    return MakeError(ErrorCode::kUnsupported,
                     "photos are trained on as a whole, and this CLIP takes them cut or filled up");
  }
  if (spec.patch_size < 1 || spec.image_size % spec.patch_size != 0) {
    return wrong("a picture's side is not a whole number of patches");
  }
  for (const models::TowerSpec& tower : {spec.text, spec.image}) {
    if (tower.layers < 1 || tower.heads < 1 || tower.width % tower.heads != 0) {
      return wrong("a tower's width is not a whole number of channels for each head");
    }
  }
  if (spec.context < 2) return wrong("a text has a start and an end: a context of 2 at least");
  if (options.batch < 1 || options.epochs < 1 || options.validate_every < 1) {
    return wrong("batch, epochs and the steps between validations are at least 1");
  }
  if (!(options.keep_patches > 0 && options.keep_patches <= 1) ||
      !(options.full_share >= 0 && options.full_share <= 1)) {
    return wrong("the shares of patches and of steps are between 0 and 1");
  }
  if (!(options.strengths >= 0 && std::isfinite(options.strengths))) {
    return wrong("the loss of strengths counts 0 or more");
  }
  return CheckResume(options.resume, options.checkpoint);
}

}  // namespace

Result<TrainedClip> TrainClip(const models::ClipSpec& spec, const text::ClipTokenizer& tokenizer,
                              const PhotoSet& training, const PhotoSet& validation,
                              const ClipTrainingOptions& options,
                              const ClipTrainingObserver& observer) {
  std::optional<formats::GgufFile> start;
  models::ClipSpec used = spec;
  if (!options.start.empty()) {
    ONDINE_ASSIGN(start, formats::GgufFile::Open(options.start));
    ONDINE_ASSIGN(used, models::ReadClipSpec(*start));
  }
  ONDINE_TRY(Check(used, training, validation, options));
  ONDINE_ASSIGN(ProcessGroup group, ProcessGroup::FromEnvironment());
  return Guarded([&]() -> Result<TrainedClip> {
    if (options.threads > 0) at::set_num_threads(options.threads);
    ONDINE_ASSIGN(const torch::Device device, FindDevice(options.device));
    ClipBatches batches(training, tokenizer, used.context, options.batch, options.strengths > 0,
                        options.seed);
    if (batches.size() < group.size()) {
      return MakeError(ErrorCode::kInvalidArgument, "a batch has fewer photos than processes");
    }
    torch::manual_seed(options.seed);
    const torch::Dtype precision = options.bfloat16 ? torch::kBFloat16 : torch::kFloat;
    Result<ClipTwin> twin =
        start ? ClipTwin::Load(*start, device, precision) : ClipTwin(used, device, precision);
    if (!twin) return tl::unexpected(twin.error());
    Settings settings = SettingsOf(options, used, batches, group);
    if (start) settings.Add("from", formats::Fingerprint(*start));
    const ClipValidation measure(validation, training.items, tokenizer, used);
    return Training(*std::move(twin), std::move(settings), std::move(group), std::move(batches),
                    measure, options, observer)
        .Run();
  });
}

}  // namespace ondine::train
