// What a Model consists of, for the engine's own files.
#ifndef ONDINE_SRC_ENGINE_MODEL_PARTS_H_
#define ONDINE_SRC_ENGINE_MODEL_PARTS_H_

#include <memory>
#include <optional>
#include <string>

#include "memory/sentences.h"
#include "models/decoder.h"
#include "ondine/model.h"
#include "text/chat_template.h"
#include "text/tokenizer.h"

namespace ondine {

struct Model::Parts {
  ModelInfo info;
  text::Tokenizer tokenizer;
  std::optional<text::ChatTemplate> chat_template;
  Error chat_template_error;  // why there is none
  std::shared_ptr<const models::Decoder> decoder;
  std::shared_ptr<const memory::SentenceEnds> sentence_ends;
  std::string fingerprint;  // of weights and tokenizer; a .pot file is bound to it
};

}  // namespace ondine

#endif  // ONDINE_SRC_ENGINE_MODEL_PARTS_H_
