#include "serve/raw_server.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <nlohmann/json.hpp>

namespace ondine::testing {
namespace {

// A socket bound to a free port, which it tells.
int Bind(int& port) {
  const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in place{};
  place.sin_family = AF_INET;
  place.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof place;
  auto* address = reinterpret_cast<sockaddr*>(&place);
  EXPECT_EQ(bind(socket, address, size), 0);
  EXPECT_EQ(getsockname(socket, address, &size), 0);
  port = ntohs(place.sin_port);
  return socket;
}

// Head and body; what came where the other side closes before.
std::string ReadRequest(int connection) {
  std::string request;
  std::array<char, 4096> buffer{};
  while (true) {
    const std::size_t end = request.find("\r\n\r\n");
    if (end != std::string::npos) {
      const std::size_t at = request.find("Content-Length: ");
      if (at == std::string::npos) return request;
      if (request.size() >= end + 4 + std::stoul(request.substr(at + 16))) return request;
    }
    const ssize_t got = recv(connection, buffer.data(), buffer.size(), 0);
    if (got <= 0) return request;
    request.append(buffer.data(), static_cast<std::size_t>(got));
  }
}

}  // namespace

RawServer::RawServer(Answer answer) : answer_(std::move(answer)) {
  listener_ = Bind(port_);
  EXPECT_EQ(listen(listener_, 16), 0);
  thread_ = std::thread([this] { Run(); });
}

RawServer::~RawServer() {
  ends_ = true;
  shutdown(listener_, SHUT_RDWR);
  thread_.join();
  close(listener_);
}

std::string RawServer::url() const {
  return "http://127.0.0.1:" + std::to_string(port_) + "/v1";
}

std::vector<std::string> RawServer::requests() const {
  const std::lock_guard lock(mutex_);
  return requests_;
}

void RawServer::Send(int connection, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = send(connection, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return;
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
}

void RawServer::SaysNothing(int connection, int) {
  char byte = 0;
  while (recv(connection, &byte, 1, 0) > 0) continue;
}

void RawServer::Run() {
  while (!ends_) {
    const int connection = accept(listener_, nullptr, nullptr);
    if (connection < 0) continue;
    ++connections_;
    const std::string request = ReadRequest(connection);
    int number = 0;
    {
      const std::lock_guard lock(mutex_);
      number = static_cast<int>(requests_.size());
      requests_.push_back(request);
    }
    answer_(connection, number);
    close(connection);
  }
}

int UnusedPort() {
  int port = 0;
  close(Bind(port));
  return port;
}

std::string HttpAnswer(int status, std::string_view body, std::string_view content_type,
                       std::string_view more_headers) {
  std::string answer = "HTTP/1.1 " + std::to_string(status) + " Status\r\nContent-Type: ";
  answer.append(content_type).append("\r\n").append(more_headers);
  answer.append("Content-Length: ").append(std::to_string(body.size())).append("\r\n");
  return answer.append("Connection: close\r\n\r\n").append(body);
}

const char* const kStreamHead =
    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n"
    "Connection: close\r\n\r\n";
const char* const kStreamEnd = "data: [DONE]\n\n";

std::string StreamPiece(const std::string& text) {
  const nlohmann::json piece = {{"choices", {{{"delta", {{"content", text}}}}}}};
  return "data: " + piece.dump() + "\n\n";
}

}  // namespace ondine::testing
