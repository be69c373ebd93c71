#include "serve/http_client.h"

#include <httplib.h>
#include <pthread.h>
#include <signal.h>  // NOLINT(modernize-deprecated-headers): sigtimedwait is POSIX's

#include <algorithm>
#include <atomic>
#include <chrono>
#include <exception>
#include <thread>

#include "base/stopwatch.h"
#include "serve/host_lookup.h"

namespace ondine::serve {
namespace {

// A peer that is gone must be an error, not the end of the process.
class WithoutBrokenPipe {
 public:
  WithoutBrokenPipe() {
    sigemptyset(&pipe_);
    sigaddset(&pipe_, SIGPIPE);
    sigset_t pending;
    sigpending(&pending);
    was_pending_ = sigismember(&pending, SIGPIPE) == 1;
    pthread_sigmask(SIG_BLOCK, &pipe_, &before_);
  }
  ~WithoutBrokenPipe() {
    const timespec now{};
    if (!was_pending_) sigtimedwait(&pipe_, nullptr, &now);
    pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }
  WithoutBrokenPipe(const WithoutBrokenPipe&) = delete;
  WithoutBrokenPipe& operator=(const WithoutBrokenPipe&) = delete;

 private:
  sigset_t pipe_{}, before_{};
  bool was_pending_ = false;
};

// Ends a client's exchange when it is stopped or has taken too long.
class Watch {
 public:
  Watch(httplib::Client& client, double seconds, const StopToken& stop)
      : thread_([this, &client, seconds, stop] {
          const base::Timer timer;
          while (!done_) {
            if (timer.Elapsed() > seconds) too_slow_ = true;
            if (too_slow_ || stop.Stopped()) client.stop();
            std::this_thread::sleep_for(std::chrono::milliseconds(5));
          }
        }) {}
  ~Watch() {
    done_ = true;
    thread_.join();
  }
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;
  bool too_slow() const { return too_slow_; }

 private:
  std::atomic<bool> done_ = false, too_slow_ = false;
  std::thread thread_;
};

std::chrono::microseconds Microseconds(double seconds) {
  return std::chrono::microseconds(static_cast<std::int64_t>(1e6 * std::max(0.0, seconds)));
}

// Nothing of the request has left where there is no connection, or no trust in who is at its end.
bool NothingLeft(httplib::Error error) {
  return error == httplib::Error::Connection || error == httplib::Error::ConnectionTimeout ||
         error == httplib::Error::SSLConnection || error == httplib::Error::SSLLoadingCerts ||
         error == httplib::Error::SSLServerVerification;
}

HttpEnd EndOf(httplib::Error error) {
  switch (error) {
    case httplib::Error::Success: return HttpEnd::kComplete;
    case httplib::Error::Connection: return HttpEnd::kRefused;
    case httplib::Error::ConnectionTimeout: return HttpEnd::kTooSlow;
    case httplib::Error::SSLLoadingCerts:
    case httplib::Error::SSLServerVerification: return HttpEnd::kCertificate;
    default: return HttpEnd::kBroken;
  }
}

HttpReply ExchangeWith(const std::string& numeric, const HttpRequest& wanted, double seconds,
                       const OnBody& on_body, const StopToken& stop) {
  const HttpAddress& address = wanted.address;
  HttpReply reply;
  HttpAddress place = address;
  place.path.clear();
  httplib::Client client(place.ToString());
  client.set_hostname_addr_map({{address.host, numeric}});
  client.set_connection_timeout(Microseconds(std::min(wanted.limits.connect, seconds)));
  client.set_read_timeout(Microseconds(wanted.limits.silence));
  client.set_write_timeout(Microseconds(wanted.limits.silence));
  if (!wanted.certificates.empty()) client.set_ca_cert_path(wanted.certificates);

  httplib::Request request;
  request.method = wanted.method;
  request.path = address.path + wanted.path;
  request.headers = {{"Accept", "*/*"}};
  if (!wanted.body.empty()) request.headers.emplace("Content-Type", "application/json");
  if (!wanted.key.empty()) request.headers.emplace("Authorization", "Bearer " + wanted.key);
  request.body = wanted.body;
  base::Timer since_last;
  bool refused = false;  // by the receiver
  request.response_handler = [&](const httplib::Response& response) {
    reply.status = response.status;
    reply.retry_after = response.get_header_value("Retry-After");
    reply.content_type = response.get_header_value("Content-Type");
    return true;
  };
  request.content_receiver = [&](const char* data, std::size_t length, std::uint64_t,
                                 std::uint64_t) {
    since_last = base::Timer();
    refused = stop.Stopped() || !on_body(reply, {data, length});
    return !refused;
  };
  httplib::Error error = httplib::Error::Unknown;
  bool too_slow = false;
  {
    const Watch watch(client, seconds, stop);
    httplib::Response response;
    client.send(request, response, error);
    too_slow = watch.too_slow();
  }
  reply.sent = !NothingLeft(error);
  reply.end = EndOf(error);
  // The library does not tell silence from a connection that broke, nor, where a body ends with the
  // connection, the end that the watch has made.
  const bool silent =
      reply.end == HttpEnd::kBroken && since_last.Elapsed() >= wanted.limits.silence;
  if (too_slow || silent) reply.end = HttpEnd::kTooSlow;
  if (refused || stop.Stopped()) reply.end = HttpEnd::kStopped;
  return reply;
}

}  // namespace

HttpReply Exchange(const HttpRequest& request, const OnBody& on_body, const StopToken& stop) try {
  const WithoutBrokenPipe guard;
  const base::Timer timer;
  HttpReply reply;
  reply.end = HttpEnd::kUnresolved;
  const HttpLimits& limits = request.limits;
  for (const std::string& numeric :
       LookUpHost(request.address.host, std::min(limits.connect, limits.total), stop)) {
    if (stop.Stopped()) break;
    reply = ExchangeWith(numeric, request, limits.total - timer.Elapsed(), on_body, stop);
    if (reply.end != HttpEnd::kRefused) return reply;
  }
  if (stop.Stopped()) reply.end = HttpEnd::kStopped;
  return reply;
} catch (const std::exception&) {
  return {};  // broken, as far as anybody can tell
}

const char* Explain(HttpEnd end) {
  switch (end) {
    case HttpEnd::kComplete: return "";
    case HttpEnd::kUnresolved: return "no such host, or no network";
    case HttpEnd::kRefused: return "nobody answers at that address";
    case HttpEnd::kTooSlow: return "it took too long";
    case HttpEnd::kCertificate: return "its certificate is not trusted, or is another host's";
    case HttpEnd::kBroken: return "the connection broke, or does not speak HTTP";
    case HttpEnd::kStopped: return "stopped";
  }
  return "";
}

}  // namespace ondine::serve
