// The program `ondine-train clip`, from a table and archives of photos to a model file.
#include <gmock/gmock.h>

#include <array>
#include <cstdio>
#include <filesystem>

#include "base/file.h"
#include "cli/program.h"
#include "formats/gguf.h"
#include "models/tensor_floats.h"
#include "train/clip_fixture.h"
#include "train/tar_fixture.h"
#include "train/training_test.h"

namespace ondine::testing {
namespace {

using ::testing::HasSubstr;

// A picture without compression: TIFF.
std::string Tiff(const train::PhotoSet& photos, std::size_t i) {
  std::string file = "II*";
  const auto put = [&](std::uint64_t value, int bytes) {
    for (int k = 0; k < bytes; ++k) file += static_cast<char>(value >> (8 * k) & 0xff);
  };
  const auto size = static_cast<std::uint64_t>(photos.size), bytes = size * size * 3;
  constexpr std::uint64_t kBits = 8, kPixels = 14;  // where these stand
  put(0, 1);
  put(kPixels + bytes, 4);
  for (int channel = 0; channel < 3; ++channel) put(8, 2);
  file.append(reinterpret_cast<const char*>(photos.pixels.data()) + i * bytes, bytes);
  struct Entry {
    std::uint64_t tag, count, value;
  };
  const Entry entries[] = {{256, 1, size}, {257, 1, size}, {258, 3, kBits},
                           {259, 1, 1},    {262, 1, 2},    {273, 1, kPixels},
                           {277, 1, 3},    {278, 1, size}, {279, 1, bytes}};
  put(std::size(entries), 2);
  for (const Entry& entry : entries) {
    put(entry.tag, 2);
    put(3, 2);  // 16-bit numbers
    put(entry.count, 4);
    put(entry.value, 4);
  }
  put(0, 4);
  return file;
}

class ClipCommandTest : public TrainingTest {
 protected:
  ClipCommandTest() {
    std::filesystem::create_directories(Path("data/images/fashion"));
    const train::PhotoSet photos = ColouredPhotos(120, 10, 1);
    std::string table =
        "id,gender,masterCategory,subCategory,articleType,baseColour,season,year,usage,"
        "productDisplayName\r\n";
    std::array<std::string, 5> archives;
    for (std::size_t i = 0; i < photos.items.size(); ++i) {
      const train::FashionItem& item = photos.items[i];
      table += std::to_string(i) + ",Men,Apparel,Topwear," + item[train::Attribute::kType] + "," +
               item[train::Attribute::kColour] + ",Summer,2012,Casual,\"" + item.name + " No. " +
               std::to_string(i) + "\"\r\n";
      archives[i % archives.size()] += TarMember(item.photo, Tiff(photos, i));
    }
    Write("data/images/fashion/products.csv", table);
    for (std::size_t i = 0; i < archives.size(); ++i) {
      Write("data/images/fashion/images-" + std::to_string(i) + ".tar", archives[i]);
    }
    Write("merges.txt", kTinyMerges);
  }

  std::vector<std::string> Command(const std::vector<std::string>& more = {},
                                   const std::string& out = "clip.gguf") const {
    std::vector<std::string> command = {"clip",
                                        "--data",
                                        Path("data"),
                                        "--merges",
                                        Path("merges.txt"),
                                        "--image-size",
                                        "8",
                                        "--patch",
                                        "4",
                                        "--width",
                                        "32",
                                        "--layers",
                                        "1",
                                        "--heads",
                                        "2",
                                        "--text-width",
                                        "32",
                                        "--text-layers",
                                        "1",
                                        "--text-heads",
                                        "2",
                                        "--projection",
                                        "16",
                                        "--vocabulary",
                                        "517",
                                        "--context",
                                        "32",
                                        "--batch",
                                        "16",
                                        "--steps",
                                        "6",
                                        "--learning-rate",
                                        "0.003",
                                        "--threads",
                                        "1",
                                        "-o",
                                        Path(out)};
    command.insert(command.end(), more.begin(), more.end());
    return command;
  }
  std::string Train(const std::vector<std::string>& more, const std::string& out) const {
    Output(Command(more, out));
    return base::ReadFile(Path(out)).value_or("");
  }
  std::vector<float> Weights(const std::string& name) const {
    std::vector<float> weights;
    const auto file = formats::GgufFile::Open(Path(name));
    EXPECT_TRUE(file) << file.error().ToString();
    compute::ThreadPool pool(1);
    for (const formats::GgufTensor& tensor : file->tensors()) {
      const auto values = models::ReadFloats(*file, tensor, pool);
      EXPECT_TRUE(values);
      weights.insert(weights.end(), values->begin(), values->end());
    }
    return weights;
  }
};

TEST_F(ClipCommandTest, WritesAModelThatSaysWhatItWasMadeFrom) {
  Train({"--name", "little", "--log", Path("log"), "--type", "f16"}, "clip.gguf");
  const auto file = formats::GgufFile::Open(Path("clip.gguf"));
  ASSERT_TRUE(file) << file.error().ToString();
  EXPECT_EQ(file->FindString("general.name").value(), "little");
  const auto spec = models::ReadClipSpec(*file);
  ASSERT_TRUE(spec) << spec.error().ToString();
  EXPECT_EQ(spec->image.hidden, 128);
  EXPECT_EQ(spec->resize, models::ResizeMode::kSquash);
  const std::string provenance = file->FindString("ondine.clip.provenance").value().value() + ",";
  for (const char* setting : {"MIT licence)", "image-size 8", "batch 16", "steps 6", "seed 1",
                              "keep-patches 0.5", "dtype float32", "processes 1"}) {
    EXPECT_THAT(provenance, HasSubstr(std::string(setting) + ","));
  }
  const std::string log = base::ReadFile(Path("log")).value_or("");
  for (const char* record : {"\"event\":\"start\"", "\"event\":\"step\"", "\"photos_per_second\"",
                             "\"photos_by_name\"", "\"balanced\""}) {
    EXPECT_THAT(log, HasSubstr(record));
  }
}

std::vector<std::string> Teaching(const std::string& data, const std::string& from,
                                  const std::string& out) {
  return {"clip",        "--data", data,      "--from", from,      "--texts-only",
          "--strengths", "1",      "--batch", "16",     "--steps", "6",
          "--threads",   "1",      "-o",      out};
}

// Whatever the type of its tensors is.
TEST_F(ClipCommandTest, TeachesStrengthsToAClipThatIsThere) {
  for (const std::string type : {"q8_0", "f16", "f32"}) {
    Train({"--name", "little", "--type", type}, "clip.gguf");
    Output(Teaching(Path("data"), Path("clip.gguf"), Path("strong.gguf")));
    const auto before = formats::GgufFile::Open(Path("clip.gguf"));
    const auto after = formats::GgufFile::Open(Path("strong.gguf"));
    ASSERT_TRUE(before && after);
    EXPECT_EQ(after->FindString("general.name").value(), "little");
    EXPECT_EQ(after->FindNumber("clip.logit_scale").value(),
              before->FindNumber("clip.logit_scale").value());
    const std::string provenance = after->FindString("ondine.clip.provenance").value().value();
    for (const char* part : {"strengths 1", "texts-only yes", ", from a CLIP of: ", "from "}) {
      EXPECT_THAT(provenance, HasSubstr(part));
    }
    // Byte for byte, so that vectors of photos are what they were.
    for (const formats::GgufTensor& tensor : before->tensors()) {
      const formats::GgufTensor* other = after->FindTensor(tensor.name);
      ASSERT_NE(other, nullptr);
      const bool same = std::ranges::equal(tensor.data, other->data);
      const bool text = tensor.name.starts_with("t.") || tensor.name == "text_projection.weight";
      EXPECT_EQ(same, !text) << type << " " << tensor.name;
    }
  }

  std::vector<std::string> other = Teaching(Path("data"), Path("clip.gguf"), Path("x.gguf"));
  other.insert(other.end(), {"--width", "64"});
  EXPECT_THAT(Refusal(2, other), HasSubstr("--from"));
  EXPECT_THAT(Refusal(2, {"clip", "-o", Path("x.gguf")}), HasSubstr("--merges or --from"));
  EXPECT_THAT(Refusal(2, Command({"--texts-only"})), HasSubstr("--from"));
}

TEST_F(ClipCommandTest, TwoProcessesTeachWhatOneTeaches) {
  Train({"--type", "f32"}, "clip.gguf");
  Output(Teaching(Path("data"), Path("clip.gguf"), Path("alone.gguf")));
  RunInTwo(Teaching(Path("data"), Path("clip.gguf"), Path("together.gguf")));
  EXPECT_LT(RelativeDifference(Weights("together.gguf"), Weights("alone.gguf")), 1e-3);
  EXPECT_GT(RelativeDifference(Weights("alone.gguf"), Weights("clip.gguf")), 1e-3);
}

TEST_F(ClipCommandTest, TheSeedDecidesEveryByte) {
  const std::string first = Train({}, "first.gguf");
  EXPECT_EQ(Train({"--log", Path("log")}, "second.gguf"), first);
  EXPECT_NE(Train({"--seed", "2"}, "third.gguf"), first);
}

TEST_F(ClipCommandTest, TwoProcessesTrainWhatOneTrains) {
  const std::vector<std::string> more = {"--type", "f32"};
  Train(more, "alone.gguf");
  RunInTwo(Command(more, "together.gguf"));
  EXPECT_LT(RelativeDifference(Weights("together.gguf"), Weights("alone.gguf")), 1e-3);
}

TEST_F(ClipCommandTest, GoesOnFromACheckpoint) {
  const std::string whole = Train({"--checkpoint", Path("state")}, "clip.gguf");
  const std::vector<std::string> resume = {"--resume", "--checkpoint", Path("state")};
  EXPECT_EQ(Train(resume, "other.gguf"), whole);
  std::vector<std::string> other = Command(resume, "other.gguf");
  other.insert(other.end(), {"--weight-decay", "0.2"});
  EXPECT_THAT(Refusal(1, other), HasSubstr("weight-decay 0.2"));
}

TEST_F(ClipCommandTest, WrongFilesAreNamed) {
  const auto with = [&](const std::string& option, const std::string& value) {
    std::vector<std::string> command = Command();
    *(std::ranges::find(command, option) + 1) = value;
    return command;
  };
  EXPECT_THAT(Refusal(1, with("--data", Path("nowhere"))), HasSubstr("images-0.tar"));
  EXPECT_THAT(Refusal(1, with("--merges", Path("nothing"))), HasSubstr("nothing"));
  EXPECT_THAT(Refusal(2, with("--vocabulary", "600")), HasSubstr("merges.txt"));
  EXPECT_THAT(Refusal(2, with("-o", Path("merges.txt"))), HasSubstr("two purposes"));
  EXPECT_THAT(Refusal(2, with("--patch", "3")), HasSubstr("patches"));
  Write("data/images/fashion/products.csv", "id,gender\r\n1,Men\r\n");
  EXPECT_THAT(Refusal(1, Command()), HasSubstr("productDisplayName"));
}

}  // namespace
}  // namespace ondine::testing
