// What stays known of a text as text.
#include "memory/archive.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>

#include "pot_fixture.h"

namespace ondine::testing {
namespace {

using memory::Archive;
using memory::KnownToken;

std::vector<std::int32_t> Origins(std::span<const KnownToken> tokens) {
  std::vector<std::int32_t> origins;
  for (const KnownToken& token : tokens) origins.push_back(token.origin);
  return origins;
}

// Every token a sentence of its own would be too short: these archives have sentences of 10.
std::shared_ptr<const memory::SentenceEnds> EndsAt(TokenId token) {
  auto ends = std::make_shared<memory::SentenceEnds>(256, false);
  (*ends)[static_cast<std::size_t>(token)] = true;
  return ends;
}

// `count` sentences of 10 tokens; the tokens of sentence i have surprise `surprises[i]` on average.
void AppendSentences(Archive& archive, const std::vector<float>& surprises) {
  for (std::size_t i = 0; i < surprises.size(); ++i) {
    Tokens tokens(10, 1);
    tokens.back() = 7;
    std::vector<float> values(10, surprises[i] - 1);
    values[3] = surprises[i] + 9;
    archive.Append(static_cast<std::int64_t>(10 * i), tokens, values);
  }
}

// The sentences of which every token is known; no other token may be.
std::vector<int> Sentences(const Archive& archive) {
  std::vector<int> sentences;
  for (const std::int32_t origin : Origins(archive.tokens())) {
    if (origin % 10 == 0) sentences.push_back(origin / 10);
  }
  EXPECT_EQ(archive.tokens().size(), 10 * sentences.size());
  return sentences;
}

TEST(Archive, TheLeastSurprisingSentencesGo) {
  Archive archive(80, EndsAt(7));
  AppendSentences(archive, {5, 1, 9, 2, 8, 3, 7, 4, 6, 0});
  archive.Trim({});  // to three quarters of 80
  EXPECT_THAT(Sentences(archive), ::testing::ElementsAre(0, 2, 4, 6, 7, 8));
  archive.Trim({});  // no more than 80
  EXPECT_EQ(archive.tokens().size(), 60);
}

TEST(Archive, WhatHalfOfTheHeadsHoldStays) {
  Archive archive(40, EndsAt(7));
  AppendSentences(archive, {5, 1, 9, 2, 8});
  std::vector<std::int32_t> dull(10), duller(10);  // sentences 1 and 3
  for (int i = 0; i < 10; ++i) {
    dull[static_cast<std::size_t>(i)] = 10 + i;
    duller[static_cast<std::size_t>(i)] = 30 + i;
  }
  const std::vector<float> none(10, 0);
  archive.Trim({{{dull, none}, {duller, none}}, {}, {{dull, none}, {{}, {}}}});
  EXPECT_THAT(Sentences(archive), ::testing::ElementsAre(1, 2, 4));
}

TEST(Archive, OfEquallySurprisingTokensTheNewerStay) {
  Archive archive(4, nullptr);
  archive.Append(0, RandomText(6), std::vector<float>(6, 1.0f));
  archive.Trim({});
  EXPECT_THAT(Origins(archive.tokens()), ::testing::ElementsAre(3, 4, 5));
}

TEST(Archive, ASentenceThatIsAddedInPiecesHasOneSurprise) {
  Archive archive(100, EndsAt(7));
  archive.Append(0, Tokens{1, 1, 1, 1, 1, 1}, std::vector<float>(6, 1.0f));
  archive.Append(6, Tokens{1, 1, 1, 7, 1}, std::vector<float>{4, 4, 4, 2, 8});
  for (const KnownToken& token : archive.tokens()) {
    EXPECT_FLOAT_EQ(token.surprise, token.origin < 10 ? 2.0f : 8.0f) << token.origin;
  }
}

class PotArchive : public ::testing::Test {
 protected:
  compute::ThreadPool pool_{1};
};

TEST_F(PotArchive, KnowsTheTextUntilItIsFull) {
  PotSettings settings = SmallPot(200);
  settings.archive = 1000;
  auto pot = MakePot(TinyLlama(), pool_, settings);
  const Tokens text = RandomText(990);
  ASSERT_TRUE(Read(*pot, text));
  ASSERT_TRUE(pot->EndText(StopToken()));
  ASSERT_EQ(pot->known().size(), text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    EXPECT_EQ(pot->known()[i].origin, static_cast<std::int32_t>(i));
    EXPECT_EQ(pot->known()[i].token, text[i]);
  }
  // Questions are not part of the text.
  ASSERT_TRUE(Read(*pot, RandomText(20, 2), Pot::Part::kQuestion));
  EXPECT_EQ(pot->known().size(), text.size());
}

TEST_F(PotArchive, NeverGrowsBeyondItsSizeAndKnowsWhatIsHeld) {
  for (const std::int64_t size : {0, 300, 700}) {
    PotSettings settings = SmallPot(200);
    settings.alpha = 1;  // all heads hold the same
    settings.consolidate = true;
    settings.archive = size;
    auto pot = MakePot(TinyLlama(), pool_, settings);
    for (std::uint32_t part = 1; part < 20; ++part) {
      ASSERT_TRUE(Read(*pot, RandomText(150, part)));
      const std::vector<std::int32_t> known = Origins(pot->known());
      EXPECT_TRUE(std::is_sorted(known.begin(), known.end()));
      const std::vector<std::int32_t>& held = pot->entries()[0][0].origin;
      EXPECT_TRUE(std::includes(known.begin(), known.end(), held.begin(), held.end()));
      // What was read since the last distillation comes on top.
      EXPECT_LE(known.size(), std::max<std::size_t>(size, held.size()) + 200);
    }
  }
}

}  // namespace
}  // namespace ondine::testing
