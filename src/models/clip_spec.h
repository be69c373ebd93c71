// What describes a CLIP model besides its weights: docs/formats/clip.md.
#ifndef ONDINE_SRC_MODELS_CLIP_SPEC_H_
#define ONDINE_SRC_MODELS_CLIP_SPEC_H_

#include <array>
#include <string>

#include "formats/gguf.h"
#include "ondine/result.h"

namespace ondine::models {

// Of the MLPs: x * sigmoid(1.702 x), which OpenAI's models have, or GELU itself, x * Phi(x).
enum class ClipActivation { kQuickGelu, kGelu };

// A transformer with LayerNorm before each half of a block and biases everywhere.
struct TowerSpec {
  int layers = 0;
  int width = 0;
  int heads = 0;   // of width / heads channels each
  int hidden = 0;  // of the MLP
  float norm_epsilon = 1e-5f;

  int head_dim() const { return width / heads; }
};

// How a picture that is not square becomes a square.
enum class ResizeMode {
  kShortest,         // the shorter side gets the size, the longer one is cut on both ends
  kShortestRounded,  // the same, where half of an odd cut is rounded to an even number, not down
  kLongest,          // the longer side gets the size, the rest is filled up
  kSquash,           // each side gets the size
};

struct ClipSpec {
  std::string name;    // general.name
  int projection = 0;  // length of the vectors
  ClipActivation activation = ClipActivation::kQuickGelu;
  float logit_scale = 100;  // what cosines are multiplied by before a softmax over texts

  TowerSpec text;  // causal
  int vocabulary = 0;
  int context = 0;  // tokens at most, start and end included

  TowerSpec image;
  int image_size = 0;  // pixels, square
  int patch_size = 0;
  std::array<float, 3> mean{}, deviation{};  // of red, green and blue in [0, 1]
  ResizeMode resize = ResizeMode::kShortest;
  int fill = 0;  // grey that kLongest fills up with, 0 to 255

  int Patches() const { return (image_size / patch_size) * (image_size / patch_size); }
};

// kUnsupported: not a CLIP, or one without one of the towers; kCorrupt: a key is missing or makes
// no sense.
Result<ClipSpec> ReadClipSpec(const formats::GgufFile& file);
void WriteClipSpec(const ClipSpec& spec, formats::GgufWriter& writer);

}  // namespace ondine::models

#endif  // ONDINE_SRC_MODELS_CLIP_SPEC_H_
