#include "ondine/pool_server.h"

#include <httplib.h>
#include <sys/socket.h>

#include <atomic>
#include <chrono>
#include <system_error>
#include <thread>
#include <utility>

#include "adapters/lora_file.h"
#include "base/guarded.h"
#include "base/string_sink.h"
#include "base/try.h"
#include "engine/adapter_parts.h"
#include "serve/pool_message.h"

namespace ondine {
namespace {

// A request has some ten bytes for each adapter.
constexpr std::size_t kMostRequestBytes = std::size_t{1} << 16;

}  // namespace

class PoolServer::Impl {
 public:
  explicit Impl(std::shared_ptr<const AdapterPool> pool) : pool_(std::move(pool)) {
    const adapters::Pool& parts = pool_->parts().pool;
    outline_ = serve::ToMessage(
        serve::PoolOutline{pool_->info().fingerprint, parts.base_fingerprint, parts.tasks});
    http_.set_payload_max_length(kMostRequestBytes);
    // The library's own choice lets several servers share a port, each with a part of the requests.
    http_.set_socket_options([](int socket) {
      const int yes = 1;
      setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    });
    // The library would put the answer together once for each range, in memory.
    http_.set_pre_routing_handler([](const httplib::Request& request, httplib::Response& reply) {
      if (request.ranges.empty()) return httplib::Server::HandlerResponse::Unhandled;
      reply.status = 416;
      reply.set_content("an adapter comes as a whole", "text/plain");
      return httplib::Server::HandlerResponse::Handled;
    });
    http_.Get(serve::kPoolPath, [this](const httplib::Request&, httplib::Response& reply) {
      reply.set_content(outline_, "application/json");
    });
    http_.Post(serve::kPoolAdapterPath,
               [this](const httplib::Request& request, httplib::Response& reply) {
                 const Result<std::string> adapter = AdapterFor(request.body);
                 if (adapter) return reply.set_content(*adapter, "application/octet-stream");
                 reply.status = adapter.error().code == ErrorCode::kMismatch ? 409 : 400;
                 reply.set_content(adapter.error().message, "text/plain");
               });
  }

  Status Bind(const std::string& host, int port) {
    port_ = port == 0 ? http_.bind_to_any_port(host) : (http_.bind_to_port(host, port) ? port : -1);
    if (port_ > 0) return {};
    return MakeError(ErrorCode::kIo, "the address cannot be had; perhaps another program has it",
                     host + ":" + std::to_string(port));
  }

  int port() const { return port_; }

  Status Run(const StopToken& stop) {
    std::atomic<bool> done = false;
    try {
      const Watcher watcher(done, [&] { Watch(stop, done); });
      if (http_.listen_after_bind() || stop.Stopped()) return {};
    } catch (const std::system_error& error) {
      return MakeError(ErrorCode::kOutOfMemory,
                       std::string("no thread to be had: ") + error.what());
    }
    return MakeError(ErrorCode::kIo, "the server cannot take any more connections");
  }

 private:
  // A thread that ends with its scope.
  class Watcher {
   public:
    template <typename F>
    Watcher(std::atomic<bool>& done, F&& watch) : done_(done), thread_(std::forward<F>(watch)) {}
    Watcher(const Watcher&) = delete;
    Watcher& operator=(const Watcher&) = delete;
    ~Watcher() {
      done_ = true;
      thread_.join();
    }

   private:
    std::atomic<bool>& done_;
    std::thread thread_;
  };

  void Watch(const StopToken& stop, const std::atomic<bool>& done) {
    while (!done && !stop.Stopped()) std::this_thread::sleep_for(std::chrono::milliseconds(20));
    // Stopping a server that has not begun yet does nothing.
    while (!done) {
      http_.stop();
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
  }

  Result<std::string> AdapterFor(std::string_view message) const {
    ONDINE_ASSIGN(const serve::PoolRequest request, serve::ParsePoolRequest(message));
    const AdapterPool::Parts& parts = pool_->parts();
    if (request.pool != parts.info.fingerprint) {
      return MakeError(ErrorCode::kMismatch, "the pool is another one by now: fetch it anew");
    }
    if (request.similarities.size() != parts.pool.size()) {
      return MakeError(ErrorCode::kInvalidArgument,
                       "the pool has " + std::to_string(parts.pool.size()) + " adapters");
    }
    const std::vector<double> weights =
        adapters::SoftmaxOf(request.similarities, parts.info.temperature);
    ONDINE_ASSIGN(const auto adapter, pool_->Blend(weights));
    base::StringSink sink;
    ONDINE_TRY(adapters::WriteLora(adapter->parts().lora, sink));
    return sink.text();
  }

  std::shared_ptr<const AdapterPool> pool_;
  std::string outline_;
  httplib::Server http_;
  int port_ = -1;
};

Result<PoolServer> PoolServer::Create(std::shared_ptr<const AdapterPool> pool,
                                      const std::string& host, int port) {
  if (pool == nullptr) return MakeError(ErrorCode::kInvalidArgument, "there is no pool to serve");
  if (pool->parts().pool.size() > serve::kMostAdapters) {
    return MakeError(ErrorCode::kUnsupported,
                     "devices tell no more than " + std::to_string(serve::kMostAdapters) +
                         " similarities; the pool has " +
                         std::to_string(pool->parts().pool.size()) + " adapters",
                     pool->info().path);
  }
  return base::Guarded([&]() -> Result<PoolServer> {
    auto impl = std::make_unique<Impl>(std::move(pool));
    ONDINE_TRY(impl->Bind(host, port));
    return PoolServer(std::move(impl));
  });
}

PoolServer::PoolServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
PoolServer::PoolServer(PoolServer&&) noexcept = default;
PoolServer& PoolServer::operator=(PoolServer&&) noexcept = default;
PoolServer::~PoolServer() = default;

int PoolServer::port() const {
  return impl_->port();
}

Status PoolServer::Run(const StopToken& stop_token) {
  return impl_->Run(stop_token);
}

}  // namespace ondine
