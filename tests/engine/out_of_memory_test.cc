// Memory that runs out anywhere: an error value, and a session that can be used.
#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/failing_allocation.h"
#include "base/temp_dir.h"
#include "engine/choice_scores.h"
#include "engine/engine_fixture.h"
#include "engine/perplexity.h"

namespace ondine::testing {
namespace {

SessionOptions Options(int threads) {
  SessionOptions options = InPot(96);
  options.threads = threads;
  return options;
}

class OutOfMemory : public ::testing::TestWithParam<int> {};

TEST_P(OutOfMemory, WhileTheModelIsLoaded) {
  const TempDir folder;
  const std::string path = folder.File("tiny.gguf");
  ASSERT_TRUE(WriteTinyModel({}, path));
  ModelOptions options;
  options.threads = GetParam();
  FailEachAllocation([&] { return Model::Load(path, options); }, [] {});
}

TEST_P(OutOfMemory, WhileATextIsRead) {
  const std::string text = RandomProse(700);
  Session expected = SessionThatRead(TinyLlamaModel(), Options(GetParam()), text);
  const std::string answer = expected.Ask("Who?", {Exactly(5)})->text;
  auto session = Session::Create(TinyLlamaModel(), Options(GetParam()));
  ReadOptions options;
  options.chat_template = false;
  std::unique_ptr<TextSource> source = TextFromString(text);
  FailEachAllocation([&] { return session->Read(*source, options); },
                     [&] {
                       source = TextFromString(text);
                       ASSERT_TRUE(session->Read(*source, options));
                       EXPECT_EQ(session->Ask("Who?", {Exactly(5)})->text, answer);
                       source = TextFromString(text);
                     });
}

// In a pot that must be set aside, and in one that need not.
TEST_P(OutOfMemory, WhileAQuestionIsAnswered) {
  const AskOptions options = {Exactly(20)};
  for (const std::size_t length : {700, 20}) {
    const std::string text = RandomProse(length);
    Session session = SessionThatRead(TinyLlamaModel(), Options(GetParam()), text);
    const std::string answer = session.Ask("Who?", options)->text;
    FailEachAllocation([&] { return session.Ask("Where?", options); },
                       [&] {
                         auto again = session.Ask("Who?", options);
                         if (again) {
                           EXPECT_EQ(again->text, answer);
                         } else {  // forgotten
                           EXPECT_EQ(again.error().code, ErrorCode::kInvalidArgument);
                           session = SessionThatRead(TinyLlamaModel(), Options(GetParam()), text);
                         }
                       });
  }
}

TEST_P(OutOfMemory, InAConversation) {
  auto session = Session::Create(TinyLlamaModel(), Options(GetParam()));
  const GenerationOptions options = Exactly(20);
  const StopToken stop;
  FailEachAllocation(
      [&]() -> Status {
        for (int turn = 0; turn < 2; ++turn) {
          auto reply = session->Say("Hello", options);
          if (!reply) return tl::make_unexpected(std::move(reply).error());
        }
        return session->AddTurn("And?", "Nothing.", "", stop);
      },
      [&] { EXPECT_TRUE(session->Say("Hello", options)); });
}

TEST_P(OutOfMemory, WhileTextsAreMeasured) {
  const std::string text = RandomProse(300);
  engine::PerplexityOptions options;
  options.context = 64;
  options.threads = GetParam();
  FailEachAllocation([&] { return engine::MeasurePerplexity(*TinyLlamaModel(), text, options); },
                     [] {});

  engine::ChoiceScorer scorer(TinyLlamaModel(), GetParam());
  const std::vector<std::string> choices = {" one", " other"};
  const StopToken stop;
  const double expected = scorer.Score(text, choices)->back().log_likelihood;
  FailEachAllocation(
      [&] {
        // Another one first, so that the context is run again.
        auto scores = scorer.Score("It was", choices, stop);
        return scores ? scorer.Score(text, choices, stop) : scores;
      },
      [&] { EXPECT_EQ(scorer.Score(text, choices)->back().log_likelihood, expected); });
}

INSTANTIATE_TEST_SUITE_P(Threads, OutOfMemory, ::testing::Values(1, 2),
                         [](const auto& threads) { return std::to_string(threads.param); });

}  // namespace
}  // namespace ondine::testing
