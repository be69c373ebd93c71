// The two tasks of counting words.
#include <algorithm>
#include <set>
#include <utility>

#include "base/join.h"
#include "eval/ruler_generators.h"
#include "eval/ruler_random.h"

namespace ondine::eval {
namespace {

using Words = std::vector<std::string>;

void Repeat(const Words& words, int times, Words& list) {
  for (const std::string& word : words) list.insert(list.end(), times, word);
}

class CommonWords : public RulerGenerator {
 public:
  std::int64_t smallest() const override { return kCommon; }
  int max_tokens() const override { return 120; }

  // As in RULER, a short solved example with other words stands first.
  RulerSample Build(std::int64_t size, std::uint64_t seed) const override {
    base::Random random(seed);
    Words words = EnglishWords();
    base::Shuffle(words, random);
    const auto ten = [&](int from) {
      return Words(words.begin() + from, words.begin() + from + kCommon);
    };
    const Words common = ten(0), example_common = ten(kCommon), example_others = ten(2 * kCommon);
    const Words rest(words.begin() + 3 * kCommon, words.end());

    RulerSample example = Ask(example_common);
    Words list;
    Repeat(example_common, 3, list);
    Repeat(example_others, 1, list);
    example.document = Numbered(std::move(list), random);

    RulerSample sample = Ask(common);
    list.clear();
    Repeat(common, 30, list);
    Repeat(Others(size, rest, common), 3, list);
    sample.document = example.document + "\n\n" + example.question + "\n" + example.prefix + " " +
                      base::Join(example.gold, ", ") + "\n\n" + Numbered(std::move(list), random);
    return sample;
  }

 private:
  static constexpr int kCommon = 10;

  // `count` different words: those of `words`, then pairs of them written as one, without any that
  // an answer with a common word could be mistaken for.
  static Words Others(std::int64_t count, const Words& words, const Words& common) {
    Words others;
    const auto n = static_cast<std::int64_t>(words.size());
    for (std::int64_t i = 0; static_cast<std::int64_t>(others.size()) < count; ++i) {
      const std::int64_t first = i % n, step = i / n;
      const std::string word =
          words[first] + (step == 0 ? std::string() : words[(first + step) % n]);
      const bool ambiguous = std::any_of(common.begin(), common.end(), [&](const std::string& c) {
        return word.find(c) != std::string::npos;
      });
      if (!ambiguous) others.push_back(word);
    }
    return others;
  }

  static std::string Numbered(Words list, base::Random& random) {
    base::Shuffle(list, random);
    for (std::size_t i = 0; i < list.size(); ++i) {
      list[i].insert(0, std::to_string(i + 1) + ". ");
    }
    return "Below is a numbered list of words, some of which appear more often than others. "
           "Remember those that appear most often.\n" +
           base::Join(list, " ");
  }

  static RulerSample Ask(const Words& common) {
    const std::string count = std::to_string(kCommon);
    return {"", "What are the " + count + " most common words in the list above?",
            "The top " + count + " words that appear most often in the list are:", common};
  }
};

class FrequentWords : public RulerGenerator {
 public:
  // Rank 4 is asked for and rank 5 is not: their counts differ from about 73 words on.
  std::int64_t smallest() const override { return 100; }
  int max_tokens() const override { return 50; }

  RulerSample Build(std::int64_t size, std::uint64_t seed) const override {
    base::Random random(seed);
    std::set<std::string> taken;
    RulerSample sample;
    Words list;
    for (int rank = 1;; ++rank) {
      // Zeta distribution with alpha = 2.
      const auto count = static_cast<int>(static_cast<double>(size) / (kZetaOfTwo * rank * rank));
      if (count == 0) break;
      // The commonest "word" is noise that the question excludes.
      const std::string word =
          rank == 1 ? "...."
                    : DrawDistinct(
                          1, [&] { return RandomLetters(random, 6, 'a'); }, taken)[0];
      if (rank > 1 && rank <= 1 + kAsked) sample.gold.push_back(word);
      list.insert(list.end(), count, word);
    }
    base::Shuffle(list, random);
    sample.document =
        "Read the coded text below and keep count of each coded word: the three that appear most "
        "often are asked for afterwards.\n\n" +
        base::Join(list, " ");
    sample.question =
        "Do not explain anything, and ignore the dots '....'. What are the three coded words that "
        "appear most often in the text above?";
    sample.prefix =
        "According to the coded text above, the three most frequently appeared words are:";
    return sample;
  }

 private:
  static constexpr int kAsked = 3;
  static constexpr double kZetaOfTwo = 1.6449340668482264;  // pi^2 / 6
};

}  // namespace

std::unique_ptr<RulerGenerator> MakeCommonWords() {
  return std::make_unique<CommonWords>();
}
std::unique_ptr<RulerGenerator> MakeFrequentWords() {
  return std::make_unique<FrequentWords>();
}

}  // namespace ondine::eval
