#include "images/clip_checkpoint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <limits>
#include <string>

#include "base/temp_dir.h"
#include "formats/gguf.h"
#include "images/clip_config.h"
#include "images/tiny_clip.h"
#include "models/clip.h"
#include "ondine/images.h"

namespace ondine::images {
namespace {

using ::testing::HasSubstr;

class ConvertClipTest : public ::testing::Test {
 protected:
  Result<models::ClipSpec> Convert(formats::TensorType type = formats::TensorType::kF32) const {
    return ConvertClip(folder_.path(), output_, type);
  }
  // Replaces a part of a file of the checkpoint.
  void Edit(const std::string& name, const std::string& from, const std::string& to) const {
    std::ifstream file(folder_.File(name), std::ios::binary);
    std::string text(std::istreambuf_iterator<char>(file), {});
    const std::size_t at = text.find(from);
    ASSERT_NE(at, text.npos) << from;
    text.replace(at, from.size(), to);
    std::ofstream(folder_.File(name), std::ios::binary) << text;
  }
  void ExpectError(ErrorCode code, const std::string& text) const {
    const auto converted = Convert();
    ASSERT_FALSE(converted.has_value());
    EXPECT_EQ(converted.error().code, code) << converted.error().ToString();
    EXPECT_THAT(converted.error().ToString(), HasSubstr(text));
    EXPECT_FALSE(std::filesystem::exists(output_));
  }
  // All tensors and the description of the file are the tiny model's.
  void ExpectIsTiny(testing::TinyClip tiny) const {
    const auto file = formats::GgufFile::Open(output_);
    ASSERT_TRUE(file.has_value());
    ASSERT_EQ(file->tensors().size(), tiny.tensors().size());
    for (const auto& [name, expected] : tiny.tensors()) {
      const formats::GgufTensor* tensor = file->FindTensor(name);
      ASSERT_NE(tensor, nullptr) << name;
      ASSERT_EQ(tensor->data.size(), expected.values.size() * sizeof(float)) << name;
      EXPECT_EQ(std::memcmp(tensor->data.data(), expected.values.data(), tensor->data.size()), 0)
          << name;
    }
    const auto spec = models::ReadClipSpec(*file);
    ASSERT_TRUE(spec.has_value());
    const models::ClipSpec& wanted = tiny.spec();
    EXPECT_EQ(spec->projection, wanted.projection);
    EXPECT_EQ(spec->activation, wanted.activation);
    EXPECT_NEAR(spec->logit_scale, wanted.logit_scale, 1e-3);
    EXPECT_EQ(spec->text.heads, wanted.text.heads);
    EXPECT_EQ(spec->text.hidden, wanted.text.hidden);
    EXPECT_EQ(spec->image.heads, wanted.image.heads);
    EXPECT_EQ(spec->image.hidden, wanted.image.hidden);
    EXPECT_EQ(spec->mean, wanted.mean);
    EXPECT_EQ(spec->deviation, wanted.deviation);
    EXPECT_EQ(spec->context, wanted.context);
    EXPECT_EQ(spec->vocabulary, wanted.vocabulary);
    const auto tokens = text::ClipTokenizer::FromGguf(*file)->Encode("red shoe");
    ASSERT_EQ(tokens.size(), 2u);
    EXPECT_EQ(tokens[0].id, 513);
    EXPECT_EQ(tokens[1].id, 516);
  }

  const testing::TempDir folder_;
  const std::string output_ = folder_.File("clip.gguf");
};

TEST_F(ConvertClipTest, TakesACheckpointOfTransformers) {
  for (const auto activation :
       {models::ClipActivation::kQuickGelu, models::ClipActivation::kGelu}) {
    const testing::TinyClip tiny(activation);
    tiny.WriteTransformers(folder_.path());
    ASSERT_TRUE(Convert().has_value()) << Convert().error().ToString();
    ExpectIsTiny(tiny);
  }
}

TEST_F(ConvertClipTest, TakesACheckpointOfOpenClip) {
  for (const auto activation :
       {models::ClipActivation::kQuickGelu, models::ClipActivation::kGelu}) {
    const testing::TinyClip tiny(activation);
    tiny.WriteOpenClip(folder_.path());
    ASSERT_TRUE(Convert().has_value()) << Convert().error().ToString();
    ExpectIsTiny(tiny);
  }
}

TEST_F(ConvertClipTest, HalvesAreCloseToFloats) {
  testing::TinyClip().WriteTransformers(folder_.path());
  ASSERT_TRUE(Convert(formats::TensorType::kF16).has_value());
  const auto halves = (*Clip::Load(output_))->EncodeQuery("red shoe")->vector;
  ASSERT_TRUE(Convert().has_value());
  const auto floats = (*Clip::Load(output_))->EncodeQuery("red shoe")->vector;
  for (std::size_t i = 0; i < floats.size(); ++i) EXPECT_NEAR(halves[i], floats[i], 2e-3);
  EXPECT_NE(halves, floats);
}

TEST_F(ConvertClipTest, StoresTheUpperHalvesOfFloats) {
  testing::TinyClip tiny;
  tiny.WriteTransformers(folder_.path());
  ASSERT_TRUE(Convert(formats::TensorType::kBF16).has_value());
  const auto file = formats::GgufFile::Open(output_);
  ASSERT_TRUE(file.has_value());
  compute::ThreadPool pool(1);
  ASSERT_TRUE(models::Clip::Load(*file, pool).has_value());
  const formats::GgufTensor* tensor = file->FindTensor("v.blk.1.ffn_up.weight");
  ASSERT_EQ(tensor->type, formats::TensorType::kBF16);
  const std::vector<float>& expected = tiny.tensors().at(tensor->name).values;
  ASSERT_EQ(tensor->data.size(), 2 * expected.size());
  for (std::size_t i = 0; i < expected.size(); ++i) {
    std::uint16_t upper;
    std::memcpy(&upper, tensor->data.data() + 2 * i, sizeof upper);
    const auto value = std::bit_cast<float>(std::uint32_t{upper} << 16);
    EXPECT_NEAR(value, expected[i], std::fabs(expected[i]) / 256) << i;
  }
}

TEST_F(ConvertClipTest, RefusesNumbersThatHalvesCannotHold) {
  testing::TinyClip tiny;
  tiny.tensors()["text_projection.weight"].values[3] = 1e6f;
  tiny.WriteTransformers(folder_.path());
  const auto converted = Convert(formats::TensorType::kF16);
  ASSERT_FALSE(converted.has_value());
  EXPECT_THAT(converted.error().ToString(), HasSubstr("text_projection"));
  EXPECT_TRUE(Convert().has_value());
}

TEST_F(ConvertClipTest, NamesWhatIsMissing) {
  ExpectError(ErrorCode::kNotFound, "config.json");
  testing::TinyClip tiny;
  tiny.WriteTransformers(folder_.path());
  std::filesystem::remove(folder_.File("merges.txt"));
  ExpectError(ErrorCode::kNotFound, "tokenizer.json");
  tiny.tensors().erase("v.blk.1.attn_v.bias");
  tiny.WriteTransformers(folder_.path());
  ExpectError(ErrorCode::kNotFound, "vision_model.encoder.layers.1.self_attn.v_proj.bias");
}

TEST_F(ConvertClipTest, RefusesShapesOfAnotherConfiguration) {
  testing::TinyClip().WriteTransformers(folder_.path());
  Edit("config.json", "\"hidden_size\": 32", "\"hidden_size\": 64");
  ExpectError(ErrorCode::kCorrupt, "does not fit");
}

TEST_F(ConvertClipTest, RefusesNumbersThatAreNotFinite) {
  testing::TinyClip tiny;
  tiny.tensors()["v.class_embd"].values[0] = std::numeric_limits<float>::quiet_NaN();
  tiny.WriteTransformers(folder_.path());
  ExpectError(ErrorCode::kCorrupt, "class_embedding");
}

TEST_F(ConvertClipTest, RefusesOtherModels) {
  testing::TinyClip().WriteTransformers(folder_.path());
  Edit("config.json", "\"clip\"", "\"siglip\"");
  ExpectError(ErrorCode::kUnsupported, "siglip");
}

TEST_F(ConvertClipTest, RefusesTensorsThatItWouldLeaveOut) {
  testing::TinyClip().WriteTransformers(folder_.path());
  Edit("config.json", "\"num_hidden_layers\": 2", "\"num_hidden_layers\": 1");
  ExpectError(ErrorCode::kUnsupported, "has no place");
}

TEST_F(ConvertClipTest, TakesACheckpointInSeveralFiles) {
  const testing::TinyClip tiny;
  tiny.WriteTransformers(folder_.path());
  std::filesystem::rename(folder_.File("model.safetensors"), folder_.File("part-1.safetensors"));
  const auto index = [&](const std::string& name) {
    std::ofstream(folder_.File("model.safetensors.index.json"))
        << R"({"weight_map": {"logit_scale": ")" << name << R"("}})";
  };
  index("part-1.safetensors");
  ASSERT_TRUE(Convert().has_value()) << Convert().error().ToString();
  ExpectIsTiny(tiny);
  std::filesystem::remove(output_);
  index("../part-1.safetensors");
  ExpectError(ErrorCode::kCorrupt, "none in this folder");
  index("part-2.safetensors");
  ExpectError(ErrorCode::kNotFound, "part-2.safetensors");
}

TEST_F(ConvertClipTest, RefusesPartsItDoesNotKnow) {
  testing::TinyClip().WriteOpenClip(folder_.path());
  Edit("open_clip_config.json", "\"vision_cfg\": {", "\"vision_cfg\": {\"pool_type\": \"avg\", ");
  ExpectError(ErrorCode::kUnsupported, "pool_type");
  std::filesystem::remove(folder_.File("open_clip_config.json"));
  testing::TinyClip().WriteTransformers(folder_.path());
  Edit("config.json", "\"quick_gelu\"", "\"relu\"");
  ExpectError(ErrorCode::kUnsupported, "relu");
  testing::TinyClip().WriteTransformers(folder_.path());
  Edit("preprocessor_config.json", "\"resample\": 3", "\"resample\": 2");
  ExpectError(ErrorCode::kUnsupported, "resample");
  testing::TinyClip().WriteTransformers(folder_.path());
  Edit("preprocessor_config.json", "\"height\": 32", "\"height\": 48");
  ExpectError(ErrorCode::kUnsupported, "crop_size");
}

TEST_F(ConvertClipTest, RefusesAVocabularyThatIsTooSmall) {
  testing::TinyClip().WriteTransformers(folder_.path());
  Edit("merges.txt", "sh oe</w>\n", "");
  ExpectError(ErrorCode::kInvalidArgument, "merges");
}

TEST_F(ConvertClipTest, AnyConfigurationIsReadOrRefused) {
  for (const char* config :
       {"", "[]", "{", "null", R"({"model_type": 3})",
        R"({"model_type": "clip", "projection_dim": 0})",
        R"({"model_type": "clip", "text_config": [], "projection_dim": -1})",
        R"({"model_type": "clip", "text_config": {"num_attention_heads": 7}})",
        R"({"model_type": "clip", "vision_config": {"hidden_size": 1e400}})"}) {
    EXPECT_FALSE(ParseTransformersConfig(config, "", "x").has_value()) << config;
    EXPECT_FALSE(ParseOpenClipConfig(config, "x").has_value()) << config;
  }
  // Old checkpoints say little: the rest is OpenAI's ViT-B/32.
  const auto spec = ParseTransformersConfig(R"({"model_type": "clip"})", "", "x");
  ASSERT_TRUE(spec.has_value());
  EXPECT_EQ(spec->image.width, 768);
  EXPECT_EQ(spec->text.layers, 12);
}

TEST_F(ConvertClipTest, NumbersThatMakeNoSenseAreRefused) {
  for (const char* vision : {R"("num_hidden_layers": 16000000)", R"("layer_norm_eps": 0)",
                             R"("layer_norm_eps": -1)", R"("layer_norm_eps": 1e300)"}) {
    const std::string config =
        std::string(R"({"model_type": "clip", "vision_config": {)") + vision + "}}";
    EXPECT_FALSE(ParseTransformersConfig(config, "", "x")) << vision;
  }
  for (const char* preprocessing : {R"("image_std": [1, 0, 1])", R"("image_std": [1, -1, 1])",
                                    R"("image_mean": [0, 1e300, 0])"}) {
    EXPECT_FALSE(ParseTransformersConfig(R"({"model_type": "clip"})",
                                         std::string("{") + preprocessing + "}", "x"))
        << preprocessing;
  }
  const auto open_clip = [](const std::string& vision) {
    return ParseOpenClipConfig(
        R"({"model_cfg": {"embed_dim": 512, "text_cfg": {}, "vision_cfg": {)" + vision + "}}}",
        "x");
  };
  EXPECT_TRUE(open_clip(""));
  for (const char* vision : {R"("mlp_ratio": 1e30)", R"("mlp_ratio": 0)", R"("mlp_ratio": -4)",
                             R"("layers": 16000000)"}) {
    EXPECT_FALSE(open_clip(vision)) << vision;
  }
  const std::string deep = std::string(100000, '[') + std::string(100000, ']');
  EXPECT_FALSE(open_clip(R"("timm_model_name": )" + deep));
}

TEST_F(ConvertClipTest, PicturesBecomeSquaresAsEachTrainerMadeThem) {
  EXPECT_EQ(ParseTransformersConfig(R"({"model_type": "clip"})", "", "x")->resize,
            models::ResizeMode::kShortest);
  const auto open_clip = [](const std::string& preprocess) {
    return ParseOpenClipConfig(
        R"({"model_cfg": {"embed_dim": 8}, "preprocess_cfg": {)" + preprocess + "}}", "x");
  };
  EXPECT_EQ(open_clip("")->resize, models::ResizeMode::kShortestRounded);
  const auto longest = open_clip(R"("resize_mode": "longest")");
  EXPECT_EQ(longest->resize, models::ResizeMode::kLongest);
  EXPECT_EQ(longest->fill, 0);
  EXPECT_EQ(open_clip(R"("fill_color": 127)")->fill, 127);
  for (const char* unknown :
       {R"("fill_color": 256)", R"("fill_color": -1)", R"("resize_mode": "shortest_rounded")",
        R"("resize_mode": "other")"}) {
    EXPECT_FALSE(open_clip(unknown).has_value()) << unknown;
  }
  // And it stays with the model.
  testing::TinyClip tiny;
  tiny.spec().resize = models::ResizeMode::kLongest;
  tiny.spec().fill = 127;
  ASSERT_TRUE(tiny.WriteGguf(output_).has_value());
  const auto read = models::ReadClipSpec(*formats::GgufFile::Open(output_));
  ASSERT_TRUE(read.has_value());
  EXPECT_EQ(read->resize, models::ResizeMode::kLongest);
  EXPECT_EQ(read->fill, 127);
}

// clip.cpp's first converter called the matrices of the MLP the other way round.
TEST(ClipFile, TheMlpMayBeNamedTheOtherWayRound) {
  const testing::TempDir folder;
  testing::TinyClip tiny;
  ASSERT_TRUE(tiny.WriteGguf(folder.File("right.gguf")).has_value());
  for (const char* prefix : {"t.blk.0.", "t.blk.1.", "v.blk.0.", "v.blk.1."}) {
    for (const char* part : {".weight", ".bias"}) {
      std::swap(tiny.tensors()[std::string(prefix) + "ffn_up" + part],
                tiny.tensors()[std::string(prefix) + "ffn_down" + part]);
    }
  }
  ASSERT_TRUE(tiny.WriteGguf(folder.File("swapped.gguf")).has_value());
  EXPECT_EQ((*Clip::Load(folder.File("swapped.gguf")))->EncodeQuery("red shoe")->vector,
            (*Clip::Load(folder.File("right.gguf")))->EncodeQuery("red shoe")->vector);
}

TEST(ClipFile, ErrorsNameWhatIsWrong) {
  const testing::TempDir folder;
  const std::string path = folder.File("clip.gguf");
  const auto error_of = [&](testing::TinyClip tiny) {
    EXPECT_TRUE(tiny.WriteGguf(path).has_value());
    const auto clip = Clip::Load(path);
    return clip ? "" : clip.error().ToString();
  };
  testing::TinyClip tiny;
  EXPECT_EQ(error_of(tiny), "");
  tiny.tensors().erase("v.pre_ln.bias");
  EXPECT_THAT(error_of(tiny), HasSubstr("v.pre_ln.bias"));
  tiny = testing::TinyClip();
  tiny.spec().text.heads = 3;
  EXPECT_THAT(error_of(tiny), HasSubstr("heads"));
  tiny = testing::TinyClip();
  tiny.spec().context = 20;
  EXPECT_THAT(error_of(tiny), HasSubstr("t.position_embd.weight"));
  tiny = testing::TinyClip();
  tiny.spec().deviation[1] = 0;
  EXPECT_THAT(error_of(tiny), HasSubstr("image_std"));
  tiny = testing::TinyClip();
  tiny.tensors()["t.blk.0.ln1.weight"].values[0] = std::numeric_limits<float>::infinity();
  EXPECT_THAT(error_of(tiny), HasSubstr("t.blk.0.ln1.weight"));
}

}  // namespace
}  // namespace ondine::images
