// Adapters of PEFT from the command line.
#include <gmock/gmock.h>

#include <algorithm>
#include <filesystem>

#include "adapters/adapter_fixture.h"
#include "adapters/peft_fixture.h"
#include "cli/program.h"

namespace ondine::testing {
namespace {

using nlohmann::json;
using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr int kFailed = 1, kUsage = 2;

class ConvertAdapterCommand : public ProgramTest {
 protected:
  void SetUp() override {
    parts_ = PeftParts::From(RandomLora(*LoadDecoder(Model()), {"attn_q", "ffn_up"}, 2, 1), 2);
    parts_.Write(saved_);
  }

  std::vector<std::string> Command(const std::vector<std::string>& more = {}) const {
    std::vector<std::string> command = {"convert-adapter", "-m", Model(), saved_, "-o", out_};
    command.insert(command.end(), more.begin(), more.end());
    return command;
  }

  std::string Completion(const std::vector<std::string>& more) const {
    std::vector<std::string> arguments = {"run", "-m", Model(),  "-p",          "Once upon",
                                          "-n",  "16", "--json", "--ignore-eos"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return Json(arguments).at("text");
  }

  const std::string saved_ = Path("saved"), out_ = Path("mine.gguf");
  PeftParts parts_;
};

TEST_F(ConvertAdapterCommand, PrintsTheKeysOfTheContractAndWritesAnAdapter) {
  const json result = Json(Command({"--json"}));
  EXPECT_EQ(result.at("tensors"), 4);
  EXPECT_EQ(result.at("rank"), 2);
  EXPECT_EQ(result.at("alpha"), 3);
  EXPECT_GT(result.at("relative_size"), 0.01);
  EXPECT_EQ(result.at("output"), out_);
  EXPECT_THAT(Output({"info", out_}), HasSubstr("adapter.type: lora"));
  EXPECT_NE(Completion({"--adapter", out_}), Completion({}));
  EXPECT_THAT(Output(Command()), AllOf(HasSubstr("4 matrices, rank 2"), HasSubstr(out_)));
}

TEST_F(ConvertAdapterCommand, NothingOfWhatItReadsIsReplaced) {
  for (const char* file : {"adapter_model.safetensors", "adapter_config.json"}) {
    EXPECT_THAT(
        Refusal(kUsage, {"convert-adapter", "-m", Model(), saved_, "-o", saved_ + "/" + file}),
        HasSubstr("two purposes"));
  }
  EXPECT_THAT(Refusal(kUsage, {"convert-adapter", "-m", Model(), saved_, "-o", Model()}),
              HasSubstr("two purposes"));
  // What it made the last time is another thing.
  const std::string beside = saved_ + "/mine.gguf";
  for (int i = 0; i < 2; ++i) Output({"convert-adapter", "-m", Model(), saved_, "-o", beside});
}

TEST_F(ConvertAdapterCommand, BadInputIsRefusedInOneLineAndWritesNothing) {
  PeftParts dora = parts_;
  dora.config["use_dora"] = "true";
  dora.Write(saved_);
  EXPECT_THAT(Refusal(kFailed, Command()), HasSubstr("use_dora"));
  PeftParts half = parts_;
  half.file.tensors.erase(PeftName(0, "mlp.up_proj", 'A'));
  half.Write(saved_);
  EXPECT_THAT(Refusal(kFailed, Command()), HasSubstr("mlp.up_proj.lora_B"));
  std::filesystem::remove(saved_ + "/adapter_model.safetensors");
  EXPECT_THAT(Refusal(kFailed, Command()), HasSubstr("adapter_model.safetensors"));
  EXPECT_EQ(Run({"convert-adapter", "-m", Model(), saved_}).code, kUsage);
  EXPECT_EQ(Run({"convert-adapter", "-m", Model(), "-o", out_}).code, kUsage);
  EXPECT_FALSE(std::filesystem::exists(out_));
}

}  // namespace
}  // namespace ondine::testing
