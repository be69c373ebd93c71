#include "serve/chat_request.h"

#include <nlohmann/json.hpp>

namespace ondine::serve {

std::string ChatBody(std::string_view model, std::string_view question, int max_tokens) {
  nlohmann::json body = {{"messages", {{{"role", "user"}, {"content", question}}}},
                         {"max_tokens", max_tokens},
                         {"stream", true}};
  if (!model.empty()) body["model"] = model;
  return body.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

ChatReply RequestChat(const HttpRequest& request,
                      const std::function<void(std::string_view)>& on_text, const StopToken& stop) {
  ChatReplyReader reader(on_text);
  const HttpReply http = Exchange(
      request,
      [&](const HttpReply& reply, std::string_view piece) { return reader.Take(reply, piece); },
      stop);
  return reader.Finish(http);
}

}  // namespace ondine::serve
