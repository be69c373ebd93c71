#include "eval/retrieval.h"

#include "eval/fixture.h"

namespace ondine::eval {
namespace {

// One token a byte, so a chunk is 256 bytes.
constexpr std::size_t kChunk = 256;

class RetrievalTest : public EvalTest {
 protected:
  // `words`, then the same filler in every chunk.
  static std::string Chunk(std::string words) {
    while (words.size() < kChunk) words += " filler";
    words.resize(kChunk - 1);
    return words + ".";
  }
};

TEST_F(RetrievalTest, PicksChunksWithTheRareWordsInTheOrderOfTheText) {
  std::string text;
  for (int i = 0; i < 10; ++i) {
    text += Chunk(i == 2 ? "the Obelisk" : i == 7 ? "the zeppelin and the zeppelin" : "the");
  }
  // The later chunk has the better score, and still stands second.
  EXPECT_EQ(Retrieve(*model_, text, "Did the zeppelin pass the obelisk?", 2 * kChunk),
            text.substr(2 * kChunk, kChunk) + "\n" + text.substr(7 * kChunk, kChunk));
  EXPECT_EQ(Retrieve(*model_, text, "Did the zeppelin pass the obelisk?", 2 * kChunk - 1),
            text.substr(7 * kChunk, kChunk));
}

TEST_F(RetrievalTest, ARareWordCountsMoreThanAFrequentOne) {
  std::string text;
  for (int i = 0; i < 8; ++i) text += Chunk(i == 5 ? "marble" : "harbor");
  EXPECT_EQ(Retrieve(*model_, text, "marble harbor", kChunk), text.substr(5 * kChunk, kChunk));
}

TEST_F(RetrievalTest, EverythingOrNothingFits) {
  const std::string text = Chunk("alpha") + Chunk("beta") + "rest";
  EXPECT_EQ(Retrieve(*model_, text, "beta", 3 * kChunk),
            Chunk("alpha") + "\n" + Chunk("beta") + "\nrest");
  EXPECT_EQ(Retrieve(*model_, text, "beta", kChunk - 1), "");
  EXPECT_EQ(Retrieve(*model_, "", "beta", kChunk), "");
}

}  // namespace
}  // namespace ondine::eval
