#include <map>
#include <set>
#include <utility>

#include "eval/ruler_generators.h"
#include "eval/ruler_random.h"

namespace ondine::eval {
namespace {

using Kind = NiahSettings::Kind;

std::string Draw(Kind kind, base::Random& random) {
  switch (kind) {
    case Kind::kWords: return RandomKey(random);
    case Kind::kNumbers: return RandomNumber(random);
    case Kind::kUuids: return RandomUuid(random);
  }
  return "";
}

class Niah : public RulerGenerator {
 public:
  Niah(const NiahSettings& settings, std::shared_ptr<const Haystack> haystack)
      : settings_(settings), haystack_(std::move(haystack)) {}

  std::int64_t smallest() const override { return 10; }
  int max_tokens() const override { return 128; }

  RulerSample Build(std::int64_t size, std::uint64_t seed) const override {
    base::Random random(seed);
    std::set<std::string> taken;
    const std::vector<std::string> keys = DrawDistinct(
        settings_.key_count, [&] { return Draw(settings_.keys, random); }, taken);
    std::map<double, std::string> needles;  // by depth
    RulerSample sample;
    for (std::size_t k = 0; k < keys.size(); ++k) {
      const auto values = DrawDistinct(
          settings_.values_per_key, [&] { return Draw(settings_.values, random); }, taken);
      for (const std::string& value : values) {
        needles[base::RandomShare(random)] += Needle(keys[k], value);
        if (k < static_cast<std::size_t>(settings_.asked)) sample.gold.push_back(value);
      }
    }
    const std::string things = std::string("special magic ") + ThingName() + "s";
    sample.document = "Some " + things + " are hidden in the text below. Remember them: the " +
                      things + " are asked for afterwards.\n\n";
    sample.document += haystack_ ? haystack_->Build(size, random(), needles)
                                 : AmongNeedles(size, random, taken, needles);
    Ask(keys, sample);
    return sample;
  }

 private:
  const char* ThingName() const { return settings_.values == Kind::kUuids ? "uuid" : "number"; }

  std::string Needle(const std::string& key, const std::string& value) const {
    return std::string(" One of the special magic ") + ThingName() + "s for " + key +
           " is: " + value + ".";
  }

  // The keys and values of the filler differ from those in `taken`, not always from each other.
  std::string AmongNeedles(std::int64_t size, base::Random& random,
                           const std::set<std::string>& taken,
                           const std::map<double, std::string>& needles) const {
    const auto draw = [&](Kind kind) {
      std::string text;
      do text = Draw(kind, random);
      while (taken.contains(text));
      return text;
    };
    std::string result;
    auto needle = needles.begin();
    for (std::int64_t i = 0; i < size; ++i) {
      const double depth = static_cast<double>(i) / static_cast<double>(size);
      for (; needle != needles.end() && needle->first <= depth; ++needle) result += needle->second;
      const std::string key = draw(settings_.keys);
      result += Needle(key, draw(settings_.values));
    }
    for (; needle != needles.end(); ++needle) result += needle->second;
    return result;
  }

  void Ask(const std::vector<std::string>& keys, RulerSample& sample) const {
    const auto asked = static_cast<std::size_t>(settings_.asked);
    std::string about = keys[0];
    for (std::size_t i = 1; i < asked; ++i) {
      about += (i + 1 < asked ? ", " : " and ") + keys[i];
    }
    const bool several = sample.gold.size() > 1;
    const std::string what =
        std::string("special magic ") + ThingName() + (several ? "s" : "") + " for " + about;
    sample.question =
        (several ? "What are all the " : "What is the ") + what + " mentioned in the text above?";
    sample.prefix = "The " + what + " mentioned in the text " + (several ? "are" : "is");
  }

  NiahSettings settings_;
  std::shared_ptr<const Haystack> haystack_;
};

}  // namespace

std::unique_ptr<RulerGenerator> MakeNiah(const NiahSettings& settings,
                                         std::shared_ptr<const Haystack> haystack) {
  return std::make_unique<Niah>(settings, std::move(haystack));
}

}  // namespace ondine::eval
