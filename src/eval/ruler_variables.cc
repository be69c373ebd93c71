#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "base/join.h"
#include "eval/ruler_generators.h"
#include "eval/ruler_random.h"

namespace ondine::eval {
namespace {

constexpr int kHops = 4;
constexpr int kNameLetters = 5;
constexpr std::int64_t kExampleTokens = 60;  // of noise

class VariableTracking : public RulerGenerator {
 public:
  explicit VariableTracking(std::shared_ptr<const Haystack> noise) : noise_(std::move(noise)) {}

  std::int64_t smallest() const override { return 10; }
  int max_tokens() const override { return 30; }

  // As in RULER, a solved example of the same kind stands first.
  RulerSample Build(std::int64_t size, std::uint64_t seed) const override {
    base::Random random(seed);
    std::set<std::string> taken;
    const RulerSample example = Chain(kExampleTokens, random, taken);
    RulerSample sample = Chain(size, random, taken);
    sample.document = example.document + "\n\n" + example.question + "\n" + example.prefix + " " +
                      base::Join(example.gold, " ") + "\n\n" + sample.document;
    return sample;
  }

 private:
  RulerSample Chain(std::int64_t size, base::Random& random, std::set<std::string>& taken) const {
    const std::vector<std::string> names = DrawDistinct(
        kHops + 1, [&] { return RandomLetters(random, kNameLetters, 'A'); }, taken);
    const std::string value = std::to_string(10'000 + random() % 90'000);
    std::vector<double> depths;
    for (std::size_t i = 0; i < names.size(); ++i) depths.push_back(base::RandomShare(random));
    std::sort(depths.begin(), depths.end());
    std::map<double, std::string> statements;
    for (std::size_t i = 0; i < names.size(); ++i) {
      statements[depths[i]] +=
          " VAR " + names[i] + " = " + (i == 0 ? value : "VAR " + names[i - 1]) + ".";
    }
    RulerSample sample;
    sample.document = "Follow the chain of variable assignments that is hidden in this text.\n\n" +
                      noise_->Build(size, random(), statements);
    sample.question =
        "Find all variables that are assigned the value " + value + " in the text above.";
    sample.prefix = "According to the chain of variable assignments in the text above, " +
                    std::to_string(names.size()) + " variables are assigned the value " + value +
                    ", they are:";
    sample.gold = names;
    return sample;
  }

  std::shared_ptr<const Haystack> noise_;
};

}  // namespace

std::unique_ptr<RulerGenerator> MakeVariableTracking(std::shared_ptr<const Haystack> noise) {
  return std::make_unique<VariableTracking>(std::move(noise));
}

}  // namespace ondine::eval
