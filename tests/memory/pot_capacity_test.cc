// The promise of fixed memory: how many entries there are, when the pot distils, and that a text
// that fits is read as if there were no pot.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "memory/pot_fixture.h"

namespace ondine::testing {
namespace {

constexpr std::array kDistilling = {PotPolicy::kInfiniPot, PotPolicy::kCap,
                                    PotPolicy::kSirLlm,    PotPolicy::kTova,
                                    PotPolicy::kKeyDiff,   PotPolicy::kStreaming};

class PotCapacity : public ::testing::Test {
 protected:
  void CheckEntries(const Pot& pot, std::int64_t expected) const {
    for (const auto& layer : pot.entries()) {
      for (const memory::HeadEntries& head : layer) {
        ASSERT_EQ(static_cast<std::int64_t>(head.origin.size()), expected);
        ASSERT_EQ(head.surprise.size(), head.origin.size());
      }
    }
  }

  compute::ThreadPool pool_{2};
};

// Cuts of a text at random places; an empty piece now and then.
std::vector<Tokens> RandomCuts(const Tokens& text) {
  std::vector<Tokens> pieces;
  for (std::size_t i = 0; i < text.size();) {
    const auto n = static_cast<std::size_t>(*rc::gen::inRange(1, 120));
    const std::size_t end = std::min(text.size(), i + n);
    if (n % 7 == 3) pieces.emplace_back();
    pieces.emplace_back(text.begin() + static_cast<std::ptrdiff_t>(i),
                        text.begin() + static_cast<std::ptrdiff_t>(end));
    i = end;
  }
  return pieces;
}

TEST_F(PotCapacity, IsNeverExceededAndDistillationsFollowTheFormula) {
  rc::check([this] {
    const std::int64_t slots = *rc::gen::inRange(16, 160);
    const std::int64_t catalyst = *rc::gen::inRange(0, 24);
    PotSettings settings = SmallPot(slots, *rc::gen::elementOf(kDistilling));
    settings.keep = *rc::gen::inRange(10, 95) / 100.0;
    settings.alpha = catalyst == 0 ? 1.0 : *rc::gen::inRange(0, 5) / 4.0;
    settings.sinks = *rc::gen::inRange(0, 6);
    settings.recent = *rc::gen::inRange(0, 6);
    settings.reset_positions = *rc::gen::arbitrary<bool>();
    const auto kept = static_cast<std::int64_t>(settings.keep * static_cast<double>(slots));
    RC_PRE(kept + catalyst < slots && settings.sinks + *settings.recent < kept);
    RC_PRE(catalyst > 0 || settings.policy != PotPolicy::kCap);

    auto pot = MakePot(TinyLlama(), pool_, settings, catalyst);
    const Tokens text = RandomText(*rc::gen::inRange(0, 500));
    for (const Tokens& piece : RandomCuts(text)) {
      RC_ASSERT(pot->Feed(piece, Pot::Part::kText, StopToken()).has_value());
      RC_ASSERT(pot->length() <= slots - catalyst);
    }
    RC_ASSERT(pot->Flush(StopToken()).has_value());
    const auto n = static_cast<std::int64_t>(text.size());
    const std::int64_t distillations = ExpectedDistillations(n, slots, kept, catalyst);
    RC_ASSERT(pot->kept() == kept);
    RC_ASSERT(pot->counters().tokens == n);
    RC_ASSERT(pot->counters().distillations == distillations);
    RC_ASSERT(pot->counters().peak_entries <= slots);
    RC_ASSERT(pot->length() == n - distillations * (slots - catalyst - kept));
    CheckEntries(*pot, pot->length());
    RC_ASSERT(!::testing::Test::HasFatalFailure());
  });
}

TEST_F(PotCapacity, IsUsedUpToTheLastSlotByTheCatalyst) {
  auto pot = MakePot(TinyLlama(), pool_, SmallPot(64), 10);
  ASSERT_TRUE(Read(*pot, RandomText(200)));
  EXPECT_EQ(pot->counters().peak_entries, 64);
}

TEST_F(PotCapacity, DistilsFirstWhereOneTokenMoreIsToCome) {
  constexpr std::int64_t kSlots = 64, kCatalyst = 10, kFits = kSlots - kCatalyst;
  auto pot = MakePot(TinyLlama(), pool_, SmallPot(kSlots), kCatalyst);
  EXPECT_TRUE(pot->CanRewind(kFits));
  EXPECT_FALSE(pot->CanRewind(kFits + 1));
  ASSERT_TRUE(Read(*pot, RandomText(kFits)));
  EXPECT_EQ(pot->counters().distillations, 0);
  EXPECT_EQ(pot->length(), kFits);
  EXPECT_TRUE(pot->CanRewind(0));
  EXPECT_FALSE(pot->CanRewind(1));
  ASSERT_TRUE(Read(*pot, {7}));
  EXPECT_EQ(pot->counters().distillations, 1);
  EXPECT_EQ(pot->length(), pot->kept() + 1);
}

TEST_F(PotCapacity, DistilsAsOftenAsTheFormulaSaysOverALongText) {
  auto pot = MakePot(TinyLlama(), pool_, SmallPot(2048), 8);
  // The specification's example with a shorter text.
  const std::int64_t n = 8192;
  ASSERT_TRUE(Read(*pot, RandomText(n)));
  EXPECT_EQ(pot->counters().distillations, ExpectedDistillations(n, 2048, 1024, 8));
  EXPECT_EQ(ExpectedDistillations(32768, 2048, 1024, 8), 31);
}

TEST_F(PotCapacity, NothingToReadChangesNothing) {
  auto pot = MakePot(TinyLlama(), pool_, SmallPot(64));
  ASSERT_TRUE(Read(*pot, {}));
  EXPECT_EQ(pot->length(), 0);
  ASSERT_TRUE(Read(*pot, RandomText(30)));
  const std::uint64_t state = StateOf(*pot);
  ASSERT_TRUE(Read(*pot, {}));
  EXPECT_EQ(StateOf(*pot), state);
}

// Text and generated tokens of a text that fits: the same bits in a pot of any size, of any policy
// and in a cache that keeps everything.
TEST_F(PotCapacity, ATextThatFitsIsReadAsIfThereWereNoPot) {
  for (const auto& decoder : {TinyLlama(), TinyGemma()}) {
    for (const std::int64_t n : {1, 54, 300, 700}) {
      const Tokens text = RandomText(n);
      PotSettings full = SmallPot(1024, PotPolicy::kFull);
      auto reference = MakePot(decoder, pool_, full);
      ASSERT_TRUE(Read(*reference, text));
      const std::vector<float> logits = LogitsOf(*reference);
      for (const PotPolicy policy : kDistilling) {
        for (const std::int64_t slots : {n + 8, n + 1000}) {
          PotSettings settings = SmallPot(std::max<std::int64_t>(slots, 32), policy);
          auto pot = MakePot(decoder, pool_, settings);
          ASSERT_TRUE(Read(*pot, text));
          EXPECT_EQ(pot->counters().distillations, 0);
          EXPECT_EQ(LogitsOf(*pot), logits)
              << PotPolicyName(policy) << ", " << n << " tokens in " << slots;
        }
      }
    }
  }
}

TEST_F(PotCapacity, GoesOnLikeAFullCacheUntilItIsFull) {
  auto pot = MakePot(TinyLlama(), pool_, SmallPot(64), 8);
  auto full = MakePot(TinyLlama(), pool_, SmallPot(64, PotPolicy::kFull), 8);
  ASSERT_TRUE(Read(*pot, RandomText(40)));
  ASSERT_TRUE(Read(*full, RandomText(40)));
  for (const TokenId token : RandomText(16, 5)) {
    ASSERT_TRUE(Read(*pot, {token}));
    ASSERT_TRUE(Read(*full, {token}));
    ASSERT_EQ(LogitsOf(*pot), LogitsOf(*full));
  }
  EXPECT_EQ(pot->counters().distillations, 0);
}

TEST_F(PotCapacity, TheCallersCutsChangeNothing) {
  for (const auto& decoder : {TinyLlama(), TinyGemma()}) {
    rc::check([&] {
      const Tokens text = RandomText(*rc::gen::inRange(1, 900));
      PotSettings settings = SmallPot(*rc::gen::inRange(48, 700));
      auto whole = MakePot(decoder, pool_, settings);
      RC_ASSERT(Read(*whole, text).has_value());
      auto pieces = MakePot(decoder, pool_, settings);
      for (const Tokens& piece : RandomCuts(text)) {
        RC_ASSERT(pieces->Feed(piece, Pot::Part::kText, StopToken()).has_value());
      }
      RC_ASSERT(pieces->Flush(StopToken()).has_value());
      RC_ASSERT(StateOf(*pieces) == StateOf(*whole));
      RC_ASSERT(LogitsOf(*pieces) == LogitsOf(*whole));
    });
  }
}

TEST_F(PotCapacity, GenerationRunsThroughManyDistillations) {
  auto pot = MakePot(TinyLlama(), pool_, SmallPot(48), 8);
  ASSERT_TRUE(Read(*pot, RandomText(20)));
  for (int i = 0; i < 300; ++i) {
    const std::vector<float> logits = LogitsOf(*pot);
    const auto best = std::max_element(logits.begin(), logits.end());
    ASSERT_TRUE(Read(*pot, {static_cast<TokenId>(best - logits.begin())}));
    ASSERT_LE(pot->length(), 40);
  }
  EXPECT_EQ(pot->counters().distillations, ExpectedDistillations(320, 48, 24, 8));
  EXPECT_LE(pot->counters().peak_entries, 48);
}

TEST_F(PotCapacity, ACacheThatIsNotDistilledRefusesWhatDoesNotFit) {
  for (const PotPolicy policy : {PotPolicy::kFull, PotPolicy::kTruncate}) {
    auto pot = MakePot(TinyLlama(), pool_, SmallPot(64, policy));
    ASSERT_TRUE(Read(*pot, RandomText(64)));
    const Status status = Read(*pot, {1});
    ASSERT_FALSE(status);
    EXPECT_EQ(status.error().code, ErrorCode::kOutOfMemory);
    EXPECT_EQ(pot->length(), 64);
  }
}

TEST_F(PotCapacity, StopsWhereItIsAskedTo) {
  auto pot = MakePot(TinyLlama(), pool_, SmallPot(64));
  StopToken stop;
  stop.Stop();
  const Status status = pot->Feed(RandomText(500), Pot::Part::kText, stop);
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, ErrorCode::kCancelled);
  EXPECT_LE(pot->length(), 64);
}

TEST_F(PotCapacity, BytesStayWhatTheyAreOnceThePotIsFull) {
  for (const std::int64_t archive : {0, 300, 1000}) {
    for (const double alpha : {0.0, 1.0}) {  // heads that differ, heads that agree
      PotSettings settings = SmallPot(256);
      settings.alpha = alpha;
      settings.archive = archive;
      settings.consolidate = true;
      auto pot = MakePot(TinyLlama(), pool_, settings);
      ASSERT_TRUE(Read(*pot, RandomText(1000)));
      const std::size_t bytes = pot->bytes();
      ASSERT_TRUE(Read(*pot, RandomText(4000)));
      EXPECT_EQ(pot->bytes(), bytes);
    }
  }
}

class PotCacheTypes : public PotCapacity, public ::testing::WithParamInterface<CacheType> {};

TEST_P(PotCacheTypes, StayWithinThePot) {
  for (const auto& decoder : {TinyLlama(), TinyGemma()}) {
    PotSettings settings = SmallPot(64);
    settings.type = GetParam();
    auto pot = MakePot(decoder, pool_, settings);
    ASSERT_TRUE(Read(*pot, RandomText(900)));
    EXPECT_EQ(pot->counters().peak_entries, 64);
    EXPECT_EQ(pot->counters().distillations, ExpectedDistillations(900, 64, 32, 8));
    CheckEntries(*pot, pot->length());
    for (float logit : LogitsOf(*pot)) ASSERT_TRUE(std::isfinite(logit));
  }
}

INSTANTIATE_TEST_SUITE_P(All, PotCacheTypes,
                         ::testing::Values(CacheType::kF16, CacheType::kQ8_0, CacheType::kQ4_0),
                         [](const auto& type) { return CacheTypeName(type.param); });

}  // namespace
}  // namespace ondine::testing
