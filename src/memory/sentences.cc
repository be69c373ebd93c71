#include "memory/sentences.h"

namespace ondine::memory {
namespace {

// The mean of fewer tokens says little: a short sentence goes with the next one.
constexpr int kShortest = 8;
// Of text without punctuation; below the recent window of pots of usual size.
constexpr int kLongest = 48;

}  // namespace

void SentenceMean::Add(std::int32_t token, float value) {
  sum_ += value;
  ++length_;
  const bool end = ends_ && (*ends_)[static_cast<std::size_t>(token)];
  ended_ = length_ >= kLongest || (end && length_ >= kShortest);
}

void SentenceMean::Clear() {
  sum_ = 0;
  length_ = 0;
  ended_ = false;
}

}  // namespace ondine::memory
