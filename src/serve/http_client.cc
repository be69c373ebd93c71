#include "serve/http_client.h"

#include <curl/curl.h>

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <ctime>
#include <memory>
#include <new>

#include "base/stopwatch.h"

namespace ondine::serve {
namespace {

template <auto kFree>
struct Freed {
  template <typename T>
  void operator()(T* object) const {
    kFree(object);
  }
};
using Easy = std::unique_ptr<CURL, Freed<curl_easy_cleanup>>;
using Multi = std::unique_ptr<CURLM, Freed<curl_multi_cleanup>>;
using Headers = std::unique_ptr<curl_slist, Freed<curl_slist_free_all>>;

using Long = long;  // NOLINT(google-runtime-int): the type that the library has

Long Milliseconds(double seconds) {
  // The library takes 0 for no limit.
  return std::max(Long{1}, static_cast<Long>(1000 * std::clamp(seconds, 0.0, 1e6)));
}

HttpEnd EndOf(CURLcode code) {
  switch (code) {
    case CURLE_OK: return HttpEnd::kComplete;
    case CURLE_COULDNT_RESOLVE_HOST: return HttpEnd::kUnresolved;
    case CURLE_COULDNT_CONNECT: return HttpEnd::kRefused;
    case CURLE_OPERATION_TIMEDOUT: return HttpEnd::kTooSlow;
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_PEER_FAILED_VERIFICATION: return HttpEnd::kCertificate;
    default: return HttpEnd::kBroken;
  }
}

class Transfer {
 public:
  Transfer(const HttpRequest& request, const OnBody& on_body, const StopToken& stop)
      : request_(request), on_body_(on_body), stop_(stop) {}

  HttpReply Run() {
    if (!Prepare()) return reply_;
    curl_multi_add_handle(multi_.get(), easy_.get());
    const base::Timer timer;
    int running = 1;
    while (running > 0) {
      if (stop_.Stopped()) return EndedBy(HttpEnd::kStopped);
      if (timer.Elapsed() > request_.limits.total || Silent()) return EndedBy(HttpEnd::kTooSlow);
      bool good = curl_multi_perform(multi_.get(), &running) == CURLM_OK;
      if (good && running > 0) {
        good = curl_multi_poll(multi_.get(), nullptr, 0, /*timeout_ms=*/10, nullptr) == CURLM_OK;
      }
      if (!good) return EndedBy(HttpEnd::kBroken);
    }
    int left = 0;
    const CURLMsg* message = curl_multi_info_read(multi_.get(), &left);
    return EndedBy(message == nullptr ? HttpEnd::kBroken : EndOf(message->data.result));
  }

 private:
  // False where the library has no memory, or lacks something.
  bool Prepare() {
    static const bool kReady = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
    if (!kReady) return false;
    easy_.reset(curl_easy_init());
    multi_.reset(curl_multi_init());
    if (!easy_ || !multi_) return false;
    AddHeader("Expect:");  // no waiting for leave to send the body
    if (!request_.key.empty()) AddHeader("Authorization: Bearer " + request_.key);
    if (!request_.body.empty()) AddHeader("Content-Type: application/json");
    const std::string url = request_.address.ToString() + request_.path;
    const auto size = static_cast<curl_off_t>(request_.body.size());
    bool good = Set(CURLOPT_URL, url.c_str()) && Set(CURLOPT_HTTPHEADER, headers_.get()) &&
                Set(CURLOPT_CONNECTTIMEOUT_MS, Milliseconds(request_.limits.connect)) &&
                Set(CURLOPT_HTTP_VERSION, static_cast<Long>(CURL_HTTP_VERSION_1_1)) &&
                Set(CURLOPT_PATH_AS_IS, 1L) && Set(CURLOPT_PROXY, "") &&
                Set(CURLOPT_PROTOCOLS_STR, "http,https") && Set(CURLOPT_FOLLOWLOCATION, 0L) &&
                // No signals, and no waiting for a lookup that has not come back.
                Set(CURLOPT_NOSIGNAL, 1L) && Set(CURLOPT_QUICK_EXIT, 1L) &&
                Set(CURLOPT_WRITEFUNCTION, &Transfer::Receive) && Set(CURLOPT_WRITEDATA, this);
    if (request_.method == "POST") {
      good = good && Set(CURLOPT_POST, 1L) && Set(CURLOPT_POSTFIELDSIZE_LARGE, size) &&
             Set(CURLOPT_POSTFIELDS, request_.body.c_str());
    }
    if (!request_.certificates.empty()) {
      good = good && Set(CURLOPT_CAINFO, request_.certificates.c_str()) &&
             Set(CURLOPT_CAPATH, nullptr);
    }
    return good;
  }

  template <typename Value>
  bool Set(CURLoption option, Value value) {
    return curl_easy_setopt(easy_.get(), option, value) == CURLE_OK;
  }

  void AddHeader(const std::string& header) {
    curl_slist* longer = curl_slist_append(headers_.get(), header.c_str());
    if (longer == nullptr) throw std::bad_alloc();
    static_cast<void>(headers_.release());
    headers_.reset(longer);
  }

  static std::size_t Receive(char* data, std::size_t, std::size_t size, void* self) try {
    return static_cast<Transfer*>(self)->Take({data, size}) ? size : CURL_WRITEFUNC_ERROR;
  } catch (...) {  // must not pass through the library, which is C
    return CURL_WRITEFUNC_ERROR;
  }

  bool Take(std::string_view piece) {
    Describe();
    refused_ = stop_.Stopped() || !on_body_(reply_, piece);
    since_last_ = base::Timer();  // a receiver takes as long as it takes
    return !refused_;
  }

  // Seconds without a byte in either direction, from when something has been sent.
  bool Silent() {
    curl_off_t uploaded = 0, downloaded = 0;
    Long headers = 0;
    curl_easy_getinfo(easy_.get(), CURLINFO_SIZE_UPLOAD_T, &uploaded);
    curl_easy_getinfo(easy_.get(), CURLINFO_SIZE_DOWNLOAD_T, &downloaded);
    curl_easy_getinfo(easy_.get(), CURLINFO_HEADER_SIZE, &headers);
    const std::int64_t moved = Sent() + uploaded + downloaded + headers;
    if (moved != moved_ || moved == 0) since_last_ = base::Timer();
    moved_ = moved;
    return since_last_.Elapsed() > request_.limits.silence;
  }

  Long Sent() const {
    Long bytes = 0;
    curl_easy_getinfo(easy_.get(), CURLINFO_REQUEST_SIZE, &bytes);
    return bytes;
  }

  void Describe() {
    Long status = 0;
    curl_easy_getinfo(easy_.get(), CURLINFO_RESPONSE_CODE, &status);
    reply_.status = static_cast<int>(status);
    reply_.retry_after = SecondsToWait(Header("Retry-After"));
    reply_.content_type = Header("Content-Type");
  }

  // Of a Retry-After: seconds, or a date (RFC 9110).
  static double SecondsToWait(const std::string& header) {
    double seconds = -1;
    const char* const end = header.data() + header.size();
    if (std::from_chars(header.data(), end, seconds).ec == std::errc()) return seconds;
    const std::time_t date = curl_getdate(header.c_str(), nullptr);
    return date < 0 ? -1 : std::max(0.0, std::difftime(date, std::time(nullptr)));
  }

  std::string Header(const char* name) {
    curl_header* header = nullptr;
    const bool found =
        curl_easy_header(easy_.get(), name, 0, CURLH_HEADER, -1, &header) == CURLHE_OK;
    return found ? header->value : "";
  }

  HttpReply EndedBy(HttpEnd end) {
    Describe();
    reply_.sent = Sent() > 0;
    reply_.end = refused_ ? HttpEnd::kStopped : end;
    curl_multi_remove_handle(multi_.get(), easy_.get());
    return reply_;
  }

  const HttpRequest& request_;
  const OnBody& on_body_;
  const StopToken& stop_;
  Headers headers_;
  Easy easy_;
  Multi multi_;
  HttpReply reply_;
  base::Timer since_last_;  // byte came or went
  std::int64_t moved_ = 0;  // bytes, either way
  bool refused_ = false;    // by the receiver
};

}  // namespace

HttpReply Exchange(const HttpRequest& request, const OnBody& on_body, const StopToken& stop) try {
  return Transfer(request, on_body, stop).Run();
} catch (...) {  // no memory; nobody can tell how far it came
  HttpReply reply;
  reply.sent = true;
  return reply;
}

const char* Explain(HttpEnd end) {
  switch (end) {
    case HttpEnd::kComplete: return "";
    case HttpEnd::kUnresolved: return "no such host, or no network";
    case HttpEnd::kRefused: return "nobody answers at that address";
    case HttpEnd::kTooSlow: return "it took too long";
    case HttpEnd::kCertificate: return "its certificate is not trusted here, or is another host's";
    case HttpEnd::kBroken: return "the connection broke, or does not speak HTTP";
    case HttpEnd::kStopped: return "stopped";
  }
  return "";
}

}  // namespace ondine::serve
