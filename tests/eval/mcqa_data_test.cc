#include "eval/mcqa_data.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <map>
#include <set>

#include "eval/fixture.h"
#include "eval/mcqa_fixture.h"

namespace ondine::eval {
namespace {

using nlohmann::json;
using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAre;

constexpr std::array kParts = {McqaPart::kTraining, McqaPart::kSettings, McqaPart::kFinal};

class McqaDataTest : public ::testing::Test {
 protected:
  void Write(const std::string& file, const std::string& text) const {
    WriteText(data_.path() / "mcqa" / file, text);
  }
  Result<std::vector<McqaItem>> Load(const std::string& task, McqaPart part) const {
    return LoadMcqa(data_.path().string(), task, part);
  }
  std::vector<McqaItem> Items(const std::string& task, McqaPart part) const {
    auto items = Load(task, part);
    EXPECT_TRUE(items) << items.error().ToString();
    return items ? *items : std::vector<McqaItem>();
  }
  std::vector<McqaItem> AllItems(const std::string& task) const {
    std::vector<McqaItem> all;
    for (const McqaPart part : kParts) {
      for (const McqaItem& item : Items(task, part)) all.push_back(item);
    }
    return all;
  }
  // Of a file that holds this one item, in whichever part it is.
  McqaItem Only(const std::string& task, const std::string& file, const std::string& text) const {
    Write(file, text);
    const std::vector<McqaItem> all = AllItems(task);
    EXPECT_THAT(all, SizeIs(1));
    return all.empty() ? McqaItem() : all.front();
  }

  ondine::testing::TempDir data_;
};

std::vector<std::string> Questions(const std::vector<McqaItem>& items) {
  std::vector<std::string> questions;
  for (const McqaItem& item : items) questions.push_back(item.question.substr(10));
  return questions;
}

void ExpectChoice(const McqaChoice& choice, const std::string& context,
                  const std::string& continuation, const std::string& option) {
  EXPECT_EQ(choice.context, context);
  EXPECT_EQ(choice.continuation, continuation);
  EXPECT_EQ(choice.option, option);
}

TEST_F(McqaDataTest, QuestionsAreAnswered) {
  const McqaItem item =
      Only("piqa", "piqa/piqa_val.jsonl", PiqaLine("How to mow?", {"With a mower.", "Dance."}, 1));
  EXPECT_EQ(item.task, "piqa");
  EXPECT_EQ(item.gold, 1U);
  EXPECT_EQ(item.question, "Question: How to mow?");
  EXPECT_EQ(item.prompt, "Question: How to mow?\nWith a mower.\nDance.\nAnswer:");
  ASSERT_THAT(item.choices, SizeIs(2));
  ExpectChoice(item.choices[1], "Question: How to mow?\nAnswer:", " Dance.", "Dance.");
}

TEST_F(McqaDataTest, PassagesStandBeforeTheirQuestion) {
  const std::string query = "Passage: Bees fly.\nQuestion: do bees fly?";
  const McqaItem item =
      Only("boolq", "boolq/boolq_dev.jsonl",
           json{{"query", query}, {"choices", {"no", "yes"}}, {"gold", 1}}.dump());
  EXPECT_EQ(item.prompt, query + "\nno\nyes\nAnswer:");
  ExpectChoice(item.choices[1], query + "\nAnswer:", " yes", "yes");
}

TEST_F(McqaDataTest, ClosedBookQuestionsAreTrainingOnly) {
  const auto line = [](const char* question, const char* answer) {
    return json{
        {"instruction",
         std::string("Please answer the following question with true or false, question: ") +
             question + "\n\nAnswer format: true/false"},
        {"input", ""},
        {"answer", answer}};
  };
  Write("instruct-form/boolq_train.json",
        json{line("do bees fly?", "true"), line("do cows fly?", "false")}.dump(4));
  const auto items = Items("boolq_closed", McqaPart::kTraining);
  ASSERT_THAT(items, SizeIs(2));
  EXPECT_EQ(items[0].prompt, "Question: do bees fly?\nno\nyes\nAnswer:");
  EXPECT_EQ(items[0].gold, 1U);
  EXPECT_EQ(items[1].gold, 0U);
  EXPECT_THAT(Items("boolq_closed", McqaPart::kSettings), IsEmpty());
  EXPECT_THAT(Items("boolq_closed", McqaPart::kFinal), IsEmpty());
}

TEST_F(McqaDataTest, EndingsContinueTheirText) {
  const McqaItem hellaswag = Only("hellaswag", "hellaswag/hellaswag_val_1000.jsonl",
                                  json{{"ctx", "He [step] sits. he"},
                                       {"endings", {"eats.", "flies."}},
                                       {"label", 0},
                                       {"source_id", "s"}}
                                      .dump());
  EXPECT_EQ(hellaswag.prompt, "He [step] sits. he\neats.\nflies.");
  ExpectChoice(hellaswag.choices[1], "He [step] sits. he", " flies.", "flies.");

  const McqaItem copa = Only(
      "copa", "copa/copa_val.jsonl",
      json{{"query", "It rained, therefore"}, {"choices", {"I danced.", "I got wet."}}, {"gold", 1}}
          .dump());
  EXPECT_EQ(copa.prompt, "It rained, therefore\nI danced.\nI got wet.");
  ExpectChoice(copa.choices[1], "It rained, therefore", " I got wet.", "I got wet.");
}

TEST_F(McqaDataTest, OneContinuationIsScoredBehindBothOptions) {
  const McqaItem item =
      Only("winogrande", "winogrande/winogrande_xl_dev.jsonl",
           json{{"context_options",
                 {"Samantha hid from Sarah so Samantha", "Samantha hid from Sarah so Sarah"}},
                {"continuation", "was safe."},
                {"gold", 0}}
               .dump());
  EXPECT_EQ(item.prompt, "Samantha hid from Sarah so _ was safe.\nSamantha\nSarah");
  ExpectChoice(item.choices[0], "Samantha hid from Sarah so Samantha", " was safe.", "Samantha");
  ExpectChoice(item.choices[1], "Samantha hid from Sarah so Sarah", " was safe.", "Sarah");
}

TEST_F(McqaDataTest, TheBlankIsScoredWithTheWord) {
  const McqaItem item =
      Only("pubmedqa", "pubmedqa/pubmed_qa_labeled.jsonl",
           json{{"context", "Context: A. B.\nQuestion: Is it?\nA. yes\nB. no\nC. maybe\nAnswer: "},
                {"continuation", "maybe"}}
               .dump());
  EXPECT_EQ(item.gold, 2U);
  EXPECT_EQ(item.prompt, "Context: A. B.\nQuestion: Is it?\nyes\nno\nmaybe\nAnswer:");
  ExpectChoice(item.choices[2], "Context: A. B.\nQuestion: Is it?\nAnswer:", " maybe", "maybe");
}

TEST_F(McqaDataTest, GoldIsFoundByItsLabel) {
  Write("arc/ARC-Easy-Train.jsonl",
        ArcLine("Digits?", {"1", "2", "3"}, {"a", "b", "c"}, "2") +
            ArcLine("Five?", {"A", "B", "C", "D", "E"}, {"a", "b", "c", "d", "e"}, "E"));
  Write("arc/ARC-Easy-Dev.jsonl", "");
  Write("arc/ARC-Challenge-Dev.jsonl", "");
  const auto items = AllItems("arc_easy");
  ASSERT_THAT(items, SizeIs(2));
  EXPECT_THAT(Questions(items), UnorderedElementsAre("Digits?", "Five?"));
  for (const McqaItem& item : items) {
    const bool five = item.question == "Question: Five?";
    EXPECT_EQ(item.gold, five ? 4U : 1U);
    EXPECT_THAT(item.choices, SizeIs(five ? 5 : 3));
  }
}

TEST_F(McqaDataTest, WhatAFinalFileAsksIsNotLearnt) {
  const std::vector<std::string> labels = {"A", "B"};
  const std::vector<std::string> texts = {"x", "y"};
  Write("arc/ARC-Easy-Train.jsonl", ArcLine("What is Ice, cold?", labels, texts, "A") +
                                        ArcLine("Why so hot?", labels, texts, "A") +
                                        ArcLine("What else?", labels, texts, "A"));
  Write("arc/ARC-Easy-Dev.jsonl", ArcLine("WHAT is ice cold", labels, texts, "A"));
  Write("arc/ARC-Challenge-Dev.jsonl", ArcLine("Why so hot?", labels, texts, "A"));
  EXPECT_THAT(Questions(AllItems("arc_easy")),
              UnorderedElementsAre("What else?", "WHAT is ice cold"));

  Write(
      "instruct-form/openbookqa_train.json",
      json{Instruction("The sun is", {"hot", "cold"}, 0), Instruction("Ice is", texts, 1)}.dump());
  Write("openbookqa/openbookqa_test.jsonl", ArcLine("the Sun is", labels, texts, "B"));
  EXPECT_THAT(Questions(AllItems("openbookqa")), UnorderedElementsAre("the Sun is", "Ice is"));
}

TEST_F(McqaDataTest, WhatMmluAsksIsNotLearnt) {
  std::string lines;
  for (int i = 0; i < 50; ++i) lines += PiqaLine("Item " + std::to_string(i), {"a", "b"}, 0);
  Write("piqa/piqa_val.jsonl", lines);
  const auto training = Questions(Items("piqa", McqaPart::kTraining));
  const auto settings = Questions(Items("piqa", McqaPart::kSettings));
  const auto final = Questions(Items("piqa", McqaPart::kFinal));
  ASSERT_FALSE(training.empty() || settings.empty() || final.empty());
  std::string rows;
  for (const auto& asked : {training[0], settings[0], final[0]}) rows += asked + "!,1,2,3,4,A\n";
  Write("mmlu/val/anatomy_val.csv", rows);

  const auto left = [&](McqaPart part) { return Questions(Items("piqa", part)).size(); };
  EXPECT_EQ(left(McqaPart::kTraining), training.size() - 1);
  EXPECT_EQ(left(McqaPart::kSettings), settings.size() - 1);
  EXPECT_EQ(left(McqaPart::kFinal), final.size());
  Write("mmlu/dev/anatomy_dev.csv", "Other,1,2,3,4,A\n");
  EXPECT_THAT(Items("mmlu/anatomy", McqaPart::kFinal), SizeIs(3));
}

TEST_F(McqaDataTest, InstructionsAreCutAtTheirMarks) {
  json lines = {Instruction("What does Answer: mean? Answer it.", {"one  ", "two, Answers: 2"}, 1)};
  Write("instruct-form/social_i_qa_test.json", lines.dump(4));
  const auto items = AllItems("socialiqa");
  ASSERT_THAT(items, SizeIs(1));
  EXPECT_EQ(items[0].question, "Question: What does Answer: mean? Answer it.");
  EXPECT_EQ(items[0].choices[0].option, "one");
  EXPECT_EQ(items[0].choices[1].option, "two, Answers: 2");
  EXPECT_EQ(items[0].gold, 1U);
}

TEST_F(McqaDataTest, WhatHasTwoAnswersIsLeftOut) {
  Write("instruct-form/social_i_qa_test.json",
        json{Instruction("Once?", {"a", "b"}, 0), Instruction("Odd?", {"a", "b"}, 0),
             Instruction("Twice?", {"a", "b"}, 1), Instruction("Odd?", {"a", "b"}, 1),
             Instruction("Twice?", {"a", "b"}, 1)}
            .dump());
  EXPECT_THAT(Questions(AllItems("socialiqa")), UnorderedElementsAre("Once?", "Twice?", "Twice?"));
}

TEST_F(McqaDataTest, TablesMayHoldQuotesAndLineBreaks) {
  Write("mmlu/dev/anatomy_dev.csv", "Which bone?,a,b,c,d,D");
  Write("mmlu/val/anatomy_val.csv",
        "\"Two\r\nlines, \"\"quoted\"\"\", a ,\"b,b\",c,d,B\r\n"
        "Which bone?,a,b,c,d,D\n"
        "\"\"\"First\"\" word\",1,2,3,4,A");
  const auto items = Items("mmlu/anatomy", McqaPart::kFinal);
  ASSERT_THAT(items, SizeIs(2));  // a row that is an example is not scored
  EXPECT_EQ(items[0].task, "mmlu/anatomy");
  EXPECT_EQ(items[0].prompt, "Question: Two\nlines, \"quoted\"\na\nb,b\nc\nd\nAnswer:");
  EXPECT_EQ(items[0].gold, 1U);
  EXPECT_EQ(items[1].question, "Question: \"First\" word");
  EXPECT_THAT(Questions(Items("mmlu/anatomy", McqaPart::kTraining)), ElementsAre("Which bone?"));
  EXPECT_THAT(Items("mmlu/anatomy", McqaPart::kSettings), IsEmpty());
  EXPECT_EQ(Load("mmlu", McqaPart::kFinal).error().code, ErrorCode::kNotFound);
}

TEST_F(McqaDataTest, EveryItemIsInOnePartByItsKey) {
  std::string text;
  for (int i = 0; i < 400; ++i)
    text += PiqaLine("What is " + std::to_string(i) + "?", {"a", "b"}, 0);
  Write("piqa/piqa_val.jsonl", text);
  std::set<std::string> seen;
  std::map<McqaPart, std::size_t> sizes;
  for (const McqaPart part : kParts) {
    for (const std::string& question : Questions(Items("piqa", part))) {
      EXPECT_TRUE(seen.insert(question).second) << question;
      ++sizes[part];
    }
  }
  EXPECT_EQ(seen.size(), 400U);
  EXPECT_NEAR(static_cast<double>(sizes[McqaPart::kTraining]), 280, 40);
  EXPECT_NEAR(static_cast<double>(sizes[McqaPart::kSettings]), 40, 25);
}

TEST_F(McqaDataTest, BothKindsOfLineEndsAreRead) {
  std::string crlf;
  for (const char* stem : {"Who?", "Where?"}) {
    crlf += PiqaLine(stem, {"a", "b"}, 0);
    crlf.back() = '\r';
    crlf += '\n';
  }
  Write("piqa/piqa_val.jsonl", crlf);
  EXPECT_THAT(AllItems("piqa"), SizeIs(2));
}

TEST_F(McqaDataTest, ABrokenLineIsNamed) {
  const std::string good = PiqaLine("Who?", {"a", "b"}, 0);
  const std::map<std::string, std::string> broken = {
      {"{\"query\": \"cut off", "no JSON object"},
      {"", "no JSON object"},
      {"\xff\xfe", "no JSON object"},
      {R"({"choices": ["a", "b"], "gold": 0})", "\"query\""},
      {R"({"query": "Who?", "choices": ["a", "b"], "gold": 0})", "\"query\""},
      {R"({"query": "Question: Who?\n", "choices": ["a"], "gold": 0})", "\"choices\""},
      {R"({"query": "Question: Who?\n", "choices": ["a", ""], "gold": 0})", "\"choices\""},
      {R"({"query": "Question: Who?\n", "choices": ["a", "b"], "gold": 2})", "\"gold\""},
      {R"({"query": "Question: Who?\n", "choices": ["a", "b"], "gold": -1})", "\"gold\""},
      {R"({"query": "Question: Who?\n", "choices": ["a", "b"], "gold": "a"})", "\"gold\""},
  };
  for (const auto& [line, message] : broken) {
    Write("piqa/piqa_val.jsonl", good + good + line + "\n" + good);
    const auto items = Load("piqa", McqaPart::kFinal);
    ASSERT_FALSE(items) << line;
    EXPECT_EQ(items.error().code, ErrorCode::kCorrupt) << line;
    EXPECT_THAT(items.error().context, EndsWith("piqa/piqa_val.jsonl:3"));
    EXPECT_THAT(items.error().message, HasSubstr(message));
  }
}

TEST_F(McqaDataTest, ABrokenElementOfAnArrayIsNamedByItsLine) {
  const std::string good = Instruction("Who?", {"a", "b"}, 0).dump();
  const std::string other = Instruction("Who?", {"a", "b"}, 4).dump();
  const std::map<std::string, int> broken = {
      {"[\n" + good + ",\n" + other + "\n]", 3},
      {"[\n" + good + ",\n\n{\"instruction\": 1, \"answer\": \"answer1\"}\n]", 4},
      {"[\n" + good + ",\n[]\n]", 3},
      {"[\n" + good + ",\n]", 3},
      {"[\n" + good + ",\n" + good, 2},
      {"[\n" + good + "\n]\nmore", 3},
      {"[\n{\"instruction\": \"Who?\", \"answer\": \"answer1\"}]", 2},
  };
  for (const auto& [text, line] : broken) {
    Write("instruct-form/social_i_qa_test.json", text);
    const auto items = Load("socialiqa", McqaPart::kFinal);
    ASSERT_FALSE(items) << text;
    EXPECT_EQ(items.error().code, ErrorCode::kCorrupt) << text;
    EXPECT_THAT(items.error().context, EndsWith("social_i_qa_test.json:" + std::to_string(line)))
        << text;
  }
}

TEST_F(McqaDataTest, ABrokenRowIsNamed) {
  Write("mmlu/dev/anatomy_dev.csv", "Which?,a,b,c,d,D\n");
  const std::string good = "\"Two\nlines\",a,b,c,d,A\n";
  for (const std::string row :
       {"Which?,a,b,c,D", "Which?,a,b,c,d,E", "Which?,a,b,c,d,", "Which?,a,b,c,d,AB",
        "Which?,a, ,c,d,A", "\"Which\" one?,a,b,c,d,A", "\"Which?,a,b,c,d,A"}) {
    Write("mmlu/val/anatomy_val.csv", good + row + "\n");
    const auto items = Load("mmlu/anatomy", McqaPart::kFinal);
    ASSERT_FALSE(items) << row;
    EXPECT_EQ(items.error().code, ErrorCode::kCorrupt) << row;
    EXPECT_THAT(items.error().context, EndsWith("anatomy_val.csv:3")) << row;
  }
}

TEST_F(McqaDataTest, WhatIsNotThereIsNamed) {
  const auto missing = Load("copa", McqaPart::kFinal);
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, ErrorCode::kNotFound);
  EXPECT_THAT(missing.error().ToString(), HasSubstr("mcqa/copa/copa_val.jsonl"));
  EXPECT_EQ(Load("race", McqaPart::kFinal).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(Load("mmlu/cooking", McqaPart::kFinal).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(ParseMcqaPart("test").error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(ParseMcqaPart("settings"), McqaPart::kSettings);
}

TEST_F(McqaDataTest, DrawsDependOnTheSeedAlone) {
  std::string text;
  for (int i = 0; i < 200; ++i)
    text += PiqaLine("What is " + std::to_string(i) + "?", {"a", "b"}, 0);
  Write("piqa/piqa_val.jsonl", text);
  std::vector<McqaItem> items = Items("piqa", McqaPart::kTraining);
  const auto draw = [&](std::size_t count, std::uint64_t seed) {
    return Questions(DrawItems(items, count, seed));
  };
  const auto five = draw(5, 1);
  EXPECT_THAT(std::set(five.begin(), five.end()), SizeIs(5));
  EXPECT_NE(five, draw(5, 2));
  const auto ten = draw(10, 1);
  EXPECT_TRUE(std::equal(five.begin(), five.end(), ten.begin()));
  std::reverse(items.begin(), items.end());
  EXPECT_EQ(five, draw(5, 1));
  EXPECT_THAT(draw(1000, 1), SizeIs(items.size()));
}

// Items of each part of the published files.
TEST(McqaData, IsReadAsAWhole) {
  const std::string data = "../shared/data";
  if (!std::filesystem::exists(data + "/mcqa")) GTEST_SKIP() << data << "/mcqa is not there";
  struct Expected {
    const char* task;
    std::array<std::size_t, 3> items;
  };
  for (const Expected& e :
       {Expected{"arc_challenge", {998, 120, 299}}, Expected{"arc_easy", {2029, 220, 570}},
        Expected{"openbookqa", {4695, 238, 500}}, Expected{"commonsenseqa", {858, 135, 228}},
        Expected{"piqa", {1278, 190, 370}}, Expected{"boolq", {2249, 349, 672}},
        Expected{"boolq_closed", {9427, 0, 0}}, Expected{"hellaswag", {699, 101, 200}},
        Expected{"winogrande", {884, 131, 252}}, Expected{"socialiqa", {1344, 211, 389}},
        Expected{"copa", {77, 5, 18}}, Expected{"pubmedqa", {687, 98, 215}},
        Expected{"mmlu", {285, 0, 1530}}, Expected{"mmlu/college_physics", {5, 0, 10}}}) {
    for (std::size_t i = 0; i < kParts.size(); ++i) {
      const auto items = LoadMcqa(data, e.task, kParts[i]);
      ASSERT_TRUE(items) << items.error().ToString();
      EXPECT_EQ(items->size(), e.items[i]) << e.task << ", part " << i;
      for (const McqaItem& item : *items) {
        ASSERT_LT(item.gold, item.choices.size());
        for (const McqaChoice& choice : item.choices) {
          EXPECT_FALSE(choice.context.ends_with(' ')) << choice.context;
          EXPECT_TRUE(choice.continuation.starts_with(' ')) << choice.continuation;
          EXPECT_FALSE(choice.continuation.starts_with("  ")) << choice.continuation;
        }
      }
    }
  }
}

}  // namespace
}  // namespace ondine::eval
