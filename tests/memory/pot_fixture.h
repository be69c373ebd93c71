// Pots over tiny random models, and all there is to know of a pot's state in one number.
#ifndef ONDINE_TESTS_MEMORY_POT_FIXTURE_H_
#define ONDINE_TESTS_MEMORY_POT_FIXTURE_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "compute/thread_pool.h"
#include "memory/pot.h"
#include "models/decoder.h"
#include "models/tiny_model.h"

namespace ondine::testing {

using memory::Pot;
using memory::TokenId;
using Tokens = std::vector<TokenId>;

// Written, loaded and deleted again.
std::shared_ptr<const models::Decoder> LoadTiny(const TinyModel& model);
// Made once a process. Gemma's has 6 sliding-window layers (window 16) and one global.
const std::shared_ptr<const models::Decoder>& TinyLlama();
const std::shared_ptr<const models::Decoder>& TinyGemma();

// Repeatable tokens below 256; another seed, another text.
Tokens RandomText(std::int64_t length, std::uint32_t seed = 1);

// M slots, sinks 2, recent 3, and the paper's loop: C = M/2, alpha 0.75, surprise over 17
// neighbours.
PotSettings SmallPot(std::int64_t slots, PotPolicy policy = PotPolicy::kInfiniPot);

// Never fails: a wrong setting is a failure of the test.
std::unique_ptr<Pot> MakePot(const std::shared_ptr<const models::Decoder>& decoder,
                             compute::ThreadPool& pool, const PotSettings& settings,
                             std::int64_t catalyst_length = 8);

// Feeds as text (or another part) and flushes.
Status Read(Pot& pot, const Tokens& tokens, Pot::Part part = Pot::Part::kText);

// A checksum of every bit of keys, values, rings, origins, surprises and the last hidden row.
std::uint64_t StateOf(const Pot& pot);
std::vector<float> LogitsOf(Pot& pot);

// The distillations that reading `n` tokens takes.
std::int64_t ExpectedDistillations(std::int64_t n, std::int64_t slots, std::int64_t kept,
                                   std::int64_t catalyst);

}  // namespace ondine::testing

#endif  // ONDINE_TESTS_MEMORY_POT_FIXTURE_H_
