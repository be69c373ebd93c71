#include "train/contrastive_loss.h"

#include <gtest/gtest.h>

#include <cmath>

namespace ondine::testing {
namespace {

using torch::Tensor;
using train::ContrastiveLoss;

// Two photos of red things, one of a blue one; the first text says "red", the others tell a name.
TEST(ContrastiveLoss, ATextHoldsForAllThatAgreeInWhatItStates) {
  const Tensor traits = torch::tensor({0, 10, 0, 11, 1, 12}, torch::kLong).view({3, 2});
  const Tensor stated = torch::tensor({1, 0, 0, 1, 0, 1}).view({3, 2}).to(torch::kBool);
  const Tensor expected = torch::tensor({1, 0, 0, 1, 1, 0, 0, 0, 1}).view({3, 3}).to(torch::kBool);
  EXPECT_TRUE(train::Holds(traits, stated).equal(expected));
}

TEST(ContrastiveLoss, IsSpreadOverAllThatHolds) {
  // In powers 2 1, 1 4: rows (photos) and columns (texts) have sums 3 and 5.
  const Tensor logits = torch::tensor({2.0, 1.0, 1.0, 4.0}, torch::kDouble).view({2, 2}).log();
  const Tensor own = torch::eye(2).to(torch::kBool);
  const double by_rows = -(std::log(2 / 3.0) + std::log(4 / 5.0)) / 2;
  const double by_columns = -(std::log(2 / 3.0) + std::log(4 / 5.0)) / 2;
  EXPECT_NEAR(ContrastiveLoss(logits, own).item<double>(), (by_rows + by_columns) / 2, 1e-12);

  // The first text holds for both photos.
  const Tensor holds = torch::tensor({1, 0, 1, 1}).view({2, 2}).to(torch::kBool);
  const double photos = -(std::log(2 / 3.0) + (std::log(1 / 5.0) + std::log(4 / 5.0)) / 2) / 2;
  const double texts = -((std::log(2 / 3.0) + std::log(1 / 3.0)) / 2 + std::log(4 / 5.0)) / 2;
  EXPECT_NEAR(ContrastiveLoss(logits, holds).item<double>(), (photos + texts) / 2, 1e-12);
}

TEST(ContrastiveLoss, EqualTextsDoNotFight) {
  // Where all texts say the same, equal logits are the best there is.
  const Tensor all = torch::ones({4, 4}).to(torch::kBool);
  Tensor logits = torch::zeros({4, 4}, torch::kDouble).requires_grad_();
  ContrastiveLoss(logits, all).backward();
  EXPECT_LT(logits.grad().abs().max().item<double>(), 1e-12);
}

}  // namespace
}  // namespace ondine::testing
