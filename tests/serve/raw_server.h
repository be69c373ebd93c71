// A server on the loopback interface that answers each request as a test wants, well or badly.
#ifndef ONDINE_TESTS_SERVE_RAW_SERVER_H_
#define ONDINE_TESTS_SERVE_RAW_SERVER_H_

#include <atomic>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace ondine::testing {

class RawServer {
 public:
  // Is given the connection when a request has been read, writes to it with Send() and returns;
  // then the connection is closed.
  using Answer = std::function<void(int connection, int number)>;  // number: of the request, from 0
  explicit RawServer(Answer answer);
  ~RawServer();

  int port() const { return port_; }
  std::string url() const;  // "http://127.0.0.1:PORT/v1"
  int connections() const { return connections_; }
  std::vector<std::string> requests() const;  // head and body

  static void Send(int connection, std::string_view bytes);
  // Waits until the other side closes.
  static void SaysNothing(int connection, int number);

 private:
  void Run();

  Answer answer_;
  int listener_ = -1, port_ = 0;
  std::atomic<int> connections_ = 0;
  std::atomic<bool> ends_ = false;
  mutable std::mutex mutex_;
  std::vector<std::string> requests_;
  std::thread thread_;
};

// A port of the loopback interface where nobody listens.
int UnusedPort();

// "HTTP/1.1 200 OK ..." with a body of known length.
std::string HttpAnswer(int status, std::string_view body,
                       std::string_view content_type = "application/json",
                       std::string_view more_headers = "");
// The head of a stream of events that ends with the connection, and one piece of an answer in it.
extern const char* const kStreamHead;
std::string StreamPiece(const std::string& text);
extern const char* const kStreamEnd;

}  // namespace ondine::testing

#endif  // ONDINE_TESTS_SERVE_RAW_SERVER_H_
