// The program `ondine-train pool`, from questions in a file to scores with the adapter.
#include <gmock/gmock.h>

#include <cmath>
#include <filesystem>

#include "adapters/pool_file.h"
#include "base/file.h"
#include "cli/program.h"
#include "eval/mcqa_fixture.h"
#include "ondine/adapter_pool.h"
#include "train/engine_scores.h"
#include "train/lora_pool_module.h"
#include "train/training_test.h"

namespace ondine::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class PoolCommandTest : public TrainingTest {
 protected:
  PoolCommandTest() {
    std::filesystem::create_directories(Path("data/mcqa/piqa"));
    std::string lines;
    for (int i = 0; i < 60; ++i) {
      lines += eval::PiqaLine("What is number " + std::to_string(i) + " of them?",
                              {"It is even", "It is an odd one"}, static_cast<std::size_t>(i % 2));
    }
    Write("data/mcqa/piqa/piqa_val.jsonl", lines);
  }

  std::vector<std::string> Command(const std::vector<std::string>& more = {},
                                   const std::string& out = "pool.gguf") const {
    std::vector<std::string> command = {"pool",       "-m",          Model(), "--data",
                                        Path("data"), "--tasks",     "piqa",  "--steps",
                                        "3",          "--batch",     "8",     "--learning-rate",
                                        "0.05",       "--adapters",  "3",     "--rank",
                                        "2",          "--threads",   "1",     "--temperature",
                                        "0.5",        "--objective", "mix",   "-o",
                                        Path(out)};
    command.insert(command.end(), more.begin(), more.end());
    return command;
  }
  std::string Train(const std::vector<std::string>& more, const std::string& out) const {
    Output(Command(more, out));
    return base::ReadFile(Path(out)).value_or("");
  }
};

// The factors of a pool's file, as they were trained.
void Copy(const adapters::Pool& from, train::LoraPoolModule& to) {
  const torch::NoGradGuard no_gradient;
  for (const train::LoraPoolModule::Factors& factors : to.factors()) {
    const auto& all = from.matrices.at(models::LoraTensorName(factors.layer, factors.site));
    std::vector<torch::Tensor> a, b;
    for (const adapters::LowRankFactors& one : all) {
      a.push_back(torch::tensor(one.a).view({one.rank, one.in}));
      b.push_back(torch::tensor(one.b).view({one.out, one.rank}));
    }
    factors.a.copy_(torch::cat(a, 0));
    factors.b.copy_(torch::cat(b, 1));
  }
}

TEST_F(PoolCommandTest, TheEngineScoresWithAPoolAsTrainingDoes) {
  compute::ThreadPool threads(1);
  const auto model = Model::Load(ProgramTest::Model());
  ASSERT_TRUE(model) << model.error().ToString();
  eval::McqaItem item;
  item.prompt = "Question: What is number 7 of them?\nAnswer:";
  for (const char* option : {" It is even", " It is an odd one", " What"}) {
    item.choices.push_back({item.prompt, option, option});
  }
  const auto base = TwinScores(**model, nullptr, item);
  for (const BlendForm form : {BlendForm::kSeparate, BlendForm::kProduct}) {
    SCOPED_TRACE(BlendFormName(form));
    Train({"--blend", BlendFormName(form)}, "pool.gguf");
    const auto pool = AdapterPool::Load(*model, Path("pool.gguf"));
    ASSERT_TRUE(pool) << pool.error().ToString();
    EXPECT_EQ((*pool)->info().blend, form);
    const auto weighed = (*pool)->Weigh({{item.prompt, ""}});
    ASSERT_TRUE(weighed);
    const auto adapter = (*pool)->Blend(weighed->weights);
    ASSERT_TRUE(adapter);

    const auto file = formats::GgufFile::Open(Path("pool.gguf"));
    ASSERT_TRUE(file);
    const auto read = adapters::ReadPool(*file, threads);
    ASSERT_TRUE(read);
    train::LoraPoolModule module(
        (*model)->parts().decoder->spec(),
        {.adapters = 3, .rank = 2, .lora_alpha = read->alpha, .blend = form}, 1, torch::kCPU);
    Copy(*read, module);
    module.SetWeights(torch::tensor(weighed->weights).to(torch::kFloat).view({1, 3}));

    const auto twin = TwinScores(**model, &module, item);
    ExpectAgreement(twin, EngineScores(*model, *adapter, item));
    EXPECT_GT(std::abs(twin[0] - base[0]), 1) << "the adapter does too little to be compared";
  }
}

TEST_F(PoolCommandTest, TheSeedDecidesEveryByte) {
  const std::string first = Train({}, "first.gguf");
  EXPECT_EQ(Train({"--log", Path("log")}, "second.gguf"), first);
  EXPECT_NE(Train({"--seed", "2"}, "third.gguf"), first);
}

TEST_F(PoolCommandTest, TwoProcessesTrainWhatOneTrains) {
  // Each would drop other channels.
  const std::vector<std::string> more = {"--dropout", "0"};
  Train(more, "alone.gguf");
  RunInTwo(Command(more, "together.gguf"));
  std::vector<std::vector<float>> pools;
  for (const char* name : {"together.gguf", "alone.gguf"}) {
    const auto file = formats::GgufFile::Open(Path(name));
    ASSERT_TRUE(file) << file.error().ToString();
    compute::ThreadPool threads(1);
    const auto pool = adapters::ReadPool(*file, threads);
    ASSERT_TRUE(pool) << pool.error().ToString();
    EXPECT_THAT(pool->provenance, HasSubstr(pools.empty() ? "processes 2" : "processes 1"));
    std::vector<float>& values = pools.emplace_back();
    for (const auto& [tensor, all] : pool->matrices) {
      for (const adapters::LowRankFactors& one : all) {
        values.insert(values.end(), one.a.begin(), one.a.end());
        values.insert(values.end(), one.b.begin(), one.b.end());
      }
    }
  }
  EXPECT_LT(RelativeDifference(pools[0], pools[1]), 1e-3);
}

TEST_F(PoolCommandTest, APoolSaysWhatItWasMadeFrom) {
  Train({}, "pool.gguf");
  const auto model = Model::Load(ProgramTest::Model());
  ASSERT_TRUE(model);
  const auto pool = AdapterPool::Load(*model, Path("pool.gguf"));
  ASSERT_TRUE(pool);
  const std::string provenance = (*pool)->info().provenance + ",";
  for (const char* setting :
       {"model tiny", "tasks piqa",      "limit none",         "max-length 768",    "mode joint",
        "group 10",   "temperature 0.5", "objective mix",      "choice-share 0.5",  "adapters 3",
        "rank 2",     "lora-alpha 16",   "targets q+k+v+o",    "blend separate",    "epochs 1",
        "steps 3",    "batch 8",         "learning-rate 0.05", "weight-decay 0.01", "dropout 0.05",
        "seed 1",     "dtype float32"}) {
    EXPECT_THAT(provenance, HasSubstr(std::string(setting) + ","));
  }
  EXPECT_EQ((*pool)->info().temperature, 0.5);
  Train({"--temperature-in-use", "0.75"}, "used.gguf");
  const auto used = AdapterPool::Load(*model, Path("used.gguf"));
  ASSERT_TRUE(used);
  EXPECT_EQ((*used)->info().temperature, 0.75);
  EXPECT_EQ((*used)->info().provenance, (*pool)->info().provenance);
}

TEST_F(PoolCommandTest, WrongPathsAreFoundBeforeTheTraining) {
  const std::string nowhere = Path("no/such/file");
  for (const char* option : {"--log", "--checkpoint", "-o"}) {
    std::vector<std::string> command = Command();
    command.resize(command.size() - 2);
    command.insert(command.end(), {option, nowhere});
    if (option != std::string("-o")) command.insert(command.end(), {"-o", Path("pool.gguf")});
    EXPECT_THAT(Refusal(1, command), HasSubstr(nowhere)) << option;
    // A training would have left its checkpoint.
    EXPECT_THAT(Files(), ElementsAre("data", "tiny.gguf")) << option;
  }
}

TEST_F(PoolCommandTest, ACheckpointGoesOnWithTheSameOptionsAlone) {
  const std::string whole = Train({"--checkpoint", Path("state")}, "pool.gguf");
  const auto resume = [&](std::vector<std::string> more) {
    more.insert(more.end(), {"--resume", "--checkpoint", Path("state")});
    return Command(more, "other.gguf");
  };
  EXPECT_THAT(Refusal(1, resume({"--limit", "30"})), HasSubstr("limit none"));
  EXPECT_THAT(Refusal(1, resume({"--mode", "independent"})), HasSubstr("mode independent"));
  EXPECT_THAT(Refusal(1, resume({"--seed", "2"})), HasSubstr("seed 2"));
  Output(resume({"--log", Path("log"), "--checkpoint-minutes", "1", "--validate-every", "1"}));
  EXPECT_EQ(base::ReadFile(Path("other.gguf")).value_or(""), whole);
}

TEST_F(PoolCommandTest, DevicesAndFilesThatCannotBeAreRefused) {
  EXPECT_THAT(Refusal(2, Command({"--device", "abacus"})), HasSubstr("'abacus'"));
  EXPECT_THAT(Refusal(2, Command({"--log", Path("pool.gguf")})), HasSubstr("two purposes"));
  EXPECT_THAT(Refusal(2, Command({"--checkpoint", Path("./tiny.gguf")})), HasSubstr("tiny.gguf"));
  EXPECT_FALSE(std::filesystem::exists(Path("pool.gguf")));
}

TEST_F(PoolCommandTest, ALogThatCannotBeWrittenIsToldWhenThePoolIsSafe) {
  EXPECT_THAT(Refusal(1, Command({"--log", "/dev/full"})), HasSubstr("/dev/full"));
  EXPECT_TRUE(std::filesystem::exists(Path("pool.gguf")));
}

}  // namespace
}  // namespace ondine::testing
