// Leaves a server alone that has failed, for a time that grows.
#ifndef ONDINE_SRC_SERVE_CIRCUIT_BREAKER_H_
#define ONDINE_SRC_SERVE_CIRCUIT_BREAKER_H_

#include <optional>

#include "ondine/server.h"

namespace ondine::serve {

// Times are seconds of any clock that does not go back.
class CircuitBreaker {
 public:
  static constexpr double kFirst = 5, kLongest = 600;  // seconds

  // `wait`: what the server asked for, < 0 where it did not.
  void Failed(double now, ServerFailure failure, double wait = -1);
  void Succeeded();
  // Seconds for which it is still to be left alone; 0: none.
  double Remaining(double now) const;
  std::optional<ServerFailure> last() const { return last_; }

 private:
  double until_ = 0;
  double interval_ = 0;
  std::optional<ServerFailure> last_;
};

}  // namespace ondine::serve

#endif  // ONDINE_SRC_SERVE_CIRCUIT_BREAKER_H_
