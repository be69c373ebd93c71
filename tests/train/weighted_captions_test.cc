#include "train/weighted_captions.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>
#include <string_view>
#include <utility>

#include "train/captions.h"

namespace ondine::testing {
namespace {

using train::Attribute;
using train::FashionItem;
using train::WeightedCaption;

FashionItem Shoe(const std::string& colour = "Red", const std::string& name = "Puma Running Shoe") {
  FashionItem item;
  item.name = name;
  item.attributes = {"Men", "Footwear", "Shoes", "Casual Shoes", colour, "Fall", "Casual"};
  return item;
}

double StrengthOf(const WeightedCaption& caption, const std::string& what) {
  const auto said = std::ranges::find(caption.said, what, &WeightedCaption::Said::what);
  return said == caption.said.end() ? -1 : said->strength;
}

// Of the first place where these words stand, or -1.
double MarkedWeight(const WeightedCaption& caption, const std::string& words) {
  const std::size_t at = caption.prompt.text.find(words);
  if (at == std::string::npos) return -1;
  for (const auto& span : caption.prompt.spans) {
    if (span.begin <= at && at + words.size() <= span.end) return span.weight;
  }
  return 1;
}

TEST(WeightedCaptions, MarkTheWordsThatAreStronger) {
  base::Random random(3);
  FashionItem boots = Shoe();
  boots.attributes[static_cast<std::size_t>(Attribute::kType)] = "Boots";
  const std::pair<const char*, const char*> words_of[] = {
      {"baseColour=Red", "red"},     {"articleType=Casual Shoes", "casual shoe"},
      {"articleType=Boots", "boot"}, {"usage=Casual", "casual"},
      {"gender=Men", "men"},         {"word=puma", "Puma"},
      {"word=running", "Running"}};
  std::map<std::string, int> seen, without;
  for (int i = 0; i < 6000; ++i) {
    const WeightedCaption caption = train::DrawWeightedCaption(i % 2 == 0 ? Shoe() : boots, random);
    EXPECT_EQ(caption.prompt.text.find_first_of("()[]:\\"), std::string::npos);
    EXPECT_TRUE(caption.prompt.unwanted.empty());
    for (const auto& [what, words] : words_of) {
      const double strength = StrengthOf(caption, what);
      if (strength < 0) continue;
      ++seen[what];
      without[what] += strength == 0;
      EXPECT_EQ(MarkedWeight(caption, words), strength) << caption.prompt.text;
    }
  }
  for (const auto& [what, words] : words_of) {
    EXPECT_GT(seen[what], 100) << what;
    EXPECT_GT(without[what], 5) << what;
  }
}

// "Casual shoes" say so already, and have one strength.
TEST(WeightedCaptions, AUsageWithoutAWordOfItsOwnIsNotSaid) {
  base::Random random(3);
  for (int i = 0; i < 2000; ++i) {
    EXPECT_LT(StrengthOf(train::DrawWeightedCaption(Shoe(), random), "usage=Casual"), 0);
  }
}

TEST(WeightedCaptions, SayWhatPlainOnesSay) {
  base::Random random(4);
  std::set<std::string> plain, weighted;
  for (int i = 0; i < 20000; ++i) {
    plain.insert(train::AttributeCaption(Shoe(), random).text);
    WeightedCaption caption = train::DrawWeightedCaption(Shoe(), random);
    if (StrengthOf(caption, "articleType=Casual Shoes") >= 0 && caption.said.size() == 2) {
      weighted.insert(caption.prompt.text);
    }
  }
  for (const char* text : {"a photo of a red casual shoe", "red casual shoes",
                           "a casual shoe in red", "men's casual shoes"}) {
    EXPECT_TRUE(plain.contains(text)) << text;
    EXPECT_TRUE(weighted.contains(text)) << text;
  }
}

TEST(WeightedCaptions, SomethingIsAlwaysAskedFor) {
  base::Random random(5);
  std::vector<FashionItem> items = {Shoe(), Shoe("", "Puma"), Shoe("Red", "")};
  items.emplace_back().name = "Puma";
  items.emplace_back().name = "Puma &";
  for (const FashionItem& item : items) {
    for (int i = 0; i < 1000; ++i) {
      const WeightedCaption caption = train::DrawWeightedCaption(item, random);
      double total = 0;
      for (const auto& said : caption.said) total += said.strength;
      // A sign that is left of a name asks for nothing.
      EXPECT_TRUE(total > 0 || caption.prompt.text == "&") << caption.prompt.text;
      EXPECT_FALSE(caption.prompt.text.empty());
    }
  }
  // But of a photo of which nothing is known.
  EXPECT_TRUE(train::DrawWeightedCaption(FashionItem(), random).said.empty());
}

TEST(WeightedCaptions, ALabelMayLookLikeMarkup) {
  base::Random random(6);
  int strong = 0;
  for (int i = 0; i < 500; ++i) {
    const WeightedCaption caption = train::DrawWeightedCaption(Shoe("Red (1:2", ""), random);
    const double strength = StrengthOf(caption, "baseColour=Red (1:2");
    if (strength < 0) continue;
    EXPECT_EQ(MarkedWeight(caption, "red (1:2"), strength) << caption.prompt.text;
    strong += strength > 1;
  }
  EXPECT_GT(strong, 20);
}

TEST(WeightedCaptions, SignsInNamesHaveNoStrength) {
  base::Random random(7);
  for (int i = 0; i < 1000; ++i) {
    const WeightedCaption caption =
        train::DrawWeightedCaption(Shoe("Red", "Puma & Co - Shoe"), random);
    EXPECT_LT(StrengthOf(caption, "word=&"), 0);
    for (const auto& span : caption.prompt.spans) {
      EXPECT_EQ(std::string_view(caption.prompt.text)
                    .substr(span.begin, span.end - span.begin)
                    .find_first_of("&-"),
                std::string::npos);
    }
  }
}

TEST(PhotoSayings, ShareWhatIsTrueOfAPhoto) {
  FashionItem other = Shoe("Blue", "Acme running SHOE");
  other.attributes[static_cast<std::size_t>(Attribute::kGender)] = "";
  const train::PhotoSayings sayings({Shoe(), other, FashionItem()});
  const torch::Tensor index = torch::tensor({2, 1, 0, 1}, torch::kLong);
  const auto shares = [&](const std::vector<WeightedCaption::Said>& said) {
    const torch::Tensor values = sayings.Share({{}, said}, index);
    return std::vector<float>(values.data_ptr<float>(), values.data_ptr<float>() + 4);
  };
  using ::testing::ElementsAre;
  EXPECT_THAT(shares({{"baseColour=Red", 3}, {"articleType=Casual Shoes", 1}}),
              ElementsAre(0, 0.25F, 1, 0.25F));
  EXPECT_THAT(shares({{"baseColour=Blue", 0}, {"gender=Men", 2}}), ElementsAre(0, 0, 1, 0));
  EXPECT_THAT(shares({{"word=shoe", 1}, {"word=puma", 4}, {"word=nowhere", 5}}),
              ElementsAre(0, 0.1F, 0.5F, 0.1F));
  // Words of names that labels say too.
  EXPECT_THAT(shares({{"word=blue", 1}}), ElementsAre(0, 1, 0, 1));
  EXPECT_THAT(shares({{"word=men", 1}}), ElementsAre(0, 0, 1, 0));
  EXPECT_THAT(shares({}), ElementsAre(0, 0, 0, 0));
}

}  // namespace
}  // namespace ondine::testing
