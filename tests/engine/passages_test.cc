// Passages that share a question's words are read once more before it is answered.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/temp_dir.h"
#include "engine/engine_fixture.h"

namespace ondine::testing {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

// Of the tiny model every byte is a token: 3,000 tokens of prose, and a fact in their middle.
const char* const kFact = ".\nThe OBELISK of Zanzibar is painted emerald green.";

std::string TextWithFact() {
  return RandomProse(1500, 1) + kFact + RandomProse(1500, 2);
}

class Passages : public ::testing::Test {
 protected:
  static std::vector<std::string> Of(Session& session, const char* question,
                                     std::optional<std::int64_t> reread = 128,
                                     const char* prefix = "") {
    const auto answer = session.Ask(question, {Exactly(5), prefix, reread});
    EXPECT_TRUE(answer) << answer.error().ToString();
    return answer ? answer->passages : std::vector<std::string>();
  }
};

TEST_F(Passages, ShareTheQuestionsWords) {
  for (const auto& model : {TinyLlamaModel(), TinyGemmaModel()}) {
    Session session = SessionThatRead(model, InPot(512), TextWithFact());
    ASSERT_GT(session.report().distillations, 0);
    const auto passages = Of(session, "What colour has the obelisk of Zanzibar?");
    EXPECT_THAT(passages, Contains(HasSubstr("OBELISK of Zanzibar is painted")));
    EXPECT_EQ(Of(session, "Which colour?", 128, "The obelisk of Zanzibar is"), passages);
    EXPECT_THAT(Of(session, "Qqqqq?"), IsEmpty());
    EXPECT_THAT(Of(session, "Obelisk?", 0), IsEmpty());
    EXPECT_THAT(Of(session, "Obelisk?", 2), IsEmpty());
    // No more than wanted, the empty line before it included.
    EXPECT_THAT(Of(session, "Obelisk?", 50),
                ::testing::ElementsAre(
                    ::testing::SizeIs(::testing::AllOf(::testing::Gt(10), ::testing::Le(48)))));
    EXPECT_LE(session.report().peak_entries, 512);
  }
}

TEST_F(Passages, ChangeTheAnswerAndCountAsItsPrompt) {
  Session session = SessionThatRead(TinyLlamaModel(), InPot(512), TextWithFact());
  const auto with = session.Ask("Obelisk?", {Exactly(40), "", 128});
  const auto without = session.Ask("Obelisk?", {Exactly(40), "", 0});
  ASSERT_THAT(with->passages, SizeIs(1));
  EXPECT_EQ(with->tokens_prompt - without->tokens_prompt,
            static_cast<std::int64_t>(with->passages[0].size()) + 2);
  EXPECT_NE(with->text, without->text);
}

// With and without a distillation while answering.
TEST_F(Passages, LeaveThePotAsItWas) {
  for (const auto& model : {TinyLlamaModel(), TinyGemmaModel()}) {
    for (const int tokens : {20, 400}) {
      Session session = SessionThatRead(model, InPot(512), TextWithFact());
      const auto before = session.Ask("Obelisk?", {Exactly(tokens), "", 0});
      const auto reread = session.Ask("Obelisk?", {Exactly(tokens), "", 128});
      const auto after = session.Ask("Obelisk?", {Exactly(tokens), "", 0});
      ASSERT_TRUE(before && reread && after);
      EXPECT_THAT(reread->passages, SizeIs(1));
      EXPECT_EQ(after->text, before->text);
    }
  }
}

TEST_F(Passages, AreNotNeededWhereEverythingIsThere) {
  Session session = SessionThatRead(TinyLlamaModel(), InPot(4096), TextWithFact());
  EXPECT_THAT(Of(session, "Obelisk?"), IsEmpty());
}

TEST_F(Passages, ComeWithTheDefaultPolicyOnly) {
  SessionOptions options = InPot(1024);
  const std::string text = TextWithFact();
  Session usual = SessionThatRead(TinyLlamaModel(), options, text);
  EXPECT_THAT(Of(usual, "Obelisk of Zanzibar?", std::nullopt), SizeIs(1));
  options.pot->policy = PotPolicy::kStreaming;
  Session streaming = SessionThatRead(TinyLlamaModel(), options, text);
  EXPECT_THAT(Of(streaming, "Obelisk of Zanzibar?", std::nullopt), IsEmpty());
  options.pot->archive = 5000;
  Session asked_for = SessionThatRead(TinyLlamaModel(), options, text);
  EXPECT_THAT(Of(asked_for, "Obelisk of Zanzibar?", 128), SizeIs(1));
}

TEST_F(Passages, AreSavedWithThePot) {
  const TempDir folder;
  const std::string path = folder.File("text.pot");
  Session session = SessionThatRead(TinyLlamaModel(), InPot(512), TextWithFact());
  ASSERT_TRUE(session.Save(path));
  auto loaded = Session::Load(TinyLlamaModel(), path);
  ASSERT_TRUE(loaded) << loaded.error().ToString();
  EXPECT_THAT(Of(*loaded, "Obelisk?"), SizeIs(1));
  EXPECT_EQ(Of(*loaded, "Obelisk?"), Of(session, "Obelisk?"));
}

TEST_F(Passages, StandInTheOrderOfTheText) {
  const std::string text = RandomProse(600, 1) + ".\nZanzibar, the second time around here." +
                           RandomProse(900, 2) + ".\nZanzibar Zanzibar Zanzibar once more so." +
                           RandomProse(900, 3);
  Session session = SessionThatRead(TinyLlamaModel(), InPot(512), text);
  const auto passages = Of(session, "Zanzibar?", 256);
  ASSERT_THAT(passages, SizeIs(2));
  EXPECT_THAT(passages[0], HasSubstr("second time"));
  EXPECT_THAT(passages[1], HasSubstr("Zanzibar Zanzibar"));
}

}  // namespace
}  // namespace ondine::testing
