// The generation loop: stop texts, whole characters, cancellation. Every model here is random, so
// the tests first let it speak and then look for what it said.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <set>

#include "base/utf8.h"
#include "engine/engine_fixture.h"

namespace ondine::testing {
namespace {

// A random model speaks in random bytes; these are the ASCII letters it can be held to.
Generation Complete(const GenerationOptions& options, const std::string& prompt = "Once upon",
                    const SessionOptions& session_options = {}) {
  auto session = Session::Create(TinyLlamaModel(), session_options);
  EXPECT_TRUE(session);
  auto result = session->Complete(prompt, options);
  EXPECT_TRUE(result) << result.error().ToString();
  return std::move(*result);
}

GenerationOptions Sampled(int tokens, std::uint64_t seed) {
  GenerationOptions options = Exactly(tokens);
  options.sampling.temperature = 1;
  options.sampling.top_k = 0;
  options.sampling.top_p = 1;
  options.sampling.min_p = 0;
  options.sampling.seed = seed;
  return options;
}

TEST(Generation, CountsWhatItReadAndSaid) {
  const Generation result = Complete(Exactly(20));
  EXPECT_EQ(result.tokens_prompt, 9);
  EXPECT_EQ(result.tokens_generated, 20);
  EXPECT_EQ(result.finish, FinishReason::kMaxTokens);
  EXPECT_FALSE(result.text.empty());
  EXPECT_EQ(Complete(Exactly(0)).tokens_generated, 0);
}

TEST(Generation, TheSameSeedSaysTheSame) {
  EXPECT_EQ(Complete(Sampled(40, 3)).text, Complete(Sampled(40, 3)).text);
  EXPECT_NE(Complete(Sampled(40, 3)).text, Complete(Sampled(40, 4)).text);
}

TEST(Generation, StreamsWhatItReturns) {
  GenerationOptions options = Sampled(200, 5);
  std::string streamed;
  options.on_text = [&](std::string_view text) { streamed += text; };
  EXPECT_EQ(Complete(options).text, streamed);
  EXPECT_FALSE(streamed.empty());
}

// Random bytes hardly ever are UTF-8: what comes out must be all the same.
TEST(Generation, NeverCutsACharacter) {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    GenerationOptions options = Sampled(100, seed);
    options.on_text = [](std::string_view text) {
      EXPECT_FALSE(text.empty());
      EXPECT_TRUE(base::IsUtf8(text));
    };
    EXPECT_TRUE(base::IsUtf8(Complete(options).text));
  }
}

// A token is a byte here, so every stop text of more than one byte runs across token borders.
TEST(Generation, EndsBeforeAStopTextAndNeverGivesOutAPartOfIt) {
  for (std::uint64_t seed = 0; seed < 10; ++seed) {
    const std::string said = Complete(Sampled(120, seed)).text;
    for (const std::size_t length : {1, 2, 3, 7}) {
      // Whole characters from the middle of what is said without a stop text.
      std::size_t begin = said.size() / 2;
      while (begin < said.size() && (static_cast<unsigned char>(said[begin]) & 0xC0) == 0x80) {
        ++begin;
      }
      std::size_t end = begin;
      for (std::size_t i = 0; i < length && end < said.size(); ++i) {
        end += base::CharacterLength(std::string_view(said).substr(end));
      }
      const std::string stop = said.substr(begin, end - begin);
      if (stop.empty()) continue;
      GenerationOptions options = Sampled(120, seed);
      // Others that do not come up, one with the same beginning, and an empty one that counts not.
      options.stop = {"", stop + "\x01\x02\x03", stop, "never said by anybody"};
      std::string streamed;
      options.on_text = [&](std::string_view text) {
        EXPECT_TRUE(base::IsUtf8(text));
        streamed += text;
      };
      const Generation result = Complete(options);
      EXPECT_EQ(result.finish, FinishReason::kStopText);
      EXPECT_EQ(result.text, said.substr(0, said.find(stop)));
      EXPECT_EQ(streamed, result.text);
    }
  }
}

// The model ends within a stop text: what was held back must come out.
TEST(Generation, GivesOutTheBeginningOfAStopTextThatDoesNotGoOn) {
  const std::string said = Complete(Exactly(60)).text;
  GenerationOptions options = Exactly(60);
  const std::size_t tail = said.size() - std::min<std::size_t>(3, said.size());
  options.stop = {said.substr(tail) + "and more"};
  const Generation result = Complete(options);
  EXPECT_EQ(result.text, said);
  EXPECT_EQ(result.finish, FinishReason::kMaxTokens);
}

TEST(Generation, OfTwoStopTextsTheEarlierEndsIt) {
  const std::string said = Complete(Sampled(200, 2)).text;
  // Single ASCII characters in the order in which they first come up.
  std::string order;
  for (const char c : said) {
    if (c > ' ' && c < 127 && order.find(c) == std::string::npos) order += c;
  }
  ASSERT_GE(order.size(), 3u);
  GenerationOptions options = Sampled(200, 2);
  options.stop = {std::string(1, order[2]), std::string(1, order[1])};
  EXPECT_EQ(Complete(options).text, said.substr(0, said.find(order[1])));
}

TEST(Generation, StopsWithinATokenOfBeingAskedTo) {
  GenerationOptions options = Exactly(1000000);
  int calls = 0;
  options.on_text = [&](std::string_view) {
    if (++calls == 5) options.stop_token.Stop();
  };
  const Generation result = Complete(options);
  EXPECT_EQ(result.finish, FinishReason::kCancelled);
  EXPECT_EQ(calls, 5);
  // At most an unfinished character more than was given out.
  EXPECT_LE(result.tokens_generated, 5 * 4);
}

TEST(Generation, StoppedBeforehandNothingIsRead) {
  GenerationOptions options = Exactly(10);
  options.stop_token.Stop();
  auto session = Session::Create(TinyLlamaModel());
  const auto result = session->Complete("text", options);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, ErrorCode::kCancelled);
}

TEST(Generation, EndsAtTheEndOfTextTokenUnlessToldToIgnoreIt) {
  bool ended = false;
  for (std::uint64_t seed = 0; seed < 40 && !ended; ++seed) {
    GenerationOptions options = Sampled(400, seed);
    const Generation on = Complete(options);
    EXPECT_EQ(on.finish, FinishReason::kMaxTokens);
    EXPECT_EQ(on.tokens_generated, 400);
    options.ignore_end = false;
    const Generation result = Complete(options);
    if (result.finish != FinishReason::kEndOfText) continue;
    ended = true;
    EXPECT_LT(result.tokens_generated, 400);
  }
  EXPECT_TRUE(ended);
}

TEST(Generation, DoesNotEndBeforeTheFewestTokens) {
  bool would_have = false;
  for (std::uint64_t seed = 0; seed < 40 && !would_have; ++seed) {
    GenerationOptions options = Sampled(300, seed);
    options.ignore_end = false;
    would_have = Complete(options).tokens_generated < 200;
    options.min_tokens = 200;
    if (!would_have) continue;
    EXPECT_GE(Complete(options).tokens_generated, 200);
  }
  EXPECT_TRUE(would_have);
}

TEST(Generation, SettingsOutOfRangeAreAnError) {
  GenerationOptions options = Exactly(5);
  options.sampling.top_p = 0;
  auto session = Session::Create(TinyLlamaModel());
  const auto result = session->Complete("text", options);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, ErrorCode::kInvalidArgument);
}

TEST(Generation, IsTheSameInAPotThatIsLargeEnough) {
  const std::string prompt = RandomProse(200);
  const std::string plain = Complete(Exactly(100), prompt).text;
  EXPECT_EQ(Complete(Exactly(100), prompt, InPot(4096)).text, plain);
  EXPECT_EQ(Complete(Exactly(100), prompt, InPot(400, PotPolicy::kFull)).text, plain);
}

TEST(Generation, GoesOnForEverInASmallPot) {
  auto session = Session::Create(TinyLlamaModel(), InPot(64));
  const auto result = session->Complete(RandomProse(500), Exactly(500));
  ASSERT_TRUE(result) << result.error().ToString();
  EXPECT_EQ(result->tokens_generated, 500);
  const SessionReport report = session->report();
  EXPECT_LE(report.peak_entries, 64);
  EXPECT_GT(report.distillations, 20);
  EXPECT_EQ(report.tokens, 1000);
}

// Longer than the tiny models were trained for (512): a pot instead of a cache.
TEST(Generation, ALongPromptIsReadInAPotUnasked) {
  auto session = Session::Create(TinyLlamaModel());
  ASSERT_TRUE(session->Complete(RandomProse(400), Exactly(10)));
  EXPECT_FALSE(session->report().bounded);
  ASSERT_TRUE(session->Complete(RandomProse(3000), Exactly(10)));
  EXPECT_TRUE(session->report().bounded);
  EXPECT_GT(session->report().distillations, 0);
  EXPECT_LE(session->report().peak_entries, session->report().slots);
}

}  // namespace
}  // namespace ondine::testing
