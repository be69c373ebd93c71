// Sessions with adapters, and adapters out of a pool.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <numeric>

#include "adapters/adapter_fixture.h"
#include "adapters/lora_file.h"
#include "adapters/peft_fixture.h"
#include "adapters/pool_file.h"
#include "engine/choice_scores.h"
#include "engine/engine_fixture.h"
#include "engine/model_parts.h"
#include "engine/perplexity.h"
#include "ondine/adapter_pool.h"

namespace ondine {
namespace {

using namespace ::ondine::testing;

class AdapterTest : public ::testing::Test {
 protected:
  static const std::shared_ptr<const Model>& model() { return TinyLlamaModel(); }
  static const models::Decoder& decoder() { return *model()->parts().decoder; }

  std::shared_ptr<const Adapter> Random(std::uint32_t seed) {
    const std::string path = folder_.File("random.gguf");
    const auto lora = RandomLora(decoder(), {"attn_q", "attn_v", "ffn_up"}, 2, seed);
    EXPECT_TRUE(adapters::WriteLora(lora, path));
    auto adapter = Adapter::Load(*model(), path);
    EXPECT_TRUE(adapter) << adapter.error().ToString();
    return *adapter;
  }

  static Session With(std::vector<ScaledAdapter> adapters) {
    SessionOptions options = InPot(128);
    options.adapters = std::move(adapters);
    auto session = Session::Create(model(), options);
    EXPECT_TRUE(session);
    return std::move(*session);
  }

  static std::string Complete(Session& session) {
    const auto result = session.Complete("once upon a time", Exactly(24));
    EXPECT_TRUE(result) << result.error().ToString();
    return result->text;
  }

  static std::string Ask(Session& session) {
    AskOptions ask;
    ask.generation = Exactly(24);
    const auto answer = session.Ask("who was it", ask);
    return answer ? answer->text : answer.error().ToString();
  }

  static void Read(Session& session, const std::string& text) {
    ReadOptions read;
    read.chat_template = false;
    ASSERT_TRUE(session.Read(*TextFromString(text), read));
  }

  TempDir folder_;
};

TEST_F(AdapterTest, ChangesWhatAModelSaysByItsScale) {
  const auto adapter = Random(1);
  Session base = With({}), off = With({{adapter, 0}}), on = With({{adapter, 1}});
  EXPECT_EQ(Complete(off), Complete(base));
  EXPECT_NE(Complete(on), Complete(base));
}

TEST_F(AdapterTest, CanBeExchangedInASession) {
  const auto one = Random(1), two = Random(2);
  Session session = With({{one, 1}}), other = With({{one, 0.5f}, {two, 1}});
  ASSERT_TRUE(session.SetAdapters({{one, 0.5f}, {two, 1}}));
  EXPECT_EQ(Complete(session), Complete(other));
  ASSERT_TRUE(session.SetAdapters({}));
  Session base = With({});
  EXPECT_EQ(Complete(session), Complete(base));
}

TEST_F(AdapterTest, WhatWasReadStaysWithTheSameOnesAndIsForgottenWithOthers) {
  const auto one = Random(1), two = Random(2);
  Session session = With({{one, 1}, {two, 0.5f}});
  Read(session, RandomProse(300));
  const std::string answer = Ask(session);
  // The order does not matter, nor does one that is off.
  ASSERT_TRUE(session.SetAdapters({{two, 0.5f}, {one, 1}, {Random(3), 0}}));
  EXPECT_EQ(Ask(session), answer);
  ASSERT_TRUE(session.SetAdapters({{one, 1}}));
  EXPECT_THAT(Ask(session), ::testing::HasSubstr("no text"));
}

TEST_F(AdapterTest, PotFilesBelongToTheirAdapters) {
  const auto one = Random(1);
  Session session = With({{one, 0.5f}});
  Read(session, RandomProse(300));
  const std::string path = folder_.File("x.pot");
  ASSERT_TRUE(session.Save(path));
  auto loaded = Session::Load(model(), path, {.adapters = {{one, 0.5f}}});
  ASSERT_TRUE(loaded) << loaded.error().ToString();
  EXPECT_EQ(Ask(*loaded), Ask(session));
  for (const std::vector<ScaledAdapter>& others :
       {std::vector<ScaledAdapter>{}, {{one, 1}}, {{Random(2), 0.5f}}}) {
    const auto refused = Session::Load(model(), path, {.adapters = others});
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, ErrorCode::kMismatch);
    EXPECT_THAT(refused.error().ToString(), ::testing::HasSubstr("adapters"));
  }
}

TEST_F(AdapterTest, PotsReadWithoutAdaptersAreAskedWithoutThem) {
  Session session = With({});
  Read(session, RandomProse(300));
  const std::string path = folder_.File("x.pot");
  ASSERT_TRUE(session.Save(path));
  auto loaded = Session::Load(model(), path, {.adapters = {{Random(1), 0}}});
  ASSERT_TRUE(loaded) << loaded.error().ToString();
  EXPECT_EQ(Ask(*loaded), Ask(session));
  const auto refused = Session::Load(model(), path, {.adapters = {{Random(1), 1}}});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kMismatch);
}

// Nothing is made of scores that are no numbers, and no file that others would be compared with.
TEST_F(AdapterTest, ScaledBeyondNumbersIsAnErrorWhateverIsMeasured) {
  const std::vector<ScaledAdapter> broken = {{Random(1), 1e38f}};
  engine::ChoiceScorer scorer(model(), 1);
  ASSERT_TRUE(scorer.SetAdapters(broken));
  for (int again = 0; again < 2; ++again) {
    const auto scores = scorer.Score("So it is", std::vector<std::string>{" one", " other"});
    ASSERT_FALSE(scores);
    EXPECT_EQ(scores.error().code, ErrorCode::kCorrupt);
  }
  engine::PerplexityOptions measure;
  measure.context = 64;
  measure.threads = 1;
  measure.adapters = broken;
  measure.kl_base = folder_.File("base.kld");
  const auto measured = engine::MeasurePerplexity(*model(), RandomProse(300), measure);
  ASSERT_FALSE(measured);
  EXPECT_EQ(measured.error().code, ErrorCode::kCorrupt);
  EXPECT_FALSE(std::filesystem::exists(measure.kl_base));
  ReadOptions read;
  read.chat_template = false;
  Session session = With(broken);
  const Status status = session.Read(*TextFromString(RandomProse(600)), read);
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, ErrorCode::kCorrupt);
}

TEST_F(AdapterTest, OfAnotherModelIsRefused) {
  const std::string path = folder_.File("gemma.gguf");
  const auto lora = RandomLora(*TinyGemmaModel()->parts().decoder, {"attn_q"}, 2, 1);
  ASSERT_TRUE(adapters::WriteLora(lora, path));
  EXPECT_EQ(Adapter::Load(*model(), path).error().code, ErrorCode::kMismatch);
  EXPECT_EQ(Adapter::Load(*model(), folder_.File("none.gguf")).error().code, ErrorCode::kNotFound);
}

TEST_F(AdapterTest, OfPeftIsTheSameOnceSavedAndLoaded) {
  auto parts = PeftParts::From(RandomLora(decoder(), {"attn_q", "ffn_up"}, 2, 1), 2);
  parts.config["use_rslora"] = "true";  // an alpha that no double holds exactly
  parts.Write(folder_.File("saved"));
  const auto converted = Adapter::LoadPeft(*model(), folder_.File("saved"));
  ASSERT_TRUE(converted) << converted.error().ToString();
  EXPECT_EQ((*converted)->info().path, folder_.File("saved"));
  EXPECT_EQ((*converted)->info().matrices, 4);
  ASSERT_TRUE((*converted)->Save(folder_.File("saved.gguf")));
  const auto loaded = Adapter::Load(*model(), folder_.File("saved.gguf"));
  ASSERT_TRUE(loaded) << loaded.error().ToString();
  EXPECT_EQ((*loaded)->info().fingerprint, (*converted)->info().fingerprint);
  const auto narrower = LoadTinyModel({.hidden = 64});
  EXPECT_EQ(Adapter::LoadPeft(*narrower, folder_.File("saved")).error().code, ErrorCode::kMismatch);
}

class AdapterPoolTest : public AdapterTest {
 protected:
  void SetUp() override {
    ASSERT_TRUE(adapters::WritePool(RandomPool(decoder(), 3, 2), path_));
    auto pool = AdapterPool::Load(model(), path_);
    ASSERT_TRUE(pool) << pool.error().ToString();
    pool_ = *pool;
  }

  const std::string path_ = folder_.File("pool.gguf");
  std::shared_ptr<const AdapterPool> pool_;
};

TEST_F(AdapterPoolTest, WeighsATaskByItsPrompts) {
  const std::vector<Example> examples = {{"what do plants need", "light"}, {"and fish", ""}};
  const auto result = pool_->Weigh(examples);
  ASSERT_TRUE(result);
  EXPECT_EQ(result->similarities.size(), 3U);
  EXPECT_NEAR(std::accumulate(result->weights.begin(), result->weights.end(), 0.0), 1, 1e-12);
  // Neither order nor answers have an effect.
  const auto other = pool_->Weigh({{"and fish", "water"}, {"what do plants need", ""}});
  for (std::size_t n = 0; n < 3; ++n) EXPECT_NEAR(other->weights[n], result->weights[n], 1e-6);
  EXPECT_TRUE(pool_->Weigh({{"x", ""}}));
  EXPECT_EQ(pool_->Weigh({}).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(pool_->Weigh({{"x", ""}, {"", ""}}).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(pool_->Weigh(examples, 0.0).error().code, ErrorCode::kInvalidArgument);
}

TEST_F(AdapterPoolTest, ATaskIsMostLikeItsOwnQuestions) {
  const auto task = pool_->TaskOf({{"what do plants need", ""}});
  ASSERT_TRUE(task);
  EXPECT_NEAR(*pool_->Likeness(*task, "what do plants need"), 1, 1e-6);
  const auto other = pool_->Likeness(*task, "QQQQ 7777");
  ASSERT_TRUE(other);
  EXPECT_LT(*other, 0.9);
  EXPECT_GE(*other, -1.000001);
  EXPECT_EQ(pool_->TaskOf({}).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(pool_->Likeness(*task, "").error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(pool_->Likeness({1, 0}, "x").error().code, ErrorCode::kMismatch);
}

TEST_F(AdapterPoolTest, ABlendIsAnOrdinaryAdapter) {
  for (const BlendForm form : {BlendForm::kSeparate, BlendForm::kProduct}) {
    const auto blend = pool_->Blend({0.5, 0.2, 0.3}, form);
    ASSERT_TRUE(blend);
    EXPECT_EQ((*blend)->info().rank, form == BlendForm::kProduct ? 6 : 2);
    EXPECT_GT((*blend)->RelativeSize(*model()), 0.01);
    const std::string path = folder_.File("blend.gguf");
    ASSERT_TRUE((*blend)->Save(path));
    const auto loaded = Adapter::Load(*model(), path);
    ASSERT_TRUE(loaded) << loaded.error().ToString();
    EXPECT_EQ((*loaded)->info().fingerprint, (*blend)->info().fingerprint);
    Session in_memory = With({{*blend, 1}}), from_file = With({{*loaded, 1}});
    EXPECT_EQ(Complete(in_memory), Complete(from_file));
  }
}

TEST_F(AdapterPoolTest, OfAnotherModelIsRefused) {
  const auto other = LoadTinyModel({.architecture = "llama", .seed = 2});
  const auto pool = AdapterPool::Load(other, path_);
  ASSERT_FALSE(pool);
  EXPECT_EQ(pool.error().code, ErrorCode::kMismatch);
  EXPECT_THAT(pool.error().message, ::testing::HasSubstr("pool.base.fingerprint"));
}

class ExamplesTest : public ::testing::Test {
 protected:
  Result<std::vector<Example>> Load(const std::string& text) {
    std::ofstream(path_, std::ios::binary) << text;
    return LoadExamples(path_);
  }

  TempDir folder_;
  const std::string path_ = folder_.File("examples.jsonl");
};

TEST_F(ExamplesTest, AreLinesOfJson) {
  const auto examples =
      Load("{\"prompt\": \"a\", \"answer\": \" b\"}\r\n\n{\"prompt\": \"\\u00e9\", \"more\": 1}");
  ASSERT_TRUE(examples) << examples.error().ToString();
  ASSERT_EQ(examples->size(), 2U);
  EXPECT_EQ((*examples)[0].answer, " b");
  EXPECT_EQ((*examples)[1].prompt, "\xc3\xa9");
  EXPECT_EQ((*examples)[1].answer, "");
}

TEST_F(ExamplesTest, ABrokenLineIsNamed) {
  for (const char* line : {"{nonsense", "[]", "3", "{\"answer\": \"b\"}", "{\"prompt\": 3}",
                           "{\"prompt\": \"a\", \"answer\": [1]}", "{\"prompt\": \"\xff\"}"}) {
    const auto examples = Load(std::string("{\"prompt\": \"a\"}\n") + line + "\n");
    ASSERT_FALSE(examples) << line;
    EXPECT_EQ(examples.error().code, ErrorCode::kCorrupt);
    EXPECT_THAT(examples.error().context, ::testing::HasSubstr("line 2"));
  }
  EXPECT_EQ(Load("").error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(Load(" \n\t\r\n").error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(LoadExamples(folder_.File("none")).error().code, ErrorCode::kNotFound);
  EXPECT_FALSE(LoadExamples(folder_.path().string()));
}

}  // namespace
}  // namespace ondine
