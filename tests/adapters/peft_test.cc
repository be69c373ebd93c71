#include "adapters/peft.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>

#include "adapters/adapter_fixture.h"
#include "adapters/peft_fixture.h"
#include "base/quote.h"

namespace ondine::adapters {
namespace {

using namespace ::ondine::testing;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr std::int64_t kRank = 3;

class PeftTest : public ::testing::Test {
 protected:
  std::shared_ptr<const models::Decoder> Load(const TinyModel& model) {
    EXPECT_TRUE(WriteTinyModel(model, path_));
    return LoadDecoder(path_);
  }

  Result<LoraAdapter> Convert(const PeftParts& parts, const models::Decoder& decoder) {
    parts.Write(saved_);
    return LoadPeft(saved_, decoder);
  }

  TempDir folder_;
  const std::string path_ = folder_.File("tiny.gguf"), saved_ = folder_.File("saved");
};

TEST_F(PeftTest, BecomesWhatALoraFileHolds) {
  for (const char* architecture : {"qwen2", "qwen3", "gemma3"}) {
    const auto decoder = Load({.architecture = architecture});
    const LoraAdapter lora =
        RandomLora(*decoder, models::LoraTargetNames(decoder->spec()), kRank, 1);
    const auto converted = Convert(PeftParts::From(lora, kRank), *decoder);
    ASSERT_TRUE(converted) << converted.error().ToString();
    EXPECT_EQ(converted->architecture, architecture);
    EXPECT_EQ(Fingerprint(*converted), Fingerprint(lora));
  }
}

// A Qwen 2 without biases is a Llama whose rows of W_q and W_k are in PEFT's order.
TEST_F(PeftTest, RowsOfQueriesAndKeysFollowTheModels) {
  constexpr int kHalf = 16, kWidth = 64;  // of a head; of the model
  Load({.architecture = "qwen2"});
  GgufParts qwen = GgufParts::Read(path_), llama;
  for (auto& [name, tensor] : qwen.tensors) {
    if (name.ends_with(".bias")) std::ranges::fill(tensor.data, std::byte{0});
  }
  for (const auto& [key, value] : qwen.metadata) {
    llama.metadata[key.starts_with("qwen2.") ? "llama." + key.substr(6) : key] = value;
  }
  llama.metadata["general.architecture"] = std::string("llama");
  for (const auto& [name, tensor] : qwen.tensors) {
    if (name.ends_with(".bias")) continue;
    llama.tensors[name] = tensor;
    if (!name.ends_with("attn_q.weight") && !name.ends_with("attn_k.weight")) continue;
    const std::vector<float> rows = qwen.Floats(name);
    std::vector<float> moved(rows.size());
    for (std::size_t i = 0; i < rows.size(); ++i) {
      const std::size_t row = i / kWidth, head = row / (2 * kHalf), element = row % (2 * kHalf);
      const std::size_t place = 2 * (element % kHalf) + element / kHalf;
      moved[(head * 2 * kHalf + place) * kWidth + i % kWidth] = rows[i];
    }
    llama.SetFloats(name, moved);
  }
  qwen.Write(folder_.File("qwen.gguf"));
  llama.Write(folder_.File("llama.gguf"));
  const auto one = LoadDecoder(folder_.File("qwen.gguf"));
  const auto other = LoadDecoder(folder_.File("llama.gguf"));
  const std::vector<float> base = LogitsWith(one, {});
  ASSERT_LT(LargestDifference(LogitsWith(other, {}), base), 0.005f);

  for (const char* target : {"attn_q", "attn_k", "attn_v", "attn_output"}) {
    const LoraAdapter lora = RandomLora(*one, {target}, kRank, 7);
    const auto converted = Convert(PeftParts::From(lora, kRank), *other);
    ASSERT_TRUE(converted) << converted.error().ToString();
    const std::vector<float> wanted = LogitsWith(one, {{&lora, 1.0f}});
    EXPECT_LT(LargestDifference(LogitsWith(other, {{&*converted, 1.0f}}), wanted), 0.005f)
        << target;
    EXPECT_GT(LargestDifference(base, wanted), 0.05f) << target;
  }
}

TEST_F(PeftTest, ScalesOfTheirOwnAreFoldedIntoB) {
  const auto decoder = Load({.architecture = "qwen2"});
  LoraAdapter lora = RandomLora(*decoder, {"attn_q", "attn_v", "ffn_up"}, kRank, 1);
  const auto smaller = RandomLora(*decoder, {"attn_v"}, 2, 2);
  for (const auto& [tensor, factors] : smaller.matrices) lora.matrices[tensor] = factors;
  PeftParts parts = PeftParts::From(lora, kRank);
  parts.config["lora_alpha"] = "6";
  parts.config["use_rslora"] = "true";
  parts.config["rank_pattern"] = "{\"v_proj\":2}";
  parts.config["alpha_pattern"] = "{\"layers.1.mlp.up_proj\":-5}";
  const auto converted = Convert(parts, *decoder);
  ASSERT_TRUE(converted) << converted.error().ToString();
  for (const auto& [tensor, factors] : converted->matrices) {
    const double alpha = tensor == "blk.1.ffn_up.weight" ? -5 : 6;
    const LowRankFactors& original = lora.matrices.at(tensor);
    const double scale = alpha / std::sqrt(static_cast<double>(original.rank));
    const auto wanted = ::ondine::testing::Product(original, static_cast<float>(scale));
    const auto product = ::ondine::testing::Product(factors, converted->Factor(factors));
    EXPECT_LT(LargestDifference(product, wanted), 1e-5f) << tensor;
  }
  // Where no pattern applies, nothing is rounded again.
  EXPECT_EQ(converted->matrices.at("blk.0.attn_q.weight").b,
            lora.matrices.at("blk.0.attn_q.weight").b);
}

TEST_F(PeftTest, NamesMayHoldTheAdaptersAndNumbersMayBeShort) {
  const auto decoder = Load({.architecture = "qwen2"});
  const LoraAdapter lora = RandomLora(*decoder, {"attn_v"}, kRank, 1);
  PeftParts parts = PeftParts::From(lora, kRank), renamed = parts;
  renamed.file.tensors.clear();
  for (const auto& [name, tensor] : parts.file.tensors) {
    const std::string stem = name.substr(0, name.size() - std::string("weight").size());
    renamed.file.tensors[stem + "default.weight"] = tensor;
  }
  EXPECT_EQ(Fingerprint(Convert(renamed, *decoder).value()), Fingerprint(lora));

  auto& b = parts.file.tensors.at(PeftName(0, "self_attn.v_proj", 'B'));
  const std::size_t count = b.data.size() / sizeof(float);
  b = {"BF16", b.shape, Stored(std::vector<std::uint16_t>(count, 0xBF40))};
  EXPECT_EQ(Convert(parts, *decoder)->matrices.at("blk.0.attn_v.weight").b,
            std::vector<float>(count, -0.75f));
}

class BrokenPeftTest : public PeftTest {
 protected:
  void SetUp() override {
    decoder_ = Load({});
    parts_ = PeftParts::From(RandomLora(*decoder_, {"attn_q", "ffn_down"}, kRank, 1), kRank);
    ASSERT_TRUE(Convert(parts_, *decoder_));
  }

  // One line that holds `text`, after `change`.
  void ExpectError(ErrorCode code, const std::string& text,
                   const std::function<void(PeftParts&)>& change) {
    PeftParts parts = parts_;
    change(parts);
    const auto converted = Convert(parts, *decoder_);
    ASSERT_FALSE(converted) << text;
    EXPECT_EQ(converted.error().code, code) << converted.error().ToString();
    EXPECT_THAT(converted.error().ToString(), AllOf(HasSubstr(text), Not(HasSubstr("\n"))));
  }

  // A tensor's floats after `change`.
  static void SetFirst(PeftParts& parts, const std::string& name, float value) {
    parts.file.tensors.at(name).data.replace(0, sizeof(float), Stored<float>({value}));
  }

  const std::string a_ = PeftName(0, "self_attn.q_proj", 'A');
  const std::string b_ = PeftName(0, "self_attn.q_proj", 'B');
  std::shared_ptr<const models::Decoder> decoder_;
  PeftParts parts_;
};

TEST_F(BrokenPeftTest, HalfAPairIsNamed) {
  for (const std::string& gone : {a_, b_}) {
    ExpectError(ErrorCode::kCorrupt, gone == a_ ? b_ : a_,
                [&](auto& parts) { parts.file.tensors.erase(gone); });
  }
  ExpectError(ErrorCode::kCorrupt, "empty", [](auto& parts) { parts.file.tensors.clear(); });
  ExpectError(ErrorCode::kCorrupt, "second time", [&](auto& parts) {
    parts.file.tensors["base_model.model.model.layers.0.self_attn.q_proj.lora_A.default.weight"] =
        parts.file.tensors.at(a_);
  });
}

TEST_F(BrokenPeftTest, TensorsThatAreNoFactorsAreNamed) {
  for (const std::string name :
       {"base_model.model.lm_head.lora_A.weight", "base_model.model.lm_head.weight",
        "base_model.model.model.embed_tokens.lora_embedding_A", "lora_A.weight", "",
        "base_model.model.model.layers.0.self_attn.q_proj.lora_magnitude_vector",
        "base_model.model.model.layers.0.self_attn.q_proj.lora_B.bias",
        "base_model.model.model.layers.0.self_attn.q_proj.lora_A.style.weight",
        "base_model.model.model.layers.0.mlp.q_proj.lora_A.weight",
        "base_model.model.model.layers..mlp.up_proj.lora_A.weight",
        "base_model.model.model.layers.0mlp.up_proj.lora_A.weight",
        "base_model.model.model.layers.0", "base_model.model.model.layers.0.lora_A.weight"}) {
    ExpectError(ErrorCode::kUnsupported, base::Quote(name),
                [&](auto& parts) { parts.file.tensors[name] = parts.file.tensors.at(a_); });
  }
}

TEST_F(BrokenPeftTest, ShapesMustFit) {
  ExpectError(ErrorCode::kCorrupt, "q_proj.lora_A", [&](auto& parts) {
    auto& shape = parts.file.tensors.at(a_).shape;
    shape = {shape[0] * shape[1]};
  });
  ExpectError(ErrorCode::kCorrupt, "q_proj.lora_B",
              [&](auto& parts) { std::ranges::reverse(parts.file.tensors.at(b_).shape); });
  ExpectError(ErrorCode::kCorrupt, "rank 3", [](auto& parts) { parts.config["r"] = "4"; });
  ExpectError(ErrorCode::kMismatch, "blk.0.attn_q.weight", [&](auto& parts) {
    auto& tensor = parts.file.tensors.at(a_);
    tensor.shape[1] /= 2;
    tensor.data.resize(tensor.data.size() / 2);
  });
  for (const char* layer : {"2", "00", "99999999999999999999"}) {
    ExpectError(ErrorCode::kMismatch, "blk." + std::string(layer), [&](auto& parts) {
      for (const char factor : {'A', 'B'}) {
        parts.file.tensors["base_model.model.model.layers." + std::string(layer) +
                           ".self_attn.q_proj.lora_" + factor + ".weight"] =
            parts.file.tensors.at(factor == 'A' ? a_ : b_);
      }
    });
  }
}

TEST_F(BrokenPeftTest, NumbersMustBeFiniteFloats) {
  for (const std::string& name : {a_, b_}) {
    for (const float bad :
         {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
      ExpectError(ErrorCode::kCorrupt, base::Quote(name),
                  [&](auto& parts) { SetFirst(parts, name, bad); });
    }
    ExpectError(ErrorCode::kUnsupported, "'I32'",
                [&](auto& parts) { parts.file.tensors.at(name).type = "I32"; });
  }
  ExpectError(ErrorCode::kCorrupt, "NaN or infinity", [&](auto& parts) {
    SetFirst(parts, b_, 1e30f);
    parts.config["alpha_pattern"] = "{\"q_proj\":1e30}";
  });
  for (const char* alpha : {"1e300", "1e-300"}) {
    ExpectError(ErrorCode::kCorrupt, "lora_alpha",
                [&](auto& parts) { parts.config["lora_alpha"] = alpha; });
  }
}

TEST_F(BrokenPeftTest, FilesThatAreMissingAreNamed) {
  std::filesystem::remove(saved_ + "/adapter_model.safetensors");
  EXPECT_THAT(LoadPeft(saved_, *decoder_).error().ToString(),
              HasSubstr("adapter_model.safetensors"));
  std::filesystem::remove(saved_ + "/adapter_config.json");
  EXPECT_THAT(LoadPeft(saved_, *decoder_).error().ToString(), HasSubstr("adapter_config.json"));
  EXPECT_EQ(LoadPeft(path_, *decoder_).error().code, ErrorCode::kNotFound);
}

}  // namespace
}  // namespace ondine::adapters
