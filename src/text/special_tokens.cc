#include "text/special_tokens.h"

#include <algorithm>
#include <string>
#include <utility>

#include "text/white_space.h"

namespace ondine::text {
namespace {

// Bounds the work at one place of a text; the longest special token in use has under 100 bytes.
constexpr std::size_t kMaxSpecialBytes = 1000;

std::size_t Index(char c) {
  return static_cast<unsigned char>(c);
}

}  // namespace

Result<SpecialTokens> SpecialTokens::Create(const Vocabulary& vocabulary, bool absorb_space) {
  constexpr std::string_view kNeverAbsorb[] = {"<unk>", "<s>", "<|endoftext|>"};
  SpecialTokens special;
  for (TokenId id = 0; id < vocabulary.size(); ++id) {
    const TokenType type = vocabulary.Type(id);
    const bool control = type == TokenType::kControl || type == TokenType::kUnknown;
    const std::string& text = vocabulary.Text(id);
    if (text.empty() || !(control || type == TokenType::kUserDefined)) continue;
    if (text.size() > kMaxSpecialBytes) {
      return MakeError(ErrorCode::kCorrupt, "special token " + std::to_string(id) + " has " +
                                                std::to_string(text.size()) + " bytes, more than " +
                                                std::to_string(kMaxSpecialBytes));
    }
    const bool exempt =
        std::find(std::begin(kNeverAbsorb), std::end(kNeverAbsorb), text) != std::end(kNeverAbsorb);
    special.entries_.push_back({text, id, control, absorb_space && !exempt});
    special.first_byte_[Index(text[0])] = true;
    if (!control) special.first_always_[Index(text[0])] = true;
  }
  std::stable_sort(special.entries_.begin(), special.entries_.end(),
                   [](const Entry& a, const Entry& b) { return a.text < b.text; });
  return special;
}

const SpecialTokens::Entry* SpecialTokens::LongestAt(std::string_view text, bool control) const {
  // [low, high) are the entries that begin with the first `depth` bytes of the text.
  auto low = entries_.begin();
  auto high = entries_.end();
  const Entry* longest = nullptr;
  for (std::size_t depth = 0; depth < text.size(); ++depth) {
    const auto byte_at = [depth](const Entry& entry) {
      return depth < entry.text.size() ? static_cast<int>(Index(entry.text[depth])) : -1;
    };
    const int byte = static_cast<int>(Index(text[depth]));
    low = std::lower_bound(low, high, byte,
                           [&](const Entry& entry, int value) { return byte_at(entry) < value; });
    high = std::upper_bound(low, high, byte,
                            [&](int value, const Entry& entry) { return value < byte_at(entry); });
    if (low == high) break;
    if (low->text.size() == depth + 1 && (control || !low->control)) longest = &*low;
  }
  return longest;
}

std::optional<SpecialTokens::Match> SpecialTokens::Next(std::string_view text, std::size_t from,
                                                        bool control) const {
  const std::array<bool, 256>& may_begin = control ? first_byte_ : first_always_;
  for (std::size_t i = from; i < text.size(); ++i) {
    if (!may_begin[Index(text[i])]) continue;
    const Entry* entry = LongestAt(text.substr(i), control);
    if (entry == nullptr) continue;
    std::size_t end = i + entry->text.size();
    while (entry->absorbs_space && end < text.size() && IsSpace(text[end])) ++end;
    return Match{i, end, entry->id};
  }
  return std::nullopt;
}

}  // namespace ondine::text
