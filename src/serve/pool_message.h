// What a device and a server that holds a pool of adapters tell each other.
#ifndef ONDINE_SRC_SERVE_POOL_MESSAGE_H_
#define ONDINE_SRC_SERVE_POOL_MESSAGE_H_

#include <string>
#include <string_view>
#include <vector>

#include "adapters/pool.h"
#include "ondine/result.h"

namespace ondine::serve {

// Where the tasks of a pool lie: all that a device needs to find similarities by itself. The same
// for everybody.
struct PoolOutline {
  std::string pool;  // adapters::Fingerprint
  std::string base;  // models::BaseFingerprint
  adapters::TaskSpace tasks;
};
std::string ToMessage(const PoolOutline& outline);
Result<PoolOutline> ParsePoolOutline(std::string_view message);

// More than any pool has. Each adapter is one number that a device tells, so a server must not ask
// for as many as describe a text.
inline constexpr std::size_t kMostAdapters = 64;

// All that leaves the device: which pool, and how similar the task is to each adapter's data, to
// three decimals.
struct PoolRequest {
  std::string pool;
  std::vector<double> similarities;
};
std::string ToMessage(const PoolRequest& request);
// kCorrupt where a key is missing, wrong, or one too many.
Result<PoolRequest> ParsePoolRequest(std::string_view message);

inline constexpr const char* kPoolPath = "/v1/pool";                 // GET: the outline
inline constexpr const char* kPoolAdapterPath = "/v1/pool/adapter";  // POST a request: the adapter

}  // namespace ondine::serve

#endif  // ONDINE_SRC_SERVE_POOL_MESSAGE_H_
