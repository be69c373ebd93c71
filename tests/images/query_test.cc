#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <memory>
#include <numeric>
#include <string>

#include "base/temp_dir.h"
#include "images/tiny_clip.h"
#include "ondine/images.h"

namespace ondine {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

class QueryTest : public ::testing::Test {
 protected:
  QueryTest() {
    const std::string path = folder_.File("tiny.gguf");
    EXPECT_TRUE(testing::TinyClip().WriteGguf(path).has_value());
    clip_ = *Clip::Load(path, 2);
  }
  EncodedQuery Encode(const std::string& query, const QueryOptions& options = {}) {
    auto encoded = clip_->EncodeQuery(query, options);
    EXPECT_TRUE(encoded.has_value()) << query << ": " << encoded.error().ToString();
    return encoded ? *encoded : EncodedQuery();
  }
  std::string ErrorOf(const std::string& query) {
    const auto encoded = clip_->EncodeQuery(query);
    if (encoded) return "";
    EXPECT_EQ(encoded.error().code, ErrorCode::kInvalidArgument);
    return encoded.error().ToString();
  }
  static double Length(const EncodedQuery& query) {
    return std::inner_product(query.vector.begin(), query.vector.end(), query.vector.begin(), 0.0);
  }

  const testing::TempDir folder_;
  std::unique_ptr<Clip> clip_;
};

TEST_F(QueryTest, MarkupOfStrengthOneIsThePlainText) {
  const EncodedQuery plain = Encode("a red shoe");
  EXPECT_EQ(Encode("a (red:1) (shoe:1.0)").vector, plain.vector);
  EXPECT_EQ(Encode("a ([red]) shoe").vector, plain.vector);
  QueryOptions explain;
  explain.explain = true;
  EXPECT_EQ(Encode("a red shoe", explain).plain_similarity, 1);
  EXPECT_NE(Encode("a (red:2) shoe").vector, plain.vector);
}

TEST_F(QueryTest, WordsAndTheirStrengthsAreReported) {
  QueryOptions explain;
  explain.explain = true;
  const EncodedQuery query = Encode("a (Red:4) [shoe],", explain);
  ASSERT_THAT(query.words, SizeIs(4));
  EXPECT_EQ(query.words[0].text, "a");
  EXPECT_EQ(query.words[1].text, "Red");
  EXPECT_EQ(query.words[1].weight, 4);
  EXPECT_EQ(query.words[2].text, "shoe");
  EXPECT_NEAR(query.words[2].weight, 1 / 1.1, 1e-9);
  EXPECT_EQ(query.words[3].text, ",");
  EXPECT_LT(query.plain_similarity, 1 - 1e-5);
  EXPECT_NEAR(Length(query), 1, 1e-5);
}

TEST_F(QueryTest, PartsOfAWordAreReportedByThemselvesWhereTheyDiffer) {
  QueryOptions explain;
  explain.explain = true;
  const EncodedQuery query = Encode("a (x:0)yz (vw:2)", explain);
  ASSERT_THAT(query.words, SizeIs(4));
  EXPECT_EQ(query.words[1].text, "x");
  EXPECT_EQ(query.words[1].weight, 0);
  EXPECT_EQ(query.words[1].share, 0);
  EXPECT_EQ(query.words[2].text, "yz");
  EXPECT_EQ(query.words[2].weight, 1);
  EXPECT_GT(query.words[2].share, 0);
  EXPECT_EQ(query.words[3].text, "vw");
}

TEST_F(QueryTest, SplittingASpanOfOneStrengthChangesNothing) {
  EXPECT_EQ(Encode("a (red shoe:3)").vector, Encode("a (red:3) (shoe:3)").vector);
}

TEST_F(QueryTest, LiteralBracketsAreText) {
  QueryOptions literal;
  literal.literal = true;
  EXPECT_EQ(Encode("a (red:4)", literal).vector, Encode(R"(a \(red:4\))").vector);
  EXPECT_NE(Encode("a (red:4)", literal).vector, Encode("a (red:4)").vector);
}

TEST_F(QueryTest, ExplainsWhereAttentionGoes) {
  QueryOptions explain;
  explain.explain = true;
  const EncodedQuery query = Encode("a (red:5) shoe", explain);
  EXPECT_GT(query.words[1].share, query.words[1].share_plain);
  double all = 0;
  for (const EncodedQuery::Word& word : query.words) all += word.share;
  EXPECT_GT(all, 0);
  EXPECT_LT(all, 1);  // start and end have the rest
  EXPECT_EQ(Encode("a (red:0) shoe", explain).words[1].share, 0);
}

TEST_F(QueryTest, DifferencesMoveTheVectorByWhatAWordAdds) {
  QueryOptions difference;
  difference.mode = StrengthMode::kDifference;
  const auto plain = Encode("a red shoe").vector;
  EXPECT_EQ(Encode("a red shoe", difference).vector, plain);
  EXPECT_EQ(Encode("a (red:1) ([shoe])", difference).vector, plain);
  // Without the word, both modes hide it.
  const auto hidden = Encode("a (red:0) shoe").vector;
  const auto moved = Encode("a (red:0) shoe", difference).vector;
  const auto more = Encode("a (red:3) shoe", difference);
  ASSERT_EQ(moved.size(), plain.size());
  std::vector<double> expected(plain.size());
  double length = 0;
  for (std::size_t i = 0; i < plain.size(); ++i) {
    EXPECT_NEAR(moved[i], hidden[i], 1e-6);
    expected[i] = plain[i] + 2 * (double{plain[i]} - hidden[i]);
    length += expected[i] * expected[i];
  }
  for (std::size_t i = 0; i < plain.size(); ++i) {
    EXPECT_NEAR(more.vector[i], expected[i] / std::sqrt(length), 1e-5);
  }
  EXPECT_EQ(Encode("a (red:3) (shoe:3)", difference).vector,
            Encode("a (red shoe:3)", difference).vector);
  difference.explain = true;
  const EncodedQuery explained = Encode("a (red:3) shoe", difference);
  EXPECT_EQ(explained.words[1].share, explained.words[1].share_plain);
  EXPECT_EQ(explained.plain_vector, plain);
  EXPECT_LT(explained.plain_similarity, 1);
  difference.first_block = 1;
  EXPECT_FALSE(clip_->EncodeQuery("a shoe", difference).has_value());
}

TEST_F(QueryTest, WhatIsNotWantedIsSubtracted) {
  const EncodedQuery with = Encode("a red shoe -shoe"), unwanted = Encode("shoe");
  const EncodedQuery plain = Encode("a red shoe");
  const auto cosine = [&](const EncodedQuery& query) {
    return std::inner_product(query.vector.begin(), query.vector.end(), unwanted.vector.begin(),
                              0.0);
  };
  EXPECT_THAT(with.unwanted, ElementsAre("shoe"));
  EXPECT_LT(cosine(with), cosine(plain));
  EXPECT_GT(cosine(Encode("a red shoe -(shoe:0.1)")), cosine(with));
  EXPECT_NEAR(Length(with), 1, 1e-5);
}

TEST_F(QueryTest, LongQueriesAreCutAndSaySo) {
  const EncodedQuery query = Encode("a b c d e f g h i j k l (m:3)");
  ASSERT_THAT(query.notes, SizeIs(1));
  EXPECT_THAT(query.notes[0], HasSubstr("13 tokens"));
  EXPECT_THAT(query.notes[0], HasSubstr("strength"));
  EXPECT_EQ(query.vector, Encode("a b c d e f g h i j").vector);
  EXPECT_THAT(query.words, SizeIs(10));
}

TEST_F(QueryTest, GreatStrengthsAreNoted) {
  EXPECT_THAT(Encode("a (red:11)").notes, SizeIs(1));
  EXPECT_THAT(Encode("a (red:10)").notes, SizeIs(0));
}

TEST_F(QueryTest, NothingIsNoQuery) {
  EXPECT_THAT(ErrorOf(""), HasSubstr("empty"));
  EXPECT_NE(ErrorOf("  \n"), "");
  EXPECT_NE(ErrorOf("()"), "");
  EXPECT_THAT(ErrorOf("-red"), HasSubstr("not wanted"));
  EXPECT_NE(ErrorOf("a (red"), "");
  QueryOptions options;
  options.first_block = 2;
  EXPECT_FALSE(clip_->EncodeQuery("red", options).has_value());
}

TEST_F(QueryTest, AllWordsOffStillGiveAVector) {
  EXPECT_NEAR(Length(Encode("(a red shoe:0)")), 1, 1e-5);
  EXPECT_THAT(Encode("(a red shoe:0)").notes, SizeIs(1));
}

TEST_F(QueryTest, WhatIsWantedAndNotWantedLeavesNothing) {
  EXPECT_THAT(ErrorOf("red shoe -(red shoe)"), HasSubstr("nothing is left"));
  EXPECT_EQ(ErrorOf("red shoe -red"), "");
}

TEST_F(QueryTest, OtherScriptsAreQueriesToo) {
  for (const char* query :
       {"\xF0\x9F\x91\x9F (\xF0\x9F\x91\x9F:2)", "\xE7\xBA\xA2\xE9\x9E\x8B", "\xFF\xFE"}) {
    EXPECT_NEAR(Length(Encode(query)), 1, 1e-5);
  }
}

TEST_F(QueryTest, PicturesHaveErrorsOfTheirOwn) {
  const auto vectors = clip_->EncodePictures({folder_.File("none.jpg"), folder_.File("tiny.gguf")});
  ASSERT_THAT(vectors, SizeIs(2));
  EXPECT_EQ(vectors[0].error().code, ErrorCode::kNotFound);
  EXPECT_EQ(vectors[1].error().code, ErrorCode::kUnsupported);
}

}  // namespace
}  // namespace ondine
