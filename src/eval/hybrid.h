// What a device and a larger model behind a server are worth together: accuracy against the share
// of questions that are handed on.
#ifndef ONDINE_SRC_EVAL_HYBRID_H_
#define ONDINE_SRC_EVAL_HYBRID_H_

#include <string>
#include <vector>

#include "eval/mcqa.h"
#include "ondine/gate.h"
#include "ondine/result.h"

namespace ondine::eval {

// Both models' answers to the same questions.
struct HybridPart {
  McqaReport device, server;
};

// How well one measure puts the questions in an order.
struct HybridSignal {
  std::string name;
  double area = 0;  // mean accuracy over all shares
  std::vector<GateOutcome> curve;
};

// A gate that was fitted to a budget on the settings part, on the final part.
struct HybridBudget {
  double budget = 0;
  GateOutcome fitted, realised;
  double random = 0;  // accuracy of as large a share, taken at random
};

struct HybridReport {
  double device = 0, server = 0;      // accuracy over all final questions
  std::vector<HybridSignal> signals;  // on the final part; the last two are random and oracle
  std::string chosen;                 // with the largest area on the settings part
  std::vector<HybridBudget> budgets;
};

// Measures: `probability`, `margin` and `entropy` of the softmax over the choices' mean token
// log-likelihoods, `likelihood` (that of the chosen one), and, where the device has a pool, `task`.
// kInvalidArgument where a part's answers are to different questions.
Result<HybridReport> CompareHybrid(const HybridPart& settings, const HybridPart& final_part,
                                   const std::vector<double>& budgets);

}  // namespace ondine::eval

#endif  // ONDINE_SRC_EVAL_HYBRID_H_
