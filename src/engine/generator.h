// The generation loop: sample, feed, stream out.
#ifndef ONDINE_SRC_ENGINE_GENERATOR_H_
#define ONDINE_SRC_ENGINE_GENERATOR_H_

#include <span>

#include "engine/model_parts.h"
#include "memory/pot.h"
#include "ondine/generation.h"
#include "ondine/result.h"

namespace ondine::engine {

// kInvalidArgument for options that make no sense, before anything is read for them.
Status CheckGeneration(const GenerationOptions& options);

// Generates what follows the tokens in the pot, which must be flushed. `history` counts for the
// repetition penalty. A stop token ends it with FinishReason::kCancelled and the text that has been
// given out so far. The last token generated is in the pot too, so that a conversation can go on.
// After FinishReason::kReplaced the pot is as it was before.
Result<Generation> Generate(const Model::Parts& model, memory::Pot& pot,
                            std::span<const TokenId> history, const GenerationOptions& options);

}  // namespace ondine::engine

#endif  // ONDINE_SRC_ENGINE_GENERATOR_H_
