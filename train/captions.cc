#include "train/captions.h"

#include <set>

#include "base/join.h"
#include "train/attribute_phrase.h"
#include "train/caption_words.h"

namespace ondine::train {
namespace {

using base::Random;

// Which attributes a caption states: one alone, so that classes have a name of their own, or one of
// the combinations that users ask for.
std::uint32_t DrawStated(Random& random) {
  struct Choice {
    double share;
    std::uint32_t stated;
  };
  constexpr std::uint32_t kGender = Bit(Attribute::kGender), kType = Bit(Attribute::kType);
  constexpr std::uint32_t kColour = Bit(Attribute::kColour), kUsage = Bit(Attribute::kUsage);
  constexpr std::uint32_t kKind = Bit(Attribute::kKind), kSeason = Bit(Attribute::kSeason);
  static constexpr Choice kChoices[] = {
      {0.16, kType},
      {0.04, kKind},
      {0.02, Bit(Attribute::kCategory)},
      {0.08, kColour},
      {0.05, kGender},
      {0.03, kUsage},
      {0.02, kSeason},
      {0.25, kColour | kType},
      {0.14, kGender | kColour | kType},
      {0.06, kGender | kType},
      {0.04, kUsage | kType},
      {0.02, kColour | kKind},
      {0.02, kColour | kGender},
      {0.07, kGender | kColour | kType | kUsage | kSeason},
  };
  double left = base::RandomShare(random);
  for (const Choice& choice : kChoices) {
    if (left < choice.share) return choice.stated;
    left -= choice.share;
  }
  return kType;
}

}  // namespace

std::vector<std::string> NameWords(const FashionItem& item, Random& random) {
  constexpr double kDropped = 0.2;
  std::vector<std::string> words = WordsOf(item.name);
  if (Chance(random, 0.5)) {
    std::erase_if(words, [&](const std::string&) { return Chance(random, kDropped); });
  }
  return words.empty() ? WordsOf(item.name) : words;
}

Caption NameCaption(const FashionItem& item, Random& random) {
  if (item.name.empty()) return AttributeCaption(item, random);
  return {Framed(base::Join(NameWords(item, random), " "), 0.15, random), kNameStated};
}

Caption AttributeCaption(const FashionItem& item, Random& random) {
  std::uint32_t stated = DrawStated(random);
  for (std::size_t i = 0; i < kAttributes; ++i) {
    if (item.attributes[i].empty()) stated &= ~(1U << i);
  }
  if (stated == 0) {
    stated = item[Attribute::kType].empty() ? 0 : Bit(Attribute::kType);
  }
  return {Framed(AttributePhrase(item, stated, Plainly, random), 0.4, random), stated};
}

std::vector<std::string> ClassPrompts(Attribute attribute, const std::string& value) {
  FashionItem item;
  item.attributes[static_cast<std::size_t>(attribute)] = value;
  std::set<std::string> prompts;
  Random random(1);
  // Enough that hardly a wording is missed.
  for (int i = 0; i < 200; ++i) {
    prompts.insert(Framed(AttributePhrase(item, Bit(attribute), Plainly, random), 0.5, random));
  }
  return {prompts.begin(), prompts.end()};
}

}  // namespace ondine::train
