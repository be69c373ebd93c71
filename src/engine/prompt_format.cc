#include "engine/prompt_format.h"

#include "base/try.h"

namespace ondine::engine {
namespace {

using text::ChatMessage;

// Stand for the text to be filled in and for other messages; no template contains these private-use
// characters.
constexpr std::string_view kMark = "\xEE\x80\x80";
constexpr std::string_view kOther = "\xEE\x80\x81";

// At the last mark: a system message, which may hold one too, stands before the user's.
Result<Frame> SplitAtMark(const std::string& rendered, std::size_t begin) {
  const std::size_t mark = rendered.rfind(kMark);
  if (mark == std::string::npos || mark < begin) {
    return MakeError(ErrorCode::kInternal, "the chat template drops the user's message");
  }
  return Frame{rendered.substr(begin, mark - begin), rendered.substr(mark + kMark.size())};
}

}  // namespace

Result<Frame> FirstMessage(const Model::Parts& model, std::string_view system, bool chat_template) {
  if (!chat_template || !model.chat_template) {
    const std::string before = system.empty() ? "" : std::string(system) + "\n\n";
    return Frame{before, "", 0, system.size()};
  }
  const auto render = [&](std::string_view system_text) {
    std::vector<ChatMessage> messages;
    if (!system_text.empty()) messages.push_back({"system", std::string(system_text)});
    messages.push_back({"user", std::string(kMark)});
    return model.chat_template->Render(messages, true);
  };
  ONDINE_ASSIGN(const std::string rendered, render(system));
  ONDINE_ASSIGN(Frame frame, SplitAtMark(rendered, 0));
  if (system.empty()) return frame;
  // The template may have trimmed it; what stands around it is the same for any.
  ONDINE_ASSIGN(const std::string marked, render(kOther));
  frame.system_begin = marked.find(kOther);
  if (frame.system_begin == std::string::npos) {
    return MakeError(ErrorCode::kInternal, "the chat template drops the system message");
  }
  frame.system_end = frame.system_begin + kOther.size() + rendered.size() - marked.size();
  return frame;
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
      {"user", "?"}, {"assistant", std::string(kOther)}, {"user", std::string(kMark)}};
  ONDINE_ASSIGN(const std::string rendered, model.chat_template->Render(messages, true));
  const std::size_t reply = rendered.find(kOther);
  if (reply == std::string::npos) {
    return MakeError(ErrorCode::kInternal, "the chat template drops the assistant's message");
  }
  return SplitAtMark(rendered, reply + kOther.size());
}

std::vector<TokenId> EncodeBeginning(const Model::Parts& model, const Frame& frame) {
  const std::string_view before = frame.before;
  const std::string_view system =
      before.substr(frame.system_begin, frame.system_end - frame.system_begin);
  const std::vector<TokenId> text = EncodeText(model, system, true);
  // As one text where the system message reads like no control token: words may reach over its
  // ends.
  if (text == EncodeFrame(model, system, false)) return EncodeFrame(model, before, true);
  std::vector<TokenId> tokens = EncodeFrame(model, before.substr(0, frame.system_begin), true);
  tokens.insert(tokens.end(), text.begin(), text.end());
  const auto rest = EncodeFrame(model, before.substr(frame.system_end), false);
  tokens.insert(tokens.end(), rest.begin(), rest.end());
  return tokens;
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
