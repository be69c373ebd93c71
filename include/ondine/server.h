// A larger model behind an OpenAI-compatible API, for what a model on the device cannot answer.
#ifndef ONDINE_SERVER_H_
#define ONDINE_SERVER_H_

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "ondine/progress.h"
#include "ondine/result.h"

namespace ondine {

// Initialised one and all, so that some can be given by name.
struct ServerSettings {
  std::string url = {};           // "https://host/v1"
  std::string key = {};           // sent to that address only; may be empty
  std::string model = {};         // its name there; may be empty where the server has one only
  std::string certificates = {};  // PEM file to trust instead of the system's; may be empty
  double connect_seconds = 3;     // until there is a connection
  double silence_seconds = 30;    // without a byte of the answer
  double answer_seconds = 120;    // for all of it, second attempts included
  int max_tokens = 512;           // of an answer
  // JSON lines: each text before it leaves, and what came of it; empty: none. What cannot be noted
  // does not leave.
  std::string log = {};
};

enum class ServerFailure {
  kMarkedDown,   // it failed a moment ago and is left alone for a while
  kUnreachable,  // no such host, nobody listens, or no network
  kTooSlow,
  kCertificate,  // it is not who it says it is
  kKeyRefused,
  kQuota,        // used up
  kBusy,         // asks to come later
  kServerError,  // its own fault
  kRejected,     // does not want this request, or has no such model
  kBroken,       // the answer broke off
  kNoAnswer,     // what came is none
  kNotLogged,    // the text could not be noted, so it was not sent
  kStopped,      // by the stop token
};
const char* ServerFailureName(ServerFailure failure);  // "marked down", "unreachable", ...

struct ServerAnswer {
  std::string text;                      // of a failure: what had come
  std::optional<ServerFailure> failure;  // absent: answered
  std::string detail;                    // of the failure, one line
  bool sent = false;                     // whether the text may have left the device
  int attempts = 0;
  double seconds = 0;
};

// Remembers failures: a server that does not answer is left alone for a time that grows from
// seconds to minutes, so that nobody waits for it again and again. Belongs to one thread at a time.
class Server {
 public:
  // Opens no connection. Errors: kInvalidArgument (address, key or limits), kNotFound
  // (certificates).
  static Result<Server> Create(const ServerSettings& settings);
  Server(Server&&) noexcept;
  Server& operator=(Server&&) noexcept;
  ~Server();

  // Asks one question, without any of the conversation around it. `on_text` receives the answer as
  // it comes, as whole UTF-8 characters without control characters.
  ServerAnswer Ask(std::string_view question, const std::function<void(std::string_view)>& on_text,
                   const StopToken& stop_token = {});
  // Why it would not be asked now; empty: it would.
  std::string Down() const;
  const std::string& address() const;  // as it is shown to people

 private:
  class Impl;
  explicit Server(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace ondine

#endif  // ONDINE_SERVER_H_
