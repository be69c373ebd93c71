// Puts documents, questions and messages into the form that a chat model was trained on.
#ifndef ONDINE_SRC_ENGINE_PROMPT_FORMAT_H_
#define ONDINE_SRC_ENGINE_PROMPT_FORMAT_H_

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "engine/model_parts.h"
#include "ondine/model.h"
#include "ondine/result.h"

namespace ondine::engine {

// A user's message with text to fill in: what the template puts before it and behind it, up to
// where the assistant begins to speak. Both parts contain control tokens; what is filled in must
// not.
struct Frame {
  std::string before;
  std::string behind;
  std::size_t system_begin = 0, system_end = 0;  // in `before`: the system message
};

// The frame of the first message of a conversation (with a system message where there is one), or,
// without a template, a plain form for base models.
Result<Frame> FirstMessage(const Model::Parts& model, std::string_view system, bool chat_template);

// What stands around a document, and behind a question about it up to where the answer begins. The
// question goes between the two, after kQuestionLead. Small models answer questions put like this
// far more often than bare ones.
Result<Frame> DocumentFrame(const Model::Parts& model, std::string_view system, bool chat_template);
inline constexpr std::string_view kQuestionLead = "\n\nQuestion: ";

// The frame of a message that follows an answer of the assistant; `before` begins with what ends
// that answer.
Result<Frame> NextMessage(const Model::Parts& model);

// Tokens of `before` where it begins a conversation. What reads like a control token in the system
// message is text.
std::vector<TokenId> EncodeBeginning(const Model::Parts& model, const Frame& frame);
// Tokens of a part of a frame (control tokens recognised) or of text from outside (never).
std::vector<TokenId> EncodeFrame(const Model::Parts& model, std::string_view part, bool add_bos);
std::vector<TokenId> EncodeText(const Model::Parts& model, std::string_view text, bool continues);

}  // namespace ondine::engine

#endif  // ONDINE_SRC_ENGINE_PROMPT_FORMAT_H_
