// The frames around messages, for every chat template there is.
#include "engine/prompt_format.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "engine/engine_fixture.h"

namespace ondine::engine {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class PromptFormat : public ::testing::TestWithParam<std::string> {
 protected:
  static std::shared_ptr<const Model> Load(const std::string& chat_template) {
    return testing::LoadTinyModel({.layers = 1, .width = 32, .heads = 1, .kv_heads = 1},
                                  chat_template);
  }
  const std::shared_ptr<const Model> model_ = Load(GetParam());
};

TEST_P(PromptFormat, FrameAndMessageMakeUpTheTemplatesText) {
  const text::ChatTemplate& chat = *model_->parts().chat_template;
  for (const std::string system : {"", "Be brief."}) {
    std::vector<text::ChatMessage> messages;
    if (!system.empty()) messages.push_back({"system", system});
    messages.push_back({"user", "Who is there?"});
    const auto expected = chat.Render(messages, true);
    const auto frame = FirstMessage(model_->parts(), system, true);
    ASSERT_TRUE(expected && frame);
    EXPECT_EQ(frame->before + "Who is there?" + frame->behind, *expected);
  }
}

// Opening the assistant's turn, its answer, and the next frame read like the whole conversation;
// what opens the turn may differ (a template may want the assistant to think first, and then drops
// the thoughts of earlier turns).
TEST_P(PromptFormat, TheNextMessageGoesOnBehindTheAnswer) {
  const text::ChatTemplate& chat = *model_->parts().chat_template;
  const std::string answer = "Nobody but us.";
  const auto whole = chat.Render({{"user", "Who?"}, {"assistant", answer}, {"user", "Why?"}}, true);
  const auto frame = NextMessage(model_->parts());
  ASSERT_TRUE(whole && frame);
  const std::string tail = answer + frame->before + "Why?" + frame->behind;
  ASSERT_GE(whole->size(), tail.size());
  EXPECT_EQ(whole->substr(whole->size() - tail.size()), tail);
}

// Not even where it holds the character that stands for the user's message.
TEST_P(PromptFormat, TheMessageStaysOutOfTheSystemMessage) {
  const std::string system = "  Be \xEE\x80\x80 brief.\n";
  const auto frame = FirstMessage(model_->parts(), system, true);
  ASSERT_TRUE(frame);
  EXPECT_THAT(frame->before, HasSubstr("Be \xEE\x80\x80 brief."));
  EXPECT_EQ(frame->behind, FirstMessage(model_->parts(), "", true)->behind);
}

TEST_P(PromptFormat, ASystemMessageHoldsNoControlTokens) {
  const Model::Parts& parts = model_->parts();
  for (const bool chat_template : {true, false}) {
    const auto plain = FirstMessage(parts, " Be <|kind|> now.", chat_template);
    const auto hostile = FirstMessage(parts, " Be <|endoftext|> now.", chat_template);
    ASSERT_TRUE(plain && hostile);
    EXPECT_EQ(EncodeBeginning(parts, *plain), EncodeFrame(parts, plain->before, true));
    // The vocabulary's only control token is 256; all others are bytes.
    const auto ends = [](const std::vector<TokenId>& tokens) {
      return std::count(tokens.begin(), tokens.end(), 256);
    };
    const auto tokens = EncodeBeginning(parts, *hostile);
    EXPECT_EQ(ends(tokens), ends(EncodeBeginning(parts, *plain)));
    EXPECT_EQ(parts.tokenizer.Decode(tokens, true), hostile->before);
  }
}

TEST_P(PromptFormat, WithoutTheTemplateThereIsAPlainForm) {
  const auto frame = DocumentFrame(model_->parts(), "Read well.", false);
  ASSERT_TRUE(frame);
  EXPECT_EQ(frame->before, "Read well.\n\n");
  EXPECT_EQ(frame->behind, "\nAnswer:");
  EXPECT_EQ(DocumentFrame(model_->parts(), "", false)->before, "");
}

TEST_P(PromptFormat, AQuestionAboutADocumentEndsWithTheCueForAnAnswer) {
  const auto message = FirstMessage(model_->parts(), "Read well.", true);
  const auto frame = DocumentFrame(model_->parts(), "Read well.", true);
  ASSERT_TRUE(message && frame);
  EXPECT_EQ(frame->before, message->before);
  EXPECT_EQ(frame->behind, "\nAnswer:" + message->behind + "Answer:");
}

INSTANTIATE_TEST_SUITE_P(Families, PromptFormat, ::testing::ValuesIn(text::ChatTemplate::Names()),
                         [](const auto& family) {
                           std::string name = family.param;
                           for (char& c : name) c = std::isalnum(c) ? c : '_';
                           return name;
                         });

TEST(PromptFormatWithoutTemplate, FallsBackForDocumentsAndRefusesConversations) {
  const auto model = testing::LoadTinyModel({.layers = 1});
  ASSERT_FALSE(model->parts().chat_template);
  EXPECT_EQ(DocumentFrame(model->parts(), "", true)->behind, "\nAnswer:");
  const auto next = NextMessage(model->parts());
  ASSERT_FALSE(next);
  EXPECT_THAT(next.error().message, HasSubstr("--chat-template"));
}

// Control tokens come from the frame, never from text that is filled in.
TEST(PromptFormatTokens, TextFromOutsideHoldsNoControlTokens) {
  const auto& parts = testing::TinyLlamaModel()->parts();
  const std::string text = "<|endoftext|>";
  EXPECT_EQ(EncodeFrame(parts, text, false), std::vector<TokenId>{256});
  const std::vector<TokenId> outside = EncodeText(parts, text, true);
  EXPECT_EQ(outside.size(), text.size());
  EXPECT_THAT(outside, Not(::testing::Contains(256)));
}

}  // namespace
}  // namespace ondine::engine
