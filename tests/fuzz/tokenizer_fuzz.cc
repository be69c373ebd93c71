// The input is one byte of options, then a GGUF file, then, behind kMark, a text.
#include <algorithm>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/utf8.h"
#include "formats/gguf.h"
#include "formats/gguf_bytes.h"
#include "fuzz/fuzzer.h"
#include "text/tokenizer.h"

namespace {

using ondine::formats::GgufFile;
using ondine::testing::GgufBytes;
using ondine::text::Tokenizer;

constexpr std::string_view kMark = "\n==text==\n";
constexpr std::string_view kText = "Hello <s> 12\xFF wörld's\n\n\xE2\x96\x81";

std::string Seed(char options, std::string_view model, std::string_view pre,
                 std::span<const std::string_view> tokens,
                 std::span<const std::string_view> merges) {
  GgufBytes file = GgufBytes::Header(0, 7);
  file.Key("tokenizer.ggml.model", model);
  file.Key("tokenizer.ggml.pre", pre);
  file.Array("tokenizer.ggml.tokens", GgufBytes::kString, tokens.size());
  for (const auto token : tokens) file.Text(token);
  file.Array("tokenizer.ggml.token_type", GgufBytes::kInt32, tokens.size());
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    file.Number<std::int32_t>(i < 2 ? 3 : tokens[i].starts_with("<0x") ? 6 : 1);
  }
  file.Array("tokenizer.ggml.scores", GgufBytes::kFloat32, tokens.size());
  for (std::size_t i = 0; i < tokens.size(); ++i) file.Number(-static_cast<float>(i));
  file.Array("tokenizer.ggml.merges", GgufBytes::kString, merges.size());
  for (const auto merge : merges) file.Text(merge);
  file.Key("tokenizer.ggml.bos_token_id", GgufBytes::kUint32).Number<std::uint32_t>(1);
  return (options + file.text()).append(kMark).append(kText);
}

// Broken promises that no sanitizer would see.
void Check(bool kept) {
  if (!kept) __builtin_trap();
}

}  // namespace

std::vector<std::string> ondine::testing::FuzzSeeds() {
  constexpr std::string_view kBpe[] = {"</s>", "<s>", "H", "e",  "l", "o",
                                       "Ġ",    "w",   "Ã", "He", "ll"};
  constexpr std::string_view kMerges[] = {"H e", "l l", "He ll"};
  constexpr std::string_view kPieces[] = {"</s>", "<s>", "<unk>", "<0x0A>", "<0xFF>", "▁",
                                          "H",    "e",   "He",    "▁w",     "l▁",     "ll"};
  std::vector<std::string> seeds;
  for (const std::string_view pre : {"gpt-2", "llama-bpe", "smollm", "deepseek-llm", "gpt-4o"}) {
    seeds.push_back(Seed('\3', "gpt2", pre, kBpe, kMerges));
  }
  seeds.push_back(Seed('\1', "llama", "default", kPieces, {}));
  seeds.push_back(Seed('\2', "llama", "default", kPieces, kMerges));
  return seeds;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view input(reinterpret_cast<const char*>(data) + 1, size - 1);
  const std::size_t mark = std::min(input.find(kMark), input.size());
  const std::string_view text = input.substr(std::min(mark + kMark.size(), input.size()));
  const auto file = GgufFile::Parse(std::as_bytes(std::span(input.substr(0, mark))), "fuzz");
  if (!file) return 0;
  const auto tokenizer = Tokenizer::FromGguf(*file);
  if (!tokenizer) return 0;

  const auto tokens =
      tokenizer->Encode(text, {.add_bos = (data[0] & 1) != 0, .parse_special = (data[0] & 2) != 0});
  ondine::base::Utf8Stream stream;
  for (const auto token : tokens) {
    Check(token >= 0 && token < tokenizer->size());
    Check(ondine::base::IsUtf8(stream.Push(tokenizer->Piece(token, true))));
    tokenizer->EndsGeneration(token);
  }
  Check(ondine::base::IsUtf8(stream.Finish()));
  tokenizer->Decode(tokens);
  return 0;
}
