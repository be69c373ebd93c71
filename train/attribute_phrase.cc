#include "train/attribute_phrase.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <string_view>
#include <vector>

#include "base/join.h"
#include "train/caption_words.h"

namespace ondine::train {
namespace {

using base::Random;

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
  // Behind the bracket of a strength, where there is one.
  std::string_view first = phrase;
  first.remove_prefix(std::min(first.find_first_not_of('('), first.size()));
  const bool vowel = first.find_first_of("aeiou") == 0;
  return (vowel && !first.starts_with("uni") ? "an " : "a ") + phrase;
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

void AddGender(const std::string& gender, const Spelling& spelled, Random& random, Phrase& phrase) {
  const auto said = [&](const std::string& words) { return spelled(Attribute::kGender, words); };
  if (gender == "Unisex") {
    if (Chance(random, 0.5)) {
      phrase.before.push_back(said("unisex"));
    } else {
      phrase.after.push_back("for " + said("men and women"));
    }
    return;
  }
  const std::string many = Lower(gender);
  const std::uint64_t form = random() % 3;
  if (form == 0) {
    phrase.after.push_back("for " + said(many));
  } else if (form == 1 && !phrase.nameless()) {
    phrase.before.push_back(said(many));  // as names have it
  } else {
    phrase.before.push_back(said(many.ends_with('s') ? many + "'" : many + "'s"));
  }
}

// "sports", "for sports", "sports wear"
void AddPurpose(Attribute attribute, const std::string& purpose, const Spelling& spelled,
                Random& random, Phrase& phrase) {
  const std::string word = Lower(purpose), said = spelled(attribute, word);
  if (phrase.nameless() && Chance(random, 0.5)) {
    phrase.before.push_back(said);
    phrase.noun.many = "wear";
  } else if (Chance(random, 0.6)) {
    // Not "a casual casual shoe".
    if (!(phrase.noun.many + phrase.noun.one).starts_with(word)) {
      phrase.before.push_back(said);
    }
  } else {
    phrase.after.push_back("for " + said + (Chance(random, 0.3) ? " wear" : ""));
  }
}

}  // namespace

std::string Plainly(Attribute, const std::string& words) {
  return words;
}

std::string AttributePhrase(const FashionItem& item, std::uint32_t stated, const Spelling& spelled,
                            Random& random) {
  const auto says = [&](Attribute attribute) {
    return (stated & Bit(attribute)) != 0 && !item[attribute].empty();
  };
  Phrase phrase;
  std::optional<Attribute> noun;
  for (const Attribute attribute : {Attribute::kCategory, Attribute::kKind, Attribute::kType}) {
    if (!says(attribute)) continue;
    const std::string& label = item[attribute];
    phrase.noun = NounOf(label == "Apparel" ? "Clothing" : OneOf(label, random));
    noun = attribute;
  }
  if (says(Attribute::kGender)) AddGender(item[Attribute::kGender], spelled, random, phrase);
  if (says(Attribute::kSeason)) {
    const bool fall = item[Attribute::kSeason] == "Fall" && Chance(random, 0.5);
    AddPurpose(Attribute::kSeason, fall ? "autumn" : item[Attribute::kSeason], spelled, random,
               phrase);
  }
  if (says(Attribute::kUsage)) {
    AddPurpose(Attribute::kUsage, item[Attribute::kUsage], spelled, random, phrase);
  }
  if (says(Attribute::kColour)) {
    const std::string& label = item[Attribute::kColour];
    const std::string colour =
        spelled(Attribute::kColour, label == "Multi" ? "multicoloured" : Lower(label));
    if (stated == Bit(Attribute::kColour) && Chance(random, 0.2)) return colour;
    if (Chance(random, 0.9)) {
      phrase.colour = colour;
    } else {
      phrase.after.push_back("in " + colour);
    }
  }
  if (noun) {
    for (std::string* form : {&phrase.noun.one, &phrase.noun.many}) {
      if (!form->empty()) *form = spelled(*noun, *form);
    }
  }
  return phrase.Say(random);
}

std::string Framed(const std::string& phrase, double share, Random& random) {
  const bool suffix = phrase.starts_with("for ") || phrase.starts_with("in ");
  if (suffix || !Chance(random, share)) return phrase;
  return Pick(random, {"a photo of ", "a photo of ", "a product photo of ", "a picture of "}) +
         phrase;
}

}  // namespace ondine::train
