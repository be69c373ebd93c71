#include "text/words.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "text/bm25.h"

namespace ondine::text {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(Words, AreLowerCasedAndCutAfterSixLetters) {
  EXPECT_THAT(Words("The Keeper's lighthouse, 12345678!"),
              ElementsAre("the", "keeper", "s", "lighth", "123456"));
  EXPECT_THAT(Words("“Élan” — «МОСКВА» ΑΘΗΝΑ ŁÓDŹ straße…"),
              ElementsAre("élan", "москва", "αθηνα", "łódź", "straße"));
  EXPECT_THAT(Words("Ήλιος Όρος Ώρα"), ElementsAre("ήλιοσ", "όροσ", "ώρα"));
  EXPECT_THAT(Words("a_b-c/d"), ElementsAre("a", "b", "c", "d"));
}

TEST(Words, ScriptsWithoutSpacesGivePairs) {
  EXPECT_THAT(Words("秘密の鍵。是 abc鍵"), ElementsAre("秘密", "密の", "の鍵", "是", "abc", "鍵"));
}

TEST(Words, AnythingElseSeparates) {
  EXPECT_THAT(Words(""), IsEmpty());
  EXPECT_THAT(Words(" \n.,;"), IsEmpty());
  EXPECT_THAT(Words("हरा। नीला"), ElementsAre("हरा", "नीला"));
  EXPECT_THAT(Words("أين؟ هنا، نعم"), ElementsAre("أين", "هنا", "نعم"));
  EXPECT_THAT(Words("a\xFF"
                    "b\xE2\x80"),
              ElementsAre("a", "b"));
}

// As Robertson and Zaragoza give it, with the lower bound of 0 for the weight of frequent words
// that is usual (log(1 + ...)).
TEST(Bm25, EqualsTheFormulaByHand) {
  Bm25 ranking("red apple");
  ranking.Add("a red apple and a red pear");  // 7 words
  ranking.Add("apple");
  ranking.Add("nothing of that");
  const double mean = 11.0 / 3;
  const auto weight = [](double n) { return std::log(1 + (3 - n + 0.5) / (n + 0.5)); };
  const auto term = [&](double count, double words) {
    return count * 2.2 / (count + 1.2 * (0.25 + 0.75 * words / mean));
  };
  const std::vector<double> scores = ranking.Scores();
  ASSERT_EQ(scores.size(), 3);
  EXPECT_NEAR(scores[0], weight(1) * term(2, 7) + weight(2) * term(1, 7), 1e-12);
  EXPECT_NEAR(scores[1], weight(2) * term(1, 1), 1e-12);
  EXPECT_EQ(scores[2], 0);
}

TEST(Bm25, WordsCountAsMuchAsTheirWeightSays) {
  std::vector<std::string> asked;
  Bm25 ranking("What do the keepers say? The KEEPERS!", [&](std::string_view word) {
    asked.emplace_back(word);
    return word == "keepers" ? 1.0 : 0.25;
  });
  EXPECT_THAT(asked, ElementsAre("what", "do", "the", "keepers", "say"));  // whole, and once
  Bm25 plain("keepers");
  for (Bm25* each : {&ranking, &plain}) {
    each->Add("what they do");
    each->Add("keeper of keys");
    each->Add("nothing");
  }
  EXPECT_EQ(ranking.Scores()[1], plain.Scores()[1]);
  EXPECT_NEAR(ranking.Scores()[0], 0.25 * 2 * ranking.Scores()[1], 1e-12);
}

TEST(Bm25, NothingToRank) {
  EXPECT_THAT(Bm25("words").Scores(), IsEmpty());
  Bm25 empty("");
  empty.Add("text");
  EXPECT_THAT(empty.Scores(), ElementsAre(0));
  Bm25 no_words("words");
  no_words.Add("...");
  EXPECT_THAT(no_words.Scores(), ElementsAre(0));
}

}  // namespace
}  // namespace ondine::text
