#include "eval/ruler.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <map>
#include <set>
#include <sstream>

#include "base/join.h"
#include "eval/fixture.h"
#include "eval/ruler_random.h"

namespace ondine::eval {
namespace {

using ::testing::HasSubstr;

// Tokens are bytes here, so documents of several thousand are short ones.
constexpr std::int64_t kLength = 12'000;

class RulerTest : public EvalTest {
 protected:
  void SetUp() override { WriteText(essays() / "essay.txt", Sentences(0, 500)); }

  RulerOptions Options(std::vector<std::string> tasks, std::uint64_t seed = 1) const {
    RulerOptions options;
    options.data = data();
    options.lengths = {kLength};
    options.tasks = std::move(tasks);
    options.documents = 2;
    options.seed = seed;
    return options;
  }

  Item MakeOne(const RulerOptions& options, std::int64_t index) const {
    auto task = MakeRulerTask(model_, options);
    EXPECT_TRUE(task) << task.error().ToString();
    auto item = (*task)->Make(index);
    EXPECT_TRUE(item) << item.error().ToString();
    EXPECT_EQ(item->queries.size(), 1U);
    return std::move(*item);
  }
};

std::string Whole(const Item& item) {
  return item.document + "|" + item.queries[0].question + "|" + item.queries[0].prefix + "|" +
         base::Join(item.queries[0].gold, ",");
}

TEST_F(RulerTest, HasTheElevenSyntheticTasks) {
  EXPECT_THAT(RulerTaskNames(),
              ::testing::ElementsAre("niah_single_1", "niah_single_2", "niah_single_3",
                                     "niah_multikey_1", "niah_multikey_2", "niah_multikey_3",
                                     "niah_multivalue", "niah_multiquery", "vt", "cwe", "fwe"));
}

TEST_F(RulerTest, DocumentsFillTheirLengthAndNoMore) {
  for (const std::string& name : RulerTaskNames()) {
    RulerOptions options = Options({name});
    options.lengths = {8000, kLength};
    for (std::int64_t i = 0; i < 4; ++i) {
      const Item item = MakeOne(options, i);
      const Query& query = item.queries[0];
      const auto length = static_cast<std::size_t>(i < 2 ? 8000 : kLength);
      const std::size_t tokens = item.document.size() + query.question.size() +
                                 query.prefix.size() + query.max_tokens + kRulerTemplateTokens;
      EXPECT_LE(tokens, length) << name;
      EXPECT_GT(tokens, length - 200) << name;
      EXPECT_EQ(query.labels.at("task"), name);
      EXPECT_EQ(query.labels.at("length"), std::to_string(length));
    }
  }
}

TEST_F(RulerTest, SeedDecides) {
  for (const std::string& name : RulerTaskNames()) {
    std::set<std::string> different;
    for (const std::uint64_t seed : {1, 2}) {
      for (const std::int64_t index : {0, 1}) {
        const std::string text = Whole(MakeOne(Options({name}, seed), index));
        EXPECT_EQ(text, Whole(MakeOne(Options({name}, seed), index))) << name;
        different.insert(text);
      }
    }
    EXPECT_EQ(different.size(), 4U) << name;
  }
}

// Known on every machine and with every standard library.
TEST_F(RulerTest, RandomChoicesAreFixedForGood) {
  base::Random random(1);
  EXPECT_EQ(RandomKey(random), "formal-rabbit");
  EXPECT_EQ(RandomNumber(random), "5659930");
  EXPECT_EQ(RandomUuid(random), "e8949000-53c9-438f-8b3a-18a7514ec235");
  EXPECT_EQ(RandomLetters(random, 5, 'A'), "CWCYJ");
}

TEST_F(RulerTest, ADocumentDoesNotDependOnWhatElseIsAskedFor) {
  const Item alone = MakeOne(Options({"vt"}), 1);
  RulerOptions options = Options({"fwe", "vt"});
  options.lengths = {8000, kLength};
  options.documents = 5;
  // fwe at two lengths, vt at 8,000, then the second of vt.
  EXPECT_EQ(Whole(MakeOne(options, 3 * 5 + 1)), Whole(alone));
}

struct NeedleCase {
  const char* name;
  int needles;  // in the document; 0: many
  std::size_t gold;
};

// "One of the special magic numbers for KEY is: VALUE." -> {VALUE, KEY}
std::map<std::string, std::string> KeysOfValues(const std::string& document) {
  const std::string begin = " for ", middle = " is: ";
  std::map<std::string, std::string> keys;
  std::size_t at = 0;
  while ((at = document.find("One of the special magic ", at)) != std::string::npos) {
    const std::size_t key = document.find(begin, at) + begin.size();
    const std::size_t is = document.find(middle, key);
    const std::size_t value = is + middle.size();
    at = document.find('.', value);
    EXPECT_TRUE(
        keys.emplace(document.substr(value, at - value), document.substr(key, is - key)).second)
        << "a value that stands for two keys";
  }
  return keys;
}

TEST_F(RulerTest, NeedlesStandInTheDocumentOnceAndTheAskedKeysHaveTheGoldValues) {
  for (const NeedleCase& c :
       {NeedleCase{"niah_single_1", 1, 1}, NeedleCase{"niah_single_2", 1, 1},
        NeedleCase{"niah_single_3", 1, 1}, NeedleCase{"niah_multikey_1", 4, 1},
        NeedleCase{"niah_multikey_2", 0, 1}, NeedleCase{"niah_multikey_3", 0, 1},
        NeedleCase{"niah_multivalue", 4, 4}, NeedleCase{"niah_multiquery", 4, 4}}) {
    for (const std::int64_t index : {0, 1}) {
      SCOPED_TRACE(c.name);
      const Item item = MakeOne(Options({c.name}), index);
      const Query& query = item.queries[0];
      const auto keys = KeysOfValues(item.document);
      if (c.needles > 0) {
        EXPECT_EQ(keys.size(), static_cast<std::size_t>(c.needles));
      } else {
        EXPECT_GT(keys.size(), 80U);
      }
      ASSERT_EQ(query.gold.size(), c.gold);
      std::set<std::string> asked;
      for (const std::string& value : query.gold) {
        EXPECT_EQ(Count(item.document, value), 1);
        ASSERT_TRUE(keys.contains(value));
        asked.insert(keys.at(value));
        EXPECT_THAT(query.question, HasSubstr(keys.at(value)));
        EXPECT_THAT(query.prefix, HasSubstr(keys.at(value)));
        EXPECT_EQ(Count(query.question + query.prefix, value), 0);
      }
      EXPECT_EQ(asked.size(), c.name == std::string("niah_multiquery") ? 4U : 1U);
      // No other value belongs to a key that is asked for.
      for (const auto& [value, key] : keys) {
        const bool gold = std::count(query.gold.begin(), query.gold.end(), value) == 1;
        EXPECT_EQ(gold, asked.contains(key)) << value;
      }
    }
  }
}

TEST_F(RulerTest, HaystacksAreOfTheKindAskedFor) {
  const std::string noise = "We walk on. Then we come home. The river runs.";
  const std::string essay = " tells of nothing much. Sentence ";
  for (const char* name : {"niah_single_1", "vt"}) {
    EXPECT_GT(Count(MakeOne(Options({name}), 0).document, noise), 50) << name;
  }
  for (const char* name : {"niah_single_2", "niah_single_3", "niah_multikey_1", "niah_multivalue",
                           "niah_multiquery"}) {
    EXPECT_GT(Count(MakeOne(Options({name}), 0).document, essay), 200) << name;
  }
}

TEST_F(RulerTest, VariablesFormAChainInTheOrderOfTheText) {
  for (const std::int64_t index : {0, 1}) {
    const Item item = MakeOne(Options({"vt"}), index);
    const Query& query = item.queries[0];
    ASSERT_EQ(query.gold.size(), 5U);
    std::size_t at = 0;
    std::string source;  // what the next variable must be set to
    for (const std::string& name : query.gold) {
      const std::string begin = "VAR " + name + " = ";
      EXPECT_EQ(Count(item.document, begin), 1);
      const std::size_t found = item.document.find(begin);
      ASSERT_NE(found, std::string::npos);
      EXPECT_GT(found, at) << "assigned before the variable it is taken from";
      at = found;
      const std::size_t value = found + begin.size();
      const std::string assigned =
          item.document.substr(value, item.document.find('.', value) - value);
      if (source.empty()) {
        EXPECT_EQ(assigned.size(), 5U);
        EXPECT_THAT(query.question, HasSubstr(assigned));
      } else {
        EXPECT_EQ(assigned, source);
      }
      source = "VAR " + name;
    }
    // The example has variables of its own.
    EXPECT_EQ(Count(item.document, "VAR "), 2 * (5 + 4));
  }
}

// Words of the list behind `begin`, the last time it stands there, and how often they do.
std::map<std::string, int> Frequencies(const std::string& document, const std::string& begin) {
  std::istringstream words(document.substr(document.rfind(begin) + begin.size()));
  std::map<std::string, int> counts;
  for (std::string word; words >> word;) ++counts[word];
  return counts;
}

TEST_F(RulerTest, CommonWordsStandThirtyTimesAndOthersThreeTimes) {
  for (const std::int64_t length : {kLength, 4 * kLength}) {
    RulerOptions options = Options({"cwe"});
    options.lengths = {length};
    const Item item = MakeOne(options, 0);
    const auto& gold = item.queries[0].gold;
    ASSERT_EQ(gold.size(), 10U);
    std::map<std::string, int> counts = Frequencies(item.document, "most often.\n");
    int numbers = 0, others = 0;
    for (const auto& [word, count] : counts) {
      if (word.back() == '.') {
        ++numbers;
        EXPECT_EQ(count, 1) << word;
      } else if (std::count(gold.begin(), gold.end(), word) == 1) {
        EXPECT_EQ(count, 30) << word;
      } else {
        ++others;
        EXPECT_EQ(count, 3) << word;
        for (const std::string& common : gold) EXPECT_EQ(Count(word, common), 0) << word;
      }
    }
    EXPECT_GT(others, length == kLength ? 100 : 800);  // the latter: more than there are words
    EXPECT_EQ(numbers, 30 * 10 + 3 * others);
    for (int i = 1; i <= numbers; ++i) EXPECT_TRUE(counts.contains(std::to_string(i) + "."));
  }
}

TEST_F(RulerTest, FrequentWordsAreTheThreeMostFrequent) {
  const Item item = MakeOne(Options({"fwe"}), 0);
  const auto& gold = item.queries[0].gold;
  ASSERT_EQ(gold.size(), 3U);
  std::map<std::string, int> counts = Frequencies(item.document, "\n\n");
  int least = counts[gold[0]], most_of_others = 0, total = 0;
  for (const auto& [word, count] : counts) {
    total += count;
    if (std::count(gold.begin(), gold.end(), word) == 1) {
      least = std::min(least, count);
    } else if (word != "....") {
      most_of_others = std::max(most_of_others, count);
    }
  }
  EXPECT_GT(most_of_others, 0);
  EXPECT_GT(least, most_of_others);
  // Zeta distribution with alpha = 2: 60.8, 15.2, 6.8, 3.8 % and so on.
  EXPECT_NEAR(counts["...."], 0.62 * total, 0.03 * total);
  EXPECT_NEAR(counts[gold[0]], counts["...."] / 4.0, 1);
  EXPECT_NEAR(counts[gold[2]], counts["...."] / 16.0, 1);
}

TEST(EnglishWords, NoneIsPartOfAnother) {
  const std::vector<std::string> words = EnglishWords();
  EXPECT_GT(words.size(), 400U);
  for (std::size_t i = 0; i < words.size(); ++i) {
    for (std::size_t k = 0; k < words.size(); ++k) {
      if (i == k) continue;
      EXPECT_EQ(Count(words[i], words[k]), 0) << words[i] << " and " << words[k];
    }
  }
}

TEST_F(RulerTest, SaysWhatIsWrong) {
  const auto unknown = MakeRulerTask(model_, Options({"vt", "qa_1"}));
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().code, ErrorCode::kInvalidArgument);
  EXPECT_THAT(unknown.error().message, HasSubstr("'qa_1'"));

  RulerOptions options = Options({"fwe", "cwe"});
  options.lengths = {kLength, 3000};
  const auto too_short = MakeRulerTask(model_, options);
  ASSERT_FALSE(too_short);
  EXPECT_EQ(too_short.error().code, ErrorCode::kInvalidArgument);
  EXPECT_THAT(too_short.error().message, HasSubstr("3000 tokens is too short for cwe"));

  options = Options({"niah_single_2"});
  options.data = "no/such/folder";
  const auto missing = MakeRulerTask(model_, options);
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, ErrorCode::kNotFound);
  EXPECT_THAT(missing.error().context, HasSubstr("no/such/folder"));
  options.tasks = {"niah_single_1"};  // noise takes no data
  EXPECT_TRUE(MakeRulerTask(model_, options));
}

}  // namespace
}  // namespace ondine::eval
