#include "train/weighted_captions.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cmath>

#include "train/attribute_phrase.h"
#include "train/caption_words.h"
#include "train/captions.h"

namespace ondine::train {
namespace {

using base::Random;

std::string SayingOf(std::size_t attribute, const std::string& value) {
  return std::string(kAttributeColumns[attribute]) + "=" + value;
}

std::string SayingOf(const std::string& word) {
  return "word=" + Lower(word);
}

constexpr double kLeast = 1.0 / 6, kMost = 10;

double DrawStrength(Random& random) {
  if (Chance(random, 0.15)) return 0;
  if (Chance(random, 0.25)) return 1;
  return kLeast * std::pow(kMost / kLeast, base::RandomShare(random));
}

bool Speaks(const std::string& word) {
  return std::ranges::any_of(word, [](unsigned char c) { return std::isalnum(c) != 0 || c > 127; });
}

WeightedCaption OfName(const FashionItem& item, Random& random) {
  const std::vector<std::string> words = NameWords(item, random);
  const std::size_t begin = random() % words.size();
  const std::size_t end = std::min(words.size(), begin + (Chance(random, 0.3) ? 2 : 1));
  const auto chosen = [&](std::size_t i) { return begin <= i && i < end; };
  // Something must be asked for.
  bool more = false;
  for (std::size_t i = 0; i < words.size(); ++i) more = more || (!chosen(i) && Speaks(words[i]));
  const double strength = more ? DrawStrength(random) : 1;
  WeightedCaption caption;
  std::string& text = caption.prompt.text;
  for (std::size_t i = 0; i < words.size(); ++i) {
    const bool marked = chosen(i) && Speaks(words[i]);
    if (i > 0) text += ' ';
    if (marked) {
      caption.prompt.spans.push_back({text.size(), text.size() + words[i].size(), strength});
    }
    text += words[i];
    if (Speaks(words[i])) caption.said.push_back({SayingOf(words[i]), marked ? strength : 1});
  }
  return caption;
}

WeightedCaption OfAttributes(const FashionItem& item, Random& random) {
  constexpr std::uint32_t kGender = Bit(Attribute::kGender), kType = Bit(Attribute::kType);
  constexpr std::uint32_t kColour = Bit(Attribute::kColour), kUsage = Bit(Attribute::kUsage);
  std::uint32_t stated = Pick(
      random, {kColour | kType, kColour | kType, kColour | kType, kGender | kType, kGender | kType,
               kUsage | kType, kUsage | kType, kGender | kColour | kType, kGender | kColour | kType,
               kGender | kUsage | kColour | kType, kColour | kGender,
               kColour | Bit(Attribute::kKind), Bit(Attribute::kSeason) | kType});
  // "Casual shoes" have no further word for their usage.
  if (item[Attribute::kType].starts_with(item[Attribute::kUsage])) stated &= ~kUsage;
  std::vector<std::size_t> known;
  for (std::size_t i = 0; i < kAttributes; ++i) {
    if ((stated >> i & 1) != 0 && !item.attributes[i].empty()) known.push_back(i);
  }
  std::array<double, kAttributes> strengths;
  strengths.fill(1);
  if (known.size() > 1) {
    const std::size_t first = random() % known.size();
    strengths[known[first]] = DrawStrength(random);
    // Another one too, at times; never are all of them 0.
    if (Chance(random, 0.25)) {
      strengths[known[(first + 1) % known.size()]] = std::max(kLeast, DrawStrength(random));
    }
  }
  const auto spelled = [&](Attribute attribute, const std::string& words) {
    return text::WeightedWords(words, strengths[static_cast<std::size_t>(attribute)]);
  };
  WeightedCaption caption;
  caption.prompt =
      text::ParseWeightedPrompt(Framed(AttributePhrase(item, stated, spelled, random), 0.5, random))
          .value();  // or it was not spelled as queries are
  for (const std::size_t i : known) {
    caption.said.push_back({SayingOf(i, item.attributes[i]), strengths[i]});
  }
  return caption;
}

}  // namespace

WeightedCaption DrawWeightedCaption(const FashionItem& item, Random& random) {
  constexpr double kNames = 0.3;
  const bool named = !WordsOf(item.name).empty();
  if (Chance(random, kNames) && named) return OfName(item, random);
  WeightedCaption caption = OfAttributes(item, random);
  return caption.said.empty() && named ? OfName(item, random) : caption;
}

PhotoSayings::PhotoSayings(const std::vector<FashionItem>& items) {
  for (const FashionItem& item : items) {
    std::vector<std::int32_t>& sayings = of_photo_.emplace_back();
    const auto add = [&](const std::string& saying) {
      const auto next = static_cast<std::int32_t>(numbers_.size());
      sayings.push_back(numbers_.emplace(saying, next).first->second);
    };
    for (std::size_t i = 0; i < kAttributes; ++i) {
      if (!item.attributes[i].empty()) add(SayingOf(i, item.attributes[i]));
    }
    // A word of a name, such as "black", may be true of a photo without standing in its name.
    for (const std::string& word : WordsOf(item.name)) add(SayingOf(word));
    for (const std::string& value : item.attributes) {
      for (const std::string& word : WordsOf(value)) add(SayingOf(word));
    }
    std::ranges::sort(sayings);
  }
}

torch::Tensor PhotoSayings::Share(const WeightedCaption& caption,
                                  const torch::Tensor& index) const {
  double total = 0;
  for (const WeightedCaption::Said& said : caption.said) total += said.strength;
  torch::Tensor shares = torch::zeros({index.size(0)});
  float* share = shares.data_ptr<float>();
  const auto* photo = index.data_ptr<std::int64_t>();
  for (const WeightedCaption::Said& said : caption.said) {
    const auto number = numbers_.find(said.what);
    if (number == numbers_.end()) continue;
    for (std::int64_t i = 0; i < index.size(0); ++i) {
      const bool holds =
          std::ranges::binary_search(of_photo_[static_cast<std::size_t>(photo[i])], number->second);
      share[i] += holds ? static_cast<float>(said.strength / total) : 0;
    }
  }
  return shares;
}

}  // namespace ondine::train
