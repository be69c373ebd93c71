// A photo's attributes in words: "men's red casual shoes", "something for women".
#ifndef ONDINE_TRAIN_ATTRIBUTE_PHRASE_H_
#define ONDINE_TRAIN_ATTRIBUTE_PHRASE_H_

#include <cstdint>
#include <functional>
#include <string>

#include "base/random.h"
#include "train/fashion_data.h"

namespace ondine::train {

constexpr std::uint32_t Bit(Attribute attribute) {
  return 1U << static_cast<unsigned>(attribute);
}

// How the words that an attribute is called by are written.
using Spelling = std::function<std::string(Attribute attribute, const std::string& words)>;
std::string Plainly(Attribute attribute, const std::string& words);  // as they are

// Of the attributes stated, a bit each, those that are known.
std::string AttributePhrase(const FashionItem& item, std::uint32_t stated, const Spelling& spelled,
                            base::Random& random);

// With this chance behind "a photo of" or the like, where that makes sense.
std::string Framed(const std::string& phrase, double share, base::Random& random);

}  // namespace ondine::train

#endif  // ONDINE_TRAIN_ATTRIBUTE_PHRASE_H_
