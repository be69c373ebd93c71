// A pool of adapters on a server: a device finds out by itself where its user's task lies, sends
// nothing but how similar that is to each adapter's data, and gets the blended adapter.
#ifndef ONDINE_POOL_SERVER_H_
#define ONDINE_POOL_SERVER_H_

#include <memory>
#include <string>
#include <vector>

#include "ondine/adapter_pool.h"
#include "ondine/model.h"
#include "ondine/progress.h"
#include "ondine/result.h"
#include "ondine/server.h"

namespace ondine {

// The device's side.
struct RemoteCustomization {
  std::vector<double> similarities;
  std::string sent;  // every byte of what left, but for HTTP's own
  std::shared_ptr<const Adapter> adapter;
};

// Fetches where the pool's tasks lie, sends the similarities of these examples and writes the
// adapter to `path`. Of the settings, address, key, certificates and limits count. What the
// similarities say of the examples is little, but not nothing: N numbers, which the server chooses
// what to measure with, so ask one that you trust. Errors: kIo (the server, in words),
// kCorrupt (its answer), kMismatch (a pool of another model), kCancelled, those of
// AdapterPool::Weigh() and of writing, kOutOfMemory.
Result<RemoteCustomization> CustomizeFrom(const ServerSettings& server,
                                          const std::shared_ptr<const Model>& model,
                                          const std::vector<Example>& examples,
                                          const std::string& path,
                                          const StopToken& stop_token = {});

// The server's side: answers on one address until it is stopped. From the first one on the process
// ignores SIGPIPE.
class PoolServer {
 public:
  // Port 0: any free one. Errors: kIo where the address cannot be had, kUnsupported for more than
  // 64 adapters, kInvalidArgument without a pool.
  static Result<PoolServer> Create(std::shared_ptr<const AdapterPool> pool,
                                   const std::string& host = "127.0.0.1", int port = 8080);
  PoolServer(PoolServer&&) noexcept;
  PoolServer& operator=(PoolServer&&) noexcept;
  ~PoolServer();

  int port() const;
  // Returns when it has been stopped. Errors: kOutOfMemory where no thread can be had, kIo where no
  // more connections can be taken.
  Status Run(const StopToken& stop_token);

 private:
  class Impl;
  explicit PoolServer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace ondine

#endif  // ONDINE_POOL_SERVER_H_
