#include "eval/ruler_random.h"

#include <array>

namespace ondine::eval {
namespace {

constexpr std::array kAdjectives = {
    "amber",   "ancient",  "bitter",  "bold",     "brisk",    "broad",   "calm",    "candid",
    "careful", "cheerful", "chilly",  "clever",   "cloudy",   "coastal", "crimson", "curious",
    "dapper",  "daring",   "deft",    "distant",  "dusty",    "eager",   "earnest", "elegant",
    "fabled",  "faithful", "famous",  "fearless", "festive",  "fierce",  "fluffy",  "fond",
    "formal",  "fragile",  "frosty",  "frugal",   "gallant",  "gentle",  "giant",   "gifted",
    "glad",    "gleaming", "golden",  "graceful", "grand",    "grumpy",  "handy",   "hasty",
    "hazy",    "hidden",   "hollow",  "honest",   "humble",   "hungry",  "idle",    "jolly",
    "jumpy",   "keen",     "kind",    "lavish",   "lazy",     "lively",  "lofty",   "lonely",
    "loyal",   "lucid",    "lucky",   "lunar",    "mellow",   "merry",   "mighty",  "misty",
    "modest",  "muddy",    "mute",    "neat",     "nimble",   "noble",   "novel",   "obedient",
    "odd",     "orderly",  "ornate",  "patient",  "peculiar", "placid",  "plain",   "pleasant",
    "polite",  "proud",    "prudent", "purple",   "quaint",   "quick",   "quiet",   "rapid",
    "rare",    "ready",    "regal",   "robust",   "rough",    "rugged",  "rustic",  "sacred",
    "salty",   "scarlet",  "secret",  "serene",   "shaggy",   "sharp",   "shiny",   "shy",
    "silent",  "silver",   "simple",  "sleek",    "sleepy",   "slender", "smooth",  "snug",
    "sober",   "solemn",   "somber",  "sparse",   "spicy",    "spry",    "stately", "steady",
    "sturdy",  "subtle",   "sudden",  "sullen",   "sunny",    "swift",   "tame",    "tender",
    "tidy",    "timid",    "tiny",    "tranquil", "upbeat",   "urgent",  "vague",   "vast",
    "velvet",  "verbose",  "vivid",   "warm",     "wary",     "weary",   "wistful", "witty",
    "wooden",  "yellow",   "young",   "zealous"};

constexpr std::array kNouns = {
    "abbey",      "acorn",    "anchor",  "antler",   "anvil",    "apple",   "apron",    "arrow",
    "atlas",      "attic",    "badge",   "bagpipe",  "balcony",  "balloon", "bamboo",   "banjo",
    "banner",     "basil",    "basket",  "beacon",   "beaver",   "bicycle", "biscuit",  "blanket",
    "blossom",    "bonnet",   "bottle",  "boulder",  "bramble",  "bridge",  "bronze",   "bucket",
    "buffalo",    "button",   "cabin",   "camel",    "canal",    "candle",  "canyon",   "carpet",
    "carrot",     "castle",   "cedar",   "cello",    "chapel",   "cherry",  "chimney",  "cinder",
    "circus",     "clarinet", "cliff",   "clover",   "cobbler",  "coffee",  "comet",    "compass",
    "copper",     "coral",    "cottage", "cradle",   "cricket",  "crystal", "cushion",  "cymbal",
    "dagger",     "daisy",    "desert",  "diamond",  "dolphin",  "donkey",  "dragon",   "drawer",
    "drum",       "eagle",    "elbow",   "ember",    "engine",   "falcon",  "feather",  "fennel",
    "ferry",      "fiddle",   "flannel", "flute",    "forest",   "fossil",  "fountain", "galaxy",
    "garden",     "garlic",   "geyser",  "ginger",   "glacier",  "goblet",  "granite",  "grape",
    "guitar",     "gutter",   "hammer",  "hammock",  "harbor",   "hatchet", "hazel",    "hedge",
    "helmet",     "hermit",   "heron",   "honey",    "iceberg",  "igloo",   "island",   "ivory",
    "jacket",     "jasmine",  "jigsaw",  "journal",  "jungle",   "kayak",   "kernel",   "kettle",
    "kimono",     "kitchen",  "ladder",  "lagoon",   "lantern",  "lemon",   "lentil",   "library",
    "lighthouse", "lilac",    "lizard",  "lobster",  "locket",   "magnet",  "mango",    "mantle",
    "maple",      "marble",   "market",  "meadow",   "melon",    "mirror",  "mitten",   "monsoon",
    "mosaic",     "muffin",   "mustard", "napkin",   "nectar",   "needle",  "nutmeg",   "oasis",
    "obelisk",    "olive",    "onion",   "orchard",  "orchid",   "otter",   "oyster",   "paddle",
    "palace",     "panther",  "papaya",  "parcel",   "parrot",   "pasture", "peanut",   "pebble",
    "pelican",    "pencil",   "pepper",  "piano",    "pigeon",   "pillow",  "piston",   "planet",
    "plaza",      "pocket",   "poplar",  "portrait", "potato",   "prairie", "prism",    "pumpkin",
    "puppet",     "quarry",   "quartz",  "quilt",    "rabbit",   "radish",  "raft",     "rattle",
    "raven",      "ribbon",   "river",   "rocket",   "saddle",   "saffron", "sailor",   "salmon",
    "sandal",     "satchel",  "saucer",  "scarf",    "sculptor", "shadow",  "shovel",   "spider",
    "spoon",      "squirrel", "statue",  "stove",    "summit",   "sundial", "tablet",   "tailor",
    "teapot",     "temple",   "thicket", "thimble",  "thistle",  "thunder", "ticket",   "tiger",
    "timber",     "toffee",   "tomato",  "topaz",    "torch",    "tower",   "trumpet",  "tulip",
    "tunnel",     "turnip",   "turtle",  "umbrella", "valley",   "vault",   "vessel",   "violin",
    "volcano",    "wagon",    "walnut",  "walrus",   "warbler",  "weasel",  "whistle",  "willow",
    "window",     "wizard",   "yogurt",  "zebra",    "zeppelin"};

}  // namespace

std::vector<std::string> EnglishWords() {
  std::vector<std::string> words(kAdjectives.begin(), kAdjectives.end());
  words.insert(words.end(), kNouns.begin(), kNouns.end());
  return words;
}

std::string RandomKey(base::Random& random) {
  const std::string adjective = kAdjectives[random() % kAdjectives.size()];
  return adjective + "-" + kNouns[random() % kNouns.size()];
}

std::string RandomNumber(base::Random& random) {
  return std::to_string(1'000'000 + random() % 9'000'000);
}

std::string RandomUuid(base::Random& random) {
  std::string text = "xxxxxxxx-xxxx-4xxx-yxxx-xxxxxxxxxxxx";
  for (char& c : text) {
    const std::uint64_t digit = random() % 16;
    if (c == 'x') c = "0123456789abcdef"[digit];
    if (c == 'y') c = "89ab"[digit % 4];
  }
  return text;
}

std::string RandomLetters(base::Random& random, int length, char first) {
  std::string text;
  for (int i = 0; i < length; ++i) {
    text += static_cast<char>(first + static_cast<int>(random() % 26));
  }
  return text;
}

std::vector<std::string> DrawDistinct(int count, const std::function<std::string()>& draw,
                                      std::set<std::string>& taken) {
  std::vector<std::string> drawn;
  while (static_cast<int>(drawn.size()) < count) {
    std::string text = draw();
    if (taken.insert(text).second) drawn.push_back(std::move(text));
  }
  return drawn;
}

}  // namespace ondine::eval
