// Keeps the share of questions that leave within a budget while they come one by one.
#ifndef ONDINE_SRC_SERVE_SHARE_BUDGET_H_
#define ONDINE_SRC_SERVE_SHARE_BUDGET_H_

#include <algorithm>

namespace ondine::serve {

// Of n questions at most 1 + share * (n - 1) may leave (none with a share of 0): the first one may
// be a hard one, and each that follows brings its share of one.
class ShareBudget {
 public:
  explicit ShareBudget(double share) : share_(share), left_(share > 0 ? 1 - share : 0) {}

  void NewQuestion() { left_ += share_; }
  // With room for the rounding of sums.
  bool Allows() const { return left_ > 1 - 1e-9; }
  void Spend() { left_ -= 1; }

 private:
  double share_, left_;
};

}  // namespace ondine::serve

#endif  // ONDINE_SRC_SERVE_SHARE_BUDGET_H_
