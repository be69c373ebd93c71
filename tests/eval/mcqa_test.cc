#include "eval/mcqa.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <numeric>

#include "adapters/adapter_fixture.h"
#include "adapters/pool_file.h"
#include "engine/model_parts.h"
#include "eval/fixture.h"
#include "eval/mcqa_fixture.h"

namespace ondine::eval {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

class McqaTest : public EvalTest {
 protected:
  McqaTest() {
    std::string piqa;
    for (int i = 0; i < 60; ++i) {
      piqa += PiqaLine("What is " + std::to_string(i) + "?", {"a", "bc"}, i % 2);
    }
    WriteText(data_.path() / "mcqa/piqa/piqa_val.jsonl", piqa);
    std::string winogrande;
    for (int i = 0; i < 60; ++i) {
      const std::string shared = "It took " + std::to_string(i) + " days so ";
      winogrande += nlohmann::json{{"context_options", {shared + "Ann", shared + "Bo"}},
                                   {"continuation", "wept."},
                                   {"gold", 1}}
                        .dump() +
                    "\n";
    }
    WriteText(data_.path() / "mcqa/winogrande/winogrande_xl_dev.jsonl", winogrande);
    WriteText(data_.path() / "mcqa/mmlu/dev/anatomy_dev.csv", "Bone?,a,b,c,d,A\nLeg?,a,b,c,d,B\n");
    WriteText(data_.path() / "mcqa/mmlu/val/anatomy_val.csv", "Arm?,a,b,c,d,A\nToe?,a,b,c,d,D\n");
    WriteText(data_.path() / "mcqa/mmlu/dev/virology_dev.csv", "Flu?,a,b,c,d,A\n");
    WriteText(data_.path() / "mcqa/mmlu/val/virology_val.csv", "Pox?,a,b,c,d,A\n");
  }

  McqaOptions Options(const std::vector<std::string>& tasks) const {
    McqaOptions options;
    options.data = data();
    options.tasks = tasks;
    options.threads = 1;
    return options;
  }
  static McqaReport Run(const McqaOptions& options) {
    auto report = RunMcqa(model_, options);
    EXPECT_TRUE(report) << report.error().ToString();
    return report ? *report : McqaReport();
  }
  static double LogLikelihood(const std::string& context, const std::string& continuation) {
    engine::ChoiceScorer scorer(model_, 1);
    return scorer.Score(context, std::vector{continuation})->front().log_likelihood;
  }
};

TEST_F(McqaTest, TheLikeliestChoiceIsTheAnswer) {
  McqaOptions options = Options({"piqa", "winogrande"});
  std::vector<double> progress;
  options.on_progress = [&](std::int64_t done, std::int64_t, double score) {
    EXPECT_EQ(done, static_cast<std::int64_t>(progress.size()) + 1);
    progress.push_back(score);
  };
  const McqaReport report = Run(options);
  ASSERT_GT(report.answers.size(), 10U);
  EXPECT_THAT(progress, SizeIs(report.answers.size()));
  EXPECT_EQ(progress.back(), report.total.score);
  std::map<std::string, double> right;
  std::int64_t gold_second = 0;
  for (const McqaAnswer& answer : report.answers) {
    const auto mean = [&](std::size_t i) {
      const McqaChoice& choice = answer.item.choices[i];
      // A token is a byte.
      EXPECT_EQ(answer.scores[i].tokens, static_cast<std::int64_t>(choice.continuation.size()));
      const double sum = LogLikelihood(choice.context, choice.continuation);
      EXPECT_EQ(answer.scores[i].log_likelihood, sum);
      return sum / static_cast<double>(choice.continuation.size());
    };
    EXPECT_EQ(answer.chosen, mean(0) >= mean(1) ? 0U : 1U);
    right[answer.item.task] += answer.chosen == answer.item.gold ? 1 : 0;
    if (answer.item.task == "piqa") gold_second += answer.item.gold == 1 ? 1 : 0;
  }
  ASSERT_THAT(report.tasks, SizeIs(2));
  const auto share = [&](const char* task, double count) {
    return count / static_cast<double>(report.tasks.at(task).cell.n);
  };
  for (const auto& [name, task] : report.tasks) {
    EXPECT_EQ(task.cell.score, share(name.c_str(), right.at(name)));
    EXPECT_EQ(task.accuracy[0], task.cell.score);
    EXPECT_LT(task.cell.ci95[0], task.cell.score + 1e-9);
  }
  EXPECT_EQ(report.tasks.at("winogrande").base_rate, 1);
  const double second = share("piqa", static_cast<double>(gold_second));
  EXPECT_NEAR(report.tasks.at("piqa").base_rate, std::max(second, 1 - second), 1e-12);
  EXPECT_EQ(report.macro,
            (report.tasks.at("piqa").cell.score + report.tasks.at("winogrande").cell.score) / 2);
}

TEST_F(McqaTest, NormsDivideByTokensBytesOrNothing) {
  McqaItem item;
  item.choices = {{"", " a", "a"}, {"", " four", "four"}, {"", " eighteen", "eighteen"}};
  const std::vector<engine::ChoiceScore> scores = {{-2, 1}, {-4, 4}, {-5, 3}};
  EXPECT_EQ(ChosenBy(McqaNorm::kNone, item, scores), 0U);
  EXPECT_EQ(ChosenBy(McqaNorm::kTokens, item, scores), 1U);
  EXPECT_EQ(ChosenBy(McqaNorm::kBytes, item, scores), 2U);
}

TEST_F(McqaTest, FormsShowTheOptions) {
  McqaItem item;
  item.question = "Question: Who?";
  item.choices = {{"Question: Who?\nAnswer:", " he", "he"},
                  {"Question: Who?\nAnswer:", " she", "she"}};
  item.gold = 1;
  const McqaItem listed = InForm(item, McqaForm::kListed);
  EXPECT_EQ(listed.choices[1].context, "Question: Who?\nhe\nshe\nAnswer:");
  EXPECT_EQ(listed.choices[1].continuation, " she");
  const McqaItem letters = InForm(item, McqaForm::kLetters);
  EXPECT_EQ(letters.choices[1].context, "Question: Who?\nA. he\nB. she\nAnswer:");
  EXPECT_EQ(letters.choices[1].continuation, " B");
  EXPECT_EQ(InForm(item, McqaForm::kPlain).choices[1].context, item.choices[1].context);
  EXPECT_EQ(FewShotPrompt({item, item}),
            "Question: Who?\nAnswer: she\n\nQuestion: Who?\nAnswer: she\n\n");
  EXPECT_EQ(FewShotPrompt({}), "");
}

TEST_F(McqaTest, FewShotQuestionsStandBeforeEachOne) {
  for (const char* task : {"piqa", "winogrande"}) {
    McqaOptions options = Options({task});
    options.limit = 3;
    const McqaReport zero = Run(options);
    options.few_shot = 2;
    const McqaReport two = Run(options);
    const std::string prompt = FewShotPrompt(*DrawExamples(data(), task, 2, options.seed));
    ASSERT_THAT(two.answers, SizeIs(3));
    for (std::size_t i = 0; i < 3; ++i) {
      EXPECT_EQ(two.answers[i].item.prompt, zero.answers[i].item.prompt);
      const McqaChoice& choice = two.answers[i].item.choices[1];
      EXPECT_EQ(two.answers[i].scores[1].log_likelihood,
                LogLikelihood(prompt + choice.context, choice.continuation));
      EXPECT_NE(two.answers[i].scores[1].log_likelihood, zero.answers[i].scores[1].log_likelihood);
    }
  }
  McqaOptions options = Options({"mmlu/virology"});
  options.few_shot = 2;
  const auto report = RunMcqa(model_, options);
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().code, ErrorCode::kInvalidArgument);
  EXPECT_THAT(report.error().message, HasSubstr("mmlu/virology"));
}

TEST_F(McqaTest, LimitLeavesTheSameQuestionsOfEachTask) {
  McqaOptions options = Options({"piqa", "winogrande"});
  options.limit = 2;
  const McqaReport two = Run(options);
  EXPECT_EQ(two.total.n, 4);
  EXPECT_EQ(two.tasks.at("piqa").cell.n, 2);
  options.limit = 3;
  options.seed = 7;
  const McqaReport three = Run(options);
  EXPECT_EQ(two.answers[0].item.prompt, three.answers[0].item.prompt);
  EXPECT_EQ(two.answers[1].item.prompt, three.answers[1].item.prompt);
  EXPECT_EQ(two.answers[1].scores[0].log_likelihood, three.answers[1].scores[0].log_likelihood);
}

TEST_F(McqaTest, SubjectsCountAsOneSet) {
  const McqaReport report = Run(Options({"mmlu/anatomy", "mmlu/virology", "piqa"}));
  const auto score = [&](const char* task) { return report.tasks.at(task).cell.score; };
  EXPECT_EQ(report.tasks.at("mmlu/anatomy").cell.n, 2);
  EXPECT_NEAR(report.macro,
              ((score("mmlu/anatomy") + score("mmlu/virology")) / 2 + score("piqa")) / 2, 1e-12);
}

TEST_F(McqaTest, ErrorsAreHandedOn) {
  EXPECT_EQ(RunMcqa(model_, Options({"copa"})).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(RunMcqa(model_, Options({"race"})).error().code, ErrorCode::kInvalidArgument);
  McqaOptions empty = Options({"mmlu/anatomy"});
  empty.part = McqaPart::kSettings;
  EXPECT_EQ(RunMcqa(model_, empty).error().code, ErrorCode::kInvalidArgument);
  const McqaOptions stopped = Options({"piqa"});
  stopped.stop_token.Stop();
  EXPECT_EQ(RunMcqa(model_, stopped).error().code, ErrorCode::kCancelled);
  EXPECT_EQ(ParseMcqaForm("table").error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(ParseMcqaForm("letters"), McqaForm::kLetters);
  EXPECT_EQ(ParseMcqaNorm("words").error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(ParseMcqaNorm("bytes"), McqaNorm::kBytes);
}

TEST_F(McqaTest, APoolIsBlendedForEachTask) {
  const std::string path = data_.File("pool.gguf");
  ASSERT_TRUE(
      adapters::WritePool(ondine::testing::RandomPool(*model_->parts().decoder, 3, 2), path));
  McqaOptions options = Options({"piqa", "winogrande"});
  const McqaReport base = Run(options);
  options.pool = *AdapterPool::Load(model_, path);
  options.shots = 5;
  const McqaReport blended = Run(options);
  // Examples are drawn with the seed; only MMLU has so few that all are taken.
  EXPECT_EQ(Run(options).tasks.at("piqa").weights, blended.tasks.at("piqa").weights);
  EXPECT_NE(blended.tasks.at("winogrande").weights, blended.tasks.at("piqa").weights);
  ASSERT_EQ(blended.answers.size(), base.answers.size());
  for (std::size_t i = 0; i < base.answers.size(); ++i) {
    EXPECT_NE(blended.answers[i].scores[0].log_likelihood,
              base.answers[i].scores[0].log_likelihood);
  }
  for (const PoolUse use : {PoolUse::kBlend, PoolUse::kNearest, PoolUse::kUniform,
                            PoolUse::kShuffled, PoolUse::kRandom}) {
    options.pool_use = use;
    const McqaReport report = Run(options);
    const std::vector<double> weights = report.tasks.at("piqa").weights;
    EXPECT_NEAR(std::accumulate(weights.begin(), weights.end(), 0.0), 1, 1e-9);
    const std::vector<double>& right = blended.tasks.at("piqa").weights;
    if (use == PoolUse::kNearest) {
      EXPECT_EQ(std::max_element(weights.begin(), weights.end()) - weights.begin(),
                std::max_element(right.begin(), right.end()) - right.begin());
      EXPECT_EQ(*std::max_element(weights.begin(), weights.end()), 1);
    } else if (use == PoolUse::kUniform) {
      EXPECT_NEAR(weights[0], 1.0 / 3, 1e-9);
    } else if (use == PoolUse::kShuffled) {
      EXPECT_NE(weights, right);
      EXPECT_TRUE(std::is_permutation(weights.begin(), weights.end(), right.begin()));
    } else {
      EXPECT_EQ(weights, right);
    }
    const bool same =
        report.answers[0].scores[0].log_likelihood == blended.answers[0].scores[0].log_likelihood;
    EXPECT_EQ(same, use == PoolUse::kBlend);
  }
  options = Options({"mmlu/anatomy"});
  options.pool = *AdapterPool::Load(model_, path);
  EXPECT_THAT(Run(options).tasks.at("mmlu/anatomy").weights, SizeIs(3));
}

}  // namespace
}  // namespace ondine::eval
