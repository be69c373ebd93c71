// Chat templates: how a conversation becomes the text a chat model was trained on. Families are
// recognised from the GGUF's Jinja template and written out here; no Jinja is interpreted.
#ifndef ONDINE_SRC_TEXT_CHAT_TEMPLATE_H_
#define ONDINE_SRC_TEXT_CHAT_TEMPLATE_H_

#include <string>
#include <string_view>
#include <vector>

#include "ondine/result.h"

namespace ondine::text {

struct ChatMessage {
  std::string role;  // "system", "user" or "assistant"
  std::string content;
};

class ChatTemplate {
 public:
  // `jinja` is tokenizer.chat_template. kUnsupported for a template of no known family; the message
  // names the option --chat-template and the known families.
  static Result<ChatTemplate> Recognize(std::string_view jinja);
  // By family name ("chatml", "llama3", "gemma", ...).
  static Result<ChatTemplate> ByName(std::string_view name);
  static std::vector<std::string> Names();

  const std::string& name() const { return name_; }
  // The text of a conversation, with the header of the assistant's next turn where `open_assistant`
  // is set. It holds no BOS: encode it with parse_special and leave add_bos on. Marks inside a
  // message's content are not escaped. A system message must be the first; where the template has
  // no system role its text goes in front of a user message. kInvalidArgument for another role, or
  // a system text without a user message to carry it.
  Result<std::string> Render(const std::vector<ChatMessage>& messages, bool open_assistant) const;

 private:
  std::string name_;
  std::string default_system_;  // the message that the template inserts by itself; may be empty
};

}  // namespace ondine::text

#endif  // ONDINE_SRC_TEXT_CHAT_TEMPLATE_H_
