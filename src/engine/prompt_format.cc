#include "engine/prompt_format.h"

#include "base/try.h"

namespace ondine::engine {
namespace {

using text::ChatMessage;

// Stand for the text to be filled in and for an earlier answer; no template contains these
// private-use characters.
constexpr std::string_view kMark = "\xEE\x80\x80";
constexpr std::string_view kReply = "\xEE\x80\x81";

Result<Frame> SplitAtMark(const std::string& rendered, std::size_t begin) {
  const std::size_t mark = rendered.find(kMark, begin);
  if (mark == std::string::npos) {
    return MakeError(ErrorCode::kInternal, "the chat template drops the user's message");
  }
  return Frame{rendered.substr(begin, mark - begin), rendered.substr(mark + kMark.size())};
}

}  // namespace

Result<Frame> FirstMessage(const Model::Parts& model, std::string_view system, bool chat_template) {
  if (!chat_template || !model.chat_template) {
    const std::string before = system.empty() ? "" : std::string(system) + "\n\n";
    return Frame{before, ""};
  }
  std::vector<ChatMessage> messages;
  if (!system.empty()) messages.push_back({"system", std::string(system)});
  messages.push_back({"user", std::string(kMark)});
  ONDINE_ASSIGN(const std::string rendered, model.chat_template->Render(messages, true));
  return SplitAtMark(rendered, 0);
}

Result<Frame> DocumentFrame(const Model::Parts& model, std::string_view system,
                            bool chat_template) {
  ONDINE_ASSIGN(Frame frame, FirstMessage(model, system, chat_template));
  const std::string lead = "\nAnswer:";
  const bool chat = !frame.behind.empty();
  frame.behind = lead + frame.behind + (chat ? "Answer:" : "");
  return frame;
}

Result<Frame> NextMessage(const Model::Parts& model) {
  if (!model.chat_template) return tl::make_unexpected(model.chat_template_error);
  // A conversation of its own, with a mark for the answer too: what the template puts behind an
  // answer does not depend on what stood before, and some templates trim or shorten the answer.
  const std::vector<ChatMessage> messages = {
      {"user", "?"}, {"assistant", std::string(kReply)}, {"user", std::string(kMark)}};
  ONDINE_ASSIGN(const std::string rendered, model.chat_template->Render(messages, true));
  const std::size_t reply = rendered.find(kReply);
  if (reply == std::string::npos) {
    return MakeError(ErrorCode::kInternal, "the chat template drops the assistant's message");
  }
  return SplitAtMark(rendered, reply + kReply.size());
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
