// What the commands do and print: the contract that scripts depend on.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <thread>

#include "base/file.h"
#include "cli/program.h"
#include "formats/gguf_bytes.h"
#include "models/tiny_model.h"

namespace ondine::testing {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

class Commands : public ProgramTest {
 protected:
  // `bytes` bytes of words.
  std::string Prose(std::size_t bytes) const {
    std::string text;
    for (std::size_t i = 0; text.size() < bytes; ++i) {
      text += std::to_string(i * i) + " ships went over the sea. ";
    }
    text.resize(bytes);
    return Write("prose.txt", text);
  }

  // Interrupts the program as soon as it has shown progress; how it ends.
  Outcome Interrupt(const std::vector<std::string>& arguments, int signal) const {
    using std::chrono::steady_clock;
    const pid_t process = Start(arguments);
    AwaitOutput();
    kill(process, signal);
    const auto interrupted = steady_clock::now();
    const Outcome outcome = Wait(process);
    // Generous: what matters is that the rest of the work, minutes of it, is not done.
    EXPECT_LT(steady_clock::now() - interrupted, std::chrono::seconds(20));
    return outcome;
  }

  // Until a program that was started has printed something.
  void AwaitOutput() const {
    for (int i = 0; i < 6000; ++i) {
      if (!base::ReadFile(Path("error")).value().empty()) return;
      if (!base::ReadFile(Path("out")).value().empty()) return;
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    ADD_FAILURE() << "no output for a minute";
  }
};

TEST_F(Commands, EveryOneExplainsItselfWithAnExample) {
  EXPECT_THAT(Output({"--help"}), HasSubstr("Example:"));
  EXPECT_THAT(Output({"--version"}), HasSubstr("ondine "));
  for (const char* command : {"info",
                              "tokenize",
                              "run",
                              "chat",
                              "read",
                              "customize",
                              "convert-adapter",
                              "route",
                              "serve",
                              "quantize",
                              "convert-clip",
                              "perplexity",
                              "bench",
                              "images index",
                              "images forget",
                              "images search",
                              "images encode",
                              "images learn",
                              "images classify",
                              "eval needle",
                              "eval ruler",
                              "eval leval",
                              "eval mcqa",
                              "eval hybrid"}) {
    std::istringstream words(command);
    std::vector<std::string> arguments(std::istream_iterator<std::string>(words), {});
    arguments.emplace_back("--help");
    const Outcome help = Run(arguments);
    EXPECT_EQ(help.code, 0) << command;
    EXPECT_EQ(help.error, "") << command;
    EXPECT_THAT(help.out, HasSubstr("Example")) << command;
    EXPECT_THAT(help.out, HasSubstr(std::string("ondine ") + command)) << command;
  }
}

TEST_F(Commands, ResultsThatCannotBeWrittenAreAnError) {
  for (const std::string& more : {std::string(), std::string(" --json")}) {
    const std::string command = std::string(ONDINE_PROGRAM) + " tokenize -m " + Model() + " words" +
                                more + " > /dev/full 2> " + Path("error");
    const int status = std::system(command.c_str());
    ASSERT_TRUE(WIFEXITED(status));
    EXPECT_EQ(WEXITSTATUS(status), 1);
    EXPECT_EQ(base::ReadFile(Path("error")).value(),
              "ondine: standard output: not everything could be written\n");
  }
}

TEST_F(Commands, RunPrintsTheKeysOfTheContract) {
  const json out =
      Json({"run", "-m", Model(), "-p", "Once upon", "-n", "12", "--ignore-eos", "--json"});
  EXPECT_TRUE(out.at("text").is_string());
  EXPECT_EQ(out.at("tokens_prompt"), 9);
  EXPECT_EQ(out.at("tokens_generated"), 12);
  EXPECT_TRUE(out.at("seconds").at("prompt").is_number());
  EXPECT_TRUE(out.at("seconds").at("generate").is_number());
}

TEST_F(Commands, RunSaysTheSameInAnyFormAndInAPotThatIsLargeEnough) {
  const std::vector<std::string> run = {"run", "-m", Model(),       "-p", "Once upon a time",
                                        "-n",  "60", "--ignore-eos"};
  const auto with = [&](std::vector<std::string> more) {
    more.insert(more.begin(), run.begin(), run.end());
    return more;
  };
  const std::string plain = Output(run);
  EXPECT_EQ(plain, Json(with({"--json"})).at("text").get<std::string>() + "\n");
  EXPECT_EQ(plain, Output(with({"--pot", "4096"})));
  EXPECT_EQ(plain, Output(with({"--threads", "1"})));
  EXPECT_EQ(plain, Output({"run", "-m", Model(), "-f", "-", "-n", "60", "--ignore-eos"},
                          "Once upon a time"));
  EXPECT_NE(plain, Output(with({"--temp", "1", "--seed", "5"})));
  EXPECT_EQ(Output(with({"--temp", "1", "--seed", "5"})),
            Output(with({"--temp", "1", "--seed", "5"})));
}

TEST_F(Commands, RunTakesItsModelFromTheEnvironment) {
  setenv("ONDINE_MODEL", Model().c_str(), 1);
  EXPECT_EQ(Run({"run", "-p", "x", "-n", "2"}).code, 0);
  setenv("ONDINE_MODEL", Path("none.gguf").c_str(), 1);
  EXPECT_EQ(Run({"run", "-p", "x", "-n", "2"}).code, 1);
  unsetenv("ONDINE_MODEL");
}

TEST_F(Commands, ReadPrintsTheKeysOfTheContract) {
  const std::string text = Prose(3000);
  const json out = Json({"read", "-m", Model(), "--pot", "200", text, "--ask", "Who?", "--ask",
                         "Where?", "-n", "10", "--prefix", "It is", "--json"});
  EXPECT_EQ(out.at("tokens_read"), 3000);
  const json& pot = out.at("pot");
  EXPECT_EQ(pot.at("slots"), 200);
  EXPECT_LE(pot.at("peak_entries").get<int>(), 200);
  EXPECT_GT(pot.at("peak_entries").get<int>(), 150);
  EXPECT_GT(pot.at("peak_bytes").get<int>(), 0);
  // P = 29 bytes, C = 100.
  EXPECT_EQ(pot.at("distillations"), (3000 - 171 + 70) / 71);
  EXPECT_GT(out.at("rss_peak_bytes").get<std::int64_t>(), 1000000);
  EXPECT_TRUE(out.at("seconds").at("read").is_number());
  EXPECT_TRUE(out.at("seconds").at("total").is_number());
  ASSERT_EQ(out.at("answers").size(), 2u);
  EXPECT_EQ(out.at("answers")[0].at("question"), "Who?");
  EXPECT_EQ(out.at("answers")[1].at("question"), "Where?");
  for (const json& answer : out.at("answers")) {
    EXPECT_EQ(answer.at("answer").get<std::string>().substr(0, 5), "It is");
  }
}

TEST_F(Commands, ReadNamesThePassagesThatItReadOnceMore) {
  const std::string prose = base::ReadFile(Prose(2000)).value();
  const std::string text =
      Write("fact.txt", prose + "\nThe obelisk of Zanzibar is painted emerald green.\n" + prose);
  const auto passages = [&](const std::string& reread) {
    return Json({"read", "-m", Model(), "--pot", "512", text, "--ask", "Where is the obelisk?",
                 "-n", "5", "--reread", reread, "--json"})
        .at("answers")[0]
        .at("passages");
  };
  ASSERT_EQ(passages("128").size(), 1u);
  EXPECT_THAT(passages("128")[0].get<std::string>(), ::testing::HasSubstr("obelisk of Zanzibar"));
  EXPECT_EQ(passages("0").size(), 0u);
}

TEST_F(Commands, ReadSavesAPotThatAnswersAlikeAnyNumberOfTimes) {
  const std::string text = Prose(2000), pot = Path("prose.pot");
  const auto answers = [](const json& out) {
    std::vector<std::string> texts;
    for (const json& answer : out.at("answers")) texts.push_back(answer.at("answer"));
    return texts;
  };
  const std::vector<std::string> asked = {"--ask", "Who?", "--ask", "Where was it?",
                                          "-n",    "20",   "--json"};
  std::vector<std::string> read = {"read", "-m", Model(), "--pot", "160", text, "--save", pot};
  read.insert(read.end(), asked.begin(), asked.end());
  const auto first = answers(Json(read));
  const std::string bytes = base::ReadFile(pot).value();
  std::vector<std::string> load = {"read", "-m", Model(), "--load", pot};
  load.insert(load.end(), asked.begin(), asked.end());
  for (int i = 0; i < 2; ++i) EXPECT_EQ(answers(Json(load)), first);
  EXPECT_EQ(base::ReadFile(pot).value(), bytes);
  const json info = Json({"info", pot, "--json"});
  EXPECT_EQ(info.at("kind"), "pot");
  EXPECT_EQ(info.at("values").at("pot.slots"), 160);
}

TEST_F(Commands, ReadSaysWhatItCostInLines) {
  const Outcome read = Run({"read", "-m", Model(), "--pot", "300", Prose(2000), "--ask", "Who?"});
  EXPECT_EQ(read.code, 0);
  EXPECT_THAT(read.error, HasSubstr("Read 2,000 tokens in "));
  EXPECT_THAT(read.error, HasSubstr("\nPot: 300 entries, never more than "));
  EXPECT_THAT(read.error, HasSubstr("\nResident memory of the program, "));
}

TEST_F(Commands, ReadExplainsWhatThePotKept) {
  const std::string prose = base::ReadFile(Prose(2000)).value();
  // A model of single bytes: characters of several must not be cut, nor be obeyed.
  const std::string text = Write("marked.txt", prose + "<b>\xC3\xA4\x1b[31m & more\n" + prose);
  const std::vector<std::string> read = {"read", "-m", Model(), "--pot", "300", text, "--explain"};
  const std::string shown = Output(read);
  EXPECT_THAT(shown, HasSubstr(" dropped] "));
  EXPECT_THAT(shown, HasSubstr(" of 4,018 tokens are held by at least one head.\n"));
  EXPECT_EQ(shown.find('\x1b'), std::string::npos);

  std::vector<std::string> more = read;
  more.insert(more.end(), {"--json", "--explain-html", Path("page.html")});
  const json explanation = Json(more).at("explanation");
  EXPECT_EQ(explanation.at("tokens"), 4018);
  int tokens = 0, held = 0;
  for (const json& passage : explanation.at("passages")) {
    const double share = passage.at("share");
    tokens += passage.at("tokens").get<int>();
    held += share > 0 ? passage.at("tokens").get<int>() : 0;
    EXPECT_EQ(passage.contains("text"), share > 0);
  }
  EXPECT_EQ(tokens, 4018);
  EXPECT_EQ(held, explanation.at("held"));
  EXPECT_GT(held, 100);
  const std::string page = base::ReadFile(Path("page.html")).value();
  EXPECT_THAT(page, HasSubstr("&lt;"));
  EXPECT_EQ(page.find("<b>"), std::string::npos);
  EXPECT_THAT(page, HasSubstr("\xC3\xA4"));

  more.insert(more.end(), {"--policy", "truncate"});
  EXPECT_THAT(Refusal(2, more), HasSubstr("truncate"));
}

TEST_F(Commands, ReadTakesSeveralFilesAndStandardInput) {
  const std::string one = Write("one", "First."), two = Write("two", "Second.");
  const auto tokens = [&](std::vector<std::string> files, const std::string& input) {
    files.insert(files.begin(), {"read", "-m", Model(), "--pot", "256", "--json"});
    return Json(files, input).at("tokens_read");
  };
  EXPECT_EQ(tokens({one, two}, ""), 15);
  EXPECT_EQ(tokens({"-"}, "From elsewhere."), 15);
}

// They would be taken by the next files that are opened.
TEST_F(Commands, ClosedStandardStreamsAreErrorsAndNoHang) {
  const std::string program = ONDINE_PROGRAM;
  const auto shell = [&](const std::string& arguments) {
    return std::system(("timeout 60 " + program + " " + arguments + " 2> /dev/null").c_str());
  };
  EXPECT_EQ(WEXITSTATUS(shell("tokenize -m " + Model() + " --ids > /dev/null <&-")), 1);
  EXPECT_EQ(WEXITSTATUS(shell("run -m " + Model() + " -f - -n 1 > /dev/null <&-")), 1);
  EXPECT_EQ(WEXITSTATUS(shell("tokenize -m " + Model() + " --ids x <&- >&-")), 1);
}

TEST_F(Commands, PerplexityPrintsTheKeysOfTheContract) {
  const std::string text = Prose(2000);
  const json out = Json({"perplexity", "-m", Model(), "-f", text, "--ctx", "128", "--json"});
  EXPECT_GT(out.at("ppl").get<double>(), 1);
  EXPECT_GT(out.at("stderr").get<double>(), 0);
  EXPECT_GT(out.at("tokens").get<int>(), 500);
  EXPECT_THAT(Output({"perplexity", "-m", Model(), "-f", text, "--ctx", "128"}),
              HasSubstr("Final estimate: PPL = "));
  const std::vector<std::string> with_base = {
      "perplexity", "-m", Model(), "-f", text, "--ctx", "128", "--json", "--kl-base", Path("kld")};
  Json(with_base);
  const json compared = Json(with_base);
  EXPECT_NEAR(compared.at("kld_mean").get<double>(), 0, 1e-3);
  EXPECT_GT(compared.at("top1_agreement").get<double>(), 0.99);
}

TEST_F(Commands, EvalOfChoicesPrintsTheKeysOfTheContract) {
  std::string lines;
  for (int i = 0; i < 50; ++i) {
    lines += json{{"query", "Day " + std::to_string(i) + " was dry, therefore"},
                  {"choices", {"we swam.", "we ate."}},
                  {"gold", i % 2}}
                 .dump() +
             "\n";
  }
  std::filesystem::create_directories(Path("mcqa/copa"));
  Write("mcqa/copa/copa_val.jsonl", lines);
  const std::vector<std::string> command = {"eval",   "mcqa",    "-m",   Model(),   "--data",
                                            Path(""), "--tasks", "copa", "--limit", "3"};
  const auto with = [&](std::vector<std::string> more) {
    more.insert(more.begin(), command.begin(), command.end());
    return more;
  };
  const json out = Json(with({"--few-shot", "1", "--seed", "3", "--items", "--json"}));
  EXPECT_EQ(out.at("task"), "mcqa");
  EXPECT_EQ(out.at("n"), 3);
  const json& copa = out.at("by").at("task").at("copa");
  EXPECT_EQ(copa.at("n"), 3);
  EXPECT_EQ(copa.at("score"), out.at("macro"));
  EXPECT_EQ(copa.at("score"), out.at("score"));
  EXPECT_EQ(copa.at("score"), copa.at("accuracy").at("tokens"));
  EXPECT_EQ(copa.at("ci95").size(), 2u);
  EXPECT_GE(copa.at("base_rate").get<double>(), 0.5);
  ASSERT_EQ(out.at("items").size(), 3u);
  for (const json& item : out.at("items")) {
    EXPECT_EQ(item.at("task"), "copa");
    EXPECT_THAT(item.at("question").get<std::string>(), HasSubstr(" was dry, therefore"));
    EXPECT_LT(item.at("gold").get<int>(), 2);
    EXPECT_LT(item.at("chosen").get<int>(), 2);
    ASSERT_EQ(item.at("choices").size(), 2u);
    EXPECT_EQ(item.at("choices")[1].at("continuation"), " we ate.");
    EXPECT_EQ(item.at("choices")[1].at("tokens"), 8);
    EXPECT_LT(item.at("choices")[1].at("log_likelihood").get<double>(), 0);
  }
  EXPECT_THAT(Output(command), HasSubstr("copa"));
  EXPECT_EQ(Run(with({"--form", "table"})).code, 2);
  // Of a pool, which there is not.
  EXPECT_EQ(Run(with({"--shots", "5"})).code, 2);
  EXPECT_EQ(Run(with({"--blend", "product"})).code, 2);
  EXPECT_EQ(Run({"eval", "mcqa", "-m", Model(), "--data", Path(""), "--tasks", "piqa"}).code, 1);
}

TEST_F(Commands, BenchPrintsTheColumnsOfLlamaBench) {
  const json rows =
      Json({"bench", "-m", Model(), "-p", "32", "-n", "8", "-d", "0,40", "-r", "2", "-o", "json"});
  ASSERT_EQ(rows.size(), 4u);
  for (const json& row : rows) {
    for (const char* key : {"n_prompt", "n_gen", "n_depth", "avg_ts", "stddev_ts", "gb_per_s",
                            "gops", "bound_percent"}) {
      EXPECT_TRUE(row.at(key).is_number()) << key;
    }
    EXPECT_EQ(row.at("samples_ts").size(), 2u);
    EXPECT_GT(row.at("avg_ts").get<double>(), 0);
  }
  EXPECT_EQ(rows[0].at("n_prompt"), 32);
  EXPECT_EQ(rows[3].at("n_gen"), 8);
  EXPECT_EQ(rows[3].at("n_depth"), 40);
  // What a token reads, of a cache of half the size too.
  const auto bytes = [](const nlohmann::json& row) {
    return row.at("gb_per_s").get<double>() / row.at("best_ts").get<double>();
  };
  const auto small = Json({"bench", "-m", Model(), "-p", "0", "-n", "8", "-d", "40", "-r", "1",
                           "--cache-type", "q8_0", "-o", "json"});
  EXPECT_LT(bytes(small[0]), bytes(rows[3]));
  EXPECT_THAT(Output({"bench", "-m", Model(), "-p", "8", "-n", "0", "-r", "1"}),
              HasSubstr("| pp8 |"));
}

// More tokens than a sliding window's ring holds, taken back after each repetition.
TEST_F(Commands, BenchRunsModelsWithSlidingWindows) {
  ASSERT_TRUE(
      WriteTinyModel({.architecture = "gemma3", .layers = 6, .window = 16}, Path("g.gguf")));
  for (const char* depth : {"0", "700"}) {
    EXPECT_EQ(Run({"bench", "-m", Path("g.gguf"), "-p", "1500", "-n", "4", "-d", depth, "-r", "2",
                   "-o", "csv"})
                  .code,
              0);
  }
}

TEST_F(Commands, TokenizeCountsBytes) {
  EXPECT_EQ(Output({"tokenize", "-m", Model(), "--ids", "AB a"}), "65 66 32 97\n");
  EXPECT_EQ(Output({"tokenize", "-m", Model(), "--ids"}, "from stdin"),
            "102 114 111 109 32 115 116 100 105 110\n");
  EXPECT_EQ(Json({"tokenize", "-m", Model(), "--json", "abc"}).at("count"), 3);
}

TEST_F(Commands, InfoTellsWhatAModelIs) {
  const json info = Json({"info", Model(), "--json", "--tensors"});
  EXPECT_EQ(info.at("kind"), "gguf");
  EXPECT_EQ(info.at("holds"), "language model");
  EXPECT_EQ(info.at("metadata").at("general.architecture"), "llama");
  EXPECT_GT(info.at("tensors").size(), 10u);
  EXPECT_THAT(Output({"info", Model()}), HasSubstr("general.architecture: llama"));
  EXPECT_THAT(Output({"info", "--default-model"}), HasSubstr(".gguf\n"));
}

// Names in a file are whoever's who made it.
TEST_F(Commands, InfoShowsNamesAndDoesNotObeyThem) {
  const std::string file = Write("odd.gguf", GgufBytes::Header(1, 1)
                                                 .Key("general.name", "x\x1b]0;title\x07")
                                                 .Tensor("bad\xff\xfe.weight", {32}, 0, 0)
                                                 .Data(128)
                                                 .text());
  const std::string shown = Output({"info", file, "--tensors"});
  EXPECT_THAT(shown, HasSubstr("general.name: x\\x1b]0;title\\x07\n"));
  EXPECT_THAT(shown, HasSubstr("bad\xEF\xBF\xBD"));
  EXPECT_EQ(Json({"info", file, "--json"}).at("metadata").at("general.name"), "x\x1b]0;title\x07");
}

TEST_F(Commands, ChatAnswersOnceOrLineByLine) {
  const std::vector<std::string> chat = {
      "chat", "-m", Model(), "--chat-template", "chatml", "--pot", "256", "-n", "8", "--json"};
  std::vector<std::string> once = chat;
  once.insert(once.end(), {"--once", "Hello"});
  EXPECT_TRUE(Json(once).at("text").is_string());
  const std::string replies = Output(chat, "Hello\n\nAnd you?\nWhy?\n");
  std::size_t count = 0;
  for (std::size_t at = 0; (at = replies.find("\"text\"", at)) != std::string::npos; ++at) ++count;
  EXPECT_EQ(count, 3u);
}

TEST_F(Commands, InterruptedReadingEndsAtOnceAndLeavesNothing) {
  const std::string text = Prose(20000000);
  for (const int signal : {SIGINT, SIGTERM}) {
    const Outcome outcome = Interrupt({"read", "-m", Model(), "--pot", "256", text, "--progress",
                                       "--ask", "x", "--save", Path("never.pot")},
                                      signal);
    EXPECT_EQ(outcome.code, 1);
    EXPECT_THAT(outcome.error, HasSubstr("ondine: stopped\n"));
    EXPECT_EQ(outcome.out, "");
    EXPECT_EQ(Files(), (std::vector<std::string>{"prose.txt", "tiny.gguf"}));
  }
}

TEST_F(Commands, InterruptedGenerationEndsAtOnce) {
  const Outcome outcome = Interrupt(
      {"run", "-m", Model(), "--pot", "128", "-p", "x", "-n", "10000000", "--ignore-eos"}, SIGINT);
  EXPECT_EQ(outcome.code, 1);
  EXPECT_THAT(outcome.error, HasSubstr("ondine: stopped\n"));
}

// What is to be read does not come.
TEST_F(Commands, AnInterruptedWaitForTextEndsAtOnce) {
  int ends[2];
  ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
  const std::string input = "/proc/" + std::to_string(getpid()) + "/fd/" + std::to_string(ends[0]);
  const std::string prose = base::ReadFile(Prose(4000)).value();
  ASSERT_EQ(write(ends[1], prose.data(), prose.size()), std::ssize(prose));
  const pid_t process =
      StartFrom(input, {"read", "-m", Model(), "--pot", "256", "-", "--progress"});
  AwaitOutput();
  kill(process, SIGTERM);
  const Outcome outcome = Wait(process);
  EXPECT_EQ(outcome.code, 1);
  EXPECT_THAT(outcome.error, HasSubstr("stopped\n"));
  close(ends[0]);
  close(ends[1]);
}

// The chat waits for a line that does not come.
TEST_F(Commands, AnInterruptedConversationEndsAtOnce) {
  int ends[2];
  ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
  const std::string input = "/proc/" + std::to_string(getpid()) + "/fd/" + std::to_string(ends[0]);
  ASSERT_EQ(write(ends[1], "Hello\n", 6), 6);
  const Outcome outcome = Wait([&] {
    const pid_t process = StartFrom(
        input, {"chat", "-m", Model(), "--chat-template", "chatml", "--pot", "256", "-n", "4"});
    AwaitOutput();
    kill(process, SIGINT);
    return process;
  }());
  EXPECT_EQ(outcome.code, 1);
  EXPECT_THAT(outcome.error, HasSubstr("ondine: stopped\n"));
  close(ends[0]);
  close(ends[1]);
}

}  // namespace
}  // namespace ondine::testing
