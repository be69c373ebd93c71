// Plain retrieval as a baseline: the chunks of a text that BM25 finds for a question.
#ifndef ONDINE_SRC_EVAL_RETRIEVAL_H_
#define ONDINE_SRC_EVAL_RETRIEVAL_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "ondine/model.h"

namespace ondine::eval {

// Cuts `text` into chunks of about 256 tokens, ranks them by BM25 and returns the best ones, in the
// order of the text, as long as they fit into `max_tokens`.
std::string Retrieve(const Model& model, std::string_view text, std::string_view question,
                     std::int64_t max_tokens);

}  // namespace ondine::eval

#endif  // ONDINE_SRC_EVAL_RETRIEVAL_H_
