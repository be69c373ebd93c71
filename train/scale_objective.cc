#include "train/scale_objective.h"

#include <vector>

namespace ondine::train {
namespace {

using torch::Tensor;

Tensor Divergence(const Tensor& log_p, const Tensor& exact) {
  return torch::kl_div(log_p, exact, at::Reduction::Sum, true) / static_cast<double>(log_p.size(0));
}

}  // namespace

ScaleObjective::ScaleObjective(const DecoderTwin& twin, const Quantizer* quantizer,
                               bool weights_change)
    : twin_(twin),
      quantizer_(quantizer),
      exact_head_(weights_change ? twin.head().clone() : twin.head()) {}

Tensor ScaleObjective::OfText(const TokenTree& row) const {
  return torch::nll_loss(LogProbabilities(row), NextTokens(row));
}

Tensor ScaleObjective::OfModel(const TokenTree& row, Tensor& exact) const {
  return Divergence(LogProbabilities(row), ExactLogProbabilities(row, exact));
}

Tensor ScaleObjective::OfLayer(const Tensor& error, const Tensor& added) {
  const Tensor of_tokens = error.square().sum(-1), norms = added.square().sum(-1);
  return 0.5 * (of_tokens.sum() / norms.sum() + (of_tokens / norms).mean());
}

Tensor ScaleObjective::Measure(const TokenTree& row, Tensor& exact) const {
  const torch::NoGradGuard no_gradient;
  const Tensor targets = NextTokens(row), log_p = LogProbabilities(row);
  const Tensor exact_log_p = ExactLogProbabilities(row, exact);
  return torch::stack({torch::nll_loss(log_p, targets), torch::nll_loss(exact_log_p, targets),
                       Divergence(log_p, exact_log_p)})
      .to(torch::kCPU, torch::kDouble);
}

// What the head reads to predict each next token, [time - 1][width].
Tensor ScaleObjective::Hidden(const TokenTree& row, const Quantizer* quantizer) const {
  const TokenTree* const rows = &row;
  const auto time = static_cast<std::int64_t>(row.size());
  return twin_.Hidden({&rows, 1}, {.quantizer = quantizer})[0].narrow(0, 0, time - 1);
}

// [time - 1][vocabulary]
Tensor ScaleObjective::LogProbabilities(const TokenTree& row) const {
  return torch::log_softmax(twin_.Logits(Hidden(row, quantizer_)), -1);
}

Tensor ScaleObjective::ExactLogProbabilities(const TokenTree& row, Tensor& exact) const {
  const torch::NoGradGuard no_gradient;
  if (!exact.defined()) exact = Hidden(row, nullptr);
  return torch::log_softmax(torch::linear(exact, exact_head_), -1);
}

Tensor ScaleObjective::NextTokens(const TokenTree& row) const {
  const std::vector<std::int64_t> next(row.tokens.begin() + 1, row.tokens.end());
  return torch::tensor(next).to(twin_.device());
}

}  // namespace ondine::train
