#include "text/continuation.h"

#include <gmock/gmock.h>

#include "text/vocabulary_fixture.h"

namespace ondine::text {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

Tokenizer WithNd() {
  auto vocabulary = testing::VocabularyFixture::ByteLevel("gpt-2");
  vocabulary.AddMerge("n", "d");  // 256
  auto tokenizer = vocabulary.Load();
  EXPECT_TRUE(tokenizer) << tokenizer.error().ToString();
  return std::move(*tokenizer);
}

TEST(Continuation, TheBlankBelongsToIt) {
  const Continued tokens = EncodeContinued(WithNd(), "and", " so");
  EXPECT_THAT(tokens.context, ElementsAre('a', 256));
  EXPECT_THAT(tokens.continuation, ElementsAre(' ', 's', 'o'));
}

TEST(Continuation, TheContextKeepsItsOwnTokens) {
  const Continued tokens = EncodeContinued(WithNd(), "an", "ds");
  EXPECT_THAT(tokens.context, ElementsAre('a', 'n'));
  EXPECT_THAT(tokens.continuation, ElementsAre('s'));
}

TEST(Continuation, MayHaveNoTokens) {
  EXPECT_THAT(EncodeContinued(WithNd(), "an", "").continuation, IsEmpty());
  EXPECT_THAT(EncodeContinued(WithNd(), "an", "d").continuation, IsEmpty());
  EXPECT_THAT(EncodeContinued(WithNd(), "", "an").context, IsEmpty());
}

}  // namespace
}  // namespace ondine::text
