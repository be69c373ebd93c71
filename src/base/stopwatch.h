// Measures time.
#ifndef ONDINE_SRC_BASE_STOPWATCH_H_
#define ONDINE_SRC_BASE_STOPWATCH_H_

#include <chrono>

namespace ondine::base {

// Seconds since it was made.
class Timer {
 public:
  double Elapsed() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

// Adds the time of its scope to a counter.
class Stopwatch {
 public:
  explicit Stopwatch(double& seconds) : seconds_(seconds) {}
  ~Stopwatch() { seconds_ += timer_.Elapsed(); }
  Stopwatch(const Stopwatch&) = delete;
  Stopwatch& operator=(const Stopwatch&) = delete;

 private:
  double& seconds_;
  Timer timer_;
};

}  // namespace ondine::base

#endif  // ONDINE_SRC_BASE_STOPWATCH_H_
