// What was added to the paper's loop: surprise of sentences, rarity, and reading the survivors once
// more.
#include <gmock/gmock.h>

#include <cmath>

#include "memory/pot_io.h"
#include "pot_fixture.h"

namespace ondine::testing {
namespace {

using Origins = std::vector<std::int32_t>;

class Consolidation : public ::testing::Test {
 protected:
  // Reads the text and returns the pot and every token's own surprise.
  std::unique_ptr<Pot> ReadWithEnds(const PotSettings& settings, const Tokens& text,
                                    const memory::SentenceEnds& ends,
                                    std::vector<float>* surprise = nullptr) {
    auto pot = Pot::Create(TinyLlama(), pool_, settings, RandomText(8, 99),
                           std::make_shared<const memory::SentenceEnds>(ends));
    EXPECT_TRUE(pot) << pot.error().ToString();
    if (surprise) {
      (*pot)->OnSurprise([surprise](std::span<const float> values) {
        surprise->insert(surprise->end(), values.begin(), values.end());
      });
    }
    EXPECT_TRUE(Read(**pot, text));
    return std::move(*pot);
  }

  static memory::SentenceEnds EndsAt(std::initializer_list<TokenId> tokens) {
    memory::SentenceEnds ends(static_cast<std::size_t>(TinyLlama()->vocabulary()), false);
    for (const TokenId token : tokens) ends[static_cast<std::size_t>(token)] = true;
    return ends;
  }

  compute::ThreadPool pool_{2};
};

TEST_F(Consolidation, ATokensRarityIsTakenOffItsSurprise) {
  PotSettings settings = SmallPot(200);
  settings.surprise_span = 1;
  settings.rarity = 0.5;
  const Tokens text = RandomText(150);
  std::vector<float> surprise;
  const auto pot = ReadWithEnds(settings, text, EndsAt({}), &surprise);
  for (std::size_t i = 0; i < text.size(); ++i) {
    EXPECT_FLOAT_EQ(pot->entries()[0][0].surprise[i],
                    surprise[i] - 0.5f * std::log(static_cast<float>(text[i]) + 300.0f));
  }
}

TEST_F(Consolidation, EntriesCarryTheMeanSurpriseOfTheirSentence) {
  PotSettings settings = SmallPot(400);
  settings.surprise_span = 0;
  Tokens text = RandomText(300);
  for (TokenId& token : text) token = token == 7 ? 8 : token;
  // Sentences end at 12 and 31; the mark at 15 is too near, and the one at 270 lies in the second
  // pass. What has no mark is cut after 48 tokens.
  for (const std::size_t end : {12, 15, 31, 270}) text[end] = 7;
  std::vector<float> surprise;
  const auto pot = ReadWithEnds(settings, text, EndsAt({7}), &surprise);
  const std::vector<float>& carried = pot->entries()[0][0].surprise;
  const std::size_t begins[] = {0, 13, 32, 80, 128, 176, 224, 271, 300};
  for (std::size_t s = 0; s + 1 < std::size(begins); ++s) {
    double mean = 0;
    for (std::size_t i = begins[s]; i < begins[s + 1]; ++i) mean += surprise[i];
    mean /= static_cast<double>(begins[s + 1] - begins[s]);
    for (std::size_t i = begins[s]; i < begins[s + 1]; ++i) {
      ASSERT_NEAR(carried[i], mean, 1e-5) << i;
    }
  }
}

TEST_F(Consolidation, SurvivorsAreReadAgainAsOneText) {
  for (const auto& decoder : {TinyLlama(), TinyGemma()}) {
    PotSettings settings = SmallPot(200);
    settings.alpha = 1;  // all heads agree
    settings.consolidate = true;
    const Tokens text = RandomText(700);
    auto pot = MakePot(decoder, pool_, settings);
    ASSERT_TRUE(Read(*pot, text));
    ASSERT_GT(pot->counters().distillations, 0);
    std::size_t layer = 0;
    while (pot->entries()[layer].empty()) ++layer;
    const Origins origins = pot->entries()[layer][0].origin;
    const auto counters = pot->counters();
    ASSERT_TRUE(pot->EndText(StopToken()));
    for (const auto& heads : pot->entries()) {
      for (const memory::HeadEntries& head : heads) EXPECT_EQ(head.origin, origins);
    }
    EXPECT_EQ(pot->counters().tokens, counters.tokens);

    Tokens survivors;
    for (const std::int32_t origin : origins) {
      survivors.push_back(text[static_cast<std::size_t>(origin)]);
    }
    auto fresh = MakePot(decoder, pool_, SmallPot(400, PotPolicy::kFull));
    ASSERT_TRUE(Read(*fresh, survivors));
    EXPECT_EQ(LogitsOf(*pot), LogitsOf(*fresh));

    // The stream goes on where it was.
    ASSERT_TRUE(Read(*pot, RandomText(1, 5)));
    EXPECT_EQ(pot->entries()[layer][0].origin.back(), 700);
  }
}

TEST_F(Consolidation, HeadsThatDifferAgreeOnWhatHalfOfThemHold) {
  PotSettings settings = SmallPot(120);
  settings.alpha = 0;  // each head by its own attention
  settings.consolidate = true;
  auto pot = MakePot(TinyLlama(), pool_, settings);
  ASSERT_TRUE(Read(*pot, RandomText(9), Pot::Part::kPrefix));
  ASSERT_TRUE(Read(*pot, RandomText(600, 2)));
  std::map<std::int32_t, int> holders;
  int heads = 0;
  for (const auto& layer : pot->entries()) {
    for (const memory::HeadEntries& head : layer) {
      ++heads;
      for (const std::int32_t origin : head.origin) ++holders[origin];
    }
  }
  Origins agreed;
  for (const auto& [origin, count] : holders) {
    if (2 * count >= heads) agreed.push_back(origin);
  }
  ASSERT_LE(agreed.size(), static_cast<std::size_t>(pot->length()));
  ASSERT_TRUE(pot->EndText(StopToken()));
  EXPECT_EQ(pot->entries()[0][0].origin, agreed);
  EXPECT_THAT(agreed, ::testing::IsSupersetOf({0, 1, 2, 3, 4, 5, 6, 7, 8}));
  EXPECT_LE(pot->counters().peak_entries, 120);
}

TEST_F(Consolidation, WhatFitsIsLeftAsItIs) {
  PotSettings settings = SmallPot(400);
  settings.consolidate = true;
  auto pot = MakePot(TinyLlama(), pool_, settings);
  ASSERT_TRUE(Read(*pot, RandomText(300)));
  const std::uint64_t state = StateOf(*pot);
  ASSERT_TRUE(pot->EndText(StopToken()));
  EXPECT_EQ(StateOf(*pot), state);
}

TEST_F(Consolidation, StopsWhenItIsTold) {
  PotSettings settings = SmallPot(200);
  settings.consolidate = true;
  auto pot = MakePot(TinyLlama(), pool_, settings);
  ASSERT_TRUE(Read(*pot, RandomText(500)));
  const StopToken stop;
  stop.Stop();
  const Status status = pot->EndText(stop);
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, ErrorCode::kCancelled);
}

TEST_F(Consolidation, ComesOnlyWhereItIsAskedFor) {
  auto pot = MakePot(TinyLlama(), pool_, SmallPot(200));
  ASSERT_TRUE(Read(*pot, RandomText(500)));
  const std::uint64_t state = StateOf(*pot);
  ASSERT_TRUE(pot->EndText(StopToken()));
  EXPECT_EQ(StateOf(*pot), state);
  EXPECT_TRUE(pot->known().empty());
}

}  // namespace
}  // namespace ondine::testing
