#include "engine/prompt_format.h"

#include "base/try.h"

namespace ondine::engine {
namespace {

using text::ChatMessage;

// Stands for the text to be filled in; no template contains this private-use character.
constexpr std::string_view kMark = "\xEE\x80\x80";

Result<Frame> SplitAtMark(const std::string& rendered, std::size_t begin) {
  const std::size_t mark = rendered.find(kMark, begin);
  if (mark == std::string::npos) {
    return MakeError(ErrorCode::kInternal, "the chat template drops the user's message");
  }
  return Frame{rendered.substr(begin, mark - begin), rendered.substr(mark + kMark.size())};
}

}  // namespace

Result<Frame> FirstMessage(const Model::Parts& model, std::string_view system,
                           bool chat_template) {
  if (!chat_template || !model.chat_template) {
    const std::string before = system.empty() ? "" : std::string(system) + "\n\n";
    return Frame{before, "\nAnswer:"};
  }
  std::vector<ChatMessage> messages;
  if (!system.empty()) messages.push_back({"system", std::string(system)});
  messages.push_back({"user", std::string(kMark)});
  ONDINE_ASSIGN(const std::string rendered, model.chat_template->Render(messages, true));
  return SplitAtMark(rendered, 0);
}

Result<Frame> NextMessage(const Model::Parts& model, std::string_view reply) {
  if (!model.chat_template) return tl::make_unexpected(model.chat_template_error);
  // A conversation of its own with the same reply: what the template puts behind the reply does not
  // depend on what stood before.
  const std::string question = "?";
  const std::vector<ChatMessage> so_far = {{"user", question}};
  std::vector<ChatMessage> messages = so_far;
  messages.push_back({"assistant", std::string(reply)});
  messages.push_back({"user", std::string(kMark)});
  ONDINE_ASSIGN(const std::string opened, model.chat_template->Render(so_far, true));
  ONDINE_ASSIGN(const std::string rendered, model.chat_template->Render(messages, true));
  // Some templates trim the reply, so look for its end rather than add up lengths.
  const std::size_t found = rendered.find(reply, std::min(opened.size(), rendered.size()));
  const std::size_t begin =
      found == std::string::npos ? std::min(opened.size(), rendered.size()) : found + reply.size();
  return SplitAtMark(rendered, begin);
}

std::vector<TokenId> EncodeFrame(const Model::Parts& model, std::string_view part, bool add_bos) {
  text::EncodeOptions options;
  options.add_bos = add_bos;
  options.parse_special = true;
  options.continues = !add_bos;
  return model.tokenizer.Encode(part, options);
}

std::vector<TokenId> EncodeText(const Model::Parts& model, std::string_view text, bool continues) {
  text::EncodeOptions options;
  options.add_bos = false;
  options.continues = continues;
  return model.tokenizer.Encode(text, options);
}

}  // namespace ondine::engine
