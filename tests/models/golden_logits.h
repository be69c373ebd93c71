#ifndef ONDINE_TESTS_MODELS_GOLDEN_LOGITS_H_
#define ONDINE_TESTS_MODELS_GOLDEN_LOGITS_H_

#include <map>
#include <string>
#include <vector>

namespace ondine::testing {

// By model name: llama.cpp's logits [vocabulary] after the test's tokens.
extern const std::map<std::string, std::vector<float>> kGoldenLogits;

}  // namespace ondine::testing

#endif  // ONDINE_TESTS_MODELS_GOLDEN_LOGITS_H_
