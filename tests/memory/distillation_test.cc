// What a distillation keeps.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <numeric>
#include <set>

#include "memory/pot_fixture.h"
#include "memory/reference_pot.h"

namespace ondine::testing {
namespace {

using ::testing::ElementsAreArray;
using ::testing::IsSupersetOf;
using Origins = std::vector<std::int32_t>;

Origins Range(std::int32_t begin, std::int32_t end) {
  Origins range(static_cast<std::size_t>(end - begin));
  std::iota(range.begin(), range.end(), begin);
  return range;
}

class Distillation : public ::testing::Test {
 protected:
  // A pot of 64 slots, 8 of them for the catalyst, that has just been distilled to 32 entries and
  // has read one token more, number 56.
  std::unique_ptr<Pot> DistilledOnce(const PotSettings& settings) {
    auto pot = MakePot(TinyLlama(), pool_, settings);
    EXPECT_TRUE(Read(*pot, RandomText(57)));
    EXPECT_EQ(pot->counters().distillations, 1);
    return pot;
  }

  std::vector<Origins> AllOrigins(const Pot& pot) const {
    std::vector<Origins> all;
    for (const auto& layer : pot.entries()) {
      for (const memory::HeadEntries& head : layer) all.push_back(head.origin);
    }
    return all;
  }

  compute::ThreadPool pool_{2};
};

TEST_F(Distillation, EqualsTheLoopOfThePaperStepByStep) {
  rc::check([this] {
    PotSettings settings = SmallPot(*rc::gen::inRange(40, 120));
    settings.policy = *rc::gen::element(PotPolicy::kInfiniPot, PotPolicy::kCap, PotPolicy::kSirLlm);
    settings.keep = *rc::gen::inRange(25, 76) / 100.0;
    settings.alpha = *rc::gen::inRange(0, 101) / 100.0;
    settings.surprise_span = *rc::gen::element(1, 4, 17);
    settings.attention_span = *rc::gen::element(1, 2, 7);
    settings.over_catalyst = *rc::gen::element(Reduce::kSum, Reduce::kMax);
    settings.over_group = *rc::gen::element(Reduce::kMean, Reduce::kMax);
    settings.past_only = *rc::gen::arbitrary<bool>();
    settings.reset_positions = *rc::gen::arbitrary<bool>();
    settings.sinks = *rc::gen::inRange(0, 4);
    settings.recent = *rc::gen::inRange(0, 5);
    const std::int64_t catalyst = *rc::gen::inRange(1, 9);

    const Tokens text = RandomText(*rc::gen::inRange(100, 400));
    auto pot = MakePot(TinyLlama(), pool_, settings, catalyst);
    RC_ASSERT(Read(*pot, text).has_value());
    ReferencePot reference(TinyLlama(), pool_, settings, RandomText(catalyst, 99));
    reference.Read(text);
    for (std::size_t l = 0; l < reference.entries().size(); ++l) {
      for (std::size_t h = 0; h < reference.entries()[l].size(); ++h) {
        const bool surprises = settings.policy == PotPolicy::kSirLlm ||
                               (settings.policy == PotPolicy::kInfiniPot && settings.alpha > 0);
        RC_ASSERT(pot->entries()[l][h].origin == reference.entries()[l][h].origin);
        RC_ASSERT(!surprises ||
                  pot->entries()[l][h].surprise == reference.entries()[l][h].surprise);
      }
    }
    RC_ASSERT(pot->carried() == reference.carried());
  });
}

TEST_F(Distillation, KeepsExactlyCInTheOrderOfTheTextWithAllThatIsProtected) {
  constexpr std::array kAll = {PotPolicy::kInfiniPot, PotPolicy::kCap,  PotPolicy::kSirLlm,
                               PotPolicy::kSnapKv,    PotPolicy::kTova, PotPolicy::kKeyDiff,
                               PotPolicy::kStreaming};
  for (const PotPolicy policy : kAll) {
    SCOPED_TRACE(PotPolicyName(policy));
    PotSettings settings = SmallPot(200, policy);
    auto pot = MakePot(TinyLlama(), pool_, settings);
    ASSERT_TRUE(Read(*pot, RandomText(11), Pot::Part::kPrefix));
    ASSERT_TRUE(Read(*pot, RandomText(181, 2)));  // full: 192 of 200, 8 for the catalyst
    ASSERT_TRUE(Read(*pot, RandomText(13, 3), Pot::Part::kQuestion));  // 192 .. 204
    ASSERT_EQ(pot->counters().distillations, 1);
    for (const std::int64_t more : {100, 500}) {
      ASSERT_TRUE(Read(*pot, RandomText(more, 4)));
      const auto since = pot->length() - pot->kept();
      const auto newest = static_cast<std::int32_t>(pot->cache().position() - since);
      for (Origins origins : AllOrigins(*pot)) {
        ASSERT_EQ(static_cast<std::int64_t>(origins.size()), 100 + since);
        for (std::size_t i = 1; i < origins.size(); ++i) ASSERT_LT(origins[i - 1], origins[i]);
        EXPECT_THAT(origins, IsSupersetOf(Range(0, 11)));
        EXPECT_THAT(origins, IsSupersetOf(Range(192, 205)));
        EXPECT_THAT(origins, IsSupersetOf(Range(newest - 3, newest)));
      }
    }
  }
}

TEST_F(Distillation, AReleasedQuestionMayBeDropped) {
  PotSettings settings = SmallPot(100, PotPolicy::kStreaming);
  auto pot = MakePot(TinyLlama(), pool_, settings);
  ASSERT_TRUE(Read(*pot, RandomText(10), Pot::Part::kQuestion));
  ASSERT_TRUE(Read(*pot, RandomText(300)));
  EXPECT_THAT(AllOrigins(*pot)[0], IsSupersetOf(Range(0, 10)));
  pot->ReleaseQuestion();
  ASSERT_TRUE(Read(*pot, RandomText(300)));
  for (const Origins& origins : AllOrigins(*pot)) {
    EXPECT_EQ(origins[1], 1);  // a sink
    EXPECT_GT(origins[2], 10);
  }
}

// Before anything is read, not in the middle of an answer.
TEST_F(Distillation, ABeginningThatLeavesNothingToChooseIsRefused) {
  auto pot = MakePot(TinyLlama(), pool_, SmallPot(64));  // C = 32
  const Status status = Read(*pot, RandomText(40), Pot::Part::kPrefix);
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, ErrorCode::kInvalidArgument);
  EXPECT_THAT(status.error().message, ::testing::HasSubstr("--pot"));
  EXPECT_EQ(pot->counters().tokens, 0);
}

// Whatever stands before it, the longest question and all that follows go through a small pot.
TEST_F(Distillation, TheLongestQuestionLeavesAnEntryToChoose) {
  for (const std::int64_t beginning : {0, 5, 20, 24}) {
    auto pot = MakePot(TinyLlama(), pool_, SmallPot(64));
    ASSERT_TRUE(Read(*pot, RandomText(beginning), Pot::Part::kPrefix));
    ASSERT_TRUE(Read(*pot, RandomText(200)));
    ASSERT_GE(pot->LongestQuestion(), 1);
    ASSERT_TRUE(Read(*pot, RandomText(pot->LongestQuestion()), Pot::Part::kQuestion));
    EXPECT_TRUE(Read(*pot, RandomText(200))) << beginning;
  }
}

TEST_F(Distillation, WorksWithOneEntryToChoose) {
  PotSettings settings = SmallPot(64);  // C = 32
  settings.sinks = 20;
  settings.recent = 11;
  for (const PotPolicy policy : {PotPolicy::kInfiniPot, PotPolicy::kCap, PotPolicy::kSirLlm}) {
    settings.policy = policy;
    auto pot = MakePot(TinyLlama(), pool_, settings);
    ASSERT_TRUE(Read(*pot, RandomText(300)));
    EXPECT_EQ(pot->counters().distillations, ExpectedDistillations(300, 64, 32, 8));
  }
}

TEST_F(Distillation, AlphaOneIsSirLlmAndAlphaZeroIsCap) {
  for (const int span : {1, 7}) {
    PotSettings settings = SmallPot(80);
    settings.surprise_span = settings.attention_span = span;
    const auto sets = [&](PotPolicy policy, double alpha) {
      settings.policy = policy;
      settings.alpha = alpha;
      auto pot = MakePot(TinyLlama(), pool_, settings);
      EXPECT_TRUE(Read(*pot, RandomText(400)));
      return AllOrigins(*pot);
    };
    EXPECT_EQ(sets(PotPolicy::kInfiniPot, 1), sets(PotPolicy::kSirLlm, 0.3));
    EXPECT_EQ(sets(PotPolicy::kInfiniPot, 0), sets(PotPolicy::kCap, 0.3));
    EXPECT_NE(sets(PotPolicy::kCap, 0), sets(PotPolicy::kSirLlm, 1));
    EXPECT_NE(sets(PotPolicy::kInfiniPot, 0.5), sets(PotPolicy::kSirLlm, 1));
    EXPECT_NE(sets(PotPolicy::kInfiniPot, 0.5), sets(PotPolicy::kCap, 0));
  }
}

TEST_F(Distillation, WithoutProtectionAlphaIsTheShareOfSurprise) {
  PotSettings settings = SmallPot(64);
  settings.sinks = 0;
  settings.recent = 0;
  settings.surprise_span = 1;
  settings.alpha = 0.25;
  settings.policy = PotPolicy::kSirLlm;
  auto surprise = DistilledOnce(settings);
  settings.policy = PotPolicy::kInfiniPot;
  auto both = DistilledOnce(settings);
  // The 8 most surprising of the 56 that were there.
  const auto& head = surprise->entries()[0][0];
  std::vector<std::size_t> order(32);
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return head.surprise[a] > head.surprise[b];
  });
  Origins best;
  for (std::size_t i = 0; i < 8; ++i) best.push_back(head.origin[order[i]]);
  for (const Origins& origins : AllOrigins(*both)) EXPECT_THAT(origins, IsSupersetOf(best));
}

// With alpha just below 1 the catalyst is read but nothing is left for it to choose.
TEST_F(Distillation, TheCatalystLeavesNoTrace) {
  for (const auto& decoder : {TinyLlama(), TinyGemma()}) {
    for (const CacheType type : {CacheType::kF16, CacheType::kQ8_0}) {
      PotSettings settings = SmallPot(120);
      settings.type = type;
      settings.alpha = 0.9999;
      auto watched = MakePot(decoder, pool_, settings, 30);
      settings.alpha = 1;
      auto unwatched = MakePot(decoder, pool_, settings, 30);
      for (const std::int64_t more : {91, 400, 300}) {
        ASSERT_TRUE(Read(*watched, RandomText(more)));
        ASSERT_TRUE(Read(*unwatched, RandomText(more)));
        ASSERT_EQ(StateOf(*watched), StateOf(*unwatched));
        ASSERT_EQ(LogitsOf(*watched), LogitsOf(*unwatched));
      }
      EXPECT_EQ(watched->counters().peak_entries, 120);
      EXPECT_EQ(unwatched->counters().peak_entries, 90);
    }
  }
}

TEST_F(Distillation, IsTheSameForAnyNumberOfThreads) {
  for (const auto& decoder : {TinyLlama(), TinyGemma()}) {
    for (const PotPolicy policy :
         {PotPolicy::kInfiniPot, PotPolicy::kSnapKv, PotPolicy::kTova, PotPolicy::kKeyDiff}) {
      std::uint64_t expected = 0;
      for (int threads = 1; threads <= 4; ++threads) {
        compute::ThreadPool pool(threads);
        auto pot = MakePot(decoder, pool, SmallPot(100, policy));
        ASSERT_TRUE(Read(*pot, RandomText(200)));
        if (threads == 1) expected = StateOf(*pot);
        EXPECT_EQ(StateOf(*pot), expected) << PotPolicyName(policy) << ", " << threads;
      }
    }
  }
}

TEST_F(Distillation, HeadsKeepWhatTheyAttendTo) {
  const auto pot = DistilledOnce(SmallPot(64, PotPolicy::kCap));
  const std::vector<Origins> origins = AllOrigins(*pot);
  EXPECT_EQ(origins.size(), 4u);
  EXPECT_GT(std::set<Origins>(origins.begin(), origins.end()).size(), 1u);
}

TEST_F(Distillation, TovaKeepsTheSameForAllHeadsOfALayer) {
  const auto pot = DistilledOnce(SmallPot(64, PotPolicy::kTova));
  for (const auto& layer : pot->entries()) EXPECT_EQ(layer[0].origin, layer[1].origin);
  EXPECT_NE(pot->entries()[0][0].origin, pot->entries()[1][0].origin);
}

TEST_F(Distillation, StreamingKeepsSinksAndTheMostRecent) {
  const auto pot = DistilledOnce(SmallPot(64, PotPolicy::kStreaming));
  Origins expected = Range(26, 57);  // 30 before the distillation, and the token after it
  expected.insert(expected.begin(), {0, 1});
  for (const Origins& origins : AllOrigins(*pot)) EXPECT_THAT(origins, ElementsAreArray(expected));
}

TEST_F(Distillation, KeyDiffKeepsTheKeysFarthestFromTheMean) {
  const auto before = MakePot(TinyLlama(), pool_, SmallPot(64, PotPolicy::kKeyDiff));
  ASSERT_TRUE(Read(*before, RandomText(56)));
  const auto after = DistilledOnce(SmallPot(64, PotPolicy::kKeyDiff));
  for (int layer = 0; layer < 2; ++layer) {
    for (int head = 0; head < 2; ++head) {
      std::vector<std::vector<double>> directions;
      std::vector<double> mean(32);
      for (int slot = 0; slot < 56; ++slot) {
        std::vector<float> key(32);
        before->cache().layer(layer).store.ReadKey(head, slot, key.data());
        double squares = 0;
        for (float v : key) squares += static_cast<double>(v) * static_cast<double>(v);
        auto& direction = directions.emplace_back(key.begin(), key.end());
        for (std::size_t c = 0; c < 32; ++c) mean[c] += direction[c] /= std::sqrt(squares);
      }
      std::vector<std::pair<double, std::int32_t>> order;  // nearest to the mean last
      for (std::int32_t slot = 2; slot < 53; ++slot) {     // sinks 2, recent 3
        const auto& direction = directions[static_cast<std::size_t>(slot)];
        order.emplace_back(std::inner_product(mean.begin(), mean.end(), direction.begin(), 0.0),
                           slot);
      }
      std::sort(order.begin(), order.end());
      Origins expected = {0, 1, 53, 54, 55, 56};
      for (std::size_t i = 0; i < 27; ++i) expected.push_back(order[i].second);
      std::sort(expected.begin(), expected.end());
      EXPECT_THAT(
          after->entries()[static_cast<std::size_t>(layer)][static_cast<std::size_t>(head)].origin,
          ElementsAreArray(expected));
    }
  }
}

TEST_F(Distillation, SurvivorsKeepTheirKeysValuesAndSurprise) {
  for (const CacheType type : {CacheType::kF16, CacheType::kQ4_0}) {
    PotSettings settings = SmallPot(64);
    settings.type = type;
    const auto before = MakePot(TinyLlama(), pool_, settings);
    ASSERT_TRUE(Read(*before, RandomText(56)));
    const auto after = DistilledOnce(settings);
    for (int layer = 0; layer < 2; ++layer) {
      const auto& old_store = before->cache().layer(layer).store;
      const auto& store = after->cache().layer(layer).store;
      for (int head = 0; head < 2; ++head) {
        const auto& entries =
            after->entries()[static_cast<std::size_t>(layer)][static_cast<std::size_t>(head)];
        const auto& old_entries =
            before->entries()[static_cast<std::size_t>(layer)][static_cast<std::size_t>(head)];
        for (int slot = 0; slot < 32; ++slot) {
          const std::int32_t origin = entries.origin[static_cast<std::size_t>(slot)];
          std::vector<float> now(32), then(32);
          store.ReadKey(head, slot, now.data());
          old_store.ReadKey(head, origin, then.data());
          ASSERT_EQ(now, then);
          store.ReadValue(head, slot, now.data());
          old_store.ReadValue(head, origin, then.data());
          ASSERT_EQ(now, then);
          ASSERT_EQ(entries.surprise[static_cast<std::size_t>(slot)],
                    old_entries.surprise[static_cast<std::size_t>(origin)]);
        }
      }
    }
  }
}

TEST_F(Distillation, PositionsStayInsideThePotOrRunOn) {
  for (const bool reset : {true, false}) {
    PotSettings settings = SmallPot(64);
    settings.reset_positions = reset;
    auto pot = MakePot(TinyLlama(), pool_, settings);
    ASSERT_TRUE(Read(*pot, RandomText(3000)));
    const auto& cache = pot->cache();
    EXPECT_EQ(cache.position(), 3000);
    EXPECT_EQ(cache.NextPosition(cache.layer(0)), reset ? pot->length() : 3000);
    for (float logit : LogitsOf(*pot)) ASSERT_TRUE(std::isfinite(logit));
  }
}

TEST_F(Distillation, BothKindsOfPositionsReadATextThatFitsAlike) {
  for (const auto& decoder : {TinyLlama(), TinyGemma()}) {
    std::vector<float> logits[2];
    for (const bool reset : {true, false}) {
      PotSettings settings = SmallPot(400);
      settings.reset_positions = reset;
      auto pot = MakePot(decoder, pool_, settings);
      ASSERT_TRUE(Read(*pot, RandomText(390)));
      logits[reset ? 1 : 0] = LogitsOf(*pot);
    }
    double squares = 0, difference = 0;
    for (std::size_t i = 0; i < logits[0].size(); ++i) {
      squares += std::pow(logits[0][i], 2);
      difference += std::pow(logits[0][i] - logits[1][i], 2);
    }
    EXPECT_LT(std::sqrt(difference / squares), 5e-3);
  }
}

// Without marks sentences have 48 tokens. A distillation in the middle of one leaves few of its
// entries before those of older ones.
TEST_F(Distillation, ASentenceThatGoesOnAfterItLeavesOlderOnesAsTheyWere) {
  PotSettings settings = SmallPot(96);
  settings.surprise_span = 0;
  settings.alpha = 1;
  const auto pot = MakePot(TinyLlama(), pool_, settings);
  ASSERT_TRUE(Read(*pot, RandomText(700)));
  for (const memory::HeadEntries& head : pot->entries()[0]) {
    std::map<std::int32_t, float> of_sentence;
    std::set<float> values;
    for (std::size_t i = 0; i < head.origin.size(); ++i) {
      const auto [found, first] = of_sentence.emplace(head.origin[i] / 48, head.surprise[i]);
      EXPECT_EQ(found->second, head.surprise[i]) << "origin " << head.origin[i];
      if (!first) continue;
      EXPECT_TRUE(values.insert(head.surprise[i]).second) << "origin " << head.origin[i];
    }
  }
  EXPECT_GT(pot->counters().distillations, 5);
}

}  // namespace
}  // namespace ondine::testing
