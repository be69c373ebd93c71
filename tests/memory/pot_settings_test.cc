// Settings that contradict each other are refused before anything is allocated or read.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>

#include "memory/pot_fixture.h"

namespace ondine::testing {
namespace {

using ::testing::HasSubstr;

class PotSettingsTest : public ::testing::Test {
 protected:
  // The error of a pot of 64 slots and 8 catalyst tokens (C = 32) after `change`.
  Error Refused(const std::function<void(PotSettings&)>& change, std::int64_t catalyst = 8) {
    PotSettings settings = SmallPot(64);
    change(settings);
    const auto pot = Pot::Create(TinyLlama(), pool_, settings, RandomText(catalyst));
    EXPECT_FALSE(pot);
    return pot ? Error() : pot.error();
  }

  void ExpectRefused(const std::function<void(PotSettings&)>& change, std::int64_t catalyst = 8) {
    const Error error = Refused(change, catalyst);
    EXPECT_EQ(error.code, ErrorCode::kInvalidArgument) << error.ToString();
    EXPECT_FALSE(error.message.empty());
    EXPECT_EQ(error.message.find('\n'), std::string::npos);
  }

  bool Accepted(const PotSettings& settings, std::int64_t catalyst) {
    return Pot::Create(TinyLlama(), pool_, settings, RandomText(catalyst)).has_value();
  }

  compute::ThreadPool pool_{1};
};

TEST_F(PotSettingsTest, KeepsFloorOfKeepTimesSlots) {
  PotSettings settings = SmallPot(65);
  for (const auto& [keep, kept] : {std::pair{0.5, 32}, {0.75, 48}, {0.26, 16}}) {
    settings.keep = keep;
    EXPECT_EQ(MakePot(TinyLlama(), pool_, settings)->kept(), kept);
  }
}

TEST_F(PotSettingsTest, SurvivorsAndCatalystMustLeaveRoomToRead) {
  PotSettings settings = SmallPot(64);
  EXPECT_TRUE(Accepted(settings, 31));
  EXPECT_FALSE(Accepted(settings, 32));
  const Error error = Refused([](PotSettings&) {}, 32);
  EXPECT_EQ(error.code, ErrorCode::kInvalidArgument);
  EXPECT_THAT(error.message, HasSubstr("--pot"));
}

TEST_F(PotSettingsTest, ProtectedEntriesMustBeFewerThanSurvivors) {
  PotSettings settings = SmallPot(64);
  settings.sinks = 20;
  settings.recent = 11;
  EXPECT_TRUE(Accepted(settings, 8));
  settings.recent = 12;
  EXPECT_FALSE(Accepted(settings, 8));
}

TEST_F(PotSettingsTest, SnapKvProtectsItsWindowToo) {
  PotSettings settings = SmallPot(68, PotPolicy::kSnapKv);  // C = 34 = sinks and window
  EXPECT_FALSE(Accepted(settings, 8));
  settings.slots = 70;
  EXPECT_TRUE(Accepted(settings, 8));
}

TEST_F(PotSettingsTest, RecentByDefaultIsATenthOrAQuarterOfTheSurvivors) {
  PotSettings settings = SmallPot(400);
  settings.sinks = 0;
  settings.recent.reset();
  settings.alpha = 1;
  settings.surprise_span = 1;
  for (const auto& [keep, recent] : {std::pair{0.5, 40}, {0.25, 25}}) {
    settings.keep = keep;
    auto pot = MakePot(TinyLlama(), pool_, settings, 8);
    ASSERT_TRUE(Read(*pot, RandomText(392)));
    ASSERT_TRUE(Read(*pot, {1}));
    ASSERT_EQ(pot->counters().distillations, 1);
    for (const memory::HeadEntries& head : pot->entries()[0]) {
      const auto& origin = head.origin;  // the newest, 392, came after the distillation
      for (int i = 0; i < recent; ++i) {
        ASSERT_EQ(origin[origin.size() - 2 - static_cast<std::size_t>(i)], 391 - i);
      }
    }
  }
}

TEST_F(PotSettingsTest, AnEmptyCatalystNeedsAPolicyWithoutOne) {
  PotSettings settings = SmallPot(64);
  settings.alpha = 0.75;
  EXPECT_FALSE(Accepted(settings, 0));
  settings.alpha = 1;
  EXPECT_TRUE(Accepted(settings, 0));
  settings.policy = PotPolicy::kCap;
  EXPECT_FALSE(Accepted(settings, 0));
  for (const PotPolicy policy : {PotPolicy::kSirLlm, PotPolicy::kTova, PotPolicy::kKeyDiff,
                                 PotPolicy::kStreaming, PotPolicy::kFull, PotPolicy::kTruncate}) {
    settings.policy = policy;
    settings.alpha = 0.5;
    EXPECT_TRUE(Accepted(settings, 0)) << PotPolicyName(policy);
  }
}

TEST_F(PotSettingsTest, ACatalystHasAtMost512Tokens) {
  PotSettings settings = SmallPot(2048);
  EXPECT_TRUE(Accepted(settings, 512));
  EXPECT_FALSE(Accepted(settings, 513));
}

TEST_F(PotSettingsTest, NumbersOutOfRangeAreRefused) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const double infinity = std::numeric_limits<double>::infinity();
  for (const double keep : {0.0, 1.0, -0.5, 1.5, nan, infinity, -infinity, 1e300}) {
    ExpectRefused([&](PotSettings& s) { s.keep = keep; });
  }
  for (const double alpha : {-0.01, 1.01, nan, infinity, -infinity}) {
    ExpectRefused([&](PotSettings& s) { s.alpha = alpha; });
  }
  for (const int count : {-1, std::numeric_limits<int>::min()}) {
    ExpectRefused([&](PotSettings& s) { s.sinks = count; });
    ExpectRefused([&](PotSettings& s) { s.recent = count; });
  }
  for (const int span : {-1, std::numeric_limits<int>::min()}) {
    ExpectRefused([&](PotSettings& s) { s.surprise_span = span; });
    ExpectRefused([&](PotSettings& s) { s.attention_span = span; });
  }
  ExpectRefused([](PotSettings& s) { s.attention_span = 0; });
  for (const double share : {-0.1, 1.5, std::numeric_limits<double>::quiet_NaN()}) {
    ExpectRefused([&](PotSettings& s) { s.rarity = share; });
  }
  ExpectRefused([](PotSettings& s) { s.archive = -1; });
  ExpectRefused([](PotSettings& s) { s.surprise_stride = 0; });
  ExpectRefused([](PotSettings& s) { s.sinks = std::numeric_limits<int>::max(); });
  ExpectRefused([](PotSettings& s) { s.recent = std::numeric_limits<int>::max(); });
}

TEST_F(PotSettingsTest, ReductionsThatMakeNoSenseAreRefused) {
  ExpectRefused([](PotSettings& s) { s.over_catalyst = Reduce::kMean; });
  ExpectRefused([](PotSettings& s) { s.over_group = Reduce::kSum; });
}

TEST_F(PotSettingsTest, NumbersOfSlotsOutOfRangeAreRefusedWithoutAllocating) {
  for (const PotPolicy policy : {PotPolicy::kInfiniPot, PotPolicy::kFull}) {
    for (const std::int64_t slots :
         {std::int64_t{0}, std::int64_t{-1}, std::numeric_limits<std::int64_t>::min(),
          std::int64_t{1} << 32, std::numeric_limits<std::int64_t>::max()}) {
      ExpectRefused([&](PotSettings& s) {
        s.slots = slots;
        s.policy = policy;
      });
    }
  }
}

TEST_F(PotSettingsTest, EveryNameIsParsedToItsPolicy) {
  for (const std::string& name : PotPolicyNames()) {
    const auto policy = ParsePotPolicy(name);
    ASSERT_TRUE(policy);
    EXPECT_EQ(PotPolicyName(*policy), name);
  }
  EXPECT_EQ(ParsePotPolicy("truncate-middle").value(), PotPolicy::kTruncate);
  const auto unknown = ParsePotPolicy("infini");
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().code, ErrorCode::kInvalidArgument);
  EXPECT_THAT(unknown.error().message, HasSubstr("sirllm"));
  for (const CacheType type : {CacheType::kF16, CacheType::kQ8_0, CacheType::kQ4_0}) {
    EXPECT_EQ(ParseCacheType(CacheTypeName(type)).value(), type);
  }
  EXPECT_FALSE(ParseCacheType("f32"));
}

}  // namespace
}  // namespace ondine::testing
