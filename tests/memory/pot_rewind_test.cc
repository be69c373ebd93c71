// Going back: to a mark while nothing was distilled, to a snapshot whatever happened.
#include <gtest/gtest.h>

#include "memory/pot_fixture.h"
#include "memory/pot_snapshot.h"

namespace ondine::testing {
namespace {

class PotRewind : public ::testing::Test {
 protected:
  // The pot and its future are what they were: the same state, and the same after more text.
  void ExpectUntouched(Pot& pot, Pot& untouched) {
    EXPECT_EQ(StateOf(pot), StateOf(untouched));
    EXPECT_EQ(LogitsOf(pot), LogitsOf(untouched));
    EXPECT_EQ(pot.counters().tokens, untouched.counters().tokens);
    EXPECT_EQ(pot.counters().distillations, untouched.counters().distillations);
    for (Pot* each : {&pot, &untouched}) ASSERT_TRUE(Read(*each, RandomText(150, 77)));
    EXPECT_EQ(StateOf(pot), StateOf(untouched));
    EXPECT_EQ(LogitsOf(pot), LogitsOf(untouched));
  }

  compute::ThreadPool pool_{2};
};

TEST_F(PotRewind, TakesBackWhatWasReadSinceTheMark) {
  for (const auto& decoder : {TinyLlama(), TinyGemma()}) {
    for (const PotPolicy policy : {PotPolicy::kInfiniPot, PotPolicy::kTova, PotPolicy::kFull}) {
      const PotSettings settings = SmallPot(policy == PotPolicy::kFull ? 512 : 100, policy);
      auto pot = MakePot(decoder, pool_, settings);
      auto untouched = MakePot(decoder, pool_, settings);
      for (Pot* each : {pot.get(), untouched.get()}) ASSERT_TRUE(Read(*each, RandomText(150)));
      const Pot::Mark mark = pot->SetMark();
      ASSERT_TRUE(pot->CanRewind(20));
      ASSERT_TRUE(Read(*pot, RandomText(12, 5), Pot::Part::kQuestion));
      ASSERT_TRUE(Read(*pot, RandomText(8, 6)));
      ASSERT_NE(StateOf(*pot), StateOf(*untouched));
      pot->Rewind(mark);
      ExpectUntouched(*pot, *untouched);
    }
  }
}

// What was not flushed is forgotten too.
TEST_F(PotRewind, ForgetsTokensThatWait) {
  auto pot = MakePot(TinyLlama(), pool_, SmallPot(512));
  auto untouched = MakePot(TinyLlama(), pool_, SmallPot(512));
  for (Pot* each : {pot.get(), untouched.get()}) ASSERT_TRUE(Read(*each, RandomText(50)));
  const Pot::Mark mark = pot->SetMark();
  ASSERT_TRUE(pot->Feed(RandomText(30, 4), Pot::Part::kText, StopToken()));
  pot->Rewind(mark);
  ExpectUntouched(*pot, *untouched);
}

// Sliding windows forget: what CanRewind() promises must hold wherever the ring stands.
TEST_F(PotRewind, TakesBackWhateverItSaysItCan) {
  for (const auto& decoder : {TinyLlama(), TinyGemma()}) {
    int refused = 0;
    for (const std::int64_t text : {500, 527, 560, 592}) {
      for (const std::int64_t question : {1, 32, 64, 65, 150}) {
        auto pot = MakePot(decoder, pool_, SmallPot(1024));
        ASSERT_TRUE(Read(*pot, RandomText(text)));
        if (!pot->CanRewind(question)) {
          ++refused;
          continue;
        }
        auto untouched = MakePot(decoder, pool_, SmallPot(1024));
        ASSERT_TRUE(Read(*untouched, RandomText(text)));
        const Pot::Mark mark = pot->SetMark();
        // An answer comes token by token.
        for (const TokenId token : RandomText(question, 9)) ASSERT_TRUE(Read(*pot, {token}));
        pot->Rewind(mark);
        SCOPED_TRACE(std::to_string(text) + " and " + std::to_string(question));
        ExpectUntouched(*pot, *untouched);
      }
    }
    EXPECT_EQ(refused > 0, decoder == TinyGemma());
  }
}

TEST_F(PotRewind, CannotGoBackBehindADistillation) {
  auto pot = MakePot(TinyLlama(), pool_, SmallPot(64));
  ASSERT_TRUE(Read(*pot, RandomText(40)));
  EXPECT_TRUE(pot->CanRewind(16));
  EXPECT_FALSE(pot->CanRewind(17));
}

TEST_F(PotRewind, ASnapshotBringsBackADistilledPot) {
  for (const auto& decoder : {TinyLlama(), TinyGemma()}) {
    for (const CacheType type : {CacheType::kF16, CacheType::kQ4_0}) {
      PotSettings settings = SmallPot(100);
      settings.type = type;
      auto pot = MakePot(decoder, pool_, settings);
      auto untouched = MakePot(decoder, pool_, settings);
      for (Pot* each : {pot.get(), untouched.get()}) ASSERT_TRUE(Read(*each, RandomText(700)));
      const auto snapshot = memory::PotSnapshot::Take(*pot);
      ASSERT_TRUE(snapshot) << snapshot.error().ToString();
      // More than once: a snapshot serves any number of questions.
      for (int i = 0; i < 2; ++i) {
        ASSERT_TRUE(Read(*pot, RandomText(10, 5), Pot::Part::kQuestion));
        ASSERT_TRUE(Read(*pot, RandomText(700, 6)));
        ASSERT_GT(pot->counters().distillations, untouched->counters().distillations);
        ASSERT_TRUE(snapshot->Restore(*pot));
        ASSERT_EQ(StateOf(*pot), StateOf(*untouched));
      }
      ExpectUntouched(*pot, *untouched);
    }
  }
}

TEST_F(PotRewind, ASnapshotOfAnEmptyPotEmptiesIt) {
  auto pot = MakePot(TinyGemma(), pool_, SmallPot(64));
  auto untouched = MakePot(TinyGemma(), pool_, SmallPot(64));
  const auto snapshot = memory::PotSnapshot::Take(*pot);
  ASSERT_TRUE(snapshot);
  ASSERT_TRUE(Read(*pot, RandomText(300)));
  ASSERT_TRUE(snapshot->Restore(*pot));
  for (Pot* each : {pot.get(), untouched.get()}) ASSERT_TRUE(Read(*each, RandomText(90)));
  EXPECT_EQ(StateOf(*pot), StateOf(*untouched));
}

}  // namespace
}  // namespace ondine::testing
