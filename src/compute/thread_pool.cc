#include "compute/thread_pool.h"

#include <algorithm>
#include <chrono>
#include <exception>
#include <utility>

#if defined(__x86_64__) || defined(__i386__)
#include <immintrin.h>
#endif

namespace ondine::compute {
namespace {

// A pause takes 10 to 50 ns. Past this many the processor is offered to somebody else: on a machine
// with more runnable threads than cores the missing member may be waiting for this very core.
constexpr int kSpinsBeforeYield = 2000;
// How long an idle member looks for new work before it sleeps.
constexpr std::chrono::microseconds kIdleSpin(80);
constexpr int kSpinsPerClockRead = 64;

void Pause() {
#if defined(__x86_64__) || defined(__i386__)
  _mm_pause();
#elif defined(__aarch64__)
  asm volatile("isb");
#endif
}

// Takes those out of the function who wait in vain for a member that has thrown.
struct TeamFailed {};

// Where all members come together, again and again.
struct Meeting {
  alignas(64) std::atomic<int> arrived{0};
  alignas(64) std::atomic<int> phase{0};
  std::atomic<bool> failed{false};  // somebody will not come

  // False: not all have arrived, and not all will.
  bool Wait(int count) {
    const int current = phase.load(std::memory_order_relaxed);
    if (arrived.fetch_add(1, std::memory_order_acq_rel) + 1 == count) {
      arrived.store(0, std::memory_order_relaxed);
      phase.store(current + 1, std::memory_order_release);
      return true;
    }
    for (int spins = 0; phase.load(std::memory_order_acquire) == current; ++spins) {
      if (failed.load(std::memory_order_relaxed)) return false;
      if (spins < kSpinsBeforeYield) {
        Pause();
      } else {
        std::this_thread::yield();
      }
    }
    return true;
  }
};

}  // namespace

struct ThreadPool::Shared {
  alignas(64) std::atomic<int> generation{0};  // of work: Run increments it
  const std::function<void(Worker&)>* body = nullptr;
  std::exception_ptr error;  // where barrier.failed is set
  bool stop = false;
  Meeting barrier, end;

  void RunBody(Worker& worker) {
    try {
      (*body)(worker);
    } catch (const TeamFailed&) {
    } catch (...) {
      if (!barrier.failed.exchange(true)) error = std::current_exception();
    }
    end.Wait(worker.count());
  }

  // Once all are out of the body.
  void PassErrorOn() {
    if (!barrier.failed) return;
    barrier.failed = false;
    barrier.arrived = 0;
    std::rethrow_exception(std::exchange(error, nullptr));
  }

  // Returns once `generation` is no longer `seen`.
  void AwaitWork(int seen) {
    const auto sleep_at = std::chrono::steady_clock::now() + kIdleSpin;
    do {
      for (int i = 0; i < kSpinsPerClockRead; ++i) {
        if (generation.load(std::memory_order_acquire) != seen) return;
        Pause();
      }
    } while (std::chrono::steady_clock::now() < sleep_at);
    generation.wait(seen, std::memory_order_acquire);
  }
};

void Worker::Barrier() {
  if (!pool_->shared_->barrier.Wait(count_)) throw TeamFailed();
}

Worker::Range Worker::Share(std::int64_t total, std::int64_t grain) const {
  const std::int64_t pieces = (total + grain - 1) / grain;
  const auto cut = [&](std::int64_t index) {
    return std::min(total, pieces * index / count_ * grain);
  };
  return {cut(index_), cut(index_ + 1)};
}

ThreadPool::ThreadPool(int threads) : shared_(std::make_unique<Shared>()) {
  const auto member = [this](int index) {
    for (int seen = 0;; ++seen) {
      shared_->AwaitWork(seen);
      if (shared_->stop) return;
      Worker worker(this, index, threads_);  // by now the size of the team is known
      shared_->RunBody(worker);
    }
  };
  try {
    members_.reserve(static_cast<std::size_t>(std::max(threads, 1)) - 1);
    for (int index = 1; index < threads; ++index) members_.emplace_back(member, index);
  } catch (const std::exception&) {  // std::system_error or std::bad_alloc: these must do
  }
  threads_ = static_cast<int>(members_.size()) + 1;
}

ThreadPool::~ThreadPool() {
  shared_->stop = true;
  shared_->generation.fetch_add(1, std::memory_order_release);
  shared_->generation.notify_all();
  for (std::thread& member : members_) member.join();
}

void ThreadPool::Run(const std::function<void(Worker&)>& body) {
  Worker worker(this, 0, threads_);
  shared_->body = &body;
  if (threads_ > 1) {
    shared_->generation.fetch_add(1, std::memory_order_release);
    shared_->generation.notify_all();
  }
  shared_->RunBody(worker);
  shared_->PassErrorOn();
}

}  // namespace ondine::compute
