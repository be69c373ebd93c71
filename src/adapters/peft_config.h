// adapter_config.json of PEFT (https://github.com/huggingface/peft): what a LoRA adapter's factors
// are multiplied by, and what else it would change.
#ifndef ONDINE_SRC_ADAPTERS_PEFT_CONFIG_H_
#define ONDINE_SRC_ADAPTERS_PEFT_CONFIG_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ondine/result.h"

namespace ondine::adapters {

class PeftConfig {
 public:
  // `name` stands in error messages. Errors: kCorrupt (not such a file), kUnsupported (an adapter
  // that is more than products of two matrices, or another kind; the message names the field).
  static Result<PeftConfig> Parse(std::string_view text, const std::string& name);

  // Of a module such as "model.layers.0.self_attn.q_proj".
  std::int64_t Rank(std::string_view module) const;
  double Scale(std::string_view module) const;  // B A is multiplied by it

  // The alpha with which alpha / rank is the scale of modules that no pattern names.
  double PlainAlpha() const;

 private:
  // The first name that is the module's last parts counts.
  template <typename T>
  using Pattern = std::vector<std::pair<std::string, T>>;

  std::int64_t rank_ = 0;
  double alpha_ = 0;
  bool root_ = false;  // divided by the rank's root instead of the rank (rsLoRA, arXiv 2312.03732)
  Pattern<std::int64_t> ranks_;
  Pattern<double> alphas_;

  friend class PeftConfigParser;
};

}  // namespace ondine::adapters

#endif  // ONDINE_SRC_ADAPTERS_PEFT_CONFIG_H_
