// Made-up files in the forms of the sets of questions with choices.
#ifndef ONDINE_TESTS_EVAL_MCQA_FIXTURE_H_
#define ONDINE_TESTS_EVAL_MCQA_FIXTURE_H_

#include <cstddef>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace ondine::eval {

inline std::string PiqaLine(const std::string& stem, const std::vector<std::string>& choices,
                            std::size_t gold) {
  return nlohmann::json{{"query", "Question: " + stem + "\n"}, {"choices", choices}, {"gold", gold}}
             .dump() +
         "\n";
}

inline std::string ArcLine(const std::string& stem, const std::vector<std::string>& labels,
                           const std::vector<std::string>& texts, const std::string& gold) {
  nlohmann::json choices;
  for (std::size_t i = 0; i < texts.size(); ++i) {
    choices.push_back({{"text", texts[i]}, {"label", labels[i]}});
  }
  return nlohmann::json{
             {"id", "x"}, {"question", {{"stem", stem}, {"choices", choices}}}, {"answerKey", gold}}
             .dump() +
         "\n";
}

// Of OpenBookQA's training file and SocialIQA.
inline nlohmann::json Instruction(const std::string& stem, const std::vector<std::string>& options,
                                  std::size_t gold) {
  std::string text = "Please choose the correct answer to the question: " + stem + "\n\n";
  for (std::size_t i = 0; i < options.size(); ++i) {
    text += (i == 0 ? "Answer" : " Answer") + std::to_string(i + 1) + ": " + options[i];
  }
  text += "\n\nAnswer format: answer1/answer2";
  return {{"instruction", text},
          {"input", ""},
          {"output", ""},
          {"answer", "answer" + std::to_string(gold + 1)}};
}

}  // namespace ondine::eval

#endif  // ONDINE_TESTS_EVAL_MCQA_FIXTURE_H_
