// One HTTP request within limits of time, which can be stopped.
#ifndef ONDINE_SRC_SERVE_HTTP_CLIENT_H_
#define ONDINE_SRC_SERVE_HTTP_CLIENT_H_

#include <functional>
#include <string>
#include <string_view>

#include "ondine/progress.h"
#include "serve/http_address.h"

namespace ondine::serve {

struct HttpLimits {
  double connect = 3;   // seconds, with name lookup and TLS handshake
  double silence = 30;  // seconds without a byte
  double total = 120;   // seconds
};

struct HttpRequest {
  HttpAddress address;
  std::string method = "POST";
  std::string path;          // behind the address's own
  std::string key;           // of the header Authorization: Bearer; empty: none
  std::string certificates;  // PEM file to trust instead of the system's; empty: the system's
  std::string body;          // JSON
  HttpLimits limits;
};

// How an exchange ended.
enum class HttpEnd {
  kComplete,     // with whatever status
  kUnresolved,   // no such host, or no network
  kRefused,      // nobody listens there, or no way leads there
  kTooSlow,      // one of the limits
  kCertificate,  // the server is not who it says it is
  kBroken,       // the connection broke, or what came is no HTTP
  kStopped,      // by the stop token or the receiver
};

struct HttpReply {
  HttpEnd end = HttpEnd::kBroken;
  bool sent = false;        // false: nothing of the request has left
  int status = 0;           // 0: none came
  double retry_after = -1;  // seconds that the server asks to wait; < 0: it does not
  std::string content_type;
};

// Receives the body as it comes, whatever the status; false ends the exchange.
using OnBody = std::function<bool(const HttpReply& so_far, std::string_view piece)>;

// Follows no redirection and uses no proxy: what leaves goes to the address that was named.
HttpReply Exchange(const HttpRequest& request, const OnBody& on_body, const StopToken& stop);

// What went wrong, for people; empty where the exchange is complete.
const char* Explain(HttpEnd end);

}  // namespace ondine::serve

#endif  // ONDINE_SRC_SERVE_HTTP_CLIENT_H_
