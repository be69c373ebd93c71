// Files that differ from the models that golden logits exist of.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <string>
#include <vector>

#include "base/temp_dir.h"
#include "compute/thread_pool.h"
#include "formats/gguf.h"
#include "models/architectures.h"
#include "models/decoder.h"
#include "models/tiny_model.h"

namespace ondine::models {
namespace {

using ::testing::HasSubstr;
using testing::TinyModel;

class OtherFiles : public ::testing::Test {
 protected:
  // A tiny model's file, with other values, without some keys and with more tensors.
  struct Change {
    std::vector<std::pair<std::string, formats::GgufValue>> values = {};
    std::vector<std::string> without = {};
    std::vector<std::string> tensors = {};
  };
  formats::GgufFile File(const TinyModel& model, const Change& change) {
    EXPECT_TRUE(WriteTinyModel(model, folder_.File("tiny.gguf")));
    const auto tiny = formats::GgufFile::Open(folder_.File("tiny.gguf")).value();
    formats::GgufWriter writer;
    for (const auto& [key, value] : tiny.metadata()) {
      if (std::ranges::find(change.without, key) == change.without.end()) writer.Set(key, value);
    }
    for (const auto& [key, value] : change.values) writer.Set(key, value);
    for (const formats::GgufTensor& tensor : tiny.tensors()) {
      writer.Add(tensor.name, tensor.type, std::span(tensor.shape).first(tensor.dims), tensor.data);
    }
    const std::array<float, 1> one = {1};
    for (const std::string& name : change.tensors) {
      writer.Add(name, formats::TensorType::kF32, std::array<std::int64_t, 1>{1},
                 std::as_bytes(std::span(one)));
    }
    EXPECT_TRUE(writer.Write(folder_.File("other.gguf")));
    return formats::GgufFile::Open(folder_.File("other.gguf")).value();
  }

  const testing::TempDir folder_;
};

TEST_F(OtherFiles, ATensorThatWouldBeLeftOutIsRefused) {
  compute::ThreadPool pool(1);
  EXPECT_TRUE(Decoder::Load(File({}, {}), pool));
  EXPECT_TRUE(Decoder::Load(File({}, {.tensors = {"v.blk.0.attn_q.weight"}}), pool));
  for (const std::string name :
       {"blk.0.attn_q.bias", "blk.1.attn_output.bias", "blk.0.ffn_up.scale", "output.bias",
        "cls.output.weight", "token_embd_norm.weight"}) {
    const auto decoder = Decoder::Load(File({}, {.tensors = {name}}), pool);
    ASSERT_FALSE(decoder) << name;
    EXPECT_EQ(decoder.error().code, ErrorCode::kUnsupported);
    EXPECT_THAT(decoder.error().ToString(), HasSubstr(name));
  }
}

TEST_F(OtherFiles, AFactorOfPositionsIsLinearWhateverItIsCalled) {
  const auto scale = [&](const Change& change) {
    const auto spec = ReadDecoderSpec(File({}, change));
    EXPECT_TRUE(spec) << spec.error().ToString();
    return spec->rope.position_scale;
  };
  EXPECT_EQ(scale({}), 1);
  EXPECT_EQ(scale({{{"llama.rope.scaling.factor", 4.0}}}), 0.25);
  EXPECT_EQ(scale({{{"llama.rope.scale_linear", 4.0}}}), 0.25);
  EXPECT_EQ(scale({{{"llama.rope.scaling.factor", 4.0},
                    {"llama.rope.scaling.type", std::string("none")}}}),
            1);
  EXPECT_FALSE(ReadDecoderSpec(File({}, {{{"llama.rope.scaling.type", std::string("yarn")}}})));
  EXPECT_FALSE(ReadDecoderSpec(File({}, {{{"llama.rope.scaling.attn_factor", 1.2}}})));
}

TEST_F(OtherFiles, GemmasNamesForRotations) {
  const TinyModel gemma = {.architecture = "gemma3", .layers = 7, .window = 16};
  const auto spec =
      ReadDecoderSpec(File(gemma, {{{"gemma3.rope.global.freq_base", 1e6},
                                    {"gemma3.rope.local.freq_base", 5e3},
                                    {"gemma3.attention.sliding_window_pattern", std::uint64_t{3}}},
                                   {"gemma3.rope.freq_base"}}));
  ASSERT_TRUE(spec) << spec.error().ToString();
  EXPECT_EQ(spec->rope.base, 1e6);
  EXPECT_EQ(spec->local_rope.base, 5e3);
  EXPECT_EQ(spec->global_every, 3);
  EXPECT_FALSE(ReadDecoderSpec(File(gemma, {{}, {"gemma3.rope.freq_base"}})));
  EXPECT_FALSE(ReadDecoderSpec(File(gemma, {{{"gemma3.final_logit_softcapping", 30.0}}})));
}

}  // namespace
}  // namespace ondine::models
