// What byte-level BPE and SentencePiece have in common: neighbouring pieces of a word are merged,
// best pair first, and equal words give equal tokens.
#ifndef ONDINE_SRC_TEXT_WORD_MERGER_H_
#define ONDINE_SRC_TEXT_WORD_MERGER_H_

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "text/tokenizer.h"

namespace ondine::text {

// Longer words are cut, so that a word's positions fit 32 bits and its working memory is bounded.
inline constexpr std::size_t kMaxWordBytes = std::size_t{1} << 24;

class WordMerger {
 public:
  static constexpr std::uint32_t kNone = 0xFFFFFFFF;

  struct Piece {
    std::uint32_t begin = 0;  // in the word
    std::uint32_t size = 0;   // 0 once it is merged into another
    TokenId id = -1;          // -1: no token
    std::uint32_t previous = kNone;
    std::uint32_t next = kNone;
  };
  struct Merge {
    std::uint32_t rank;  // lower is merged first; equal ranks from left to right
    TokenId id;
  };

  void Clear() { pieces_.clear(); }
  void Append(std::uint32_t size, TokenId id) {
    const auto index = static_cast<std::uint32_t>(pieces_.size());
    Piece piece{0, size, id, kNone, kNone};
    if (index > 0) {
      piece.begin = pieces_.back().begin + pieces_.back().size;
      piece.previous = index - 1;
      pieces_.back().next = index;
    }
    pieces_.push_back(piece);
  }

  // Merges until `find(left, right)`, which returns optional<Merge>, has nothing more. O(n log n).
  template <typename Find>
  void Run(const Find& find) {
    queue_.clear();
    for (std::uint32_t right = 1; right < pieces_.size(); ++right) Consider(right - 1, right, find);
    std::make_heap(queue_.begin(), queue_.end(), Later);
    while (!queue_.empty()) {
      std::pop_heap(queue_.begin(), queue_.end(), Later);
      const Candidate best = queue_.back();
      queue_.pop_back();
      const auto left_index = static_cast<std::uint32_t>(best.order);
      Piece& left = pieces_[left_index];
      Piece& right = pieces_[best.right];
      const bool stale = left.size == 0 || right.size == 0 || left.size + right.size != best.size;
      if (stale) continue;
      left.size = best.size;
      left.id = best.id;
      left.next = right.next;
      right.size = 0;
      if (right.next != kNone) pieces_[right.next].previous = left_index;
      const std::uint32_t next = right.next;
      if (Consider(left.previous, left_index, find)) Sift();
      if (Consider(left_index, next, find)) Sift();
    }
  }

  // Calls `emit` with every piece that is left, in order.
  template <typename Emit>
  void ForEach(const Emit& emit) const {
    if (pieces_.empty()) return;
    for (std::uint32_t i = 0; i != kNone; i = pieces_[i].next) emit(pieces_[i]);
  }

 private:
  struct Candidate {
    std::uint64_t order;  // rank, then the left piece's index
    std::uint32_t right;
    std::uint32_t size;
    TokenId id;
  };
  static bool Later(const Candidate& a, const Candidate& b) { return a.order > b.order; }

  void Sift() { std::push_heap(queue_.begin(), queue_.end(), Later); }

  // Appends the pair to the queue if it can be merged; returns whether it did.
  template <typename Find>
  bool Consider(std::uint32_t left, std::uint32_t right, const Find& find) {
    if (left == kNone || right == kNone) return false;
    const std::optional<Merge> merge = find(pieces_[left], pieces_[right]);
    if (!merge) return false;
    queue_.push_back({std::uint64_t{merge->rank} << 32 | left, right,
                      pieces_[left].size + pieces_[right].size, merge->id});
    return true;
  }

  std::vector<Piece> pieces_;
  std::vector<Candidate> queue_;  // a heap
};

// Where a word was met before in the text of one Encode() call. Direct-mapped, so of fixed size.
class WordCache {
 public:
  explicit WordCache(std::size_t text_bytes)
      : entries_(std::bit_ceil(std::clamp<std::size_t>(text_bytes / 4, 16, 1 << 14))) {}

  // Appends the tokens of an equal earlier word to `out`, or else calls `encode(word)`, which
  // appends them. The bytes of `word` must stay where they are as long as the cache lives.
  template <typename Encode>
  void Append(std::string_view word, std::vector<TokenId>& out, const Encode& encode) {
    Entry& entry = entries_[std::hash<std::string_view>{}(word) & (entries_.size() - 1)];
    if (entry.word == word) {
      for (std::size_t i = 0; i < entry.count; ++i) {
        const TokenId id = out[entry.first + i];
        out.push_back(id);
      }
      return;
    }
    const std::size_t first = out.size();
    encode(word);
    entry = {word, first, out.size() - first};
  }

 private:
  struct Entry {
    std::string_view word;
    std::size_t first = 0;  // its tokens in the output
    std::size_t count = 0;
  };
  std::vector<Entry> entries_;
};

// What one Encode() call keeps from one stretch of plain text to the next.
struct EncodeState {
  explicit EncodeState(std::size_t text_bytes) : cache(text_bytes) {}

  std::vector<TokenId> tokens;
  WordMerger merger;
  WordCache cache;
  std::deque<std::string> kept;  // rewritten text that words in the cache lie in
};

}  // namespace ondine::text

#endif  // ONDINE_SRC_TEXT_WORD_MERGER_H_
