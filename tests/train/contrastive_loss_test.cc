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

// Of three pictures that show all of what the first text asks for, a half and nothing; the second
// text asks for something that the first two show alike.
TEST(StrengthLoss, WantsPicturesInProportionToWhatTheyShow) {
  const Tensor shares = torch::tensor({1.0, 0.5, 0.5, 0.5, 0.0, 0.0}, torch::kDouble).view({3, 2});
  const auto loss = [&](std::vector<double> logits) {
    return train::StrengthLoss(torch::tensor(logits, torch::kDouble).view({3, 2}), shares)
        .item<double>();
  };
  EXPECT_NEAR(loss({10, 5, 5, 5, 0, 0}), 0, 1e-12);
  EXPECT_NEAR(loss({107, 5, 102, 5, 97, 0}), 0, 1e-12);
  const double sum = std::exp(10.0) + std::exp(5.0) + 1;
  const double wanted[] = {std::exp(10.0) / sum, std::exp(5.0) / sum, 1 / sum};
  double uniform = 0;
  for (const double share : wanted) uniform += share * std::log(3 * share);
  EXPECT_NEAR(loss({0, 5, 0, 5, 0, 0}), uniform / 2, 1e-12);  // the mean over the texts
}

}  // namespace
}  // namespace ondine::testing
