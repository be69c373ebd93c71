// Models whose text and tokens correspond byte by byte, for tests of the engine.
#ifndef ONDINE_TESTS_ENGINE_ENGINE_FIXTURE_H_
#define ONDINE_TESTS_ENGINE_ENGINE_FIXTURE_H_

#include <cstdint>
#include <memory>
#include <string>

#include "models/tiny_model.h"
#include "ondine/model.h"
#include "ondine/session.h"

namespace ondine::testing {

// Written, loaded and deleted again. `chat_template` is a family's name.
std::shared_ptr<const Model> LoadTinyModel(const TinyModel& model,
                                           const std::string& chat_template = "");
// Made once a process; both speak ChatML.
const std::shared_ptr<const Model>& TinyLlamaModel();
const std::shared_ptr<const Model>& TinyGemmaModel();

// Printable ASCII, repeatable: words of lower-case letters.
std::string RandomProse(std::size_t bytes, std::uint32_t seed = 1);

// Of `slots` entries, with little protection and a catalyst of 8 bytes.
SessionOptions InPot(std::int64_t slots, PotPolicy policy = PotPolicy::kInfiniPot);

// Exactly `tokens` tokens, whatever the model says of an end.
GenerationOptions Exactly(int tokens);

// A session that has read a text without a template.
Session SessionThatRead(const std::shared_ptr<const Model>& model, const SessionOptions& options,
                        const std::string& text);

}  // namespace ondine::testing

#endif  // ONDINE_TESTS_ENGINE_ENGINE_FIXTURE_H_
