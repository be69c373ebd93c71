#include "eval/leval.h"

#include <gmock/gmock.h>

#include <map>
#include <nlohmann/json.hpp>

#include "eval/fixture.h"

namespace ondine::eval {
namespace {

using nlohmann::json;
using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;

std::string Line(const std::string& document, const std::vector<std::string>& questions,
                 const std::vector<std::string>& outputs) {
  return json{{"input", document}, {"instructions", questions}, {"outputs", outputs}}.dump() + "\n";
}

class LEvalTest : public ::testing::Test {
 protected:
  void Write(const std::string& task, const std::string& text) const {
    WriteText(data_.path() / "longctx" / "leval" / "closed" / (task + ".jsonl"), text);
  }
  Result<std::unique_ptr<Task>> Make(const std::string& task,
                                     LEvalSplit split = LEvalSplit::kAll) const {
    return MakeLEvalTask({data_.path().string(), {task}, split});
  }

  ondine::testing::TempDir data_;
};

TEST_F(LEvalTest, SplitsByLineNumber) {
  std::string text;
  for (int i = 0; i < 7; ++i) text += Line("document " + std::to_string(i), {"Q?"}, {"A"});
  Write("coursera", text);
  const auto documents = [&](LEvalSplit split) {
    std::vector<std::string> found;
    const auto task = Make("coursera", split);
    EXPECT_TRUE(task) << task.error().ToString();
    for (std::int64_t i = 0; i < (*task)->size(); ++i) {
      found.push_back((*task)->Make(i)->document.substr(9));
    }
    return found;
  };
  EXPECT_THAT(documents(LEvalSplit::kSettings), ElementsAre("0", "5"));
  EXPECT_THAT(documents(LEvalSplit::kFinal), ElementsAre("1", "2", "3", "4", "6"));
  EXPECT_THAT(documents(LEvalSplit::kAll), ElementsAre("0", "1", "2", "3", "4", "5", "6"));
}

TEST_F(LEvalTest, LetterSetsCountAsAWhole) {
  Write("coursera", Line("text", {"Which?\nA. x\nB. y", "And?"}, {"CA", "B"}));
  const auto task = Make("coursera");
  ASSERT_TRUE(task) << task.error().ToString();
  const Item item = *(*task)->Make(0);
  ASSERT_EQ(item.queries.size(), 2U);
  const Query& set = item.queries[0];
  EXPECT_THAT(set.question, ::testing::StartsWith("Which?\nA. x\nB. y\n"));
  EXPECT_EQ(set.labels.at("task"), "coursera");
  EXPECT_EQ((*task)->Score(set, " A, C."), 1);
  EXPECT_EQ((*task)->Score(set, "AC"), 1);
  EXPECT_EQ((*task)->Score(set, " A"), 0);
  EXPECT_EQ((*task)->Score(set, " A, B and C"), 0);
  EXPECT_EQ((*task)->Score(item.queries[1], " B. what B says"), 1);
}

TEST_F(LEvalTest, OneLetterOfAChoiceCounts) {
  Write("quality", Line("text", {"Who?\n\n (A) he\n (B) she"}, {"(B) she"}));
  const auto task = Make("quality");
  ASSERT_TRUE(task) << task.error().ToString();
  const Query query = (*task)->Make(0)->queries[0];
  EXPECT_THAT(query.gold, ElementsAre("B"));
  EXPECT_EQ((*task)->Score(query, "B) she"), 1);
  EXPECT_EQ((*task)->Score(query, "B, A"), 1);
  EXPECT_EQ((*task)->Score(query, "A) he"), 0);
  EXPECT_EQ((*task)->Score(query, "she"), 0);
}

TEST_F(LEvalTest, TopicsAreTextsToBeContained) {
  Write("topic_retrieval_longchat",
        Line("chat", {"What is the first topic?"}, {"The role of art"}));
  const auto task = Make("topic_retrieval_longchat");
  ASSERT_TRUE(task) << task.error().ToString();
  const Query query = (*task)->Make(0)->queries[0];
  EXPECT_EQ(query.question, "What is the first topic?");
  EXPECT_EQ((*task)->Score(query, "It was the ROLE of art."), 1);
  EXPECT_EQ((*task)->Score(query, "It was art."), 0);
}

TEST(OptionLetters, ReadsWhatTheAnswerBeginsWith) {
  const auto set = [](std::string_view answer) { return OptionLetters(answer, true); };
  EXPECT_EQ(set("B"), "B");
  EXPECT_EQ(set(" (C), (A)"), "AC");
  EXPECT_EQ(set("ACD\n"), "ACD");
  EXPECT_EQ(set("A, B, and D."), "ABD");
  EXPECT_EQ(set("D & B"), "BD");
  EXPECT_EQ(set("**A; C**"), "AC");
  EXPECT_EQ(set("A, A"), "A");
  // The text of an option is not a list of letters.
  EXPECT_EQ(set("B) A large one"), "B");
  EXPECT_EQ(set("B. A"), "B");
  EXPECT_EQ(set("C\nA"), "C");
  EXPECT_EQ(set("B, Danger"), "B");
  // Nor is a word that begins like an option.
  EXPECT_EQ(set("Because"), "");
  EXPECT_EQ(set("A1"), "");
  EXPECT_EQ(set("b"), "");
  EXPECT_EQ(set("I"), "");
  EXPECT_EQ(set(""), "");
  EXPECT_EQ(set("("), "");
  EXPECT_EQ(set("A, "), "A");
  EXPECT_EQ(OptionLetters("D, A", false), "D");
  EXPECT_EQ(OptionLetters("", false), "");
}

TEST_F(LEvalTest, ABrokenLineIsNamed) {
  const std::string good = Line("text", {"Q?"}, {"A"});
  const std::map<std::string, std::string> broken = {
      {"{\"input\": \"cut off", "no JSON object"},
      {"", "no JSON object"},
      {"[1, 2]", "no JSON object"},
      {"\xff\xfe", "no JSON object"},
      {R"({"instructions": ["Q?"], "outputs": ["A"]})", "\"input\""},
      {R"({"input": "", "instructions": ["Q?"], "outputs": ["A"]})", "\"input\""},
      {R"({"input": 7, "instructions": ["Q?"], "outputs": ["A"]})", "\"input\""},
      {R"({"input": "x", "instructions": ["Q?", "R?"], "outputs": ["A"]})", "\"outputs\""},
      {R"({"input": "x", "instructions": [], "outputs": []})", "\"outputs\""},
      {R"({"input": "x", "instructions": ["Q?"], "outputs": [1]})", "\"outputs\""},
      {R"({"input": "x", "instructions": "Q?", "outputs": "A"})", "\"outputs\""},
      {R"({"input": "x", "instructions": ["Q?"], "outputs": ["none"]})", "'none'"},
      {R"({"input": "x", "instructions": ["Q?"], "outputs": [""]})", "''"},
  };
  for (const auto& [line, message] : broken) {
    Write("coursera", good + good + line + "\n" + good);
    const auto task = Make("coursera");
    ASSERT_FALSE(task) << line;
    EXPECT_EQ(task.error().code, ErrorCode::kCorrupt) << line;
    EXPECT_THAT(task.error().context, EndsWith("closed/coursera.jsonl:3"));
    EXPECT_THAT(task.error().message, HasSubstr(message));
  }
  Write("quality", Line("text", {"Q?"}, {"B) no opening bracket"}));
  const auto task = Make("quality");
  ASSERT_FALSE(task);
  EXPECT_THAT(task.error().context, EndsWith("closed/quality.jsonl:1"));
}

TEST_F(LEvalTest, WhatIsNotThereIsNamed) {
  const auto missing = Make("quality");
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, ErrorCode::kNotFound);
  EXPECT_THAT(missing.error().ToString(), HasSubstr("longctx/leval/closed/quality.jsonl"));

  EXPECT_EQ(Make("narrative_qa").error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(ParseLEvalSplit("train").error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(ParseLEvalSplit("settings"), LEvalSplit::kSettings);

  Write("coursera", Line("text", {"Q?"}, {"A"}));  // one document: none of them final
  EXPECT_EQ(Make("coursera", LEvalSplit::kFinal).error().code, ErrorCode::kNotFound);
}

// Documents and questions of the published files.
TEST(LEvalData, IsReadAsAWhole) {
  const std::string data = "../shared/data";
  if (!std::filesystem::exists(data + "/longctx/leval/closed")) {
    GTEST_SKIP() << data << "/longctx/leval/closed is not there";
  }
  struct Expected {
    const char* task;
    LEvalSplit split;
    std::int64_t documents;
    std::size_t questions;
  };
  for (const Expected& e : {Expected{"coursera", LEvalSplit::kSettings, 3, 41},
                            Expected{"coursera", LEvalSplit::kFinal, 12, 131},
                            Expected{"quality", LEvalSplit::kSettings, 3, 35},
                            Expected{"quality", LEvalSplit::kFinal, 12, 167},
                            Expected{"topic_retrieval_longchat", LEvalSplit::kSettings, 10, 30},
                            Expected{"topic_retrieval_longchat", LEvalSplit::kFinal, 40, 120}}) {
    const auto task = MakeLEvalTask({data, {e.task}, e.split});
    ASSERT_TRUE(task) << task.error().ToString();
    EXPECT_EQ((*task)->size(), e.documents) << e.task;
    std::size_t questions = 0;
    for (std::int64_t i = 0; i < (*task)->size(); ++i) {
      questions += (*task)->Make(i)->queries.size();
    }
    EXPECT_EQ(questions, e.questions) << e.task;
  }
}

}  // namespace
}  // namespace ondine::eval
