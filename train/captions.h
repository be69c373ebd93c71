// What a photo of a product can be called: captions made from its name and its attributes.
#ifndef ONDINE_TRAIN_CAPTIONS_H_
#define ONDINE_TRAIN_CAPTIONS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "base/random.h"
#include "train/attribute_phrase.h"
#include "train/fashion_data.h"

namespace ondine::train {

struct Caption {
  std::string text;
  // What it says: a bit for each Attribute, and one for the name. It holds for every photo that
  // agrees in these.
  std::uint32_t stated = 0;
};
inline constexpr std::uint32_t kNameStated = 1U << kAttributes;

// The words of a name, some of them left out at times, never all.
std::vector<std::string> NameWords(const FashionItem& item, base::Random& random);
// The product's name, sometimes with words left out, as users do; where it has none, as below.
Caption NameCaption(const FashionItem& item, base::Random& random);
// A phrase of one attribute ("something red", "a shoe", "for women") or several ("a photo of a
// men's red casual shoe"). What is unknown is never mentioned.
Caption AttributeCaption(const FashionItem& item, base::Random& random);

// All that such a phrase says of one attribute alone: together they stand for its value where
// photos are to be classified.
std::vector<std::string> ClassPrompts(Attribute attribute, const std::string& value);

}  // namespace ondine::train

#endif  // ONDINE_TRAIN_CAPTIONS_H_
