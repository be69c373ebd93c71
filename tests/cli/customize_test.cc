// Pools, examples and adapters from the command line.
#include <gmock/gmock.h>

#include <numeric>

#include "adapters/adapter_fixture.h"
#include "adapters/lora_file.h"
#include "adapters/pool_file.h"
#include "base/file.h"
#include "cli/program.h"
#include "serve/raw_server.h"

namespace ondine::testing {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr int kFailed = 1, kUsage = 2;

class CustomizeCommand : public ProgramTest {
 protected:
  void SetUp() override {
    const auto decoder = LoadDecoder(Model());
    ASSERT_TRUE(adapters::WritePool(RandomPool(*decoder, 3, 2), pool_));
    ASSERT_TRUE(adapters::WriteLora(RandomLora(*decoder, {"attn_q"}, 2, 1), adapter_));
  }

  std::vector<std::string> Command(const std::string& examples) const {
    return {"customize", "-m", Model(), "--pool", pool_, "--examples", examples};
  }

  // Of the same prompt, with more options.
  std::string Completion(const std::vector<std::string>& more) const {
    std::vector<std::string> arguments = {"run", "-m", Model(),  "-p",          "Once upon",
                                          "-n",  "16", "--json", "--ignore-eos"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return Json(arguments).at("text");
  }

  const std::string pool_ = Path("pool.gguf"), adapter_ = Path("adapter.gguf");
  const std::string examples_ =
      Write("mine.jsonl", "{\"prompt\": \"what do plants need\", \"answer\": \" light\"}\n");
};

TEST_F(CustomizeCommand, PrintsTheKeysOfTheContractAndWritesAnAdapter) {
  const std::string out = Path("mine.gguf");
  auto arguments = Command(examples_);
  arguments.insert(arguments.end(), {"-o", out, "--json"});
  const json result = Json(arguments);
  const auto weights = result.at("weights").get<std::vector<double>>();
  EXPECT_EQ(weights.size(), 3U);
  EXPECT_EQ(result.at("similarities").size(), 3U);
  EXPECT_NEAR(std::accumulate(weights.begin(), weights.end(), 0.0), 1, 1e-9);
  EXPECT_TRUE(result.at("milliseconds").is_number());
  EXPECT_EQ(result.at("adapter"), out);
  EXPECT_THAT(Output({"info", out}), HasSubstr("adapter.type: lora"));
  EXPECT_NE(Completion({"--adapter", out}), Completion({}));
  EXPECT_EQ(Completion({"--adapter", out + "=0"}), Completion({}));
}

TEST_F(CustomizeCommand, APoolCanBeUsedAtOnce) {
  const std::string out = Path("mine.gguf");
  auto arguments = Command(examples_);
  arguments.insert(arguments.end(), {"-o", out});
  Output(arguments);
  EXPECT_EQ(Completion({"--pool", pool_, "--examples", examples_}), Completion({"--adapter", out}));
  for (const char* command : {"run", "read", "chat"}) {
    EXPECT_EQ(Run({command, "-m", Model(), "--pool", pool_}).code, kUsage) << command;
  }
  // The pool that comes along is another model's.
  EXPECT_THAT(Refusal(kFailed, {"run", "-m", Model(), "-p", "x", "--examples", examples_}),
              HasSubstr("pool"));
}

TEST_F(CustomizeCommand, WeightsCanBeGivenByHand) {
  const json result = Json({"customize", "-m", Model(), "--pool", pool_, "--weights", "0.5,0,0.5",
                            "--blend", "product", "--json"});
  EXPECT_EQ(result.at("weights"), (std::vector<double>{0.5, 0, 0.5}));
  EXPECT_EQ(result.at("rank"), 6);
  EXPECT_THAT(Refusal(kUsage, {"customize", "-m", Model(), "--pool", pool_, "--weights", "1"}),
              HasSubstr("3 adapters"));
}

TEST_F(CustomizeCommand, SeveralAdaptersWorkInEveryCommand) {
  const std::string text = Write("text.txt", std::string(400, 'x') + " and more");
  EXPECT_NE(Completion({"--adapter", adapter_, "--adapter", adapter_ + "=0.5"}),
            Completion({"--adapter", adapter_}));
  EXPECT_EQ(Run({"read", "-m", Model(), text, "--pot", "128", "--adapter", adapter_}).code, 0);
  EXPECT_EQ(
      Run({"perplexity", "-m", Model(), "-f", text, "--ctx", "64", "--adapter", adapter_}).code, 0);
  EXPECT_EQ(
      Run({"bench", "-m", Model(), "-p", "8", "-n", "4", "-r", "1", "--adapter", adapter_}).code,
      0);
}

TEST_F(CustomizeCommand, BadInputIsRefusedInOneLine) {
  EXPECT_THAT(Refusal(kUsage, Command(Write("empty.jsonl", ""))), HasSubstr("empty.jsonl"));
  EXPECT_THAT(Refusal(kFailed, Command(Write("bad.jsonl", "{nonsense"))), HasSubstr("line 1"));
  EXPECT_THAT(Refusal(kFailed, Command(Path("none.jsonl"))), HasSubstr("none.jsonl"));
  EXPECT_EQ(Run({"customize", "-m", Model(), "--pool", pool_}).code, kUsage);
  EXPECT_EQ(Run({"customize", "-m", Model(), "--examples", examples_}).code, kFailed);
  const std::string pool = base::ReadFile(pool_).value();
  const std::string cut = Write("cut.gguf", pool.substr(0, pool.size() / 2));
  EXPECT_THAT(
      Refusal(kFailed, {"customize", "-m", Model(), "--pool", cut, "--examples", examples_}),
      HasSubstr("cut.gguf"));
  EXPECT_THAT(
      Refusal(kFailed, {"customize", "-m", Model(), "--pool", adapter_, "--examples", examples_}),
      HasSubstr("not a pool"));
  for (const std::string& bad : {Path("none.gguf"), cut, pool_, adapter_ + "=x"}) {
    Refusal(kFailed, {"run", "-m", Model(), "-p", "x", "--adapter", bad});
  }
}

TEST_F(CustomizeCommand, WhatIsReadIsNotReplaced) {
  const std::string pool = base::ReadFile(pool_).value();
  for (const std::string& out : {Model(), pool_, examples_}) {
    auto command = Command(examples_);
    command.insert(command.end(), {"-o", out});
    EXPECT_THAT(Refusal(kUsage, command), HasSubstr("two purposes"));
  }
  for (const std::string& out : {Model(), examples_}) {
    EXPECT_THAT(Refusal(kUsage, {"customize", "-m", Model(), "--pool-server", "http://127.0.0.1:9",
                                 "--examples", examples_, "-o", out}),
                HasSubstr("two purposes"));
  }
  EXPECT_EQ(base::ReadFile(pool_).value(), pool);
}

TEST_F(CustomizeCommand, APoolsServerIsNotToldTheKeyOfAnother) {
  const RawServer raw(
      [](int connection, int) { RawServer::Send(connection, HttpAnswer(404, "{}")); });
  setenv("ONDINE_SERVER_KEY", "sk-another", 1);
  std::vector<std::string> command = {"customize",
                                      "-m",
                                      Model(),
                                      "--pool-server",
                                      raw.url(),
                                      "--examples",
                                      Write("examples", "{\"prompt\": \"One\"}\n"),
                                      "-o",
                                      Path("mine.gguf")};
  Refusal(kFailed, command);
  command.insert(command.end(), {"--server-key-file", Write("key", "pk-mine\n")});
  Refusal(kFailed, command);
  const auto requests = raw.requests();
  ASSERT_EQ(requests.size(), 2u);
  EXPECT_THAT(requests[0], Not(HasSubstr("Authorization")));
  EXPECT_THAT(requests[1], HasSubstr("Authorization: Bearer pk-mine\r\n"));
}

}  // namespace
}  // namespace ondine::testing
