// The text files of CLIP checkpoints, beside weights that are always the same. The input is one
// byte that says whose checkpoint it is, then the files, with kMark between them.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "base/temp_dir.h"
#include "fuzz/fuzzer.h"
#include "images/clip_checkpoint.h"
#include "images/tiny_clip.h"
#include "models/clip.h"

namespace {

using ondine::formats::GgufFile;
using ondine::testing::TinyClip;

constexpr std::string_view kMark = "\n==file==\n";
constexpr char kTransformers = 't', kOpenClip = 'o';

struct Checkpoint {
  ondine::testing::TempDir folder;
  std::vector<std::string> files;  // of text

  explicit Checkpoint(char program) {
    if (program == kOpenClip) {
      TinyClip().WriteOpenClip(folder.path());
      files = {"open_clip_config.json", "tokenizer.json"};
    } else {
      TinyClip().WriteTransformers(folder.path());
      files = {"config.json", "merges.txt", "preprocessor_config.json"};
    }
  }
};

const Checkpoint& Of(char program) {
  static const Checkpoint transformers(kTransformers), open_clip(kOpenClip);
  return program == kOpenClip ? open_clip : transformers;
}

}  // namespace

std::vector<std::string> ondine::testing::FuzzSeeds() {
  std::vector<std::string> seeds;
  for (const char program : {kTransformers, kOpenClip}) {
    std::string& seed = seeds.emplace_back(1, program);
    for (const std::string& file : Of(program).files) {
      seed.append(base::ReadFile(Of(program).folder.File(file)).value()).append(kMark);
    }
  }
  return seeds;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const Checkpoint& checkpoint = Of(static_cast<char>(data[0]));
  std::string_view input(reinterpret_cast<const char*>(data) + 1, size - 1);
  for (const std::string& file : checkpoint.files) {
    const std::size_t mark = std::min(input.find(kMark), input.size());
    const std::string path = checkpoint.folder.File(file);
    std::filesystem::remove(path);  // cutting off one that is there waits for the disk
    std::ofstream(path, std::ios::binary) << input.substr(0, mark);
    input.remove_prefix(std::min(mark + kMark.size(), input.size()));
  }
  const std::string output = checkpoint.folder.File("clip.gguf");
  if (!ondine::images::ConvertClip(checkpoint.folder.path(), output,
                                   ondine::formats::TensorType::kF16)) {
    return 0;
  }
  // What is converted can be used.
  static ondine::compute::ThreadPool threads(1);
  const auto converted = GgufFile::Open(output);
  if (!converted || !ondine::models::Clip::Load(*converted, threads)) __builtin_trap();
  return 0;
}
