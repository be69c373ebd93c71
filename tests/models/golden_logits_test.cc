// Logits of tiny random models against llama.cpp's on the same files. The golden numbers were made
// by
//   cmake --build build --target write_tiny_models && build/bin/write_tiny_models DIR
//   python3 tests/models/golden_logits.py DIR      (with llama-cpp-python 0.3.36)
#include "models/golden_logits.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "base/temp_dir.h"
#include "models/decoder_pass.h"
#include "models/golden_cases.h"

namespace ondine::testing {
namespace {

// 60 tokens: longer than Gemma's window here.
std::vector<std::int32_t> Tokens() {
  std::vector<std::int32_t> tokens;
  for (int i = 0; i < 60; ++i) tokens.push_back((i * 37 + 11) % 256);
  return tokens;
}

std::vector<float> LogitsOf(const std::string& path, std::int64_t pass_length) {
  auto file = formats::GgufFile::Open(path);
  EXPECT_TRUE(file) << file.error().ToString();
  compute::ThreadPool pool(2);
  auto decoder = models::Decoder::Load(*file, pool);
  EXPECT_TRUE(decoder) << decoder.error().ToString();
  models::DecoderPass pass(*decoder, pool);
  models::KvCache cache((*decoder)->spec(), {64, compute::KvType::kF16, models::Positions::kReset});
  const std::vector<std::int32_t> tokens = Tokens();
  for (std::size_t i = 0; i < tokens.size(); i += static_cast<std::size_t>(pass_length)) {
    const auto n = std::min(static_cast<std::size_t>(pass_length), tokens.size() - i);
    EXPECT_TRUE(cache.Prepare(static_cast<std::int64_t>(n)));
    pass.Run(std::span(tokens).subspan(i, n), cache);
  }
  std::vector<float> logits(static_cast<std::size_t>((*decoder)->vocabulary()));
  pass.Logits(pass.Hidden(pass.rows() - 1), logits);
  return logits;
}

TEST(Decoder, LogitsEqualThoseOfLlamaCpp) {
  const TempDir folder;
  for (const GoldenCase& c : GoldenCases()) {
    SCOPED_TRACE(c.name);
    const std::string path = folder.File(std::string(c.name) + ".gguf");
    ASSERT_TRUE(WriteTinyModel(c.model, path));
    const std::vector<float>& golden = kGoldenLogits.at(c.name);
    for (const std::int64_t pass_length : {60, 16, 1}) {
      const std::vector<float> logits = LogitsOf(path, pass_length);
      ASSERT_EQ(logits.size(), golden.size());
      double squares = 0, difference = 0;
      for (std::size_t i = 0; i < golden.size(); ++i) {
        squares += std::pow(golden[i], 2);
        difference += std::pow(golden[i] - logits[i], 2);
      }
      // Both keep keys and values in 16 bits: some 3 digits survive.
      EXPECT_LT(std::sqrt(difference / squares), 2e-3) << "in passes of " << pass_length;
    }
  }
}

}  // namespace
}  // namespace ondine::testing
