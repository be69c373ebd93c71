#include "serve/chat_reply.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/control_characters.h"
#include "base/quote.h"

namespace ondine::serve {
namespace {

using Json = nlohmann::json;

// Of an answer that comes whole, an error, or a stream's text.
constexpr std::size_t kMostBytes = std::size_t{4} << 20;

constexpr const char* kNothing = "what came is no answer";

// A server must not drive the user's terminal.
std::string WithoutControls(std::string_view text) {
  std::string clean;
  while (!text.empty()) {
    const std::size_t control = base::ControlLength(text);
    if (control == 0) clean += text.front();
    text.remove_prefix(std::max<std::size_t>(1, control));
  }
  return clean;
}

// The member at a path of keys (and of the first elements of arrays), null where there is none.
const Json* Find(const Json& json, std::initializer_list<const char*> path) {
  const Json* at = &json;
  for (const char* key : path) {
    if (at->is_array()) {
      if (at->empty()) return nullptr;
      at = &at->front();
    }
    if (!at->is_object() || !at->contains(key)) return nullptr;
    at = &(*at)[key];
  }
  return at;
}

std::string TextAt(const Json& json, std::initializer_list<const char*> path) {
  const Json* found = Find(json, path);
  return found != nullptr && found->is_string() ? found->get<std::string>() : "";
}

// What a server says of an error, in any of the usual forms.
std::string ErrorText(const Json& json) {
  std::string text = TextAt(json, {"error", "message"});
  if (text.empty()) text = TextAt(json, {"error"});
  if (text.empty()) text = TextAt(json, {"message"});
  return text;
}

bool SaysQuota(const Json& json) {
  for (const char* key : {"code", "type"}) {
    const std::string said = TextAt(json, {"error", key});
    if (said.find("quota") != std::string::npos || said.find("billing") != std::string::npos) {
      return true;
    }
  }
  return false;
}

ServerFailure FailureOf(int status, const Json& body) {
  switch (status) {
    case 401:
    case 403: return ServerFailure::kKeyRefused;
    case 402: return ServerFailure::kQuota;
    case 429: return SaysQuota(body) ? ServerFailure::kQuota : ServerFailure::kBusy;
    case 408:
    case 503: return ServerFailure::kBusy;
    default: return status >= 500 ? ServerFailure::kServerError : ServerFailure::kRejected;
  }
}

std::optional<ServerFailure> FailureOf(HttpEnd end) {
  switch (end) {
    case HttpEnd::kComplete: return std::nullopt;
    case HttpEnd::kUnresolved:
    case HttpEnd::kRefused: return ServerFailure::kUnreachable;
    case HttpEnd::kTooSlow: return ServerFailure::kTooSlow;
    case HttpEnd::kCertificate: return ServerFailure::kCertificate;
    case HttpEnd::kBroken: return ServerFailure::kBroken;
    case HttpEnd::kStopped: return ServerFailure::kStopped;
  }
  return ServerFailure::kBroken;
}

// Types are written in either case (RFC 9110).
bool IsEventStream(std::string_view content_type) {
  constexpr std::string_view kType = "text/event-stream";
  const auto lower = [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  };
  return content_type.size() >= kType.size() &&
         std::ranges::equal(content_type.substr(0, kType.size()), kType, {}, lower);
}

}  // namespace

bool ChatReplyReader::Take(const HttpReply& reply, std::string_view piece) {
  streams_ = reply.status == 200 && IsEventStream(reply.content_type);
  bool good = whole_.size() + piece.size() <= kMostBytes;
  if (streams_) {
    good = events_.Push(piece, [this](std::string_view data) { return TakeEvent(data); });
  } else if (good) {
    whole_ += piece;
  }
  garbage_ = !good;
  return good;
}

ChatReply ChatReplyReader::Finish(const HttpReply& http) {
  reply_.sent = http.sent;
  reply_.retry_after = http.retry_after;
  if (done_ || reply_.failure) return std::move(reply_);
  if (http.end != HttpEnd::kComplete) {
    if (garbage_) return Fail(ServerFailure::kNoAnswer, kNothing);
    return Fail(*FailureOf(http.end), Explain(http.end));
  }
  if (streams_) return Fail(ServerFailure::kBroken, "the answer broke off");
  const Json body = Json::parse(whole_, nullptr, /*allow_exceptions=*/false);
  if (http.status != 200) {
    std::string detail = "HTTP status " + std::to_string(http.status);
    if (const std::string said = ErrorText(body); !said.empty()) {
      detail += ", " + base::Quote(said);
    }
    return Fail(FailureOf(http.status, body), std::move(detail));
  }
  Give(TextAt(body, {"choices", "message", "content"}));
  if (reply_.text.empty()) return Fail(ServerFailure::kNoAnswer, kNothing);
  return std::move(reply_);
}

bool ChatReplyReader::TakeEvent(std::string_view data) {
  if (data == "[DONE]") {
    done_ = !reply_.text.empty();
    return false;  // whatever follows, or does not
  }
  const Json event = Json::parse(data, nullptr, /*allow_exceptions=*/false);
  if (const Json* error = Find(event, {"error"}); error != nullptr && !error->is_null()) {
    Fail(ServerFailure::kServerError, base::Quote(ErrorText(event)));
    return false;
  }
  if (!event.is_object() || reply_.text.size() > kMostBytes) return false;
  Give(TextAt(event, {"choices", "delta", "content"}));
  const Json* finish = Find(event, {"choices", "finish_reason"});
  if (finish != nullptr && finish->is_string()) done_ = !reply_.text.empty();
  return true;
}

void ChatReplyReader::Give(std::string_view text) {
  const std::string clean = WithoutControls(text);
  if (clean.empty()) return;
  reply_.text += clean;
  if (on_text_) on_text_(clean);
}

ChatReply ChatReplyReader::Fail(ServerFailure failure, std::string detail) {
  reply_.failure = failure;
  reply_.detail = std::move(detail);
  return reply_;
}

}  // namespace ondine::serve
