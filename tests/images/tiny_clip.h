// A CLIP with few random weights, as a GGUF file and as the checkpoints that others save.
#ifndef ONDINE_TESTS_IMAGES_TINY_CLIP_H_
#define ONDINE_TESTS_IMAGES_TINY_CLIP_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "formats/gguf.h"
#include "models/clip_spec.h"
#include "ondine/result.h"
#include "text/clip_tokenizer.h"

namespace ondine::testing {

// Merges: "r e", "re d</w>", "s h", "o e</w>", "sh oe</w>", so that "red" and "shoe" are tokens.
class TinyClip {
 public:
  struct Tensor {
    std::vector<std::int64_t> shape;  // outermost dimension first
    std::vector<float> values;
  };

  explicit TinyClip(models::ClipActivation activation = models::ClipActivation::kQuickGelu,
                    std::uint32_t seed = 1);

  models::ClipSpec& spec() { return spec_; }
  std::map<std::string, Tensor>& tensors() { return tensors_; }  // by their names in GGUF files
  const text::ClipVocabulary& vocabulary() const { return vocabulary_; }

  Status WriteGguf(const std::string& path) const;
  // Into a folder that is there.
  void WriteTransformers(const std::string& folder) const;
  void WriteOpenClip(const std::string& folder) const;

 private:
  void AddTower(const models::TowerSpec& spec, const std::string& section, std::int64_t positions);
  void Add(const std::string& name, std::vector<std::int64_t> shape, float deviation,
           float mean = 0);

  models::ClipSpec spec_;
  text::ClipVocabulary vocabulary_;
  std::map<std::string, Tensor> tensors_;
  std::uint32_t state_;
};

// A picture of the tiny CLIP's size, 32 x 32, with colours that follow from the seed.
std::vector<std::uint8_t> TinyPixels(std::uint32_t seed);

}  // namespace ondine::testing

#endif  // ONDINE_TESTS_IMAGES_TINY_CLIP_H_
