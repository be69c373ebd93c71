#include "serve/host_lookup.h"

#include <netdb.h>
#include <sys/socket.h>

#include <array>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>

#include "base/stopwatch.h"

namespace ondine::serve {
namespace {

constexpr std::size_t kMostAddresses = 4;

std::vector<std::string> LookUp(const std::string& host) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (getaddrinfo(host.c_str(), nullptr, &hints, &found) != 0) return {};
  std::vector<std::string> addresses;
  for (const addrinfo* a = found; a != nullptr && addresses.size() < kMostAddresses;
       a = a->ai_next) {
    std::array<char, NI_MAXHOST> text{};
    if (getnameinfo(a->ai_addr, a->ai_addrlen, text.data(), text.size(), nullptr, 0,
                    NI_NUMERICHOST) == 0) {
      addresses.emplace_back(text.data());
    }
  }
  freeaddrinfo(found);
  return addresses;
}

struct Pending {
  std::mutex mutex;
  std::condition_variable done_changed;
  bool done = false;
  std::vector<std::string> addresses;
};

}  // namespace

std::vector<std::string> LookUpHost(const std::string& host, double seconds,
                                    const StopToken& stop) {
  // A lookup cannot be interrupted, and without a network it can take half a minute: it is left to
  // a thread of its own, which ends when it will.
  auto pending = std::make_shared<Pending>();
  std::thread([pending, host] {
    std::vector<std::string> addresses = LookUp(host);
    const std::lock_guard lock(pending->mutex);
    pending->addresses = std::move(addresses);
    pending->done = true;
    pending->done_changed.notify_all();
  }).detach();
  const base::Timer timer;
  std::unique_lock lock(pending->mutex);
  while (!pending->done && !stop.Stopped() && timer.Elapsed() < seconds) {
    pending->done_changed.wait_for(lock, std::chrono::milliseconds(20));
  }
  return pending->addresses;
}

}  // namespace ondine::serve
