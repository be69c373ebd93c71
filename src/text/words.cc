#include "text/words.h"

#include <algorithm>
#include <cstdint>
#include <initializer_list>

#include "base/utf8.h"

namespace ondine::text {
namespace {

struct Range {
  std::uint32_t first, last;
};

bool IsIn(std::uint32_t code, std::initializer_list<Range> ranges) {
  return std::any_of(ranges.begin(), ranges.end(), [code](const Range& range) {
    return code >= range.first && code <= range.last;
  });
}

bool Separates(std::uint32_t code) {
  if (code < 0x80) {
    return !IsIn(code, {{'0', '9'}, {'A', 'Z'}, {'a', 'z'}});
  }
  return IsIn(code, {{0x80, 0xA9},  // Latin-1's marks, but not its letters and ordinals
                     {0xAB, 0xB4},     {0xB6, 0xB9},     {0xBB, 0xBF},
                     {0xD7, 0xD7},     {0xF7, 0xF7},     {0x37E, 0x37E},  // Greek
                     {0x387, 0x387},   {0x55A, 0x55F},                    // Armenian
                     {0x589, 0x58A},   {0x5BE, 0x5BE},                    // Hebrew
                     {0x5F3, 0x5F4},   {0x60C, 0x60D},                    // Arabic
                     {0x61B, 0x61F},   {0x66A, 0x66D},   {0x6D4, 0x6D4},
                     {0x964, 0x965},                      // Devanagari and its neighbours
                     {0x1361, 0x1368},                    // Ethiopic
                     {0x2000, 0x206F},                    // punctuation, spaces
                     {0x2190, 0x2BFF},                    // arrows, mathematics, boxes, symbols
                     {0x2E00, 0x2E7F}, {0x3000, 0x3004},  // CJK punctuation
                     {0x3008, 0x3020}, {0x30FB, 0x30FB}, {0xFE30, 0xFE6F},
                     {0xFEFF, 0xFEFF}, {0xFF00, 0xFF0F},  // full-width punctuation
                     {0xFF1A, 0xFF20}, {0xFF3B, 0xFF40}, {0xFF5B, 0xFF65},
                     {0xFFF0, 0xFFFF}});
}

// Of scripts without spaces between words.
bool StandsAlone(std::uint32_t code) {
  return IsIn(code, {{0x0E00, 0x0EFF},  // Thai, Lao
                     {0x1000, 0x109F},  // Burmese
                     {0x1780, 0x17FF},  // Khmer
                     {0x3005, 0x3007},
                     {0x3040, 0x30FF},  // Kana
                     {0x3400, 0x9FFF},  // Han
                     {0xF900, 0xFAFF},
                     {0x20000, 0x3FFFF}});
}

std::uint32_t Lower(std::uint32_t code) {
  if (IsIn(code, {{'A', 'Z'}, {0xC0, 0xDE}, {0x391, 0x3A9}, {0x410, 0x42F}})) return code + 0x20;
  if (IsIn(code, {{0x400, 0x40F}})) return code + 0x50;
  if (code == 0x386) return 0x3AC;  // Greek with accents
  if (IsIn(code, {{0x388, 0x38A}})) return code + 0x25;
  if (code == 0x38C) return 0x3CC;
  if (IsIn(code, {{0x38E, 0x38F}})) return code + 0x3F;
  if (code == 0x3C2) return 0x3C3;  // the sigma that ends words
  // Latin Extended-A and the rest of Cyrillic: capitals are even or odd, their small ones follow.
  if (IsIn(code,
           {{0x100, 0x137}, {0x14A, 0x177}, {0x460, 0x481}, {0x48A, 0x4BF}, {0x4D0, 0x52F}})) {
    return code | 1;
  }
  if (IsIn(code, {{0x139, 0x148}, {0x179, 0x17E}})) return code + (code & 1);
  return code;
}

class Splitter {
 public:
  explicit Splitter(std::size_t most) : most_(most) {}

  void Add(std::uint32_t code) {
    if (Separates(code)) {
      End();
    } else if (StandsAlone(code)) {
      EndWord();
      std::string character;
      base::AppendUtf8(code, character);
      if (!neighbour_.empty()) words_.push_back(neighbour_ + character);
      paired_ = !neighbour_.empty();
      neighbour_ = std::move(character);
    } else {
      EndCharacters();
      if (length_++ < most_) base::AppendUtf8(Lower(code), word_);
    }
  }

  void End() {
    EndWord();
    EndCharacters();
  }

  std::vector<std::string> Take() {
    End();
    return std::move(words_);
  }

 private:
  void EndWord() {
    if (!word_.empty()) words_.push_back(std::move(word_));
    word_.clear();
    length_ = 0;
  }

  // A character without neighbours is a word by itself.
  void EndCharacters() {
    if (!neighbour_.empty() && !paired_) words_.push_back(neighbour_);
    neighbour_.clear();
    paired_ = false;
  }

  std::size_t most_;  // characters of a word
  std::vector<std::string> words_;
  std::string word_;
  std::size_t length_ = 0;  // of the word, before it was cut
  std::string neighbour_;   // the character before, of a script without spaces
  bool paired_ = false;     // whether it has formed a pair with the one before it
};

}  // namespace

std::vector<std::string> Words(std::string_view text, std::size_t most) {
  Splitter splitter(most);
  while (!text.empty()) {
    const std::size_t length = base::CharacterLength(text);
    if (length == 0) {
      splitter.End();
    } else {
      splitter.Add(base::CodePoint(text.substr(0, length)));
    }
    text.remove_prefix(std::max<std::size_t>(length, 1));
  }
  return splitter.Take();
}

}  // namespace ondine::text
