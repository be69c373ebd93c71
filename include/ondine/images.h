// Texts and pictures as vectors that can be compared (CLIP), with a strength for every word of the
// text. Radford et al., 2021, arXiv 2103.00020; the strengths: SToRI, Kim et al., Findings of EMNLP
// 2024, arXiv 2410.08469, which may be covered by patents.
#ifndef ONDINE_IMAGES_H_
#define ONDINE_IMAGES_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "ondine/result.h"

namespace ondine {

struct ClipInfo {
  std::string name;
  int vector_length = 0;
  int picture_size = 0;           // pixels a side, of what the encoder sees
  int longest_text = 0;           // tokens, without start and end
  float logit_scale = 100;        // of cosines, before a softmax over texts
  std::int64_t weight_bytes = 0;  // resident, prepared for this CPU
};

struct QueryOptions {
  bool literal = false;  // brackets are text
  int first_block = 0;   // of the text encoder, from which on strengths act
  bool explain = false;  // fill EncodedQuery::Word::share and share_plain
};

struct EncodedQuery {
  struct Word {
    std::string text;
    double weight = 1;
    // How much of the attention of the token that stands for the whole text goes to this word, mean
    // over blocks and heads, and how much would without strengths. The rest goes to the start and
    // end.
    double share = 0, share_plain = 0;
  };
  std::vector<float> vector;          // [vector_length], norm 1
  std::vector<Word> words;            // of the text, in order
  std::vector<std::string> unwanted;  // texts whose vectors were subtracted
  std::string canonical;              // a query that says the same, with a number for each strength
  double plain_similarity = 1;        // cosine to the vector of the same text without strengths
  std::vector<std::string> notes;     // what the user should know, a line each
};

// Belongs to one thread at a time.
class Clip {
 public:
  // Reads a GGUF file with both encoders and prepares its weights for this CPU. `threads`: 0 means
  // one per core. Errors: kNotFound, kIo, kCorrupt, kUnsupported, kOutOfMemory.
  static Result<std::unique_ptr<Clip>> Load(const std::string& path, int threads = 0);
  ~Clip();

  const ClipInfo& info() const;

  // The vector of a query such as "a (red:1.6) running shoe -laces" (docs/stori.md). Strengths of 1
  // give the plain text's vector, bit for bit. kInvalidArgument: no text, brackets that do not
  // match, strengths that make no sense.
  Result<EncodedQuery> EncodeQuery(std::string_view query, const QueryOptions& options = {});

  // The vectors of pictures: JPEG, PNG, WebP, TIFF, GIF, HEIC, AVIF, where libvips reads them;
  // [vector_length] each, norm 1. Of each file its own error: kNotFound, kIo, kCorrupt,
  // kUnsupported.
  std::vector<Result<std::vector<float>>> EncodePictures(const std::vector<std::string>& paths);

  // For the library's own use.
  struct Parts;
  Parts& parts() { return *parts_; }

 private:
  explicit Clip(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

// Makes a checkpoint of transformers' or OpenCLIP's into a GGUF file with matrices of halves, or of
// floats. `folder` holds config.json, model.safetensors and merges.txt or tokenizer.json; or
// open_clip_config.json, open_clip_model.safetensors and the same. Errors name the file or tensor:
// kNotFound, kCorrupt, kUnsupported, kIo.
Status ConvertClip(const std::string& folder, const std::string& output, bool floats = false);

}  // namespace ondine

#endif  // ONDINE_IMAGES_H_
