#include "train/pool_training.h"

#include <gmock/gmock.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "base/file.h"
#include "compute/thread_pool.h"
#include "train/twin_fixture.h"

namespace ondine::testing {
namespace {

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

std::string Bytes(const TrainedAdapters& trained) {
  std::string bytes;
  for (const auto& [tensor, all] : trained) {
    for (const adapters::LowRankFactors& one : all) {
      for (const auto* values : {&one.a, &one.b}) {
        bytes.append(reinterpret_cast<const char*>(values->data()), values->size() * sizeof(float));
      }
    }
  }
  return bytes;
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
  EXPECT_EQ(Bytes(*resumed), Bytes(*whole));
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

// What one of two processes does: see the next test.
TEST(PoolTraining, OfOneProcess) {
  const char* out = std::getenv("ONDINE_TRAINED");
  if (out == nullptr) GTEST_SKIP() << "is run by PoolTraining.TwoProcessesGiveWhatOneGives";
  const auto adapters = TrainTiny(SmallTraining());
  ASSERT_TRUE(adapters) << adapters.error().ToString();
  if (adapters->empty()) return;
  const std::string bytes = Bytes(*adapters);
  ASSERT_TRUE(base::WriteFileAtomically(
      out, [&](base::FileSink& sink) { return sink.Write(std::as_bytes(std::span(bytes))); }));
}

TEST(PoolTraining, TwoProcessesGiveWhatOneGives) {
  const auto alone = TrainTiny(SmallTraining());
  ASSERT_TRUE(alone) << alone.error().ToString();

  const TempDir folder;
  const std::string out = folder.File("trained");
  const std::string program = std::filesystem::read_symlink("/proc/self/exe").string();
  const int port = 20000 + static_cast<int>(getpid() % 20000);
  std::string command;
  for (const char* rank : {"0", "1"}) {
    command += std::string("RANK=") + rank +
               " WORLD_SIZE=2 MASTER_ADDR=127.0.0.1 MASTER_PORT=" + std::to_string(port) +
               " ONDINE_TRAINED=" + out + " " + program +
               " --gtest_filter=PoolTraining.OfOneProcess >" + folder.File(rank) + " 2>&1 & ";
  }
  ASSERT_EQ(std::system((command + "wait").c_str()), 0);
  const auto together = base::ReadFile(out);
  ASSERT_TRUE(together) << base::ReadFile(folder.File("0")).value_or("");

  const std::string expected = Bytes(*alone);
  ASSERT_EQ(together->size(), expected.size());
  double difference = 0, size = 0;
  for (std::size_t i = 0; i < expected.size(); i += sizeof(float)) {
    float a = 0, b = 0;
    std::memcpy(&a, &expected[i], sizeof(a));
    std::memcpy(&b, &(*together)[i], sizeof(b));
    difference += std::pow(a - b, 2);
    size += std::pow(a, 2);
  }
  EXPECT_LT(std::sqrt(difference / size), 1e-3);
}

}  // namespace
}  // namespace ondine::testing
