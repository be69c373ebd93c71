// Reading, asking and talking.
#include "ondine/session.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <limits>
#include <stdexcept>

#include "base/temp_dir.h"
#include "engine/engine_fixture.h"

namespace ondine::testing {
namespace {

using ::testing::HasSubstr;

std::string Ask(Session& session, const std::string& question, int tokens = 24) {
  auto answer = session.Ask(question, {Exactly(tokens)});
  EXPECT_TRUE(answer) << answer.error().ToString();
  return answer ? answer->text : "";
}

// GPT-2 has learned its positions: there are no more.
TEST(Session, WithoutSettingsThePotFitsTheModel) {
  const auto model = LoadTinyModel({.architecture = "gpt2", .kv_heads = 4, .head_dim = 16});
  auto session = Session::Create(model);
  ASSERT_TRUE(session);
  const std::int64_t positions = model->info().trained_context;
  ASSERT_LT(positions, PotSettings().slots);
  const auto text = session->Complete("once", Exactly(static_cast<int>(positions) + 50));
  ASSERT_TRUE(text) << text.error().ToString();
  EXPECT_EQ(session->report().slots, positions);
  ReadOptions read;
  read.chat_template = false;
  const Status status = session->Read(*TextFromString(RandomProse(2000)), read);
  EXPECT_TRUE(status) << status.error().ToString();
}

TEST(Session, WhatACallbackThrowsLeavesNothingHalfDone) {
  auto session = Session::Create(TinyLlamaModel(), InPot(128));
  ASSERT_TRUE(session);
  ReadOptions read;
  read.chat_template = false;
  ASSERT_TRUE(session->Read(*TextFromString(RandomProse(600)), read));
  AskOptions ask{Exactly(8)};
  ask.generation.on_text = [](std::string_view) { throw std::runtime_error("the caller's own"); };
  EXPECT_THROW((void)session->Ask("what?", ask), std::runtime_error);
  EXPECT_FALSE(session->Ask("what?", {Exactly(8)}));  // forgotten
  EXPECT_TRUE(session->Read(*TextFromString(RandomProse(600)), read));
  EXPECT_TRUE(session->Ask("what?", {Exactly(8)}));
}

TEST(Session, NeedsAModel) {
  const auto session = Session::Create(nullptr);
  ASSERT_FALSE(session);
  EXPECT_EQ(session.error().code, ErrorCode::kInvalidArgument);
}

TEST(Session, WithoutATextThereIsNothingToAskSaveOrExplain) {
  auto session = Session::Create(TinyLlamaModel(), InPot(128));
  ASSERT_TRUE(session);
  const auto expect_refused = [&] {
    const auto answer = session->Ask("What?", {Exactly(3)});
    ASSERT_FALSE(answer);
    EXPECT_EQ(answer.error().code, ErrorCode::kInvalidArgument);
    EXPECT_THAT(answer.error().message, HasSubstr("read"));
    EXPECT_FALSE(session->Save("never.pot"));
    EXPECT_FALSE(session->Explain(*TextFromString("x"), [](std::string_view, float) {}));
  };
  expect_refused();
  // A completion or a conversation makes the text forgotten.
  ASSERT_TRUE(session->Read(*TextFromString("A text.")));
  ASSERT_TRUE(session->Complete("Prompt", Exactly(3)));
  expect_refused();
  ASSERT_TRUE(session->Read(*TextFromString("A text.")));
  ASSERT_TRUE(session->Say("Hello", Exactly(3)));
  expect_refused();
}

TEST(Session, AReadingThatWasStoppedCannotBeAsked) {
  auto session = Session::Create(TinyLlamaModel(), InPot(128));
  ReadOptions options;
  options.on_progress = [&](const ReadProgress& progress) {
    if (progress.tokens > 3000) options.stop_token.Stop();
  };
  const Status status = session->Read(*TextFromString(RandomProse(200000)), options);
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, ErrorCode::kCancelled);
  EXPECT_LT(session->report().tokens, 6000);
  EXPECT_FALSE(session->Ask("What?", {Exactly(3)}));
}

TEST(Session, ProgressGrowsAndStaysInThePot) {
  auto session = Session::Create(TinyLlamaModel(), InPot(128));
  ReadOptions options;
  ReadProgress last;
  int calls = 0;
  options.on_progress = [&](const ReadProgress& progress) {
    ++calls;
    EXPECT_GE(progress.tokens, last.tokens);
    EXPECT_GE(progress.bytes, last.bytes);
    EXPECT_GE(progress.distillations, last.distillations);
    EXPECT_LE(progress.pot_entries, 128);
    EXPECT_EQ(progress.pot_slots, 128);
    last = progress;
  };
  ASSERT_TRUE(session->Read(*TextFromString(RandomProse(20000)), options));
  EXPECT_GE(calls, 20);
  EXPECT_EQ(last.bytes, 20000);
}

// With and without a distillation while asking, in global and in sliding-window layers, at places
// where the ring of the latter (592 entries) moves while a question is asked.
TEST(Session, QuestionsDoNotAffectEachOther) {
  for (const auto& model : {TinyLlamaModel(), TinyGemmaModel()}) {
    for (const std::int64_t slots : {96, 4096}) {
      for (const std::size_t length : {40, 500, 560}) {
        SCOPED_TRACE(model->info().architecture + " " + std::to_string(slots) + " " +
                     std::to_string(length));
        const std::string text = RandomProse(length);
        Session one = SessionThatRead(model, InPot(slots), text);
        const std::string first = Ask(one, "Who?", 90);
        const std::int64_t entries = one.report().entries;
        const std::string second = Ask(one, "Where is it?", 90);
        Session other = SessionThatRead(model, InPot(slots), text);
        EXPECT_EQ(other.report().entries, entries);
        EXPECT_EQ(Ask(other, "Where is it?", 90), second);
        EXPECT_EQ(Ask(other, "Who?", 90), first);
        EXPECT_EQ(Ask(one, "Who?", 90), first);
        EXPECT_EQ(one.report().distillations, other.report().distillations);
      }
    }
  }
}

// A pot gives its entries the first positions again and again, so that a model that knows 512 of
// them reads any length; but it must be told to.
TEST(Session, AModelWithLearnedPositionsReadsLongTexts) {
  const auto model =
      LoadTinyModel({.architecture = "gpt2", .width = 128, .kv_heads = 4, .seed = 5}, "chatml");
  const std::string text = RandomProse(3000);
  Session session = SessionThatRead(model, InPot(256), text);
  EXPECT_EQ(session.report().tokens, 3000);
  EXPECT_GT(session.report().distillations, 3);
  const std::string answer = Ask(session, "Who?", 90);
  Session other = SessionThatRead(model, InPot(256), text);
  EXPECT_EQ(Ask(other, "Who?", 90), answer);

  SessionOptions options = InPot(513);
  const auto read = [&] {
    auto wider = Session::Create(model, options);
    EXPECT_TRUE(wider);
    return wider->Read(*TextFromString(text));
  };
  const Status too_many = read();
  ASSERT_FALSE(too_many);
  EXPECT_THAT(too_many.error().ToString(), HasSubstr("learned 512 positions"));
  options = InPot(256);
  options.pot->reset_positions = false;
  EXPECT_FALSE(read());
}

TEST(Session, AQuestionThatCannotBeAnsweredLeavesThePotAlone) {
  Session session = SessionThatRead(TinyLlamaModel(), InPot(96), RandomProse(1000));
  const std::string answer = Ask(session, "Why?");
  GenerationOptions wrong = Exactly(100);
  wrong.sampling.top_p = -1;
  EXPECT_FALSE(session.Ask("What then?", {wrong}));
  GenerationOptions stopped = Exactly(100);
  stopped.stop_token.Stop();
  const auto result = session.Ask("What then?", {stopped});
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, ErrorCode::kCancelled);
  EXPECT_EQ(Ask(session, "Why?"), answer);
}

// A question that may need a distillation sets the pot aside in a file.
TEST(Session, ThePotIsSetAsideWhereTmpdirSays) {
  const char* before = std::getenv("TMPDIR");
  const std::string restored = before != nullptr ? before : "";
  Session session = SessionThatRead(TinyLlamaModel(), InPot(96), RandomProse(500));
  const std::string answer = Ask(session, "Who?", 90);
  const TempDir folder;
  setenv("TMPDIR", folder.File("nowhere").c_str(), 1);
  const auto refused = session.Ask("Who?", {Exactly(90)});
  setenv("TMPDIR", folder.path().c_str(), 1);
  EXPECT_EQ(Ask(session, "Who?", 90), answer);
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
  before != nullptr ? setenv("TMPDIR", restored.c_str(), 1) : unsetenv("TMPDIR");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kIo);
  EXPECT_THAT(refused.error().ToString(), HasSubstr("nowhere"));
}

TEST(Session, NumbersOfTokensAreNotNegative) {
  Session session = SessionThatRead(TinyLlamaModel(), InPot(96), RandomProse(500));
  const std::string answer = Ask(session, "Who?");
  GenerationOptions most = Exactly(-100), least = Exactly(5);
  least.min_tokens = -1;
  for (const GenerationOptions& options : {most, least}) {
    const auto refused = session.Ask("Where is it?", {options});
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, ErrorCode::kInvalidArgument);
    EXPECT_EQ(Ask(session, "Who?"), answer);
    // Nor is the text forgotten for a completion that cannot be.
    EXPECT_FALSE(session.Complete("Once", options));
    EXPECT_FALSE(session.Say("Hello", options));
    EXPECT_EQ(Ask(session, "Who?"), answer);
  }
}

TEST(Session, PeaksOfQuestionsCount) {
  Session session = SessionThatRead(TinyLlamaModel(), InPot(4096), RandomProse(100));
  EXPECT_EQ(session.report().peak_entries, 100);
  Ask(session, "Why?", 50);
  EXPECT_GT(session.report().peak_entries, 90);
  EXPECT_EQ(session.report().entries, 100);
  EXPECT_EQ(session.report().tokens, 100);
}

TEST(Session, ThePrefixBeginsTheAnswer) {
  Session session = SessionThatRead(TinyLlamaModel(), InPot(256), RandomProse(100));
  const auto answer = session.Ask("Who?", {Exactly(10), "It is"});
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->text.substr(0, 5), "It is");
  EXPECT_NE(answer->text, "It is" + Ask(session, "Who?", 10));
}

TEST(Session, AnEmptyTextCanBeAskedAbout) {
  Session session = SessionThatRead(TinyLlamaModel(), InPot(128), "");
  EXPECT_EQ(session.report().tokens, 0);
  EXPECT_FALSE(Ask(session, "Anything?").empty());
}

TEST(Session, AQuestionLongerThanThePotIsReadAllTheSame) {
  Session session = SessionThatRead(TinyLlamaModel(), InPot(96), RandomProse(500));
  const std::string answer = Ask(session, RandomProse(1000, 8));
  EXPECT_FALSE(answer.empty());
  EXPECT_LE(session.report().peak_entries, 96);
}

TEST(Session, ATextThatFitsIsAnsweredAsByAFullCache) {
  for (const auto& model : {TinyLlamaModel(), TinyGemmaModel()}) {
    const std::string text = RandomProse(430);
    Session pot = SessionThatRead(model, InPot(2000), text);
    Session full = SessionThatRead(model, InPot(2000, PotPolicy::kFull), text);
    EXPECT_EQ(Ask(pot, "Who?", 40), Ask(full, "Who?", 40));
    EXPECT_EQ(pot.report().distillations, 0);
  }
}

TEST(Session, FullRefusesWhatDoesNotFit) {
  auto session = Session::Create(TinyLlamaModel(), InPot(100, PotPolicy::kFull));
  const Status status = session->Read(*TextFromString(RandomProse(5000)));
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, ErrorCode::kOutOfMemory);
}

TEST(Session, TruncateKeepsBothEndsAndRoomForAnAnswer) {
  auto session = Session::Create(TinyLlamaModel(), InPot(400, PotPolicy::kTruncate));
  ReadOptions options;
  options.chat_template = false;
  const std::string text = RandomProse(5000);
  ASSERT_TRUE(session->Read(*TextFromString(text), options));
  EXPECT_EQ(session->report().tokens, 400 - 400 / 4);
  // What was read is the first and the last 150 bytes, so that this text is read the same.
  auto ends = Session::Create(TinyLlamaModel(), InPot(400, PotPolicy::kTruncate));
  const std::string both = text.substr(0, 150) + text.substr(text.size() - 150);
  ASSERT_TRUE(ends->Read(*TextFromString(both), options));
  EXPECT_EQ(Ask(*session, "Who?"), Ask(*ends, "Who?"));
}

TEST(Session, TruncateLeavesAsMuchAsIsAskedForUpToAHalf) {
  for (const auto& [reserve, left] : {std::pair{40, 40}, {150, 150}, {1000, 200}}) {
    auto session = Session::Create(TinyLlamaModel(), InPot(400, PotPolicy::kTruncate));
    ReadOptions options;
    options.chat_template = false;
    options.reserve = reserve;
    ASSERT_TRUE(session->Read(*TextFromString(RandomProse(5000)), options));
    EXPECT_EQ(session->report().tokens, 400 - left);
  }
}

TEST(Session, AnAnswerEndsWhereACacheThatIsNotDistilledIsFull) {
  for (const PotPolicy policy : {PotPolicy::kFull, PotPolicy::kTruncate}) {
    auto session = Session::Create(TinyLlamaModel(), InPot(600, policy));
    ReadOptions options;
    options.chat_template = false;
    ASSERT_TRUE(session->Read(*TextFromString(RandomProse(440)), options));
    const auto answer = session->Ask("Who?", {Exactly(400)});
    ASSERT_TRUE(answer) << answer.error().ToString();
    EXPECT_EQ(answer->finish, FinishReason::kMaxTokens);
    EXPECT_GT(answer->tokens_generated, 50);
    EXPECT_LT(answer->tokens_generated, 160);
  }
}

TEST(Session, TruncateMakesRoomForTheSystemMessage) {
  auto session = Session::Create(TinyLlamaModel(), InPot(400, PotPolicy::kTruncate));
  ReadOptions options;
  options.system = RandomProse(120);
  ASSERT_TRUE(session->Read(*TextFromString(RandomProse(5000)), options));
  EXPECT_EQ(session->report().tokens, 400 - 400 / 4);
  EXPECT_FALSE(Ask(*session, "Who?", 5).empty());
  // No text at all fits beside this one.
  options.system = RandomProse(320);
  ASSERT_TRUE(session->Read(*TextFromString(RandomProse(5000)), options));
}

TEST(Session, QuestionAwareReadingKeepsOtherEntries) {
  const std::string text = RandomProse(3000);
  for (const PotPolicy policy : {PotPolicy::kCap, PotPolicy::kInfiniPot}) {
    SessionOptions in_pot = InPot(200, policy);
    in_pot.pot->alpha.reset();  // of InfiniPot, both kinds of reading have one of their own
    const auto shares = [&](const std::string& question) {
      auto session = Session::Create(TinyLlamaModel(), in_pot);
      ReadOptions options;
      options.question = question;
      EXPECT_TRUE(session->Read(*TextFromString(text), options));
      EXPECT_EQ(session->report().question_aware, !question.empty());
      std::vector<float> all;
      EXPECT_TRUE(session->Explain(*TextFromString(text),
                                   [&](std::string_view, float share) { all.push_back(share); }));
      return all;
    };
    const std::vector<float> aware = shares("Who has the blue key?");
    EXPECT_NE(aware, shares(""));
    EXPECT_NE(aware, shares("Where is the second house?"));
  }
}

TEST(Session, ExplainsEveryTokenOfTheText) {
  for (const bool chat_template : {false, true}) {
    const std::string text = RandomProse(2000);
    auto session = Session::Create(TinyLlamaModel(), InPot(256));
    ReadOptions options;
    options.chat_template = chat_template;
    ASSERT_TRUE(session->Read(*TextFromString(text), options));
    std::string told;
    double held = 0;
    float last = 0;
    ASSERT_TRUE(session->Explain(*TextFromString(text), [&](std::string_view token, float share) {
      EXPECT_GE(share, 0);
      EXPECT_LE(share, 1);
      told += token;
      held += static_cast<double>(share);
      last = share;
    }));
    EXPECT_EQ(told, text);
    EXPECT_EQ(last, 1);  // recent
    // Entries of all heads, but for those of the template.
    const auto prefix = session->report().tokens - 2000;
    EXPECT_NEAR(held, static_cast<double>(session->report().entries - prefix), 1e-3);
  }
}

TEST(Session, AConversationGoesOnForEver) {
  for (const auto& model : {TinyLlamaModel(), TinyGemmaModel()}) {
    auto session = Session::Create(model, InPot(256));
    for (int turn = 0; turn < 12; ++turn) {
      const auto reply =
          session->Say(RandomProse(60, static_cast<std::uint32_t>(turn)), Exactly(60), "Be kind.");
      ASSERT_TRUE(reply) << reply.error().ToString();
      EXPECT_EQ(reply->tokens_generated, 60);
      // A turn costs that turn, not what was said before.
      EXPECT_LT(reply->tokens_prompt, 200);
    }
    EXPECT_LE(session->report().peak_entries, 256);
    EXPECT_GT(session->report().distillations, 3);
  }
}

TEST(Session, ALaterTurnRemembersTheEarlierOnes) {
  const auto second_reply = [](const std::string& first) {
    auto session = Session::Create(TinyLlamaModel(), InPot(1024));
    EXPECT_TRUE(session->Say(first, Exactly(20)));
    return session->Say("And now?", Exactly(20))->text;
  };
  EXPECT_EQ(second_reply("One thing"), second_reply("One thing"));
  EXPECT_NE(second_reply("One thing"), second_reply("Another thing"));
}

TEST(Session, AConversationNeedsATemplate) {
  auto session = Session::Create(LoadTinyModel({.layers = 1}), InPot(256));
  const auto reply = session->Say("Hello", Exactly(5));
  ASSERT_FALSE(reply);
  EXPECT_THAT(reply.error().message, HasSubstr("--chat-template"));
  const auto completion = session->Complete("Hello", Exactly(5), true);
  ASSERT_FALSE(completion);
  EXPECT_THAT(completion.error().message, HasSubstr("--chat-template"));
}

TEST(Session, APotThatIsTooSmallIsRefusedWithAdvice) {
  auto session = Session::Create(TinyLlamaModel(), InPot(8));
  const Status status = session->Read(*TextFromString("text"));
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, ErrorCode::kInvalidArgument);
  EXPECT_THAT(status.error().message, HasSubstr("--pot"));
}

TEST(Session, APotOfNoSizeThatAnyMachineHasIsRefused) {
  for (const std::int64_t slots : {std::numeric_limits<std::int64_t>::max(),
                                   std::numeric_limits<std::int64_t>::min(), std::int64_t{0}}) {
    auto session = Session::Create(TinyLlamaModel(), InPot(slots));
    const Status status = session->Read(*TextFromString("text"));
    ASSERT_FALSE(status);
    EXPECT_EQ(status.error().code, ErrorCode::kInvalidArgument);
    EXPECT_THAT(status.error().message, HasSubstr("slots, not"));
  }
}

TEST(Session, AnswersAreTheSameForAnyNumberOfThreads) {
  std::string expected;
  for (int threads = 1; threads <= 4; ++threads) {
    SessionOptions options = InPot(128);
    options.threads = threads;
    Session session = SessionThatRead(TinyGemmaModel(), options, RandomProse(1500));
    const std::string answer = Ask(session, "Who?", 60);
    if (threads == 1) expected = answer;
    EXPECT_EQ(answer, expected);
  }
}

}  // namespace
}  // namespace ondine::testing
