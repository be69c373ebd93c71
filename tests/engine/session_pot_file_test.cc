// A saved pot answers as the session that saved it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "base/file.h"
#include "base/temp_dir.h"
#include "engine/engine_fixture.h"

namespace ondine::testing {
namespace {

using ::testing::HasSubstr;

std::string Ask(Session& session, const std::string& question) {
  auto answer = session.Ask(question, {Exactly(40)});
  EXPECT_TRUE(answer) << answer.error().ToString();
  return answer ? answer->text : "";
}

class SavedPot : public ::testing::Test {
 protected:
  std::string Bytes() const { return base::ReadFile(path_).value(); }

  const TempDir folder_;
  const std::string path_ = folder_.File("text.pot");
};

TEST_F(SavedPot, AnswersLikeTheSessionThatSavedIt) {
  for (const auto& model : {TinyLlamaModel(), TinyGemmaModel()}) {
    for (const CacheType type : {CacheType::kF16, CacheType::kQ8_0, CacheType::kQ4_0}) {
      for (const bool reset : {true, false}) {
        // Never distilled; distilled while reading; the ring of sliding windows about to move.
        for (const std::size_t length : {60, 570, 2000}) {
          SessionOptions options = InPot(length == 60 ? 512 : 128);
          options.pot->type = type;
          options.pot->reset_positions = reset;
          Session session = SessionThatRead(model, options, RandomProse(length));
          ASSERT_TRUE(session.Save(path_));
          auto loaded = Session::Load(model, path_, {.threads = 1});
          ASSERT_TRUE(loaded) << loaded.error().ToString();
          for (const std::string question : {"Who?", "And where was it, and why?"}) {
            EXPECT_EQ(Ask(*loaded, question), Ask(session, question));
          }
        }
      }
    }
  }
}

TEST_F(SavedPot, TellsWhatTheSessionTold) {
  SessionOptions options = InPot(128, PotPolicy::kSnapKv);
  options.pot->slots = 256;
  Session session = SessionThatRead(TinyLlamaModel(), options, RandomProse(2000));
  ASSERT_TRUE(session.Save(path_));
  const auto loaded = Session::Load(TinyLlamaModel(), path_);
  ASSERT_TRUE(loaded) << loaded.error().ToString();
  const SessionReport before = session.report(), after = loaded->report();
  EXPECT_EQ(after.tokens, before.tokens);
  EXPECT_EQ(after.slots, before.slots);
  EXPECT_EQ(after.entries, before.entries);
  EXPECT_EQ(after.peak_entries, before.peak_entries);
  EXPECT_EQ(after.distillations, before.distillations);
  EXPECT_EQ(after.policy, "snapkv");
  EXPECT_EQ(after.bounded, before.bounded);
  EXPECT_EQ(after.question_aware, before.question_aware);
}

TEST_F(SavedPot, IsWrittenAgainByteByByte) {
  for (const auto& model : {TinyLlamaModel(), TinyGemmaModel()}) {
    Session session = SessionThatRead(model, InPot(128), RandomProse(2000));
    ASSERT_TRUE(session.Save(path_));
    auto loaded = Session::Load(model, path_);
    ASSERT_TRUE(loaded);
    ASSERT_TRUE(loaded->Save(folder_.File("again.pot")));
    EXPECT_EQ(base::ReadFile(folder_.File("again.pot")).value(), Bytes());
  }
}

TEST_F(SavedPot, IsNotAlteredByQuestions) {
  for (const std::int64_t slots : {96, 4096}) {
    Session session = SessionThatRead(TinyGemmaModel(), InPot(slots), RandomProse(800));
    ASSERT_TRUE(session.Save(path_));
    const std::string bytes = Bytes();
    auto loaded = Session::Load(TinyGemmaModel(), path_);
    ASSERT_TRUE(loaded);
    const std::string first = Ask(*loaded, "Who?");
    Ask(*loaded, RandomProse(300, 4));  // distils the small pot
    EXPECT_EQ(Ask(*loaded, "Who?"), first);
    EXPECT_EQ(Bytes(), bytes);
    // Nor does asking before saving change what is saved, but for the peak that it is honest about.
    Ask(session, "Where?");
    ASSERT_TRUE(session.Save(path_));
    auto asked = Session::Load(TinyGemmaModel(), path_);
    ASSERT_TRUE(asked);
    EXPECT_EQ(Ask(*asked, "Who?"), first);
  }
}

TEST_F(SavedPot, KeepsTheFrameOfTheText) {
  auto session = Session::Create(TinyLlamaModel(), InPot(300));
  ReadOptions options;
  options.system = "Answer in one word.";
  options.question = "What is it?";
  ASSERT_TRUE(session->Read(*TextFromString(RandomProse(1500)), options));
  ASSERT_TRUE(session->Save(path_));
  auto loaded = Session::Load(TinyLlamaModel(), path_);
  ASSERT_TRUE(loaded);
  EXPECT_TRUE(loaded->report().question_aware);
  EXPECT_EQ(Ask(*loaded, "What is it?"), Ask(*session, "What is it?"));
}

TEST_F(SavedPot, MayHoldAnEmptyText) {
  Session session = SessionThatRead(TinyLlamaModel(), InPot(128), "");
  ASSERT_TRUE(session.Save(path_));
  auto loaded = Session::Load(TinyLlamaModel(), path_);
  ASSERT_TRUE(loaded) << loaded.error().ToString();
  EXPECT_EQ(Ask(*loaded, "Anything?"), Ask(session, "Anything?"));
}

TEST_F(SavedPot, OfAnotherModelIsRefusedNamingTheDifference) {
  Session session = SessionThatRead(TinyLlamaModel(), InPot(128), RandomProse(500));
  ASSERT_TRUE(session.Save(path_));
  const auto architecture = Session::Load(TinyGemmaModel(), path_);
  ASSERT_FALSE(architecture);
  EXPECT_EQ(architecture.error().code, ErrorCode::kMismatch);
  EXPECT_THAT(architecture.error().ToString(), HasSubstr("model.architecture"));
  EXPECT_THAT(architecture.error().ToString(), HasSubstr(path_));
  // The same architecture and sizes, other weights.
  const auto weights = Session::Load(LoadTinyModel({.architecture = "llama", .seed = 2}), path_);
  ASSERT_FALSE(weights);
  EXPECT_EQ(weights.error().code, ErrorCode::kMismatch);
  EXPECT_THAT(weights.error().ToString(), HasSubstr("another model"));
}

TEST_F(SavedPot, ThatIsNotThereOrNoPotIsAnError) {
  const auto missing = Session::Load(TinyLlamaModel(), folder_.File("none.pot"));
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, ErrorCode::kNotFound);
  EXPECT_FALSE(Session::Load(TinyLlamaModel(), folder_.path().string()));
  ASSERT_TRUE(WriteTinyModel({.layers = 1}, path_));
  const auto model = Session::Load(TinyLlamaModel(), path_);
  ASSERT_FALSE(model);
  EXPECT_EQ(model.error().code, ErrorCode::kCorrupt);
}

TEST_F(SavedPot, IsNotWrittenWhereItCannotBe) {
  const Session session = SessionThatRead(TinyLlamaModel(), InPot(128), RandomProse(500));
  EXPECT_FALSE(session.Save(folder_.File("no/such/folder/x.pot")));
  EXPECT_FALSE(session.Save("/dev/full"));
  EXPECT_FALSE(session.Save(folder_.path().string()));
  EXPECT_TRUE(std::filesystem::is_empty(folder_.path()));
}

}  // namespace
}  // namespace ondine::testing
