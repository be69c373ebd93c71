#include "serve/circuit_breaker.h"

#include <algorithm>

namespace ondine::serve {
namespace {

// The shortest time after which another try makes sense; < 0: at once, since the failure says
// nothing about the next question.
double LeastSeconds(ServerFailure failure) {
  switch (failure) {
    case ServerFailure::kMarkedDown:
    case ServerFailure::kRejected:
    case ServerFailure::kNotLogged:
    case ServerFailure::kStopped: return -1;
    // A person has to do something first.
    case ServerFailure::kCertificate:
    case ServerFailure::kKeyRefused:
    case ServerFailure::kQuota: return 60;
    case ServerFailure::kUnreachable:
    case ServerFailure::kTooSlow:
    case ServerFailure::kBusy:
    case ServerFailure::kServerError:
    case ServerFailure::kBroken:
    case ServerFailure::kNoAnswer: return CircuitBreaker::kFirst;
  }
  return -1;
}

}  // namespace

void CircuitBreaker::Failed(double now, ServerFailure failure, double wait) {
  const double least = LeastSeconds(failure);
  if (least < 0) return;
  last_ = failure;
  interval_ = std::clamp(2 * interval_, least, kLongest);
  until_ = now + std::max(interval_, std::min(wait, kLongest));
}

void CircuitBreaker::Succeeded() {
  *this = {};
}

double CircuitBreaker::Remaining(double now) const {
  return std::max(0.0, until_ - now);
}

}  // namespace ondine::serve
