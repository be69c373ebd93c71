#include "text/chat_families.h"

#include <algorithm>

namespace ondine::text {
namespace {

#define LLAMA3(role) "<|start_header_id|>" role "<|end_header_id|>\n\n"
#define LLAMA4(role) "<|header_start|>" role "<|header_end|>\n\n"
#define COMMAND_R(role) "<|START_OF_TURN_TOKEN|><|" role "_TOKEN|>"

// Llama 3.1 writes today's date. The same conversation must give the same tokens tomorrow, so it is
// the date that the template itself uses where it is given no clock.
#define LLAMA31_SYSTEM \
  LLAMA3("system") "Cutting Knowledge Date: December 2023\nToday Date: 26 Jul 2024\n\n"

constexpr ChatFamily kFamilies[] = {
    {.name = "chatml",
     .system = {"<|im_start|>system\n", "<|im_end|>\n"},
     .user = {"<|im_start|>user\n", "<|im_end|>\n"},
     .assistant = {"<|im_start|>assistant\n", "<|im_end|>\n"},
     .open = "<|im_start|>assistant\n"},
    {.name = "qwen3",
     .system = {"<|im_start|>system\n", "<|im_end|>\n"},
     .user = {"<|im_start|>user\n", "<|im_end|>\n"},
     .assistant = {"<|im_start|>assistant\n", "<|im_end|>\n"},
     .open = "<|im_start|>assistant\n",
     .reasoning = Reasoning::kDroppedWithLineBreaks},
    {.name = "qwen3-thinking",
     .system = {"<|im_start|>system\n", "<|im_end|>\n"},
     .user = {"<|im_start|>user\n", "<|im_end|>\n"},
     .assistant = {"<|im_start|>assistant\n", "<|im_end|>\n"},
     .open = "<|im_start|>assistant\n<think>\n",
     .reasoning = Reasoning::kDroppedWithLineBreaks},
    {.name = "qwen3.5",
     .system = {"<|im_start|>system\n", "<|im_end|>\n"},
     .user = {"<|im_start|>user\n", "<|im_end|>\n"},
     .assistant = {"<|im_start|>assistant\n", "<|im_end|>\n"},
     .open = "<|im_start|>assistant\n<think>\n",
     .trims = true,
     .trims_system = true,
     .reasoning = Reasoning::kDropped},
    {.name = "phi4",
     .system = {"<|im_start|>system<|im_sep|>", "<|im_end|>"},
     .user = {"<|im_start|>user<|im_sep|>", "<|im_end|>"},
     .assistant = {"<|im_start|>assistant<|im_sep|>", "<|im_end|>"},
     .open = "<|im_start|>assistant<|im_sep|>"},
    {.name = "phi3",
     .system = {"<|system|>\n", "<|end|>\n"},
     .user = {"<|user|>\n", "<|end|>\n"},
     .assistant = {"<|assistant|>\n", "<|end|>\n"},
     .open = "<|assistant|>\n"},
    {.name = "llama3",
     .system = {LLAMA3("system"), "<|eot_id|>"},
     .user = {LLAMA3("user"), "<|eot_id|>"},
     .assistant = {LLAMA3("assistant"), "<|eot_id|>"},
     .open = LLAMA3("assistant"),
     .trims = true,
     .trims_system = true},
    {.name = "llama3.1",
     .system = {LLAMA31_SYSTEM, "<|eot_id|>"},
     .user = {LLAMA3("user"), "<|eot_id|>"},
     .assistant = {LLAMA3("assistant"), "<|eot_id|>"},
     .open = LLAMA3("assistant"),
     .always_system = true,
     .trims = true,
     .trims_system = true},
    {.name = "llama4",
     .system = {LLAMA4("system"), "<|eot|>"},
     .user = {LLAMA4("user"), "<|eot|>"},
     .assistant = {LLAMA4("assistant"), "<|eot|>"},
     .open = LLAMA4("assistant"),
     .trims = true,
     .trims_system = true},
    {.name = "llama2",
     .system = {"<<SYS>>\n", "\n<</SYS>>\n\n"},
     .user = {"[INST] ", " [/INST]"},
     .assistant = {" ", " </s>"},
     .open = "",
     .place = SystemPlace::kFirstUser,
     .later_user_begin = "<s>[INST] ",
     .trims = true},
    {.name = "mistral-v0",
     .system = {"", "\n\n"},
     .user = {"[INST] ", " [/INST]"},
     .assistant = {"", "</s>"},
     .open = "",
     .place = SystemPlace::kFirstUser},
    {.name = "mistral-v1",
     .system = {"", "\n\n"},
     .user = {" [INST] ", " [/INST]"},
     .assistant = {" ", "</s>"},
     .open = "",
     .place = SystemPlace::kFirstUser},
    {.name = "mistral-v3",
     .system = {"", "\n\n"},
     .user = {"[INST] ", "[/INST]"},
     .assistant = {" ", "</s>"},
     .open = "",
     .place = SystemPlace::kLastUser},
    {.name = "mistral-v3-tekken",
     .system = {"", "\n\n"},
     .user = {"[INST]", "[/INST]"},
     .assistant = {"", "</s>"},
     .open = "",
     .place = SystemPlace::kLastUser},
    {.name = "mistral-v7",
     .system = {"[SYSTEM_PROMPT] ", "[/SYSTEM_PROMPT]"},
     .user = {"[INST] ", "[/INST]"},
     .assistant = {" ", "</s>"},
     .open = ""},
    {.name = "mistral-v7-tekken",
     .system = {"[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]"},
     .user = {"[INST]", "[/INST]"},
     .assistant = {"", "</s>"},
     .open = ""},
    {.name = "gemma",
     .system = {"", "\n\n"},
     .user = {"<start_of_turn>user\n", "<end_of_turn>\n"},
     .assistant = {"<start_of_turn>model\n", "<end_of_turn>\n"},
     .open = "<start_of_turn>model\n",
     .place = SystemPlace::kFirstUser,
     .trims = true},
    {.name = "deepseek-r1",
     .system = {"", ""},
     .user = {"<｜User｜>", ""},
     .assistant = {"<｜Assistant｜>", "<｜end▁of▁sentence｜>"},
     .open = "<｜Assistant｜><think>\n",
     .reasoning = Reasoning::kDropped},
    {.name = "deepseek-r1-eos",  // ends the user's turns too
     .system = {"", ""},
     .user = {"<｜User｜>", "<｜end▁of▁sentence｜>"},
     .assistant = {"<｜Assistant｜>", "<｜end▁of▁sentence｜>"},
     .open = "<｜Assistant｜><think>\n",
     .reasoning = Reasoning::kDropped},
    {.name = "deepseek3",
     .system = {"", ""},
     .user = {"<｜User｜>", ""},
     .assistant = {"<｜Assistant｜>", "<｜end▁of▁sentence｜>"},
     .open = "<｜Assistant｜>",
     .reasoning = Reasoning::kDropped},
    {.name = "deepseek2",
     .system = {"", "\n\n"},
     .user = {"User: ", "\n\n"},
     .assistant = {"Assistant: ", "<｜end▁of▁sentence｜>"},
     .open = "Assistant:"},
    {.name = "deepseek-coder",
     .system = {"", ""},
     .user = {"### Instruction:\n", "\n"},
     .assistant = {"### Response:\n", "\n<|EOT|>\n"},
     .open = "### Response:\n",
     .default_system = "You are an AI programming assistant, utilizing the Deepseek Coder model, "
                       "developed by Deepseek Company, and you only answer questions related to "
                       "computer science. For politically sensitive questions, security and "
                       "privacy issues, and other non-computer science questions, you will refuse "
                       "to answer\n"},
    {.name = "command-r",
     .system = {COMMAND_R("SYSTEM"), "<|END_OF_TURN_TOKEN|>"},
     .user = {COMMAND_R("USER"), "<|END_OF_TURN_TOKEN|>"},
     .assistant = {COMMAND_R("CHATBOT"), "<|END_OF_TURN_TOKEN|>"},
     .open = COMMAND_R("CHATBOT"),
     .trims = true},
    {.name = "zephyr",
     .system = {"<|system|>\n", "</s>\n"},
     .user = {"<|user|>\n", "</s>\n"},
     .assistant = {"<|assistant|>\n", "</s>\n"},
     .open = "<|assistant|>\n"},
    {.name = "falcon3",
     .system = {"<|system|>\n", "\n"},
     .user = {"<|user|>\n", "\n"},
     .assistant = {"<|assistant|>\n", "<|endoftext|>\n"},
     .open = "<|assistant|>\n"},
    {.name = "vicuna",
     .system = {"", "\n\n"},
     .user = {"USER: ", "\n"},
     .assistant = {"ASSISTANT: ", "</s>\n"},
     .open = "ASSISTANT:"},
    {.name = "alpaca",
     .system = {"", "\n\n"},
     .user = {"### Instruction:\n", "\n\n"},
     .assistant = {"### Response:\n", "\n\n"},
     .open = "### Response:\n",
     .default_system = "Below is an instruction that describes a task. Write a response that "
                       "appropriately completes the request."},
};

constexpr std::string_view kForTools = "it is written for tool calls";
constexpr std::string_view kOwnHeader = "it writes a system header of its own";
constexpr std::string_view kReasoning = "it marks reasoning in a way that is not known";

constexpr ChatRule kRules[] = {
    {{"You are a function calling AI model"}, "", kForTools},
    {{"functools["}, "", kForTools},
    {{">>>${recipient}"}, "", kForTools},
    {{"has_code_interpreter"}, "", kForTools},
    {{"# System Preamble"}, "", kForTools},
    {{"[BEGIN FINAL RESPONSE]"}, "", kReasoning},

    {{"<|im_start|>", "<|im_sep|>"}, "phi4", ""},
    {{"<|im_start|>", "## Metadata"}, "", kOwnHeader},
    {{"<|im_start|>", "<end_of_utterance>"}, "", kOwnHeader},
    {{"<|im_start|>", "truncate_history_thinking"}, "", kReasoning},
    {{"<|im_start|>", "enable_thinking is true"}, "", kReasoning},
    {{"<|im_start|>", "enable_thinking is false", "{{- '<think>\n' }}"}, "qwen3.5", ""},
    {{"<|im_start|>", "enable_thinking is false"}, "qwen3", ""},
    {{"<|im_start|>", "enable_thinking"}, "", kReasoning},
    {{"<|im_start|>assistant\n<think>\n' }}"}, "qwen3-thinking", ""},
    {{"<|im_start|>", "reasoning_content"}, "", kReasoning},
    {{"<|im_start|>"}, "chatml", ""},

    {{"[SYSTEM_PROMPT]", "[THINK]"}, "", kReasoning},
    {{"[SYSTEM_PROMPT]", "default_system_message"}, "", kOwnHeader},
    {{"[SYSTEM_PROMPT] "}, "mistral-v7", ""},
    {{"[SYSTEM_PROMPT]"}, "mistral-v7-tekken", ""},
    {{"[INST]", "<<SYS>>"}, "llama2", ""},
    {{"\" [INST] \""}, "mistral-v1", ""},
    {{"' [INST] '"}, "mistral-v1", ""},
    {{"\"[INST] \""}, "mistral-v3", ""},
    {{"\"[INST]\""}, "mistral-v3-tekken", ""},
    {{"'[INST] ' + message['content'] + ' [/INST]'", "message['content'] + eos_token"},
     "mistral-v0",
     ""},

    {{"<|start_header_id|>", "Cutting Knowledge Date: December 2023", "Today Date: "},
     "llama3.1",
     ""},
    {{"<|start_header_id|>", "Cutting Knowledge Date"}, "", kOwnHeader},
    {{"<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"}, "llama3", ""},
    {{"<|header_start|>", "<|header_end|>", "<|eot|>"}, "llama4", ""},
    {{"<start_of_turn>"}, "gemma", ""},

    {{"<｜Assistant｜>", "<｜Assistant｜></think>"}, "", kReasoning},
    {{"<｜Assistant｜>", "thinking"}, "", kReasoning},
    {{"<｜Assistant｜>", "{{'</think>'}}"}, "", kReasoning},
    {{"'<｜User｜>' + message['content'] + '<｜end▁of▁sentence｜>'"}, "deepseek-r1-eos", ""},
    {{"<｜Assistant｜><think>\n"}, "deepseek-r1", ""},
    {{"<｜User｜>", "<｜Assistant｜>", "<｜end▁of▁sentence｜>"}, "deepseek3", ""},
    {{"'Assistant: ' + message['content'] + eos_token"}, "deepseek2", ""},
    {{"### Instruction:", "<|EOT|>"}, "deepseek-coder", ""},

    {{"<|START_OF_TURN_TOKEN|>", "<|START_THINKING|>"}, "", kReasoning},
    {{"<|START_OF_TURN_TOKEN|>", "<|USER_TOKEN|>"}, "command-r", ""},
    {{"<|user|>\n' + message['content'] + '<|end|>\n"}, "phi3", ""},
    {{"'<|user|>' + '\n' + message['content'] + '<|end|>'"}, "phi3", ""},
    {{"<|user|>\n' + message['content'] + eos_token"}, "zephyr", ""},
    {{"<|user|>\n' + message['content'] + '\n'", "eos_token + '\n'"}, "falcon3", ""},
    {{"USER: ", "ASSISTANT: "}, "vicuna", ""},
};

#undef LLAMA3
#undef LLAMA4
#undef COMMAND_R
#undef LLAMA31_SYSTEM

}  // namespace

std::span<const ChatFamily> ChatFamilies() {
  return kFamilies;
}
std::span<const ChatRule> ChatRules() {
  return kRules;
}

const ChatFamily* FindChatFamily(std::string_view name) {
  const auto* found = std::find_if(std::begin(kFamilies), std::end(kFamilies),
                                   [&](const ChatFamily& family) { return family.name == name; });
  return found == std::end(kFamilies) ? nullptr : found;
}

}  // namespace ondine::text
