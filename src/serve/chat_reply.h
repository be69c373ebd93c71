// What an OpenAI-compatible chat API answers, as its bytes come in.
#ifndef ONDINE_SRC_SERVE_CHAT_REPLY_H_
#define ONDINE_SRC_SERVE_CHAT_REPLY_H_

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "ondine/server.h"
#include "serve/event_stream.h"
#include "serve/http_client.h"

namespace ondine::serve {

struct ChatReply {
  std::string text;
  std::optional<ServerFailure> failure;
  std::string detail;       // what the server said of it, or what went wrong; one line
  double retry_after = -1;  // seconds that the server asks to wait; < 0: it does not
  bool sent = false;
};

// Takes streams of events, and answers that come whole.
class ChatReplyReader {
 public:
  // `on_text` gets the answer's text piece by piece, without control characters; may be empty, and
  // must outlive the object.
  explicit ChatReplyReader(const std::function<void(std::string_view)>& on_text)
      : on_text_(on_text) {}

  // The next bytes of the body; false where no more are wanted.
  bool Take(const HttpReply& reply, std::string_view piece);
  // After the last byte, once.
  ChatReply Finish(const HttpReply& http);

 private:
  bool TakeEvent(std::string_view data);
  void Give(std::string_view text);
  ChatReply Fail(ServerFailure failure, std::string detail);

  const std::function<void(std::string_view)>& on_text_;
  ChatReply reply_;
  EventStream events_;
  bool streams_ = false, done_ = false, garbage_ = false;
  std::string whole_;
};

}  // namespace ondine::serve

#endif  // ONDINE_SRC_SERVE_CHAT_REPLY_H_
