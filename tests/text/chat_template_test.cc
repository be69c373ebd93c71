#include "text/chat_template.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

namespace ondine::text {
namespace {

using ::testing::HasSubstr;

const std::vector<ChatMessage> kSystemUser = {{"system", "You are terse. "},
                                              {"user", "Hello\nworld"}};
const std::vector<ChatMessage> kUser = {{"user", " Hi "}};
const std::vector<ChatMessage> kThreeTurns = {
    {"user", "One"}, {"assistant", " First. "}, {"user", "Two"}};

// What Jinja 3.1.6 makes of the three conversations, from each template file or, for smollm2, from
// kSmolLm2 below:
//   env = jinja2.sandbox.ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
//   env.from_string(source).render(messages=conversation, add_generation_prompt=True,
//                                  bos_token="", eos_token="</s>")
// Null: Jinja raises an error.
struct Golden {
  const char* family;
  const char* system_user;
  const char* user;
  const char* three_turns;
};
const Golden kGoldens[] = {
    {"chatml",
     "<|im_start|>system\nYou are terse. <|im_end|>\n<|im_start|>user\nHello\n"
     "world<|im_end|>\n<|im_start|>assistant\n",
     "<|im_start|>system\nYou are Qwen, created by Alibaba Cloud. You are a helpful "
     "assistant.<|im_end|>\n<|im_start|>user\n Hi <|im_end|>\n<|im_start|>assistant\n",
     "<|im_start|>system\nYou are Qwen, created by Alibaba Cloud. You are a helpful "
     "assistant.<|im_end|>\n<|im_start|>user\nOne<|im_end|>\n<|im_start|>assistant\n"
     " First. <|im_end|>\n<|im_start|>user\nTwo<|im_end|>\n<|im_start|>assistant\n"},
    {"deepseek-r1", "You are terse. <｜User｜>Hello\nworld<｜Assistant｜><think>\n",
     "<｜User｜> Hi <｜Assistant｜><think>\n",
     "<｜User｜>One<｜Assistant｜> First. "
     "<｜end▁of▁sentence｜><｜User｜>Two<｜Assistant｜><think>\n"},
    {"deepseek-r1-eos",
     "You are terse. <｜User｜>Hello\nworld<｜end▁of▁sentence｜><｜Assistant｜><think>\n",
     "<｜User｜> Hi <｜end▁of▁sentence｜><｜Assistant｜><think>\n",
     "<｜User｜>One<｜end▁of▁sentence｜><｜Assistant｜> First. "
     "<｜end▁of▁sentence｜><｜User｜>Two<｜end▁of▁sentence｜><｜Assistant｜><think>\n"},
    {"gemma", nullptr, "<start_of_turn>user\nHi<end_of_turn>\n<start_of_turn>model\n",
     "<start_of_turn>user\nOne<end_of_turn>\n<start_of_turn>model\nFirst.<end_of_turn>\n"
     "<start_of_turn>user\nTwo<end_of_turn>\n<start_of_turn>model\n"},
    {"llama3.1",
     "<|start_header_id|>system<|end_header_id|>\n\n"
     "Cutting Knowledge Date: December 2023\nToday Date: 26 Jul 2024\n\n"
     "You are terse.<|eot_id|><|start_header_id|>user<|end_header_id|>\n\nHello\n"
     "world<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n",
     "<|start_header_id|>system<|end_header_id|>\n\n"
     "Cutting Knowledge Date: December 2023\nToday Date: 26 Jul 2024\n\n"
     "<|eot_id|><|start_header_id|>user<|end_header_id|>\n\n"
     "Hi<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n",
     "<|start_header_id|>system<|end_header_id|>\n\n"
     "Cutting Knowledge Date: December 2023\nToday Date: 26 Jul 2024\n\n"
     "<|eot_id|><|start_header_id|>user<|end_header_id|>\n\n"
     "One<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n"
     "First.<|eot_id|><|start_header_id|>user<|end_header_id|>\n\n"
     "Two<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n"},
    {"phi3", "<|system|>\nYou are terse. <|end|>\n<|user|>\nHello\nworld<|end|>\n<|assistant|>\n",
     "<|user|>\n Hi <|end|>\n<|assistant|>\n",
     "<|user|>\nOne<|end|>\n<|assistant|>\n First. <|end|>\n<|user|>\nTwo<|end|>\n"
     "<|assistant|>\n"},
    {"mistral-v3-tekken", "[INST]You are terse. \n\nHello\nworld[/INST]", "[INST] Hi [/INST]",
     "[INST]One[/INST] First. </s>[INST]Two[/INST]"},
    {"smollm2",
     "<|im_start|>system\nYou are terse. <|im_end|>\n<|im_start|>user\nHello\n"
     "world<|im_end|>\n<|im_start|>assistant\n",
     "<|im_start|>system\n"
     "You are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n"
     "<|im_start|>user\n Hi <|im_end|>\n<|im_start|>assistant\n",
     "<|im_start|>system\n"
     "You are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n"
     "<|im_start|>user\nOne<|im_end|>\n<|im_start|>assistant\n First. <|im_end|>\n"
     "<|im_start|>user\nTwo<|im_end|>\n<|im_start|>assistant\n"},
};

// The chat template of SmolLM2-Instruct's GGUF files.
constexpr const char* kSmolLm2 =
    "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}"
    "{{ '<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face"
    "<|im_end|>\n' }}{% endif %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + "
    "'<|im_end|>' + '\n'}}{% endfor %}{% if add_generation_prompt %}"
    "{{ '<|im_start|>assistant\n' }}{% endif %}";

void ExpectGolden(const ChatTemplate& chat, const Golden& golden) {
  const std::pair<const std::vector<ChatMessage>*, const char*> cases[] = {
      {&kSystemUser, golden.system_user},
      {&kUser, golden.user},
      {&kThreeTurns, golden.three_turns}};
  for (const auto& [messages, expected] : cases) {
    if (expected == nullptr) continue;
    const auto text = chat.Render(*messages, true);
    ASSERT_TRUE(text) << text.error().ToString();
    EXPECT_EQ(*text, expected) << golden.family;
  }
}

const Golden& GoldenOf(const std::string& family) {
  for (const Golden& golden : kGoldens) {
    if (family == golden.family) return golden;
  }
  ADD_FAILURE() << family;
  return kGoldens[0];
}

TEST(ChatTemplate, RendersSmolLm2WithItsOwnSystemText) {
  const auto chat = ChatTemplate::Recognize(kSmolLm2);
  ASSERT_TRUE(chat) << chat.error().ToString();
  EXPECT_EQ(chat->name(), "chatml");
  const auto text = chat->Render({{"user", "Hello"}}, false);
  ASSERT_TRUE(text);
  EXPECT_NE(text->find("You are a helpful AI assistant named SmolLM, trained by Hugging Face"),
            std::string::npos);
  ExpectGolden(*chat, GoldenOf("smollm2"));
}

TEST(ChatTemplate, RendersThePublishedTemplatesAsJinjaDoesOrRefuses) {
  const std::string folder = "../shared/data/tokenizers/chat-templates/";
  if (!std::filesystem::exists(folder)) GTEST_SKIP() << folder << " not found";
  const std::pair<const char*, const char*> files[] = {
      {"Qwen-Qwen2.5-7B-Instruct", "chatml"},
      {"deepseek-ai-DeepSeek-R1-Distill-Llama-8B", "deepseek-r1"},
      {"deepseek-ai-DeepSeek-R1-Distill-Qwen-32B", "deepseek-r1"},
      {"llama-cpp-deepseek-r1", "deepseek-r1-eos"},
      {"google-gemma-2-2b-it", "gemma"},
      {"meta-llama-Llama-3.1-8B-Instruct", "llama3.1"},
      {"meta-llama-Llama-3.2-3B-Instruct", "llama3.1"},
      {"meta-llama-Llama-3.3-70B-Instruct", "llama3.1"},
      {"microsoft-Phi-3.5-mini-instruct", "phi3"},
      {"mistralai-Mistral-Nemo-Instruct-2407", "mistral-v3-tekken"},
      {"CohereForAI-c4ai-command-r-plus-tool_use", nullptr},
      {"CohereForAI-c4ai-command-r7b-12-2024-tool_use", nullptr},
      {"NousResearch-Hermes-2-Pro-Llama-3-8B-tool_use", nullptr},
      {"NousResearch-Hermes-3-Llama-3.1-8B-tool_use", nullptr},
      {"fireworks-ai-llama-3-firefunction-v2", nullptr},
      {"meetkai-functionary-medium-v3.1", nullptr},
      {"meetkai-functionary-medium-v3.2", nullptr},
  };
  for (const auto& [name, family] : files) {
    std::ifstream file(folder + name + ".jinja", std::ios::binary);
    ASSERT_TRUE(file) << name;
    const std::string jinja(std::istreambuf_iterator<char>(file), {});
    const auto chat = ChatTemplate::Recognize(jinja);
    if (family == nullptr) {
      ASSERT_FALSE(chat) << name;
      EXPECT_EQ(chat.error().code, ErrorCode::kUnsupported);
      EXPECT_THAT(chat.error().message, HasSubstr("tool calls"));
      EXPECT_THAT(chat.error().message, HasSubstr("--chat-template"));
      continue;
    }
    ASSERT_TRUE(chat) << name << ": " << chat.error().ToString();
    EXPECT_EQ(chat->name(), family) << name;
    ExpectGolden(*chat, GoldenOf(family));
  }
}

TEST(ChatTemplate, SystemTextGoesBeforeTheFirstUserMessageWhereThereIsNoSuchRole) {
  const auto gemma = ChatTemplate::ByName("gemma");
  ASSERT_TRUE(gemma);
  EXPECT_EQ(gemma->Render(kSystemUser, true),
            "<start_of_turn>user\nYou are terse. \n\nHello\nworld<end_of_turn>\n"
            "<start_of_turn>model\n");
  const auto llama2 = ChatTemplate::ByName("llama2");
  ASSERT_TRUE(llama2);
  EXPECT_EQ(
      llama2->Render({{"system", "S"}, {"user", "A"}, {"assistant", "B"}, {"user", "C"}}, true),
      "[INST] <<SYS>>\nS\n<</SYS>>\n\nA [/INST] B </s><s>[INST] C [/INST]");
  const auto alone = gemma->Render({{"system", "S"}}, true);
  ASSERT_FALSE(alone);
  EXPECT_EQ(alone.error().code, ErrorCode::kInvalidArgument);
}

TEST(ChatTemplate, TellsTheMistralsApart) {
  const std::pair<const char*, const char*> sources[] = {
      {"{{ ' [INST] ' + system_message }}", "mistral-v1"},
      {"[AVAILABLE_TOOLS] {{ \"[INST] \" + message }}", "mistral-v3"},
      {"[AVAILABLE_TOOLS] {{ \"[INST]\" + message }}", "mistral-v3-tekken"},
      {"{{ '[SYSTEM_PROMPT] ' + c }} [INST]", "mistral-v7"},
      {"{{ '[SYSTEM_PROMPT]' + c }} [INST]", "mistral-v7-tekken"},
      {"[INST] <<SYS>>", "llama2"},
  };
  for (const auto& [source, family] : sources) {
    const auto chat = ChatTemplate::Recognize(source);
    ASSERT_TRUE(chat) << source;
    EXPECT_EQ(chat->name(), family);
  }
  EXPECT_EQ(ChatTemplate::ByName("mistral-v1")->Render(kThreeTurns, true),
            " [INST] One [/INST]  First. </s> [INST] Two [/INST]");
  EXPECT_EQ(ChatTemplate::ByName("mistral-v7")->Render(kSystemUser, true),
            "[SYSTEM_PROMPT] You are terse. [/SYSTEM_PROMPT][INST] Hello\nworld[/INST]");
}

TEST(ChatTemplate, DropsTheReasoningOfEarlierAnswers) {
  const std::vector<ChatMessage> messages = {
      {"user", "A"}, {"assistant", "<think>\nhm\n</think>\n\nB"}, {"user", "C"}};
  EXPECT_EQ(ChatTemplate::ByName("qwen3")->Render(messages, true),
            "<|im_start|>user\nA<|im_end|>\n<|im_start|>assistant\nB<|im_end|>\n"
            "<|im_start|>user\nC<|im_end|>\n<|im_start|>assistant\n");
  EXPECT_EQ(
      ChatTemplate::ByName("deepseek-r1")->Render(messages, true),
      "<｜User｜>A<｜Assistant｜>\n\nB<｜end▁of▁sentence｜><｜User｜>C<｜Assistant｜><think>\n");
  EXPECT_THAT(*ChatTemplate::ByName("chatml")->Render(messages, true), HasSubstr("hm"));
}

TEST(ChatTemplate, OpensTheNextTurnOnlyWhenAsked) {
  for (const std::string& name : ChatTemplate::Names()) {
    const auto chat = ChatTemplate::ByName(name);
    ASSERT_TRUE(chat);
    EXPECT_EQ(chat->name(), name);
    const auto closed = chat->Render(kThreeTurns, false);
    const auto open = chat->Render(kThreeTurns, true);
    ASSERT_TRUE(closed && open) << name;
    EXPECT_EQ(open->substr(0, closed->size()), *closed);
    for (const char* content : {"One", "First.", "Two"}) EXPECT_THAT(*closed, HasSubstr(content));
  }
}

TEST(ChatTemplate, RefusesRolesItDoesNotKnow) {
  const auto chat = ChatTemplate::ByName("chatml");
  ASSERT_TRUE(chat);
  for (const char* role : {"tool", "User", "", "x\ny"}) {
    const auto text = chat->Render({{role, "x"}}, true);
    ASSERT_FALSE(text);
    EXPECT_EQ(text.error().code, ErrorCode::kInvalidArgument);
    EXPECT_EQ(text.error().message.find('\n'), std::string::npos);
  }
  EXPECT_FALSE(chat->Render({{"user", "x"}, {"system", "y"}}, true));
}

TEST(ChatTemplate, UnknownTemplatesAndNamesListTheFamilies) {
  const auto unknown = ChatTemplate::Recognize("{{ messages }}");
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().code, ErrorCode::kUnsupported);
  EXPECT_THAT(unknown.error().message, HasSubstr("--chat-template"));
  EXPECT_THAT(unknown.error().message, HasSubstr("chatml"));
  const auto name = ChatTemplate::ByName("nonsense");
  ASSERT_FALSE(name);
  EXPECT_EQ(name.error().code, ErrorCode::kNotFound);
  EXPECT_THAT(name.error().message, HasSubstr("nonsense"));
}

}  // namespace
}  // namespace ondine::text
