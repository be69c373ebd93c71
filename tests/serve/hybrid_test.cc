// Who answers: the device or the server.
#include "ondine/hybrid.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "adapters/adapter_fixture.h"
#include "adapters/pool_file.h"
#include "engine/engine_fixture.h"
#include "engine/model_parts.h"
#include "serve/raw_server.h"

namespace ondine::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

constexpr double kAlways = 1.1, kNever = -1.1;  // confidence is always below, or never

void AnswerWell(int connection, int number) {
  RawServer::Send(connection, kStreamHead + StreamPiece("Answer ") +
                                  StreamPiece(std::to_string(number)) + kStreamEnd);
}

Session DeviceSession(std::int64_t slots = 1024) {
  auto session = Session::Create(TinyLlamaModel(), InPot(slots));
  EXPECT_TRUE(session);
  return std::move(*session);
}

HybridSettings Settings(double confidence, Privacy privacy = Privacy::kAllow) {
  HybridSettings settings;
  settings.privacy = privacy;
  settings.budget = 1;
  settings.gate.thresholds = {{}, confidence};
  settings.gate.probe_tokens = 4;
  return settings;
}

HybridChat Chat(const std::string& url, const HybridSettings& settings) {
  ServerSettings server_settings;
  server_settings.url = url;
  auto server = Server::Create(server_settings);
  EXPECT_TRUE(server);
  auto chat = HybridChat::Create(DeviceSession(), std::move(*server), settings);
  EXPECT_TRUE(chat) << chat.error().ToString();
  return std::move(*chat);
}

HybridReply Say(HybridChat& chat, const std::string& message, std::string* heard = nullptr) {
  GenerationOptions options = Exactly(12);
  options.on_text = [&](std::string_view text) {
    if (heard != nullptr) *heard += text;
  };
  auto reply = chat.Say(message, options);
  EXPECT_TRUE(reply) << reply.error().ToString();
  return reply ? std::move(*reply) : HybridReply();
}

// What the device says without any of this.
std::vector<std::string> DeviceAnswers(const std::vector<std::string>& messages) {
  Session session = DeviceSession();
  std::vector<std::string> answers;
  for (const std::string& message : messages) {
    const auto reply = session.Say(message, Exactly(12));
    EXPECT_TRUE(reply);
    answers.push_back(reply->text);
  }
  return answers;
}

TEST(Hybrid, WhereTheModelIsSureTheDeviceAnswersAsItWouldAlone) {
  const RawServer raw(AnswerWell);
  HybridChat chat = Chat(raw.url(), Settings(kNever));
  const auto expected = DeviceAnswers({"Hello", "And?"});
  for (std::size_t i = 0; i < 2; ++i) {
    std::string heard;
    const HybridReply reply = Say(chat, i == 0 ? "Hello" : "And?", &heard);
    EXPECT_EQ(reply.text, expected[i]);
    EXPECT_EQ(heard, reply.text);
    EXPECT_FALSE(reply.decision.server);
    EXPECT_EQ(reply.decision.reason, HybridReason::kSure);
    EXPECT_TRUE(reply.decision.confidence);
    EXPECT_THAT(reply.decision.why, HasSubstr(">= -1.10"));
  }
  EXPECT_EQ(raw.connections(), 0);
}

TEST(Hybrid, WhereItIsUnsureTheServerAnswersAndTheConversationGoesOn) {
  const RawServer raw([](int connection, int number) {
    if (number < 2) return AnswerWell(connection, number);
    RawServer::Send(connection, HttpAnswer(402, ""));
  });
  HybridChat chat = Chat(raw.url(), Settings(kAlways));
  std::string heard;
  const HybridReply reply = Say(chat, "First secret", &heard);
  EXPECT_EQ(reply.text, "Answer 0");
  EXPECT_EQ(heard, "Answer 0");
  EXPECT_TRUE(reply.decision.server);
  EXPECT_TRUE(reply.decision.left);
  EXPECT_EQ(reply.decision.reason, HybridReason::kUnsure);
  EXPECT_THAT(reply.decision.why, HasSubstr("< 1.10; sent to " + raw.url()));
  EXPECT_EQ(Say(chat, "Second").text, "Answer 1");
  // Nothing of what was said before leaves.
  EXPECT_THAT(raw.requests().at(1), HasSubstr("Second"));
  EXPECT_THAT(raw.requests().at(1), Not(HasSubstr("First secret")));
  EXPECT_THAT(raw.requests().at(1), Not(HasSubstr("Answer 0")));
  // The device knows what the server said.
  Session told = DeviceSession();
  ASSERT_TRUE(told.AddTurn("First secret", "Answer 0"));
  ASSERT_TRUE(told.AddTurn("Second", "Answer 1"));
  EXPECT_EQ(Say(chat, "Third").text, told.Say("Third", Exactly(12))->text);
}

TEST(Hybrid, WithPrivacyNeverNoByteLeaves) {
  const RawServer raw(AnswerWell);
  HybridChat chat = Chat(raw.url(), Settings(kAlways, Privacy::kNever));
  const auto expected = DeviceAnswers({"One", "Two"});
  EXPECT_EQ(Say(chat, "One").text, expected[0]);
  const HybridReply reply = Say(chat, "Two");
  EXPECT_EQ(reply.text, expected[1]);
  EXPECT_EQ(reply.decision.reason, HybridReason::kPrivacy);
  EXPECT_FALSE(reply.decision.left);
  EXPECT_EQ(raw.connections(), 0);
  // A server is not even needed.
  EXPECT_TRUE(HybridChat::Create(DeviceSession(), {}, Settings(kAlways, Privacy::kNever)));
}

TEST(Hybrid, WithPrivacyAskOnlyWhatWasShownLeavesAndOnlyWithConsent) {
  const RawServer raw(AnswerWell);
  HybridSettings settings = Settings(kAlways, Privacy::kAsk);
  std::vector<std::string> shown;
  settings.consent = [&](const std::string& text, const std::string& address) {
    EXPECT_EQ(address, raw.url());
    shown.push_back(text);
    return text == "yes";
  };
  HybridChat chat = Chat(raw.url(), settings);
  const HybridReply no = Say(chat, "no");
  EXPECT_EQ(no.decision.reason, HybridReason::kNoConsent);
  EXPECT_EQ(no.text, DeviceAnswers({"no"})[0]);
  EXPECT_EQ(raw.connections(), 0);
  EXPECT_EQ(Say(chat, "yes").text, "Answer 0");
  EXPECT_THAT(shown, ElementsAre("no", "yes"));
}

TEST(Hybrid, WhatIsPrivateNeverLeaves) {
  const RawServer raw(AnswerWell);
  HybridSettings settings = Settings(kAlways);
  settings.private_patterns = {"project \\p{Lu}\\w+"};
  HybridChat chat = Chat(raw.url(), settings);
  for (const std::string message : {"What is project Ölberg?",
                                    "project \xff\xff",
                                    "-----BEGIN OPENSSH PRIVATE KEY-----\nabc",
                                    "-----BEGIN PGP PRIVATE KEY BLOCK-----",
                                    "use sk-abcdefghijklmnopqrstuvwx",
                                    "glpat-abcdefghijklmnopqrst",
                                    "card 4111 1111 1111 1111 please",
                                    "3782 822463 10005",
                                    "2223003122003222",
                                    "on 6.5.: 5555-5555-5555-4444",
                                    "4111.1111.1111.1111",
                                    "4111\u00a01111\u00a01111\u00a01111",
                                    "4111  1111\t1111\n1111",
                                    "4111 1111-1111/1111",
                                    "41111111 11111111",
                                    "411111\u20131111111111",
                                    "4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1",
                                    "\uff14\uff11\uff11\uff11 1111 1111 1111",
                                    "我的密钥是sk-abcdefghijklmnopqrstuvwx",
                                    "TOKEN_AKIAIOSFODNN7EXAMPLE"}) {
    const HybridReply reply = Say(chat, message);
    EXPECT_EQ(reply.decision.reason, HybridReason::kPrivateText) << message;
    EXPECT_THAT(reply.decision.why, HasSubstr("the message holds"));
  }
  EXPECT_EQ(raw.connections(), 0);
  for (const std::string message :
       {"What is a project?", "4242424242424243", "id 41111111111111111111111",
        "2020 2021 2022 2023 2024 2025 2026", "2 3 5 7 11 13 17 19 23 29 31 37",
        "25 36 49 64 81 100 121 144 169", "4111 and 1111 and 1111 and 1111",
        "riskAKIAIOSFODNN7EXAMPLE"}) {
    EXPECT_TRUE(Say(chat, message).decision.server) << message;
  }
}

TEST(Hybrid, TheBudgetIsKept) {
  const RawServer raw(AnswerWell);
  for (const auto& [budget, expected] : {std::pair{0.0, 0}, {0.1, 1}, {0.5, 5}, {1.0, 10}}) {
    HybridSettings settings = Settings(kAlways);
    settings.budget = budget;
    HybridChat chat = Chat(raw.url(), settings);
    int sent = 0;
    for (int i = 0; i < 10; ++i) {
      const HybridReply reply = Say(chat, "Hello");
      sent += reply.decision.server ? 1 : 0;
      EXPECT_EQ(reply.decision.reason,
                reply.decision.server ? HybridReason::kUnsure : HybridReason::kBudget);
    }
    EXPECT_EQ(sent, expected) << budget;
  }
}

TEST(Hybrid, WhereTheServerIsAwayTheDeviceAnswersAndIsNotKeptWaitingAgain) {
  HybridSettings settings = Settings(kAlways);
  std::vector<std::string> told;
  settings.on_fallback = [&](const ServerAnswer& failed) {
    told.push_back(ServerFailureName(*failed.failure));
  };
  settings.budget = 0.1;
  HybridChat chat = Chat("http://127.0.0.1:" + std::to_string(UnusedPort()), settings);
  const auto expected = DeviceAnswers({"One", "Two"});
  HybridReply reply = Say(chat, "One");
  EXPECT_EQ(reply.text, expected[0]);
  EXPECT_EQ(reply.decision.reason, HybridReason::kServerFailed);
  EXPECT_EQ(reply.decision.failure, ServerFailure::kUnreachable);
  EXPECT_FALSE(reply.decision.left);
  EXPECT_THAT(told, ElementsAre(HasSubstr("unreachable")));
  reply = Say(chat, "Two");
  EXPECT_EQ(reply.text, expected[1]);
  EXPECT_EQ(reply.decision.reason, HybridReason::kServerDown);
}

TEST(Hybrid, WhereTheServerBreaksOffTheDeviceAnswersInstead) {
  const RawServer raw([](int connection, int) {
    RawServer::Send(connection, kStreamHead + StreamPiece("Half an"));
  });
  HybridSettings settings = Settings(kAlways);
  std::string heard;
  settings.on_fallback = [&](const ServerAnswer& failed) { heard += "|" + failed.text + "|"; };
  HybridChat chat = Chat(raw.url(), settings);
  const HybridReply reply = Say(chat, "One", &heard);
  EXPECT_EQ(reply.text, DeviceAnswers({"One"})[0]);
  EXPECT_EQ(heard, "Half an|Half an|" + reply.text);
  EXPECT_EQ(reply.decision.failure, ServerFailure::kBroken);
  EXPECT_TRUE(reply.decision.left);
}

class HybridTask : public ::testing::Test {
 protected:
  HybridTask() {
    const std::string path = folder_.File("pool.gguf");
    EXPECT_TRUE(adapters::WritePool(RandomPool(*TinyLlamaModel()->parts().decoder, 3, 2), path));
    auto pool = AdapterPool::Load(TinyLlamaModel(), path);
    EXPECT_TRUE(pool) << pool.error().ToString();
    settings_.pool = *pool;
    settings_.task = *(*pool)->TaskOf({{"what do plants need", ""}});
    settings_.gate.thresholds.task = 0.95;
  }

  TempDir folder_;
  HybridSettings settings_ = Settings(kNever);
};

TEST_F(HybridTask, ForeignQuestionsLeaveBeforeTheDeviceBegins) {
  const RawServer raw(AnswerWell);
  HybridChat chat = Chat(raw.url(), settings_);
  const HybridReply foreign = Say(chat, "QQQQ 7777");
  EXPECT_EQ(foreign.text, "Answer 0");
  EXPECT_EQ(foreign.decision.reason, HybridReason::kOffTask);
  EXPECT_FALSE(foreign.decision.confidence);
  EXPECT_LT(*foreign.decision.task, 0.95);
  const HybridReply own = Say(chat, "what do plants need");
  EXPECT_FALSE(own.decision.server);
  EXPECT_EQ(own.decision.reason, HybridReason::kSure);
  EXPECT_GT(*own.decision.task, 0.95);
  // The device goes on from what the server said.
  Session told = DeviceSession();
  ASSERT_TRUE(told.AddTurn("QQQQ 7777", "Answer 0"));
  EXPECT_EQ(own.text, told.Say("what do plants need", Exactly(12))->text);
}

TEST_F(HybridTask, AForeignQuestionIsTriedOnceOnly) {
  settings_.gate.thresholds.confidence = kAlways;
  int told = 0;
  settings_.on_fallback = [&](const ServerAnswer&) { ++told; };
  const RawServer raw(
      [](int connection, int) { RawServer::Send(connection, HttpAnswer(401, "{}")); });
  HybridChat chat = Chat(raw.url(), settings_);
  const HybridReply reply = Say(chat, "QQQQ 7777");
  EXPECT_EQ(reply.text, DeviceAnswers({"QQQQ 7777"})[0]);
  EXPECT_EQ(reply.decision.reason, HybridReason::kServerFailed);
  EXPECT_EQ(raw.connections(), 1);
  EXPECT_EQ(told, 1);
}

TEST_F(HybridTask, SettingsThatMakeNoSenseAreRefused) {
  const auto refused = [](HybridSettings settings, bool with_server = true,
                          std::int64_t slots = 1024) {
    std::optional<Server> server;
    if (with_server) server = std::move(*Server::Create({.url = "http://127.0.0.1:1"}));
    const auto chat =
        HybridChat::Create(DeviceSession(slots), std::move(server), std::move(settings));
    ASSERT_FALSE(chat);
    EXPECT_EQ(chat.error().code, ErrorCode::kInvalidArgument);
  };
  refused(Settings(0.5), false);
  refused(Settings(0.5, Privacy::kAsk));
  refused(Settings(0.5), true, 8);  // before a message has left, not after
  HybridSettings settings = Settings(0.5);
  settings.budget = 1.5;
  refused(settings);
  settings = Settings(0.5);
  settings.private_patterns = {"(unclosed"};
  refused(settings);
  settings_.task.clear();
  refused(settings_);
}

TEST(Privacy, NamesAreKnown) {
  EXPECT_EQ(*ParsePrivacy("never"), Privacy::kNever);
  EXPECT_EQ(*ParsePrivacy("ask"), Privacy::kAsk);
  EXPECT_EQ(*ParsePrivacy("allow"), Privacy::kAllow);
  EXPECT_FALSE(ParsePrivacy("maybe"));
}

}  // namespace
}  // namespace ondine::testing
