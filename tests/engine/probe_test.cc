// How sure the model is, and answers that take the place of its own.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <string>

#include "engine/confidence.h"
#include "engine/engine_fixture.h"

namespace ondine::testing {
namespace {

TEST(ConfidenceMeter, AveragesWhatTheLogitsSay) {
  engine::ConfidenceMeter meter;
  EXPECT_EQ(meter.result().tokens, 0);
  // Logits are probabilities up to a constant factor.
  meter.Add(std::array{std::log(5.F), std::log(3.F), std::log(2.F)}, 1);
  meter.Add(std::array{std::log(.1F), std::log(.1F), std::log(.8F)}, 2);
  const Confidence result = meter.result();
  EXPECT_EQ(result.tokens, 2);
  EXPECT_NEAR(result.probability, std::sqrt(.3 * .8), 1e-6);
  EXPECT_NEAR(result.margin, (.2 + .7) / 2, 1e-6);
  const double first = -(.5 * std::log(.5) + .3 * std::log(.3) + .2 * std::log(.2));
  const double second = -(.2 * std::log(.1) + .8 * std::log(.8));
  EXPECT_NEAR(result.entropy, (first + second) / 2, 2e-3);
}

Session Talking(std::int64_t slots) {
  auto session = Session::Create(TinyLlamaModel(), InPot(slots));
  EXPECT_TRUE(session);
  return std::move(*session);
}

std::string Say(Session& session, const std::string& message, const GenerationOptions& options) {
  const auto reply = session.Say(message, options);
  EXPECT_TRUE(reply) << reply.error().ToString();
  return reply ? reply->text : "";
}

// Slots: a conversation that fits, and one that has to be distilled while the probe is out.
class Probe : public ::testing::TestWithParam<std::int64_t> {};
INSTANTIATE_TEST_SUITE_P(Slots, Probe, ::testing::Values(4096, 128));

TEST_P(Probe, ThatSaysNothingChangesNothing) {
  Session plain = Talking(GetParam()), probed = Talking(GetParam());
  int asked = 0;
  for (const int tokens : {60, 20}) {  // more than the probe needs, and fewer
    std::string heard;
    GenerationOptions options = Exactly(tokens);
    options.probe_tokens = 40;
    options.on_probe = [&](const Confidence& confidence) -> std::optional<std::string> {
      EXPECT_EQ(confidence.tokens, std::min(tokens, 40));
      EXPECT_GT(confidence.probability, 0);
      EXPECT_LE(confidence.probability, 1);
      EXPECT_EQ(heard, "");
      ++asked;
      return {};
    };
    options.on_text = [&](std::string_view text) { heard += text; };
    const std::string text = Say(probed, "A message", options);
    EXPECT_EQ(text, Say(plain, "A message", Exactly(tokens)));
    EXPECT_EQ(heard, text);
  }
  EXPECT_EQ(asked, 2);
}

TEST_P(Probe, ThatAnswersIsWhatTheConversationGoesOnFrom) {
  Session told = Talking(GetParam()), probed = Talking(GetParam());
  GenerationOptions options = Exactly(60);
  options.probe_tokens = 40;
  options.on_probe = [](const Confidence&) { return "Something else."; };
  options.on_text = [](std::string_view text) { FAIL() << text; };
  for (int turn = 0; turn < 3; ++turn) {
    const auto reply = probed.Say("A message of some length", options);
    ASSERT_TRUE(reply);
    EXPECT_EQ(reply->text, "Something else.");
    EXPECT_EQ(reply->finish, FinishReason::kReplaced);
    ASSERT_TRUE(told.AddTurn("A message of some length", "Something else."));
  }
  EXPECT_EQ(Say(probed, "And now?", Exactly(30)), Say(told, "And now?", Exactly(30)));
}

TEST_P(Probe, ThatIsStoppedGivesNothingOut) {
  Session session = Talking(GetParam());
  GenerationOptions options = Exactly(60);
  options.on_probe = [&](const Confidence&) {
    options.stop_token.Stop();
    return std::optional<std::string>();
  };
  options.on_text = [](std::string_view text) { FAIL() << text; };
  const auto reply = session.Say("A message", options);
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->finish, FinishReason::kCancelled);
  EXPECT_EQ(reply->text, "");
  // Nor does the conversation know of it.
  Session silent = Talking(GetParam());
  ASSERT_TRUE(silent.AddTurn("A message", ""));
  EXPECT_EQ(Say(session, "And?", Exactly(20)), Say(silent, "And?", Exactly(20)));
}

TEST(ProbeTokens, AreAtLeastOne) {
  Session session = Talking(4096);
  GenerationOptions options = Exactly(4);
  options.on_probe = [](const Confidence&) { return std::nullopt; };
  options.probe_tokens = 0;
  const auto reply = session.Say("A message", options);
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().code, ErrorCode::kInvalidArgument);
}

TEST(Session, ATurnThatIsStoppedWhileItIsReadHasNotBeen) {
  Session stopped = Talking(4096), plain = Talking(4096);
  for (int turn = 0; turn < 2; ++turn) {
    EXPECT_EQ(Say(stopped, "Hello", Exactly(20)), Say(plain, "Hello", Exactly(20)));
    GenerationOptions options = Exactly(4);
    options.stop_token.Stop();
    const auto reply = stopped.Say(std::string(600, 'x'), options);
    ASSERT_FALSE(reply);
    EXPECT_EQ(reply.error().code, ErrorCode::kCancelled);
  }
}

TEST(Session, IsForgottenWhereATurnThatIsStoppedCannotBeTakenBack) {
  Session stopped = Talking(128), fresh = Talking(128);
  Say(stopped, "Hello", Exactly(20));
  GenerationOptions options = Exactly(4);
  options.stop_token.Stop();
  EXPECT_FALSE(stopped.Say(std::string(600, 'x'), options));
  EXPECT_EQ(Say(stopped, "Anew", Exactly(20)), Say(fresh, "Anew", Exactly(20)));
}

TEST(Session, OptionsThatMakeNoSenseAddNothingToTheConversation) {
  Session session = Talking(4096), plain = Talking(4096);
  EXPECT_EQ(Say(session, "Hello", Exactly(20)), Say(plain, "Hello", Exactly(20)));
  GenerationOptions options = Exactly(4);
  options.sampling.top_p = -1;
  EXPECT_FALSE(session.Say("Nothing", options));
  EXPECT_EQ(Say(session, "And?", Exactly(20)), Say(plain, "And?", Exactly(20)));
}

TEST(Session, AnAddedTurnThatIsStoppedWhileItIsReadHasNotBeen) {
  Session stopped = Talking(4096), plain = Talking(4096);
  EXPECT_EQ(Say(stopped, "Hello", Exactly(20)), Say(plain, "Hello", Exactly(20)));
  StopToken stop;
  stop.Stop();
  const Status added = stopped.AddTurn(std::string(600, 'x'), "An answer.", "", stop);
  ASSERT_FALSE(added);
  EXPECT_EQ(added.error().code, ErrorCode::kCancelled);
  EXPECT_EQ(Say(stopped, "And?", Exactly(20)), Say(plain, "And?", Exactly(20)));
}

TEST(Session, WhatSomethingElseAnsweredIsKnownAfterwards) {
  Session one = Talking(4096), other = Talking(4096), same = Talking(4096);
  ASSERT_TRUE(one.AddTurn("Hello", "An answer."));
  ASSERT_TRUE(other.AddTurn("Hello", "No answer."));
  ASSERT_TRUE(same.AddTurn("Hello", "An answer."));
  const std::string reply = Say(one, "And?", Exactly(30));
  EXPECT_EQ(reply, Say(same, "And?", Exactly(30)));
  EXPECT_NE(reply, Say(other, "And?", Exactly(30)));
}

}  // namespace
}  // namespace ondine::testing
