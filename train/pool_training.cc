#include "train/pool_training.h"

#include <ATen/Parallel.h>
#include <torch/optim/adamw.h>
#include <torch/types.h>

#include <algorithm>
#include <vector>

#include "base/file.h"
#include "base/join.h"
#include "base/stopwatch.h"
#include "base/try.h"
#include "models/base_fingerprint.h"
#include "train/checkpoint.h"
#include "train/choice_loss.h"
#include "train/decoder_twin.h"
#include "train/device.h"
#include "train/guard.h"
#include "train/lora_pool_module.h"
#include "train/process_group.h"
#include "train/run_settings.h"
#include "train/schedule.h"
#include "train/tensors.h"

namespace ondine::train {
namespace {

using torch::Tensor;

// Sums over items, in the order in which processes exchange them.
struct Sums {
  enum { kAnswer, kChoice, kRight, kItems, kTokens, kStopped, kCount };
  Tensor values = torch::zeros({kCount}, torch::kDouble);

  double operator[](int i) const { return values[i].item<double>(); }
  double Mean(int i) const { return (*this)[i] / std::max(1.0, (*this)[kItems]); }
  void Add(int i, double value) { values[i] += value; }
};

// Also what only decides how sums are rounded and which channels are dropped: a training that goes
// on ends, bit for bit, where it would have ended.
Settings SettingsOf(const PoolTrainingOptions& options, const models::Decoder& decoder,
                    const PoolItems& training, const ProcessGroup& group) {
  Settings settings = options.origin;
  settings.Add("base", models::BaseFingerprint(decoder));
  settings.Add("items", training.items.size());
  settings.Add("too-long", training.too_long);
  settings.Add("tokens", training.Tokens());
  settings.Add("data", training.Fingerprint());
  const PoolShape& shape = options.shape;
  settings.Add("adapters", shape.adapters);
  settings.Add("rank", shape.rank);
  settings.Add("lora-alpha", shape.lora_alpha);
  std::vector<std::string> targets;
  for (const LoraSite site : shape.sites) {
    targets.emplace_back(models::PlaceOf(site).option);
  }
  settings.Add("targets", base::Join(targets, "+"));
  settings.Add("blend", BlendFormName(shape.blend));
  settings.Add("choice-share", options.choice_share);
  AddStepSettings(options, settings);
  settings.Add("dropout", options.dropout);
  settings.Add("together", options.together);
  settings.Add("max-tokens", options.max_tokens);
  AddMachineSettings(options, group, settings);
  return settings;
}

class Training {
 public:
  Training(const DecoderTwin& twin, Settings settings, ProcessGroup group,
           const PoolItems& training, const PoolItems& validation,
           const PoolTrainingOptions& options, const PoolTrainingObserver& observer)
      : twin_(twin),
        settings_(std::move(settings)),
        group_(std::move(group)),
        training_(training),
        validation_(validation),
        options_(options),
        observer_(observer),
        pool_(twin.spec(), options.shape, options.seed, twin.device()),
        parameters_(pool_.Parameters()),
        optimizer_(
            parameters_,
            torch::optim::AdamWOptions(options.learning_rate).weight_decay(options.weight_decay)) {
    const auto items = training.items.size();
    steps_per_epoch_ = static_cast<std::int64_t>((items + options.batch - 1) / options.batch);
    steps_ = steps_per_epoch_ * options.epochs;
    if (options.max_steps > 0) steps_ = std::min(steps_, options.max_steps);
  }

  Result<TrainedAdapters> Run() {
    TrainingState state{settings_, parameters_, &optimizer_, 0};
    if (options_.resume) ONDINE_TRY(LoadCheckpoint(options_.checkpoint, state));
    if (group_.rank() == 0) {
      if (!options_.checkpoint.empty()) ONDINE_TRY(base::CheckWritable(options_.checkpoint));
      if (observer_.on_start) ONDINE_TRY(observer_.on_start(settings_));
    }
    // At first the base model, which the pool does not change yet; later what the training may have
    // been stopped in.
    ONDINE_TRY(ValidateIfDue(state));
    base::Timer since_checkpoint;
    while (state.step < steps_) {
      if (Step(state.step)) return StopTraining(state, options_.checkpoint, group_);
      ++state.step;
      ONDINE_TRY(ValidateIfDue(state));
      if (since_checkpoint.Elapsed() > 60 * options_.checkpoint_minutes || state.step == steps_) {
        ONDINE_TRY(SaveCheckpoint(state, options_.checkpoint, group_));
        since_checkpoint = {};
      }
    }
    return group_.rank() == 0 ? Adapters() : TrainedAdapters();
  }

 private:
  // True where the training is to be stopped; the step has then not been made.
  bool Step(std::int64_t step) {
    const base::Timer timer;
    // Of the step's number, so that a training that goes on draws what it would have drawn.
    torch::manual_seed(options_.seed * 1000003 +
                       static_cast<std::uint64_t>(step * group_.size() + group_.rank()));
    const std::vector<const PoolItem*> batch = Batch(step);
    optimizer_.zero_grad();
    pool_.SetDropout(options_.dropout);
    Sums sums;
    sums.Add(Sums::kStopped, observer_.stop_token.Stopped() ? 1 : 0);
    for (const auto& group : Groups(batch)) {
      const ChoiceLosses losses = Losses(group, OwnShare(step), sums);
      const Tensor loss =
          (1 - options_.choice_share) * losses.answer + options_.choice_share * losses.choice;
      (loss.sum() / static_cast<double>(batch.size())).backward();
      if (observer_.stop_token.Stopped()) break;
    }
    group_.Sum(sums.values);
    if (sums[Sums::kStopped] > 0 || sums[Sums::kItems] < static_cast<double>(batch.size()))
      return true;

    StepReport report;
    report.gradient = ShareGradients(parameters_, group_, options_.max_gradient);
    report.learning_rate = WarmedUpRate(options_.learning_rate, step, steps_, options_.warmup);
    static_cast<torch::optim::AdamWOptions&>(optimizer_.param_groups().front().options())
        .lr(report.learning_rate);
    optimizer_.step();

    if (group_.rank() != 0 || !observer_.on_step) return false;
    report.step = step + 1;
    report.steps = steps_;
    report.epoch = static_cast<double>(step + 1) / static_cast<double>(steps_per_epoch_);
    report.answer_loss = sums.Mean(Sums::kAnswer);
    report.choice_loss = sums.Mean(Sums::kChoice);
    report.accuracy = sums.Mean(Sums::kRight);
    report.loss = (1 - options_.choice_share) * report.answer_loss +
                  options_.choice_share * report.choice_loss;
    report.tokens_per_second = sums[Sums::kTokens] / timer.Elapsed();
    report.seconds = since_start_.Elapsed();
    observer_.on_step(report);
    return false;
  }

  std::vector<const PoolItem*> Batch(std::int64_t step) {
    const std::int64_t epoch = step / steps_per_epoch_;
    if (epoch != epoch_) {
      order_ = EpochOrder(training_.items.size(), options_.seed, epoch);
      epoch_ = epoch;
    }
    const std::size_t begin = static_cast<std::size_t>(step % steps_per_epoch_) * options_.batch;
    const std::size_t end = std::min(begin + options_.batch, order_.size());
    std::vector<const PoolItem*> batch;
    for (std::size_t i = begin; i < end; ++i) batch.push_back(&training_.items[order_[i]]);
    return batch;
  }

  std::vector<std::vector<const PoolItem*>> Groups(std::vector<const PoolItem*> items) const {
    return GroupByLength(std::move(items), group_.rank(), group_.size(), options_.max_tokens);
  }

  // How much of an item's weights is its own; the rest is the same for all adapters.
  double OwnShare(std::int64_t step) const {
    const double together = options_.together * static_cast<double>(steps_);
    return together > 0 ? std::min(1.0, static_cast<double>(step) / together) : 1;
  }

  ChoiceLosses Losses(const std::vector<const PoolItem*>& group, double own_share, Sums& sums) {
    std::vector<const ChoiceTree*> choices;
    std::vector<float> weights;
    for (const PoolItem* item : group) {
      choices.push_back(&item->choice);
      weights.insert(weights.end(), item->weights.begin(), item->weights.end());
      sums.Add(Sums::kTokens, static_cast<double>(item->choice.tree.size()));
    }
    const Tensor own = torch::tensor(weights).view({static_cast<std::int64_t>(group.size()), -1});
    const double alike = 1 / static_cast<double>(options_.shape.adapters);
    pool_.SetWeights((own * own_share + (1 - own_share) * alike).to(twin_.device()));
    ChoiceLosses losses = ComputeLosses(twin_, &pool_, choices);
    sums.Add(Sums::kAnswer, losses.answer.sum().item<double>());
    sums.Add(Sums::kChoice, losses.choice.sum().item<double>());
    sums.Add(Sums::kRight, losses.right.sum().item<double>());
    sums.Add(Sums::kItems, static_cast<double>(group.size()));
    return losses;
  }

  Status ValidateIfDue(const TrainingState& state) {
    const bool due = state.step % options_.validate_every == 0 || state.step == steps_;
    if (!due || validation_.items.empty()) return {};
    const torch::NoGradGuard no_gradient;
    pool_.SetDropout(0);
    std::vector<const PoolItem*> items;
    for (const PoolItem& item : validation_.items) items.push_back(&item);
    Sums sums;
    for (const auto& group : Groups(items)) {
      if (observer_.stop_token.Stopped()) break;
      Losses(group, 1, sums);
    }
    sums.Add(Sums::kStopped, observer_.stop_token.Stopped() ? 1 : 0);
    group_.Sum(sums.values);
    if (sums[Sums::kStopped] > 0) return StopTraining(state, options_.checkpoint, group_);
    if (group_.rank() != 0 || !observer_.on_validation) return {};
    observer_.on_validation({state.step, sums.Mean(Sums::kAnswer), sums.Mean(Sums::kChoice),
                             sums.Mean(Sums::kRight), pool_.Similarity()});
    return {};
  }

  TrainedAdapters Adapters() const {
    const std::int64_t count = options_.shape.adapters, rank = options_.shape.rank;
    TrainedAdapters trained;
    for (const LoraPoolModule::Factors& factors : pool_.factors()) {
      const std::int64_t in = factors.a.size(1), out = factors.b.size(0);
      const Tensor a = factors.a.view({count, rank, in});
      const Tensor b = factors.b.view({out, count, rank});
      std::vector<adapters::LowRankFactors>& all =
          trained[models::LoraTensorName(factors.layer, factors.site)];
      for (std::int64_t n = 0; n < count; ++n) {
        all.push_back({in, out, rank, Floats(a.select(0, n)), Floats(b.select(1, n))});
      }
    }
    return trained;
  }

  const DecoderTwin& twin_;
  const Settings settings_;
  const ProcessGroup group_;
  const PoolItems& training_;
  const PoolItems& validation_;
  const PoolTrainingOptions& options_;
  const PoolTrainingObserver& observer_;
  LoraPoolModule pool_;
  std::vector<Tensor> parameters_;
  torch::optim::AdamW optimizer_;
  std::int64_t steps_per_epoch_ = 0, steps_ = 0;
  std::int64_t epoch_ = -1;
  std::vector<std::size_t> order_;  // of the items in this epoch
  base::Timer since_start_;
};

Status Check(const PoolTrainingOptions& options, const PoolItems& training) {
  const auto wrong = [](const std::string& what) {
    return MakeError(ErrorCode::kInvalidArgument, what);
  };
  if (training.items.empty()) return wrong("there is nothing to train on");
  for (const PoolItem& item : training.items) {
    if (item.weights.size() != static_cast<std::size_t>(options.shape.adapters)) {
      return wrong("an item's weights are not those of the adapters");
    }
  }
  if (options.batch < 1 || options.epochs < 1 || options.validate_every < 1) {
    return wrong("batch, epochs and the steps between validations are at least 1");
  }
  if (!(options.together >= 0 && options.together <= 1)) {
    return wrong("the share of the steps that is made together is between 0 and 1");
  }
  if (options.shape.adapters < 1 || options.shape.rank < 1 || options.shape.sites.empty()) {
    return wrong("a pool needs an adapter, a rank and a target");
  }
  return CheckResume(options.resume, options.checkpoint);
}

}  // namespace

Result<TrainedAdapters> TrainPool(const models::Decoder& decoder, const PoolItems& training,
                                  const PoolItems& validation, const PoolTrainingOptions& options,
                                  const PoolTrainingObserver& observer) {
  ONDINE_TRY(Check(options, training));
  ONDINE_ASSIGN(ProcessGroup group, ProcessGroup::FromEnvironment());
  return Guarded([&]() -> Result<TrainedAdapters> {
    if (options.threads > 0) at::set_num_threads(options.threads);
    ONDINE_ASSIGN(const torch::Device device, FindDevice(options.device));
    ONDINE_ASSIGN(
        const DecoderTwin twin,
        DecoderTwin::Create(decoder, device, options.bfloat16 ? torch::kBFloat16 : torch::kFloat));
    Settings settings = SettingsOf(options, decoder, training, group);
    return Training(twin, std::move(settings), std::move(group), training, validation, options,
                    observer)
        .Run();
  });
}

}  // namespace ondine::train
