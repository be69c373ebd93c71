#include "train/captions.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <iterator>
#include <map>
#include <set>
#include <span>
#include <sstream>
#include <string_view>

#include "base/join.h"

namespace ondine::train {
namespace {

using base::Random;

bool Chance(Random& random, double share) {
  return base::RandomShare(random) < share;
}

template <typename T, std::size_t N>
const T& Pick(Random& random, const T (&of)[N]) {
  return of[random() % N];
}

std::string Lower(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return lower;
}

std::vector<std::string> WordsOf(const std::string& text) {
  std::istringstream stream(text);
  return {std::istream_iterator<std::string>(stream), {}};
}

// A label as a noun: "shirt", which takes an article, and "shirts", which takes none. Labels give
// one of them, or both.
struct Noun {
  std::string one, many;
};

Noun NounOf(const std::string& label) {
  // Things in pairs and masses.
  static const std::set<std::string, std::less<>> kWithoutArticle = {
      "jeans",      "shorts",      "trousers",   "pants",      "capris",   "leggings",
      "jeggings",   "tights",      "stockings",  "sunglasses", "briefs",   "boxers",
      "suspenders", "topwear",     "bottomwear", "innerwear",  "eyewear",  "headwear",
      "loungewear", "nightwear",   "swimwear",   "shapewear",  "footwear", "jewellery",
      "clothing",   "makeup",      "care",       "hair",       "lips",     "nails",
      "eyes",       "accessories", "cosmetics",  "essentials", "equipment"};
  static const std::map<std::string, std::string, std::less<>> kIrregular = {{"tshirts", "t-shirt"},
                                                                             {"scarves", "scarf"}};
  std::vector<std::string> words = WordsOf(Lower(label));
  if (words.empty()) return {};
  std::string& last = words.back();
  if (kWithoutArticle.contains(last)) return {"", base::Join(words, " ")};
  if (const auto found = kIrregular.find(last); found != kIrregular.end()) {
    if (last == "tshirts") last = "t-shirts";
    Noun noun = {"", base::Join(words, " ")};
    last = found->second;
    noun.one = base::Join(words, " ");
    return noun;
  }
  if (!last.ends_with('s') || last.ends_with("ss")) return {base::Join(words, " "), ""};
  Noun noun = {"", base::Join(words, " ")};
  const bool long_ending = last.ends_with("ches") || last.ends_with("sses");
  last.resize(last.size() - (long_ending ? 2 : 1));
  noun.one = base::Join(words, " ");
  return noun;
}

// A label such as "Perfume and Body Mist" stands for either.
std::string OneOf(const std::string& label, Random& random) {
  constexpr std::string_view kAnd = " and ";
  const std::size_t at = label.find(kAnd);
  if (at == std::string::npos || Chance(random, 0.3)) return label;
  return Chance(random, 0.5) ? label.substr(0, at) : label.substr(at + kAnd.size());
}

std::string WithArticle(const std::string& phrase) {
  const bool vowel = std::string_view("aeiou").find(phrase.front()) != std::string_view::npos;
  return (vowel && !phrase.starts_with("uni") ? "an " : "a ") + phrase;
}

// A phrase in the making: what stands before its noun, the colour last, and what stands behind.
struct Phrase {
  std::vector<std::string> before;
  std::string colour;
  Noun noun;
  std::vector<std::string> after;

  bool nameless() const { return noun.one.empty() && noun.many.empty(); }

  std::string Say(Random& random) const {
    if (nameless() && before.empty() && colour.empty() && Chance(random, 0.5)) {
      return base::Join(after, " ");
    }
    std::vector<std::string> words = before;
    if (!colour.empty()) words.push_back(colour);
    if (nameless() && before.empty() && Chance(random, 0.4)) {
      words.insert(words.begin(), "something");
    } else {
      Noun head = noun;
      if (nameless()) head.one = Pick(random, {"thing", "product", "item"});
      const bool one = head.many.empty() || (!head.one.empty() && Chance(random, 0.6));
      words.push_back(one ? head.one : head.many);
      words = {one ? WithArticle(base::Join(words, " ")) : base::Join(words, " ")};
    }
    words.insert(words.end(), after.begin(), after.end());
    return base::Join(words, " ");
  }
};

void AddGender(const std::string& gender, Random& random, Phrase& phrase) {
  if (gender == "Unisex") {
    if (Chance(random, 0.5)) {
      phrase.before.emplace_back("unisex");
    } else {
      phrase.after.emplace_back("for men and women");
    }
    return;
  }
  const std::string many = Lower(gender);
  const std::uint64_t form = random() % 3;
  if (form == 0) {
    phrase.after.push_back("for " + many);
  } else if (form == 1 && !phrase.nameless()) {
    phrase.before.push_back(many);  // as names have it
  } else {
    phrase.before.push_back(many.ends_with('s') ? many + "'" : many + "'s");
  }
}

// "sports", "for sports", "sports wear"
void AddPurpose(const std::string& purpose, Random& random, Phrase& phrase) {
  const std::string word = Lower(purpose);
  if (phrase.nameless() && Chance(random, 0.5)) {
    phrase.before.push_back(word);
    phrase.noun.many = "wear";
  } else if (Chance(random, 0.6)) {
    // Not "a casual casual shoe".
    if (!(phrase.noun.many + phrase.noun.one).starts_with(word)) phrase.before.push_back(word);
  } else {
    phrase.after.push_back("for " + word + (Chance(random, 0.3) ? " wear" : ""));
  }
}

std::string AttributePhrase(const FashionItem& item, std::uint32_t stated, Random& random) {
  const auto says = [&](Attribute attribute) {
    return (stated & Bit(attribute)) != 0 && !item[attribute].empty();
  };
  Phrase phrase;
  for (const Attribute noun : {Attribute::kCategory, Attribute::kKind, Attribute::kType}) {
    if (!says(noun)) continue;
    phrase.noun = NounOf(item[noun] == "Apparel" ? "Clothing" : OneOf(item[noun], random));
  }
  if (says(Attribute::kGender)) AddGender(item[Attribute::kGender], random, phrase);
  if (says(Attribute::kSeason)) {
    const bool fall = item[Attribute::kSeason] == "Fall" && Chance(random, 0.5);
    AddPurpose(fall ? "autumn" : item[Attribute::kSeason], random, phrase);
  }
  if (says(Attribute::kUsage)) AddPurpose(item[Attribute::kUsage], random, phrase);
  if (says(Attribute::kColour)) {
    const std::string& label = item[Attribute::kColour];
    const std::string colour = label == "Multi" ? "multicoloured" : Lower(label);
    if (stated == Bit(Attribute::kColour) && Chance(random, 0.2)) return colour;
    if (Chance(random, 0.9)) {
      phrase.colour = colour;
    } else {
      phrase.after.push_back("in " + colour);
    }
  }
  return phrase.Say(random);
}

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

std::string Framed(const std::string& phrase, double share, Random& random) {
  const bool suffix = phrase.starts_with("for ") || phrase.starts_with("in ");
  if (suffix || !Chance(random, share)) return phrase;
  return Pick(random, {"a photo of ", "a photo of ", "a product photo of ", "a picture of "}) +
         phrase;
}

}  // namespace

Caption NameCaption(const FashionItem& item, Random& random) {
  if (item.name.empty()) return AttributeCaption(item, random);
  constexpr double kDropped = 0.2;
  std::vector<std::string> words = WordsOf(item.name);
  if (Chance(random, 0.5)) {
    std::erase_if(words, [&](const std::string&) { return Chance(random, kDropped); });
  }
  const std::string text = words.empty() ? item.name : base::Join(words, " ");
  return {Framed(text, 0.15, random), kNameStated};
}

Caption AttributeCaption(const FashionItem& item, Random& random) {
  std::uint32_t stated = DrawStated(random);
  for (std::size_t i = 0; i < kAttributes; ++i) {
    if (item.attributes[i].empty()) stated &= ~(1U << i);
  }
  if (stated == 0) {
    stated = item[Attribute::kType].empty() ? 0 : Bit(Attribute::kType);
  }
  return {Framed(AttributePhrase(item, stated, random), 0.4, random), stated};
}

std::vector<std::string> ClassPrompts(Attribute attribute, const std::string& value) {
  FashionItem item;
  item.attributes[static_cast<std::size_t>(attribute)] = value;
  std::set<std::string> prompts;
  Random random(1);
  // Enough that hardly a wording is missed.
  for (int i = 0; i < 200; ++i) {
    prompts.insert(Framed(AttributePhrase(item, Bit(attribute), random), 0.5, random));
  }
  return {prompts.begin(), prompts.end()};
}

}  // namespace ondine::train
