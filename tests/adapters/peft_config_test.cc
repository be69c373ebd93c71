#include "adapters/peft_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

namespace ondine::adapters {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

// A configuration with these fields besides the ones that must be there.
Result<PeftConfig> With(const std::string& fields) {
  std::string text = R"({"peft_type":"LORA","r":8,"lora_alpha":4)";
  if (!fields.empty()) text.append(",").append(fields);
  return PeftConfig::Parse(text.append("}"), "adapter_config.json");
}

Result<PeftConfig> With(const std::string& field, const std::string& value) {
  return With(std::string("\"").append(field).append("\":").append(value));
}

void ExpectError(const Result<PeftConfig>& config, ErrorCode code, const std::string& text) {
  ASSERT_FALSE(config) << text;
  EXPECT_EQ(config.error().code, code) << config.error().message;
  EXPECT_EQ(config.error().context, "adapter_config.json");
  EXPECT_THAT(config.error().message, AllOf(HasSubstr(text), Not(HasSubstr("\n"))));
}

TEST(PeftConfig, TheScaleIsAlphaByRankOrItsRoot) {
  const auto plain = With("");
  EXPECT_EQ(plain->Rank("x"), 8);
  EXPECT_DOUBLE_EQ(plain->Scale("x"), 0.5);
  EXPECT_DOUBLE_EQ(plain->PlainAlpha() / 8, 0.5);
  const auto root = With("\"use_rslora\":true");
  EXPECT_DOUBLE_EQ(root->Scale("x"), 4 / std::sqrt(8));
  EXPECT_DOUBLE_EQ(root->PlainAlpha() / 8, 4 / std::sqrt(8));
}

TEST(PeftConfig, PatternsNameModulesByTheirLastParts) {
  const auto config = With(
      R"("rank_pattern":{"layers.1.q_proj":2,"q_proj":4},"alpha_pattern":{"v_proj":0,"q_proj":6})");
  ASSERT_TRUE(config) << config.error().ToString();
  EXPECT_EQ(config->Rank("model.layers.0.q_proj"), 4);
  EXPECT_EQ(config->Rank("q_proj"), 4);
  EXPECT_EQ(config->Rank("model.layers.1.q_proj"), 2);
  EXPECT_EQ(config->Rank("model.layers.0.seq_proj"), 8);
  EXPECT_DOUBLE_EQ(config->Scale("model.layers.1.q_proj"), 3);
  EXPECT_DOUBLE_EQ(config->Scale("model.layers.0.v_proj"), 0);
  EXPECT_DOUBLE_EQ(config->Scale("model.layers.0.k_proj"), 0.5);
  // The first that fits counts, in the file's order and not in the alphabet's.
  EXPECT_EQ(With(R"("rank_pattern":{"q_proj":4,"a.q_proj":2})")->Rank("a.q_proj"), 4);
}

TEST(PeftConfig, WhatALoraFileCannotSayIsRefusedByName) {
  for (const char* field : {"use_dora", "fan_in_fan_out", "lora_bias", "use_qalora"}) {
    ExpectError(With(field, "true"), ErrorCode::kUnsupported, field);
    EXPECT_TRUE(With(field, "false"));
  }
  for (const char* field : {"modules_to_save", "layer_replication", "trainable_token_indices",
                            "target_parameters", "alora_invocation_tokens"}) {
    ExpectError(With(field, "[1]"), ErrorCode::kUnsupported, field);
    EXPECT_TRUE(With(field, "[]"));
    EXPECT_TRUE(With(field, "null"));
  }
  ExpectError(With(R"("bias":"lora_only")"), ErrorCode::kUnsupported, "bias");
  ExpectError(With(R"("peft_type":"IA3")"), ErrorCode::kUnsupported, "'IA3'");
  ExpectError(With(R"("lora_alpha":0)"), ErrorCode::kUnsupported, "lora_alpha");
  for (const char* beginning : {"\"pissa\"", "\"pissa_niter_4\"", "\"olora\"", "\"loftq\""}) {
    ExpectError(With("init_lora_weights", beginning), ErrorCode::kUnsupported, "init_lora_weights");
  }
  for (const char* beginning : {"true", "false", "\"gaussian\"", "\"eva\""}) {
    EXPECT_TRUE(With("init_lora_weights", beginning));
  }
  for (const char* name :
       {R"({"":4})", R"({".*q_proj":4})", R"({"^model.q_proj":4})", R"({"(q|k)_proj":4})"}) {
    ExpectError(With("alpha_pattern", name), ErrorCode::kUnsupported, "alpha_pattern");
  }
}

TEST(PeftConfig, BrokenOnesAreErrors) {
  const auto of = [](const char* value) {
    return std::string("{\"a\":").append(value).append("}");
  };
  for (const char* text : {"", "[]", "{", "\"LORA\"", "{\"r\":8}", "{\"peft_type\":3}"}) {
    const auto config = PeftConfig::Parse(text, "adapter_config.json");
    ASSERT_FALSE(config) << text;
    EXPECT_EQ(config.error().code, ErrorCode::kCorrupt);
  }
  for (const char* rank : {"0", "-8", "1.5", "\"8\"", "null", "4097", "18446744073709551615"}) {
    ExpectError(With("r", rank), ErrorCode::kCorrupt, "r is no whole number");
    ExpectError(With("rank_pattern", of(rank)), ErrorCode::kCorrupt, "rank_pattern for 'a'");
  }
  for (const char* alpha : {"\"8\"", "null", "[4]"}) {
    ExpectError(With("lora_alpha", alpha), ErrorCode::kCorrupt, "lora_alpha");
    ExpectError(With("alpha_pattern", of(alpha)), ErrorCode::kCorrupt, "alpha_pattern for 'a'");
  }
  ExpectError(With("\"rank_pattern\":[1]"), ErrorCode::kCorrupt, "rank_pattern");
  ExpectError(With("x", std::string(1 << 20, '1')), ErrorCode::kCorrupt, "bytes");
  ExpectError(With("modules_to_save", std::string(100'000, '[') + std::string(100'000, ']')),
              ErrorCode::kUnsupported, "modules_to_save");
}

}  // namespace
}  // namespace ondine::adapters
