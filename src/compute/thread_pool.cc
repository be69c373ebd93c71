#include "compute/thread_pool.h"

#include <algorithm>
#include <chrono>

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

}  // namespace

struct ThreadPool::Shared {
  explicit Shared(int member_count) : count(member_count) {}

  const int count;
  alignas(64) std::atomic<int> generation{0};  // of work: Run increments it
  const std::function<void(Worker&)>* body = nullptr;
  bool stop = false;
  alignas(64) std::atomic<int> arrived{0};
  alignas(64) std::atomic<int> phase{0};  // of the barrier

  void Barrier() {
    const int current = phase.load(std::memory_order_relaxed);
    if (arrived.fetch_add(1, std::memory_order_acq_rel) + 1 == count) {
      arrived.store(0, std::memory_order_relaxed);
      phase.store(current + 1, std::memory_order_release);
      return;
    }
    for (int spins = 0; phase.load(std::memory_order_acquire) == current; ++spins) {
      if (spins < kSpinsBeforeYield) {
        Pause();
      } else {
        std::this_thread::yield();
      }
    }
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
  pool_->shared_->Barrier();
}

Worker::Range Worker::Share(std::int64_t total, std::int64_t grain) const {
  const std::int64_t pieces = (total + grain - 1) / grain;
  const auto cut = [&](std::int64_t index) {
    return std::min(total, pieces * index / count_ * grain);
  };
  return {cut(index_), cut(index_ + 1)};
}

ThreadPool::ThreadPool(int threads)
    : threads_(std::max(threads, 1)), shared_(std::make_unique<Shared>(threads_)) {
  for (int index = 1; index < threads_; ++index) {
    members_.emplace_back([this, index] {
      Worker worker(this, index, threads_);
      for (int seen = 0;; ++seen) {
        shared_->AwaitWork(seen);
        if (shared_->stop) return;
        (*shared_->body)(worker);
        shared_->Barrier();
      }
    });
  }
}

ThreadPool::~ThreadPool() {
  shared_->stop = true;
  shared_->generation.fetch_add(1, std::memory_order_release);
  shared_->generation.notify_all();
  for (std::thread& member : members_) member.join();
}

void ThreadPool::Run(const std::function<void(Worker&)>& body) {
  Worker worker(this, 0, threads_);
  if (threads_ > 1) {
    shared_->body = &body;
    shared_->generation.fetch_add(1, std::memory_order_release);
    shared_->generation.notify_all();
  }
  body(worker);
  shared_->Barrier();
}

}  // namespace ondine::compute
