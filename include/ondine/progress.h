// Progress and cancellation of long work.
#ifndef ONDINE_PROGRESS_H_
#define ONDINE_PROGRESS_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>

namespace ondine {

// Set by the caller, possibly from a signal handler or another thread; long work looks at it at
// least once per token or block and then returns ErrorCode::kCancelled. A generation that has begun
// returns the text so far, with FinishReason::kCancelled. Copies share one flag.
class StopToken {
 public:
  StopToken() : flag_(std::make_shared<std::atomic<bool>>(false)) {}
  void Stop() const { flag_->store(true, std::memory_order_relaxed); }
  bool Stopped() const { return flag_->load(std::memory_order_relaxed); }

 private:
  std::shared_ptr<std::atomic<bool>> flag_;
};

}  // namespace ondine

#endif  // ONDINE_PROGRESS_H_
