#include "train/captions.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <set>

namespace ondine::testing {
namespace {

using ::testing::Contains;
using ::testing::Each;
using ::testing::HasSubstr;
using ::testing::Not;
using train::Attribute;
using train::Bit;
using train::Caption;
using train::FashionItem;

FashionItem Shoe() {
  FashionItem item;
  item.name = "Puma Men's Running  Shoe";
  item.attributes = {"Men", "Footwear", "Shoes", "Casual Shoes", "Red", "Fall", "Casual"};
  return item;
}

// By what they state.
std::map<std::uint32_t, std::set<std::string>> PhrasesOf(const FashionItem& item) {
  std::map<std::uint32_t, std::set<std::string>> phrases;
  base::Random random(5);
  for (int i = 0; i < 5000; ++i) {
    const Caption caption = train::AttributeCaption(item, random);
    phrases[caption.stated].insert(caption.text);
  }
  return phrases;
}

TEST(Captions, SayWhatTheyState) {
  const auto phrases = PhrasesOf(Shoe());
  const std::uint32_t colour = Bit(Attribute::kColour), type = Bit(Attribute::kType);
  const auto& colours = phrases.at(colour);
  for (const char* text : {"red", "something red", "a red thing", "a photo of a red item"}) {
    EXPECT_THAT(colours, Contains(text));
  }
  for (const char* text : {"a casual shoe", "casual shoes", "a photo of a casual shoe"}) {
    EXPECT_THAT(phrases.at(type), Contains(text));
  }
  for (const char* text : {"a red casual shoe", "red casual shoes", "a casual shoe in red"}) {
    EXPECT_THAT(phrases.at(colour | type), Contains(text));
  }
  for (const char* text : {"a men's red casual shoe", "a red casual shoe for men"}) {
    EXPECT_THAT(phrases.at(colour | type | Bit(Attribute::kGender)), Contains(text));
  }
  EXPECT_THAT(phrases.at(Bit(Attribute::kKind)), Contains("a shoe"));
  EXPECT_THAT(phrases.at(Bit(Attribute::kCategory)), Contains("footwear"));
  for (const char* text : {"for men", "something for men"}) {
    EXPECT_THAT(phrases.at(Bit(Attribute::kGender)), Contains(text));
  }
  EXPECT_THAT(phrases.at(Bit(Attribute::kUsage)), Contains("casual wear"));
  EXPECT_THAT(phrases.at(Bit(Attribute::kSeason)), Contains("autumn wear"));
  for (const auto& [stated, texts] : phrases) {
    EXPECT_THAT(texts, Each(Not(HasSubstr("casual casual"))));
    EXPECT_THAT(texts, Each(Not(HasSubstr("  "))));
    if ((stated & colour) == 0) {
      EXPECT_THAT(texts, Each(Not(HasSubstr("red"))));
    }
  }
}

TEST(Captions, NeverMentionWhatIsUnknown) {
  FashionItem item = Shoe();
  item.attributes = {"", "Footwear", "", "Casual Shoes", "", "", ""};
  for (const auto& [stated, texts] : PhrasesOf(item)) {
    EXPECT_EQ(stated & ~(Bit(Attribute::kCategory) | Bit(Attribute::kType)), 0u);
  }
  item.name.clear();
  base::Random random(1);
  const Caption caption = train::NameCaption(item, random);
  EXPECT_EQ(caption.stated & train::kNameStated, 0u);
  EXPECT_FALSE(caption.text.empty());
  item.attributes = {};
  EXPECT_EQ(train::AttributeCaption(item, random).stated, 0u);
}

TEST(Captions, NamesLoseWordsAtTimes) {
  std::set<std::string> names;
  base::Random random(1);
  for (int i = 0; i < 200; ++i) {
    const Caption caption = train::NameCaption(Shoe(), random);
    EXPECT_EQ(caption.stated, train::kNameStated);
    names.insert(caption.text);
  }
  EXPECT_THAT(names, Contains("Puma Men's Running Shoe"));
  EXPECT_THAT(names, Contains("Puma Running Shoe"));
}

TEST(Captions, LabelsBecomeNouns) {
  const auto prompts = [](const std::string& type) {
    return train::ClassPrompts(Attribute::kType, type);
  };
  EXPECT_THAT(prompts("Tshirts"), Contains("a t-shirt"));
  EXPECT_THAT(prompts("Watches"), Contains("a photo of a watch"));
  EXPECT_THAT(prompts("Dresses"), Contains("a dress"));
  EXPECT_THAT(prompts("Scarves"), Contains("a scarf"));
  EXPECT_THAT(prompts("Earrings"), Contains("an earring"));
  EXPECT_THAT(prompts("Sunglasses"), Contains("sunglasses"));
  EXPECT_THAT(prompts("Sunglasses"), Each(Not(HasSubstr("a sunglasses"))));
  EXPECT_THAT(prompts("Track Pants"), Each(Not(HasSubstr("a track"))));
  EXPECT_THAT(prompts("Perfume and Body Mist"), Contains("a perfume"));
  EXPECT_THAT(prompts("Bra"), Contains("a bra"));
  EXPECT_THAT(train::ClassPrompts(Attribute::kGender, "Unisex"), Contains("a unisex thing"));
  EXPECT_THAT(train::ClassPrompts(Attribute::kGender, "Boys"), Contains("for boys"));
  EXPECT_THAT(train::ClassPrompts(Attribute::kColour, "Multi"),
              Contains("something multicoloured"));
}

}  // namespace
}  // namespace ondine::testing
