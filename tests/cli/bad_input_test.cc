// Whatever is wrong with a file or an option: an exit code, one line on standard error, no crash
// and nothing left behind.
#include <gmock/gmock.h>

#include <algorithm>
#include <filesystem>
#include <random>

#include "base/file.h"
#include "cli/program.h"
#include "models/tiny_model.h"

namespace ondine::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr int kFailed = 1, kUsage = 2;

class BadInput : public ProgramTest {
 protected:
  // Nothing but the files of the test itself.
  void ExpectOnly(const std::vector<std::string>& names) const { EXPECT_EQ(Files(), names); }

  const std::string text_ = Write("text.txt", "It was a dark and stormy night. The rain fell.\n");
};

TEST_F(BadInput, ModelsThatAreNotThere) {
  for (const char* command : {"run", "read", "perplexity", "bench", "tokenize", "chat"}) {
    std::vector<std::string> arguments = {command, "-m", Path("none.gguf")};
    if (std::string(command) == "run") arguments.insert(arguments.end(), {"-p", "x"});
    if (std::string(command) == "read") arguments.push_back(text_);
    if (std::string(command) == "perplexity") arguments.insert(arguments.end(), {"-f", text_});
    EXPECT_THAT(Refusal(kFailed, arguments), HasSubstr("none.gguf"));
  }
  EXPECT_THAT(Refusal(kFailed, {"info", Path("none.gguf")}), HasSubstr("none.gguf"));
}

TEST_F(BadInput, ModelsThatAreDamaged) {
  const std::string model = base::ReadFile(Model()).value();
  std::mt19937 random(3);
  std::vector<std::string> damaged = {"", "GGUF", model.substr(0, model.size() / 2),
                                      model.substr(0, model.size() - 1), model.substr(0, 100)};
  std::string noise(5000, ' ');
  for (char& c : noise) c = static_cast<char>(random());
  damaged.push_back(noise);
  damaged.push_back(model.substr(0, 8) + noise);
  // Counts of tensors and metadata that no file could hold.
  for (const std::size_t place : {8, 16}) {
    for (const char byte : {'\xFF', '\x7F'}) {
      std::string huge = model;
      std::fill(huge.begin() + static_cast<std::ptrdiff_t>(place),
                huge.begin() + static_cast<std::ptrdiff_t>(place) + 8, byte);
      damaged.push_back(huge);
    }
  }
  for (const std::string& content : damaged) {
    const std::string path = Write("damaged.gguf", content);
    EXPECT_THAT(Refusal(kFailed, {"run", "-m", path, "-p", "x"}), HasSubstr("damaged.gguf"));
    EXPECT_THAT(Refusal(kFailed, {"info", path}), HasSubstr("damaged.gguf"));
  }
}

TEST_F(BadInput, FilesThatAreNoModels) {
  EXPECT_THAT(Refusal(kFailed, {"run", "-m", text_, "-p", "x"}), HasSubstr("text.txt"));
  const std::string folder = std::filesystem::path(text_).parent_path().string();
  EXPECT_THAT(Refusal(kFailed, {"run", "-m", folder, "-p", "x"}), HasSubstr("directory"));
}

TEST_F(BadInput, TextsThatCannotBeRead) {
  const auto read = [&](const std::string& file) {
    return std::vector<std::string>{"read", "-m", Model(), file, "--pot", "128"};
  };
  EXPECT_THAT(Refusal(kFailed, read(Path("none.txt"))), HasSubstr("none.txt"));
  EXPECT_THAT(Refusal(kUsage, read(Write("empty.txt", ""))), HasSubstr("empty"));
  EXPECT_THAT(Refusal(kUsage, read("-")), HasSubstr("empty"));
  EXPECT_THAT(Refusal(kUsage, read(Write("latin1.txt", "caf\xE9"))),
              AllOf(HasSubstr("latin1.txt"), HasSubstr("UTF-8")));
  EXPECT_THAT(Refusal(kUsage, read(Write("binary", std::string(10, '\0')))), HasSubstr("binary"));
  const std::string folder = std::filesystem::path(text_).parent_path().string();
  EXPECT_THAT(Refusal(kFailed, read(folder)), HasSubstr("directory"));
  // Found before anything is read, not after the first file.
  EXPECT_THAT(Refusal(kFailed, {"read", "-m", Model(), "--pot", "128", text_, Path("none.txt")}),
              HasSubstr("none.txt"));
}

TEST_F(BadInput, PotsThatMakeNoSense) {
  const auto read = [&](std::vector<std::string> options) {
    options.insert(options.begin(), {"read", "-m", Model(), text_});
    return options;
  };
  EXPECT_THAT(Refusal(kUsage, read({"--pot", "8"})), HasSubstr("--pot"));
  for (const char* slots : {"0", "-5", "x", "1e3", "99999999999999999999", "1000000000000"}) {
    Refusal(kUsage, read({"--pot", slots}));
  }
  for (const char* keep : {"0", "1", "-1", "nan", "2"}) {
    Refusal(kUsage, read({"--pot", "128", "--keep", keep}));
  }
  for (const char* alpha : {"-0.5", "1.5", "nan", "inf"}) {
    Refusal(kUsage, read({"--pot", "128", "--alpha", alpha}));
  }
  EXPECT_THAT(Refusal(kUsage, read({"--policy", "forgetful"})),
              AllOf(HasSubstr("forgetful"), HasSubstr("streaming")));
  EXPECT_THAT(Refusal(kUsage, read({"--cache-type", "q1"})), HasSubstr("q8_0"));
  Refusal(kUsage, read({"--positions", "random"}));
  Refusal(kUsage, read({"--pot", "128", "--sinks", "-1"}));
  Refusal(kUsage, read({"--pot", "128", "--sinks", "2000000000"}));
  Refusal(kUsage, read({"--pot", "128", "--recent", "2000000000"}));
  Refusal(kUsage, read({"--pot", "128", "--surprise-span", "-1"}));
  Refusal(kUsage, read({"--pot", "128", "--archive", "-1"}));
  Refusal(kUsage, read({"--pot", "128", "--reread", "-1"}));
  Refusal(kUsage, read({"--pot", "128", "--alpha", "0.5", "--catalyst", ""}));
  Refusal(kUsage, read({"--pot", "4096", "--catalyst", std::string(513, 'x')}));
}

TEST_F(BadInput, PotsThatAreDamagedOrOfAnotherModel) {
  const std::string pot = Path("text.pot");
  Run({"read", "-m", Model(), "--pot", "128", text_, "--save", pot});
  const std::string bytes = base::ReadFile(pot).value();
  const auto ask = [&](const std::string& file) {
    return std::vector<std::string>{"read", "-m", Model(), "--load", file, "--ask", "x", "-n", "4"};
  };
  ASSERT_EQ(Run(ask(pot)).code, 0);
  EXPECT_EQ(base::ReadFile(pot).value(), bytes);
  for (const std::size_t length :
       {std::size_t{0}, std::size_t{10}, std::size_t{200}, bytes.size() / 2, bytes.size() - 1}) {
    EXPECT_THAT(Refusal(kFailed, ask(Write("bad.pot", bytes.substr(0, length)))),
                HasSubstr("bad.pot"));
  }
  std::mt19937 random(4);
  for (int i = 0; i < 12; ++i) {
    std::string flipped = bytes;
    flipped[random() % bytes.size()] ^= 4;
    EXPECT_THAT(Refusal(kFailed, ask(Write("bad.pot", flipped))), HasSubstr("bad.pot"));
  }
  EXPECT_THAT(Refusal(kFailed, {"info", Path("bad.pot")}), HasSubstr("bad.pot"));
  EXPECT_THAT(Refusal(kFailed, ask(Path("none.pot"))), HasSubstr("none.pot"));
  EXPECT_THAT(Refusal(kFailed, ask(Model())), HasSubstr("tiny.gguf"));
  ASSERT_TRUE(WriteTinyModel({.architecture = "llama", .seed = 9}, Path("other.gguf")));
  EXPECT_THAT(Refusal(kFailed, {"read", "-m", Path("other.gguf"), "--load", pot, "--ask", "x"}),
              AllOf(HasSubstr("text.pot"), HasSubstr("another model")));
}

// With --json, standard error has the error alone: no summary of what was read.
TEST_F(BadInput, PlacesThatCannotBeWrittenTo) {
  const auto save = [&](const std::string& path) {
    return std::vector<std::string>{"read", "-m",     Model(),  "--pot", "128",
                                    text_,  "--json", "--save", path};
  };
  EXPECT_THAT(Refusal(kFailed, save("/dev/full")), HasSubstr("/dev/full"));
  EXPECT_THAT(Refusal(kFailed, save(Path("no/folder/x.pot"))), HasSubstr("x.pot"));
  const std::string folder = std::filesystem::path(text_).parent_path().string();
  EXPECT_THAT(Refusal(kFailed, save(folder)), HasSubstr("directory"));
  ExpectOnly({"text.txt", "tiny.gguf"});
  EXPECT_TRUE(std::filesystem::is_character_file("/dev/full"));
}

TEST_F(BadInput, ResultsInThePlaceOfWhatTheyAreMadeFrom) {
  const std::string before = base::ReadFile(text_).value();
  for (const char* option : {"--save", "--explain-html"}) {
    for (const std::string& path : {text_, Model()}) {
      EXPECT_THAT(Refusal(kUsage, {"read", "-m", Model(), "--pot", "128", text_, option, path}),
                  HasSubstr("two purposes"));
    }
  }
  const std::vector<std::string> quantize = {"quantize", "-m", Model(), "--calibrate", text_, "-o"};
  for (const std::vector<std::string>& more :
       {std::vector<std::string>{Model()}, {text_}, {Path("new.gguf"), "--sites", Model()}}) {
    std::vector<std::string> command = quantize;
    command.insert(command.end(), more.begin(), more.end());
    EXPECT_THAT(Refusal(kUsage, command), HasSubstr("two purposes"));
  }
  EXPECT_THAT(Refusal(kUsage, {"route", "-m", Model(), "--calibrate", text_, "-o", text_}),
              HasSubstr("two purposes"));
  EXPECT_THAT(Refusal(kUsage, {"chat", "-m", Model(), "--chat-template", "chatml", "--once", "x",
                               "--server", "http://127.0.0.1:1/v1", "--sent-log", Model()}),
              HasSubstr("two purposes"));
  EXPECT_EQ(base::ReadFile(text_).value(), before);
  ExpectOnly({"text.txt", "tiny.gguf"});
}

TEST_F(BadInput, OptionsThatContradictEachOtherOrAreUnknown) {
  Refusal(kUsage, {});
  EXPECT_THAT(Refusal(kUsage, {"fly"}), HasSubstr("no command 'fly'"));
  EXPECT_THAT(Refusal(kUsage, {"eval", "fly"}), HasSubstr("no command 'fly'"));
  Refusal(kUsage, {"run", "--no-such-option"});
  Refusal(kUsage, {"run", "-m", Model(), "-p", "x", "-f", text_});
  Refusal(kUsage, {"read", "-m", Model()});
  Refusal(kUsage, {"read", "-m", Model(), text_, "--load", "x.pot"});
  // A pot brings its own settings.
  Refusal(kUsage, {"read", "-m", Model(), "--load", "x.pot", "--ask", "x", "--pot", "128"});
  Refusal(kUsage, {"read", "-m", Model(), "--load", "x.pot", "--ask", "x", "--explain"});
  // And without one nothing is distilled.
  Refusal(kUsage, {"run", "-m", Model(), "-p", "x", "--policy", "streaming"});
  Refusal(kUsage, {"perplexity", "-m", Model(), "-f", text_, "--cache-type", "q8_0"});
  Refusal(kUsage, {"read", "-m", Model(), text_, "--recall", "question"});
  Refusal(kUsage, {"read", "-m", Model(), text_, "--recall", "never"});
  Refusal(kUsage, {"chat", "-m", Model(), "--chat-template", "chatml", "--once", ""});
  for (const auto& [option, value] : {std::pair("--depths", "10,50"), {"--lengths", "0"}}) {
    Refusal(kUsage, {"eval", "needle", "-m", Model(), "--texts", text_, option, value});
  }
  Refusal(kUsage, {"perplexity", "-m", Model()});
  Refusal(kUsage, {"perplexity", "-m", Model(), "-f", text_, "--ctx", "0"});
  Refusal(kUsage, {"run", "-m", Model(), "-p", "x", "--threads", "0"});
  Refusal(kUsage, {"run", "-m", Model(), "-p", "x", "-n", "-1"});
  Refusal(kUsage, {"info"});
  EXPECT_THAT(Refusal(kUsage, {"run", "-m", Model()}), HasSubstr("name a prompt"));
  // As by a variable of the shell that is not set.
  EXPECT_THAT(Refusal(kUsage, {"read", "-m", Model(), text_, "--save", ""}), HasSubstr("--save"));
  EXPECT_THAT(Refusal(kUsage, {"chat", "-m", Model(), "--server", "http://127.0.0.1:9", "--private",
                               "", "--once", "x"}),
              HasSubstr("--private"));
  Refusal(kUsage, {"route", "-m", Model(), "-p", "x", "--budget", "0.5"});
  for (const char* option : {"--per-tensor", "--scheme=w4a4", "--ranges=mse"}) {
    Refusal(kUsage, {"quantize", "-m", Model(), "-o", "x", "--equalize", "--fold-only", option});
  }
  for (const char* option : {"-p", "-n", "-d"}) {
    for (const char* value : {"-1", "99999999999", "x"}) {
      Refusal(kUsage, {"bench", "-m", Model(), option, value});
    }
  }
}

TEST_F(BadInput, SamplingOutOfRange) {
  for (const auto& [option, value] :
       std::vector<std::pair<std::string, std::string>>{{"--temp", "-1"},
                                                        {"--temp", "nan"},
                                                        {"--top-p", "0"},
                                                        {"--top-p", "1.5"},
                                                        {"--top-k", "-3"},
                                                        {"--min-p", "2"},
                                                        {"--repeat-penalty", "0"},
                                                        {"--repeat-last-n", "-1"},
                                                        {"--seed", "-1"},
                                                        {"--seed", "18446744073709551616"}}) {
    Refusal(kUsage, {"run", "-m", Model(), "-p", "x", "-n", "3", "--json", option, value});
  }
}

TEST_F(BadInput, TextsTooShortToMeasure) {
  EXPECT_THAT(Refusal(kUsage, {"perplexity", "-m", Model(), "-f", text_}), HasSubstr("ondine: "));
  Refusal(kFailed, {"perplexity", "-m", Model(), "-f", Path("none.txt")});
}

TEST_F(BadInput, ConversationsWithoutATemplate) {
  EXPECT_THAT(Refusal(kFailed, {"chat", "-m", Model(), "--once", "Hello"}),
              HasSubstr("--chat-template"));
  EXPECT_THAT(Refusal(kFailed, {"run", "-m", Model(), "--chat", "-p", "Hello"}),
              HasSubstr("--chat-template"));
  EXPECT_THAT(Refusal(kFailed, {"chat", "-m", Model(), "--chat-template", "nobody's"}),
              HasSubstr("chatml"));
}

}  // namespace
}  // namespace ondine::testing
