#include "fuzz/fuzzer.h"
#include "text/clip_tokenizer.h"
#include "text/weighted_prompt.h"

namespace {

const ondine::text::ClipTokenizer& Tokenizer() {
  static const auto tokenizer = *ondine::text::ClipTokenizer::Create(
      *ondine::text::ClipVocabulary::FromMerges("r e\nre d</w>\n", 516, "merges"));
  return tokenizer;
}

}  // namespace

std::vector<std::string> ondine::testing::FuzzSeeds() {
  return {"a (red:1.6) running shoe -laces", "((a [b] c:2)) -(d e:0.5) \\( \\)",
          "e\xCC\x81 \xC4\xB0 (\xF0\x9F\x91\x9F:3)"};
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view query(reinterpret_cast<const char*>(data), size);
  const auto prompt = ondine::text::ParseWeightedPrompt(query);
  if (!prompt) return 0;
  // A canonical query says the same as what it was made of.
  const std::string canonical = ondine::text::CanonicalQuery(*prompt);
  const auto again = ondine::text::ParseWeightedPrompt(canonical);
  if (!again || ondine::text::CanonicalQuery(*again) != canonical) __builtin_trap();
  const auto tokens = Tokenizer().Encode(prompt->text);
  for (const auto& token : tokens) {
    if (token.begin >= token.end || token.end > prompt->text.size()) __builtin_trap();
  }
  for (const double weight : ondine::text::TokenWeights(*prompt, tokens)) {
    if (!(weight >= 0 && weight <= ondine::text::kMostWeight)) __builtin_trap();
  }
  return 0;
}
