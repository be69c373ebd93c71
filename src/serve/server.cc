#include "ondine/server.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <thread>

#include "base/file.h"
#include "base/guarded.h"
#include "base/stopwatch.h"
#include "base/try.h"
#include "serve/chat_request.h"
#include "serve/circuit_breaker.h"
#include "serve/sent_log.h"

namespace ondine {

using serve::ChatReply;
using serve::HttpRequest;

namespace {

constexpr int kMostAttempts = 2;
constexpr double kBackOff = 0.5;    // seconds before the second attempt
constexpr double kLongestWait = 5;  // that a user is kept waiting because a server asks for it

// Another attempt may help where the server was in trouble for a moment and nothing of an answer
// has come. It cannot help against a wrong key, and a user who waits for an answer must not wait
// twice for one that never comes.
bool MayHelpAgain(const ChatReply& reply) {
  return reply.text.empty() &&
         (reply.failure == ServerFailure::kBusy || reply.failure == ServerFailure::kServerError) &&
         reply.retry_after <= kLongestWait;
}

void Sleep(double seconds, const StopToken& stop) {
  const base::Timer timer;
  while (timer.Elapsed() < seconds && !stop.Stopped()) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
}

Status CheckKey(const std::string& key) {
  if (std::all_of(key.begin(), key.end(), [](char c) { return c > ' ' && c < 127; })) return {};
  return MakeError(ErrorCode::kInvalidArgument,
                   "the server's key holds blanks or other characters that no key has");
}

}  // namespace

class Server::Impl {
 public:
  static Result<std::unique_ptr<Impl>> Create(const ServerSettings& settings) {
    auto impl = std::make_unique<Impl>();
    ONDINE_ASSIGN(impl->request_.address, serve::ParseHttpAddress(settings.url));
    ONDINE_TRY(CheckKey(settings.key));
    const auto positive = [](double seconds) { return std::isfinite(seconds) && seconds > 0; };
    if (!positive(settings.connect_seconds) || !positive(settings.silence_seconds) ||
        !positive(settings.answer_seconds) || settings.max_tokens < 1) {
      return MakeError(ErrorCode::kInvalidArgument,
                       "with a server, times and the number of tokens must be above 0, and finite");
    }
    if (!settings.certificates.empty()) ONDINE_TRY(base::ReadFile(settings.certificates));
    impl->request_.path = "/chat/completions";
    impl->request_.key = settings.key;
    impl->request_.certificates = settings.certificates;
    impl->request_.limits = {settings.connect_seconds, settings.silence_seconds,
                             settings.answer_seconds};
    impl->model_ = settings.model;
    impl->max_tokens_ = settings.max_tokens;
    impl->log_ = serve::SentLog(settings.log);
    impl->name_ = impl->request_.address.ToString();
    return impl;
  }

  ServerAnswer Ask(std::string_view question, const std::function<void(std::string_view)>& on_text,
                   const StopToken& stop) {
    const base::Timer timer;
    ServerAnswer answer;
    const auto fail = [&](ServerFailure failure, std::string detail) {
      answer.failure = failure;
      answer.detail = std::move(detail);
      return answer;
    };
    if (std::string down = Down(); !down.empty()) {
      return fail(ServerFailure::kMarkedDown, std::move(down));
    }
    if (const Status noted = log_.Note("sending", name_, "text", question); !noted) {
      return fail(ServerFailure::kNotLogged, noted.error().ToString());
    }
    HttpRequest request = request_;
    request.body = serve::ChatBody(model_, question, max_tokens_);
    ChatReply reply;
    while (true) {
      ++answer.attempts;
      request.limits.total = request_.limits.total - timer.Elapsed();
      reply = serve::RequestChat(request, on_text, stop);
      answer.sent = answer.sent || reply.sent;
      const double wait = std::max(kBackOff, reply.retry_after);
      if (answer.attempts == kMostAttempts || !MayHelpAgain(reply) ||
          timer.Elapsed() + wait >= request_.limits.total) {
        break;
      }
      Sleep(wait, stop);
    }
    answer.text = std::move(reply.text);
    answer.failure = reply.failure;
    answer.detail = std::move(reply.detail);
    answer.seconds = timer.Elapsed();
    if (answer.failure) {
      breaker_.Failed(clock_.Elapsed(), *answer.failure, reply.retry_after);
    } else {
      breaker_.Succeeded();
    }
    // The text has been noted; a full disk at this moment takes nothing away from the user.
    static_cast<void>(log_.Note(answer.failure ? "failed" : "answered", name_, "detail",
                                answer.failure ? answer.detail : ""));
    return answer;
  }

  std::string Down() const {
    const double remaining = breaker_.Remaining(clock_.Elapsed());
    if (remaining <= 0) return "";
    return std::string(ServerFailureName(*breaker_.last())) + " a moment ago, left alone for " +
           std::to_string(static_cast<int>(std::ceil(remaining))) + " s";
  }

  const std::string& address() const { return name_; }

 private:
  HttpRequest request_;  // without a body
  std::string model_, name_;
  int max_tokens_ = 0;
  serve::SentLog log_{""};
  serve::CircuitBreaker breaker_;
  base::Timer clock_;
};

const char* ServerFailureName(ServerFailure failure) {
  switch (failure) {
    case ServerFailure::kMarkedDown: return "marked down";
    case ServerFailure::kUnreachable: return "unreachable";
    case ServerFailure::kTooSlow: return "too slow";
    case ServerFailure::kCertificate: return "certificate not trusted";
    case ServerFailure::kKeyRefused: return "key refused";
    case ServerFailure::kQuota: return "quota used up";
    case ServerFailure::kBusy: return "busy";
    case ServerFailure::kServerError: return "server error";
    case ServerFailure::kRejected: return "request rejected";
    case ServerFailure::kBroken: return "broke off";
    case ServerFailure::kNoAnswer: return "no answer";
    case ServerFailure::kNotLogged: return "could not be logged";
    case ServerFailure::kStopped: return "stopped";
  }
  return "";
}

Result<Server> Server::Create(const ServerSettings& settings) {
  return base::Guarded([&]() -> Result<Server> {
    ONDINE_ASSIGN(auto impl, Impl::Create(settings));
    return Server(std::move(impl));
  });
}

Server::Server(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Server::Server(Server&&) noexcept = default;
Server& Server::operator=(Server&&) noexcept = default;
Server::~Server() = default;

ServerAnswer Server::Ask(std::string_view question,
                         const std::function<void(std::string_view)>& on_text,
                         const StopToken& stop_token) {
  return impl_->Ask(question, on_text, stop_token);
}

std::string Server::Down() const {
  return impl_->Down();
}

const std::string& Server::address() const {
  return impl_->address();
}

}  // namespace ondine
