// Sentences as the pot sees them: so that whole statements survive, not single words.
#ifndef ONDINE_SRC_MEMORY_SENTENCES_H_
#define ONDINE_SRC_MEMORY_SENTENCES_H_

#include <cstdint>
#include <memory>
#include <vector>

namespace ondine::memory {

// By token id: whether a sentence ends with this token.
using SentenceEnds = std::vector<bool>;

// The mean of a value over the tokens of the sentence that is being read.
class SentenceMean {
 public:
  // Without `ends` all sentences are of the greatest length.
  explicit SentenceMean(std::shared_ptr<const SentenceEnds> ends) : ends_(std::move(ends)) {}

  void Add(std::int32_t token, float value);
  // Whether the last token added ends the sentence: then Clear() before the next one.
  bool ended() const { return ended_; }
  float mean() const { return length_ > 0 ? static_cast<float>(sum_ / length_) : 0.0f; }
  int length() const { return length_; }
  void Clear();

 private:
  std::shared_ptr<const SentenceEnds> ends_;
  double sum_ = 0;
  int length_ = 0;
  bool ended_ = false;
};

}  // namespace ondine::memory

#endif  // ONDINE_SRC_MEMORY_SENTENCES_H_
