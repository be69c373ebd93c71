#include "serve/circuit_breaker.h"

#include <gtest/gtest.h>

namespace ondine::serve {
namespace {

TEST(CircuitBreaker, WaitsLongerAfterEachFailureUpToALimit) {
  CircuitBreaker breaker;
  EXPECT_EQ(breaker.Remaining(0), 0);
  double now = 100, last = 0;
  for (int i = 0; i < 20; ++i) {
    breaker.Failed(now, ServerFailure::kUnreachable);
    const double remaining = breaker.Remaining(now);
    EXPECT_TRUE(remaining > last || remaining == CircuitBreaker::kLongest);
    EXPECT_LE(remaining, CircuitBreaker::kLongest);
    EXPECT_GT(breaker.Remaining(now + remaining - 1), 0);
    now += remaining;
    EXPECT_EQ(breaker.Remaining(now), 0);
    last = remaining;
  }
  EXPECT_EQ(last, CircuitBreaker::kLongest);
  breaker.Succeeded();
  breaker.Failed(now, ServerFailure::kTooSlow);
  EXPECT_EQ(breaker.Remaining(now), CircuitBreaker::kFirst);
}

TEST(CircuitBreaker, WaitsAsLongAsTheServerAsksFor) {
  CircuitBreaker breaker;
  breaker.Failed(0, ServerFailure::kBusy, 30);
  EXPECT_EQ(breaker.Remaining(0), 30);
  breaker.Succeeded();
  breaker.Failed(0, ServerFailure::kBusy, 1e9);
  EXPECT_EQ(breaker.Remaining(0), CircuitBreaker::kLongest);
}

TEST(CircuitBreaker, WhatWillNotPassByItselfWaitsLonger) {
  for (const auto failure :
       {ServerFailure::kQuota, ServerFailure::kKeyRefused, ServerFailure::kCertificate}) {
    CircuitBreaker breaker;
    breaker.Failed(0, failure);
    EXPECT_GE(breaker.Remaining(0), 60);
  }
}

TEST(CircuitBreaker, WhatConcernsOneQuestionOnlyDoesNotCount) {
  CircuitBreaker breaker;
  breaker.Failed(0, ServerFailure::kRejected);
  breaker.Failed(0, ServerFailure::kStopped);
  breaker.Failed(0, ServerFailure::kNotLogged);
  EXPECT_EQ(breaker.Remaining(0), 0);
}

}  // namespace
}  // namespace ondine::serve
