#include "train/pool_training.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>

#include "base/file.h"
#include "compute/thread_pool.h"
#include "train/twin_fixture.h"

namespace ondine::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using train::PoolItem;
using train::PoolItems;
using train::PoolTrainingOptions;
using train::TrainedAdapters;

// Questions of different lengths about a pattern that can be learned: in those of even number the
// right option begins with 7, in the others with 9.
PoolItems MadeUpItems(int count) {
  PoolItems items;
  for (int i = 0; i < count; ++i) {
    std::vector<train::OptionTokens> options;
    for (int k = 0; k < 2; ++k) {
      std::vector<std::int32_t> tokens = SomeTokens(6 + i % 5, i);
      const std::size_t scored = tokens.size();
      tokens.insert(tokens.end(), {k == 0 ? 7 : 9, 30 + k, 200});
      options.push_back({tokens, scored});
    }
    PoolItem& item = items.items.emplace_back();
    item.choice = BuildChoiceTree(options, static_cast<std::size_t>(i % 2));
    item.weights = i % 2 == 0 ? std::vector<float>{0.8f, 0.2f} : std::vector<float>{0.3f, 0.7f};
  }
  return items;
}

PoolTrainingOptions SmallTraining() {
  PoolTrainingOptions options;
  options.shape = {.adapters = 2, .rank = 2, .lora_alpha = 4};
  options.choice_share = 0.5;
  options.dropout = 0;
  options.learning_rate = 1e-2;
  options.batch = 8;
  options.max_tokens = 40;
  options.epochs = 3;
  options.threads = 1;
  return options;
}

Result<TrainedAdapters> TrainTiny(const PoolTrainingOptions& options,
                                  const train::PoolTrainingObserver& observer = {},
                                  const TinyModel& model = {}, int items = 30) {
  compute::ThreadPool pool(1);
  const auto decoder = LoadTiny(model, pool);
  return TrainPool(*decoder, MadeUpItems(items), MadeUpItems(8), options, observer);
}

std::vector<float> Values(const TrainedAdapters& trained) {
  std::vector<float> values;
  for (const auto& [tensor, all] : trained) {
    for (const adapters::LowRankFactors& one : all) {
      values.insert(values.end(), one.a.begin(), one.a.end());
      values.insert(values.end(), one.b.begin(), one.b.end());
    }
  }
  return values;
}

TEST(PoolTraining, Learns) {
  std::vector<double> losses;
  std::vector<train::ValidationReport> validations;
  train::PoolTrainingObserver observer;
  observer.on_step = [&](const train::StepReport& report) { losses.push_back(report.loss); };
  observer.on_validation = [&](const train::ValidationReport& r) { validations.push_back(r); };
  PoolTrainingOptions options = SmallTraining();
  options.dropout = 0.05;
  options.epochs = 8;
  const auto adapters = TrainTiny(options, observer);
  ASSERT_TRUE(adapters) << adapters.error().ToString();
  EXPECT_EQ(adapters->size(), 2u * 4);
  const auto& queries = adapters->at("blk.0.attn_q.weight");
  ASSERT_EQ(queries.size(), 2u);
  EXPECT_EQ(queries[0].rank, 2);
  EXPECT_EQ(queries[0].a.size(), 2u * 64);
  EXPECT_EQ(queries[0].b.size(), 2u * 128);
  ASSERT_EQ(losses.size(), 8u * 4);
  EXPECT_LT(losses.back(), 0.7 * losses.front());
  ASSERT_EQ(validations.size(), 2u);
  EXPECT_LT(validations[1].choice_loss, validations[0].choice_loss);
  EXPECT_LT(validations[1].similarity, 0.999);
}

// Adapters whose factors are, bit for bit, the same.
bool AllAlike(const TrainedAdapters& trained) {
  return std::ranges::all_of(trained, [](const auto& tensor) {
    const auto& [name, all] = tensor;
    return std::ranges::all_of(all, [&all = all](const adapters::LowRankFactors& one) {
      return one.a == all.front().a && one.b == all.front().b;
    });
  });
}

TEST(PoolTraining, AdaptersPartFromWhatTheyLearntTogether) {
  PoolTrainingOptions options = SmallTraining();
  options.max_steps = 1;
  const auto apart = TrainTiny(options);
  ASSERT_TRUE(apart) << apart.error().ToString();
  EXPECT_FALSE(AllAlike(*apart));
  options.together = 1;
  const auto together = TrainTiny(options);
  ASSERT_TRUE(together) << together.error().ToString();
  EXPECT_TRUE(AllAlike(*together));
  // From the second step on, items have something of their own weights.
  options.max_steps = 4;
  const auto parted = TrainTiny(options);
  ASSERT_TRUE(parted) << parted.error().ToString();
  EXPECT_FALSE(AllAlike(*parted));

  options.together = 1.5;
  const auto wrong = TrainTiny(options);
  ASSERT_FALSE(wrong);
  EXPECT_THAT(wrong.error().ToString(), HasSubstr("together"));
}

TEST(PoolTraining, GoesOnWhereItStopped) {
  const TempDir folder;
  PoolTrainingOptions options = SmallTraining();
  options.dropout = 0.1;
  options.checkpoint = folder.File("checkpoint");
  const auto whole = TrainTiny(options);
  ASSERT_TRUE(whole) << whole.error().ToString();

  train::PoolTrainingObserver observer;
  observer.on_step = [&](const train::StepReport& report) {
    if (report.step == 5) observer.stop_token.Stop();
  };
  const auto stopped = TrainTiny(options, observer);
  ASSERT_FALSE(stopped);
  EXPECT_EQ(stopped.error().code, ErrorCode::kCancelled);
  options.resume = true;
  int steps = 0;
  train::PoolTrainingObserver counter;
  counter.on_step = [&](const train::StepReport&) { ++steps; };
  const auto resumed = TrainTiny(options, counter);
  ASSERT_TRUE(resumed) << resumed.error().ToString();
  EXPECT_EQ(steps, 7);
  EXPECT_EQ(Values(*resumed), Values(*whole));
}

// Also the last one, and the one before the first step.
TEST(PoolTraining, AValidationThatWasStoppedIsMadeAgain) {
  const TempDir folder;
  PoolTrainingOptions options = SmallTraining();
  options.validate_every = 5;
  const auto whole = TrainTiny(options);
  ASSERT_TRUE(whole) << whole.error().ToString();
  options.checkpoint = folder.File("checkpoint");
  std::vector<std::int64_t> validated;
  for (const std::int64_t stop_after : {0, 5, 12}) {
    train::PoolTrainingObserver observer;
    if (stop_after == 0) observer.stop_token.Stop();
    observer.on_step = [&](const train::StepReport& report) {
      if (report.step == stop_after) observer.stop_token.Stop();
    };
    observer.on_validation = [&](const train::ValidationReport& report) {
      EXPECT_GT(report.answer_loss, 0);
      validated.push_back(report.step);
    };
    const auto stopped = TrainTiny(options, observer);
    ASSERT_FALSE(stopped);
    EXPECT_EQ(stopped.error().code, ErrorCode::kCancelled);
    options.resume = true;
  }
  EXPECT_THAT(validated, ElementsAre(0, 5, 10));
  train::PoolTrainingObserver observer;
  observer.on_validation = [&](const train::ValidationReport& r) { validated.push_back(r.step); };
  const auto resumed = TrainTiny(options, observer);
  ASSERT_TRUE(resumed) << resumed.error().ToString();
  EXPECT_THAT(validated, ElementsAre(0, 5, 10, 12));
  EXPECT_EQ(Values(*resumed), Values(*whole));
}

// Of all that decides the result, and of nothing else.
TEST(PoolTraining, ACheckpointIsOfOneTraining) {
  const TempDir folder;
  PoolTrainingOptions made = SmallTraining();
  made.max_steps = 2;
  made.checkpoint = folder.File("checkpoint");
  ASSERT_TRUE(TrainTiny(made));
  made.resume = true;

  const auto difference = [&](const std::function<void(PoolTrainingOptions&)>& change,
                              const TinyModel& model = {}, int items = 30) {
    PoolTrainingOptions options = made;
    change(options);
    const auto trained = TrainTiny(options, {}, model, items);
    if (trained) return std::string();
    EXPECT_EQ(trained.error().code, ErrorCode::kMismatch);
    return trained.error().message;
  };
  const auto nothing = [](PoolTrainingOptions&) {};
  EXPECT_EQ(difference([](auto& o) { o.learning_rate = 0.01000001; }),
            "is of another training: of learning-rate 0.01; this one has "
            "learning-rate 0.01000001");
  EXPECT_THAT(difference([](auto& o) { o.origin.Add("tasks", "piqa"); }), HasSubstr("tasks piqa"));
  EXPECT_THAT(difference([](auto& o) { o.shape.blend = BlendForm::kProduct; }),
              HasSubstr("blend product"));
  EXPECT_THAT(difference([](auto& o) { o.choice_share = 1; }), HasSubstr("choice-share 1"));
  EXPECT_THAT(difference([](auto& o) { o.max_steps = 3; }), HasSubstr("steps 3"));
  EXPECT_THAT(difference([](auto& o) { o.dropout = 0.1; }), HasSubstr("dropout 0.1"));
  EXPECT_THAT(difference([](auto& o) { o.max_tokens = 41; }), HasSubstr("max-tokens 41"));
  EXPECT_THAT(difference([](auto& o) { o.bfloat16 = true; }), HasSubstr("dtype bfloat16"));
  EXPECT_THAT(difference([](auto& o) { o.threads = 2; }), HasSubstr("threads 2"));
  EXPECT_THAT(difference(nothing, {.seed = 2}), HasSubstr("of base "));
  EXPECT_THAT(difference(nothing, {}, 31), HasSubstr("items 31"));
  EXPECT_EQ(difference([](auto& o) { o.checkpoint_minutes = 1; }), "");
  EXPECT_EQ(difference([](auto& o) { o.validate_every = 1; }), "");
}

TEST(PoolTraining, ItemsOfOtherTokensOrWeightsAreOthers) {
  const PoolItems items = MadeUpItems(4);
  EXPECT_EQ(items.Fingerprint(), MadeUpItems(4).Fingerprint());
  const auto changed = [&](const std::function<void(PoolItem&)>& change) {
    PoolItems others = items;
    change(others.items[2]);
    return others.Fingerprint();
  };
  EXPECT_NE(changed([](PoolItem& item) { ++item.choice.tree.tokens[1]; }), items.Fingerprint());
  EXPECT_NE(changed([](PoolItem& item) { ++item.choice.options[0][2].target; }),
            items.Fingerprint());
  EXPECT_NE(changed([](PoolItem& item) { item.choice.gold = 1; }), items.Fingerprint());
  EXPECT_NE(changed([](PoolItem& item) { item.weights = {0.81f, 0.19f}; }), items.Fingerprint());
}

TEST(PoolTraining, BadOptionsAndFilesAreErrors) {
  const TempDir folder;
  PoolTrainingOptions options = SmallTraining();
  options.device = "abacus";
  EXPECT_FALSE(TrainTiny(options));
  options = SmallTraining();
  options.shape.adapters = 3;
  EXPECT_FALSE(TrainTiny(options));
  options = SmallTraining();
  options.checkpoint = folder.File("checkpoint");
  options.resume = true;
  EXPECT_EQ(TrainTiny(options).error().code, ErrorCode::kNotFound);
  ASSERT_TRUE(base::WriteFileAtomically(options.checkpoint, [](base::FileSink& sink) {
    return sink.Write(std::as_bytes(std::span("nonsense")));
  }));
  EXPECT_EQ(TrainTiny(options).error().code, ErrorCode::kCorrupt);

  // Found before the first step.
  options.checkpoint = folder.File("no/such/checkpoint");
  options.resume = false;
  train::PoolTrainingObserver observer;
  observer.on_start = [](const train::Settings&) -> Status {
    return MakeError(ErrorCode::kInternal, "started");
  };
  EXPECT_EQ(TrainTiny(options, observer).error().code, ErrorCode::kNotFound);
  options.checkpoint = "";
  EXPECT_EQ(TrainTiny(options, observer).error().message, "started");
}

}  // namespace
}  // namespace ondine::testing
