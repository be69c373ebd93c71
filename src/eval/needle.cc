#include "eval/needle.h"

#include <algorithm>
#include <array>
#include <map>
#include <random>

#include "base/quote.h"
#include "base/try.h"
#include "eval/haystack.h"

namespace ondine::eval {
namespace {

constexpr std::array kAdjectives = {"copper", "silent", "velvet", "crimson", "hollow",
                                    "frozen", "golden", "bitter", "gentle",  "ancient"};
constexpr std::array kNouns = {"lantern", "harbor", "meadow", "anvil",  "orchard",
                               "compass", "violin", "kettle", "ladder", "thimble"};
constexpr std::array kNames = {
    "Mira Okafor", "Tobias Lindqvist", "Yara Benali",    "Hugo Castellan",  "Priya Raman",
    "Anton Weiss", "Leila Haddad",     "Desmond Clarke", "Sofia Marchetti", "Kenji Watanabe"};

// A fact, the question in other words, and what the answer must contain.
struct Fact {
  const char* statement;  // %N: the name, %W: the word asked for
  const char* question;
  const char* prefix;
  std::array<const char*, 5> words;
};

constexpr std::array kFacts = {
    Fact{"%N keeps an old bicycle in the basement of the %W.",
         "In which building does %N store a two-wheeler?",
         "It is stored in the",
         {"bakery", "library", "theater", "brewery", "chapel"}},
    Fact{"Every Sunday %N used to bring home a basket of fresh %W from the market.",
         "What fruit did %N buy each weekend?",
         "The fruit was",
         {"figs", "cherries", "apricots", "quinces", "pears"}},
    Fact{"When %N was young, a neighbor taught %N how to play the %W.",
         "Which instrument did %N learn in childhood?",
         "The instrument was the",
         {"cello", "accordion", "clarinet", "harp", "banjo"}},
    Fact{"After the long war %N opened a small workshop that repaired %W.",
         "What did the business of %N mend?",
         "It mended",
         {"clocks", "umbrellas", "typewriters", "saddles", "telescopes"}},
    Fact{"To everyone's surprise %N adopted a one-eyed %W and named it Captain.",
         "What kind of animal did %N take in as a pet?",
         "The animal was a",
         {"parrot", "goat", "donkey", "raccoon", "tortoise"}},
};

std::string Fill(std::string text, std::string_view mark, std::string_view value) {
  for (std::size_t at; (at = text.find(mark)) != std::string::npos;) {
    text.replace(at, mark.size(), value);
  }
  return text;
}

struct Needle {
  std::string statement;
  Query query;
};

class NeedleTask : public Task {
 public:
  NeedleTask(std::shared_ptr<const Model> model, NeedleOptions options, std::string essays)
      : model_(std::move(model)),
        options_(std::move(options)),
        haystack_(*model_, std::move(essays)) {}

  std::string name() const override { return "needle"; }
  std::int64_t size() const override {
    return options_.items * static_cast<std::int64_t>(options_.lengths.size());
  }

  Result<Item> Make(std::int64_t index) const override {
    const std::int64_t length = options_.lengths[static_cast<std::size_t>(index / options_.items)];
    const std::int64_t number = index % options_.items;
    std::mt19937_64 random(options_.seed * 1'000'003 + static_cast<std::uint64_t>(index));
    // All are made, so that a kind does not depend on which others are asked for.
    std::vector<Needle> needles = {Number(random), Words(random), Paraphrase(random)};
    std::erase_if(needles, [&](const Needle& needle) { return !Wanted(needle); });
    std::map<double, std::string> inserts;
    Item item;
    for (std::size_t k = 0; k < needles.size(); ++k) {
      const double depth =
          options_.depths[(static_cast<std::size_t>(number) + k) % options_.depths.size()];
      // Needles at one depth stand beside each other.
      inserts[depth] += " " + needles[k].statement;
      Query query = std::move(needles[k].query);
      query.labels["depth"] = Short(depth);
      query.labels["length"] = std::to_string(length);
      query.labels["length/kind"] = query.labels["length"] + "/" + query.labels["kind"];
      item.queries.push_back(std::move(query));
    }
    item.document = haystack_.Build(length, random(), inserts);
    return item;
  }

 private:
  static std::string Short(double depth) {
    std::string text = std::to_string(depth);
    text.erase(text.find_last_not_of('0') + 1);
    if (text.ends_with('.')) text.pop_back();
    return text;
  }

  bool Wanted(const Needle& needle) const {
    return std::count(options_.kinds.begin(), options_.kinds.end(),
                      needle.query.labels.at("kind")) > 0;
  }

  static std::size_t Pick(std::mt19937_64& random, std::size_t n) { return random() % n; }

  static Needle Number(std::mt19937_64& random) {
    const std::string key = std::to_string(10000 + random() % 90000);
    Needle needle;
    needle.statement =
        "The secret pass key is " + key + ". Remember it. " + key + " is the secret pass key.";
    needle.query.question = "What is the secret pass key mentioned in the text?";
    needle.query.prefix = "The secret pass key is";
    needle.query.gold = {key};
    needle.query.labels["kind"] = "number";
    return needle;
  }

  static Needle Words(std::mt19937_64& random) {
    const std::string pair = std::string(kAdjectives[Pick(random, kAdjectives.size())]) + " " +
                             kNouns[Pick(random, kNouns.size())];
    Needle needle;
    needle.statement = "The magic words of the evening are \"" + pair + "\".";
    needle.query.question = "What are the magic words of the evening?";
    needle.query.prefix = "The magic words of the evening are";
    needle.query.gold = {pair};
    needle.query.labels["kind"] = "words";
    return needle;
  }

  static Needle Paraphrase(std::mt19937_64& random) {
    const Fact& fact = kFacts[Pick(random, kFacts.size())];
    const char* name = kNames[Pick(random, kNames.size())];
    const char* word = fact.words[Pick(random, fact.words.size())];
    Needle needle;
    needle.statement = Fill(Fill(fact.statement, "%N", name), "%W", word);
    needle.query.question = Fill(fact.question, "%N", name);
    needle.query.prefix = fact.prefix;
    needle.query.gold = {word};
    needle.query.labels["kind"] = "paraphrase";
    return needle;
  }

  std::shared_ptr<const Model> model_;
  NeedleOptions options_;
  Haystack haystack_;
};

}  // namespace

Result<std::unique_ptr<Task>> MakeNeedleTask(std::shared_ptr<const Model> model,
                                             const NeedleOptions& options) {
  for (const std::string& kind : options.kinds) {
    if (kind != "number" && kind != "words" && kind != "paraphrase") {
      return MakeError(ErrorCode::kInvalidArgument,
                       "needles are number, words or paraphrase, not " + base::Quote(kind));
    }
  }
  if (options.kinds.empty() || options.lengths.empty() || options.depths.empty() ||
      options.items < 1) {
    return MakeError(ErrorCode::kInvalidArgument, "no kinds, lengths, depths or items to evaluate");
  }
  for (const double depth : options.depths) {
    if (!(depth >= 0 && depth <= 1)) {
      return MakeError(ErrorCode::kInvalidArgument, "depths are shares of the text, 0 to 1");
    }
  }
  for (const std::int64_t length : options.lengths) {
    if (length < 1) return MakeError(ErrorCode::kInvalidArgument, "lengths are 1 or more tokens");
  }
  ONDINE_ASSIGN(std::string text,
                options.texts.empty() ? LoadEssays(options.data) : LoadTexts(options.texts));
  if (text.empty())
    return MakeError(ErrorCode::kInvalidArgument, "the text is empty", options.texts);
  return std::make_unique<NeedleTask>(std::move(model), options, std::move(text));
}

}  // namespace ondine::eval
