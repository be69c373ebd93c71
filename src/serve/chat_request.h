// One exchange with an OpenAI-compatible chat API.
#ifndef ONDINE_SRC_SERVE_CHAT_REQUEST_H_
#define ONDINE_SRC_SERVE_CHAT_REQUEST_H_

#include <functional>
#include <string>
#include <string_view>

#include "serve/chat_reply.h"
#include "serve/http_client.h"

namespace ondine::serve {

// The body of a request: the question alone, to be answered as a stream.
std::string ChatBody(std::string_view model, std::string_view question, int max_tokens);

// `request.body` is a chat body. Answers that come whole instead of streamed are taken too.
ChatReply RequestChat(const HttpRequest& request,
                      const std::function<void(std::string_view)>& on_text, const StopToken& stop);

}  // namespace ondine::serve

#endif  // ONDINE_SRC_SERVE_CHAT_REQUEST_H_
