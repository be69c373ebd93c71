// A fixed team of threads that run one function together ("SPMD"): a forward pass wakes the team
// once and then keeps it in step with barriers that spin, because a barrier is met some 200 times a
// token and a futex wake-up (about 5 us) would cost more than the work between two of them.
#ifndef ONDINE_SRC_COMPUTE_THREAD_POOL_H_
#define ONDINE_SRC_COMPUTE_THREAD_POOL_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

namespace ondine::compute {

class ThreadPool;

// What one member of the team knows of itself.
class Worker {
 public:
  int index() const { return index_; }
  int count() const { return count_; }
  // Waits until every member has arrived. Where one of them has thrown, this throws too, so that
  // all leave the function.
  void Barrier();
  // This member's part [begin, end) of `total` items, cut at multiples of `grain`.
  struct Range {
    std::int64_t begin, end;
  };
  Range Share(std::int64_t total, std::int64_t grain = 1) const;

 private:
  friend class ThreadPool;
  Worker(ThreadPool* pool, int index, int count) : pool_(pool), index_(index), count_(count) {}
  ThreadPool* pool_;
  int index_;
  int count_;
};

class ThreadPool {
 public:
  // `threads` >= 1; the calling thread is one of them. A system that has no more of them to give
  // makes the team smaller.
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int threads() const { return threads_; }
  // Runs `body` on every member and returns when all have finished. What a member throws, of
  // several the first, is then thrown here; the team is as good as before. Not reentrant; one
  // caller at a time.
  void Run(const std::function<void(Worker&)>& body);

 private:
  friend class Worker;
  struct Shared;
  int threads_ = 1;
  std::unique_ptr<Shared> shared_;
  std::vector<std::thread> members_;
};

}  // namespace ondine::compute

#endif  // ONDINE_SRC_COMPUTE_THREAD_POOL_H_
