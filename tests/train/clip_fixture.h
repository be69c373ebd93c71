// A tiny CLIP and photos that it can learn: plain colours with a mark for each type.
#ifndef ONDINE_TESTS_TRAIN_CLIP_FIXTURE_H_
#define ONDINE_TESTS_TRAIN_CLIP_FIXTURE_H_

#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "base/random.h"
#include "models/clip_spec.h"
#include "text/clip_tokenizer.h"
#include "train/photo_set.h"

namespace ondine::testing {

inline models::ClipSpec TinyClipSpec() {
  models::ClipSpec spec;
  spec.name = "tiny";
  spec.projection = 16;
  spec.activation = models::ClipActivation::kGelu;
  spec.text = {.layers = 2, .width = 32, .heads = 2, .hidden = 64};
  spec.vocabulary = 517;
  spec.context = 32;
  spec.image = {.layers = 2, .width = 32, .heads = 2, .hidden = 64};
  spec.image_size = 8;
  spec.patch_size = 4;
  spec.mean = spec.deviation = {0.5F, 0.5F, 0.5F};
  spec.resize = models::ResizeMode::kSquash;
  return spec;
}

inline const char* const kTinyMerges = "#version\na b\nab c</w>\nb c</w>\n";

inline text::ClipVocabulary TinyClipVocabulary() {
  auto vocabulary = text::ClipVocabulary::FromMerges(kTinyMerges, 517, "merges");
  EXPECT_TRUE(vocabulary) << vocabulary.error().ToString();
  return *vocabulary;
}

inline text::ClipTokenizer TinyClipTokenizer() {
  auto tokenizer = text::ClipTokenizer::Create(TinyClipVocabulary());
  EXPECT_TRUE(tokenizer) << tokenizer.error().ToString();
  return std::move(*tokenizer);
}

// Every photo of a colour and a type has the same name; noise tells them apart.
inline train::PhotoSet ColouredPhotos(int count, int size, std::uint64_t seed) {
  struct Colour {
    const char* name;
    std::array<int, 3> values;
  };
  static constexpr Colour kColours[] = {{"Red", {220, 30, 30}},
                                        {"Green", {30, 200, 30}},
                                        {"Blue", {30, 30, 220}},
                                        {"Black", {20, 20, 20}},
                                        {"White", {235, 235, 235}}};
  static constexpr const char* kTypes[] = {"Shirts", "Belts"};  // light below, light above
  base::Random random(seed);
  train::PhotoSet set;
  set.size = size;
  for (int i = 0; i < count; ++i) {
    const Colour& colour = kColours[random() % std::size(kColours)];
    const std::size_t type = random() % std::size(kTypes);
    train::FashionItem& item = set.items.emplace_back();
    item.photo = std::to_string(i) + ".jpg";
    item.name = std::string("Acme ") + colour.name + " " + kTypes[type];
    item.attributes[static_cast<std::size_t>(train::Attribute::kColour)] = colour.name;
    item.attributes[static_cast<std::size_t>(train::Attribute::kType)] = kTypes[type];
    item.content = seed * 1000 + static_cast<std::uint64_t>(i);
    for (int y = 0; y < size; ++y) {
      const bool light = (y < size / 2) == (type == 1);
      for (int x = 0; x < size; ++x) {
        for (const int value : colour.values) {
          const int grey = light ? 128 : value, noise = static_cast<int>(random() % 21) - 10;
          set.pixels.push_back(static_cast<std::uint8_t>(grey + noise));
        }
      }
    }
  }
  return set;
}

}  // namespace ondine::testing

#endif  // ONDINE_TESTS_TRAIN_CLIP_FIXTURE_H_
