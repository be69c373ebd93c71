#include "base/control_characters.h"
#include "fuzz/fuzzer.h"
#include "serve/chat_reply.h"

namespace {

using ondine::serve::ChatReply;
using ondine::serve::HttpReply;

// The answer to a body that comes in pieces of so many bytes.
ChatReply Read(HttpReply http, std::string_view body, std::size_t piece) {
  std::string told;
  const std::function<void(std::string_view)> on_text = [&](std::string_view text) {
    told += text;
  };
  ondine::serve::ChatReplyReader reader(on_text);
  while (!body.empty()) {
    if (!reader.Take(http, body.substr(0, piece))) {
      http.end = ondine::serve::HttpEnd::kStopped;
      break;
    }
    body.remove_prefix(std::min(piece, body.size()));
  }
  ChatReply reply = reader.Finish(http);
  if (told != reply.text) __builtin_trap();
  return reply;
}

}  // namespace

std::vector<std::string> ondine::testing::FuzzSeeds() {
  return {"sdata: {\"choices\":[{\"delta\":{\"content\":\"a\\u001b[2J\"}}]}\n\ndata: [DONE]\n\n",
          "sdata: {\"choices\":[{\"finish_reason\":\"stop\"}]}\n\n",
          "sdata: {\"error\":{\"message\":\"no\"}}\n\n",
          "w{\"choices\":[{\"message\":{\"content\":\"a\"}}]}",
          "b{\"error\":{\"message\":\"slow down\",\"code\":\"insufficient_quota\"}}",
          "x{\"message\":\"no such model\"}"};
}

// However an answer is cut, it is read alike; what is shown holds nothing that drives a terminal;
// and there is a text or a failure that says why not. The first byte chooses the kind of answer.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  HttpReply http;
  http.end = data[0] == 'o' ? ondine::serve::HttpEnd::kBroken : ondine::serve::HttpEnd::kComplete;
  http.status = data[0] == 'b' ? 429 : data[0] == 'x' ? 404 : 200;
  http.content_type = data[0] == 's' || data[0] == 'o' ? "text/event-stream" : "application/json";
  const std::string_view body(reinterpret_cast<const char*>(data) + 1, size - 1);
  const ChatReply whole = Read(http, body, body.size()), cut = Read(http, body, 1);
  if (whole.text != cut.text || whole.failure != cut.failure || whole.detail != cut.detail) {
    __builtin_trap();
  }
  if (whole.text.empty() && !whole.failure) __builtin_trap();
  for (std::string_view rest = whole.text; !rest.empty(); rest.remove_prefix(1)) {
    if (ondine::base::ControlLength(rest) > 0) __builtin_trap();
  }
  return 0;
}
