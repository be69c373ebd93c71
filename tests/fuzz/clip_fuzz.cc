// CLIP models as GGUF files: what describes them, their tokenizer and their weights.
#include <cstdlib>
#include <map>

#include "base/file.h"
#include "base/temp_dir.h"
#include "fuzz/fuzzer.h"
#include "images/tiny_clip.h"
#include "models/clip.h"
#include "text/clip_tokenizer.h"

namespace {

using ondine::formats::GgufFile;
using ondine::testing::TinyClip;

// With as few weights as there can be, so that fuzzing damages other things too.
TinyClip Smallest() {
  TinyClip clip;
  ondine::models::ClipSpec& spec = clip.spec();
  const std::map<std::int64_t, std::int64_t> of_text = {
      {spec.text.width, 4}, {spec.text.hidden, 6}, {spec.context, 3}, {spec.projection, 2}};
  const std::map<std::int64_t, std::int64_t> of_image = {{spec.image.width, 4},
                                                         {spec.image.hidden, 6},
                                                         {spec.Patches() + 1, 5},
                                                         {spec.patch_size, 2},
                                                         {spec.projection, 2}};
  spec.text.width = spec.image.width = 4;
  spec.text.hidden = spec.image.hidden = 6;
  spec.text.heads = spec.image.heads = 2;
  spec.text.layers = spec.image.layers = 1;
  spec.context = 3;
  spec.projection = 2;
  spec.image_size = 4;
  spec.patch_size = 2;
  std::erase_if(clip.tensors(), [](const auto& tensor) {
    return tensor.first.find(".blk.1.") != std::string::npos;
  });
  for (auto& [name, tensor] : clip.tensors()) {
    std::size_t count = 1;
    for (std::int64_t& size : tensor.shape) {
      const auto& sizes = name.starts_with('t') ? of_text : of_image;
      if (const auto found = sizes.find(size); found != sizes.end()) size = found->second;
      count *= static_cast<std::size_t>(size);
    }
    tensor.values.resize(count);
  }
  return clip;
}

}  // namespace

std::vector<std::string> ondine::testing::FuzzSeeds() {
  const TempDir folder;
  const std::string path = folder.File("seed.gguf");
  if (!Smallest().WriteGguf(path)) std::abort();  // fuzzing without seeds would find nothing
  ondine::compute::ThreadPool threads(1);
  const auto file = GgufFile::Open(path);
  if (!file || !models::Clip::Load(*file, threads)) std::abort();
  return {base::ReadFile(path).value()};
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto file = GgufFile::Parse(std::as_bytes(std::span(data, size)), "fuzz");
  if (!file) return 0;
  static ondine::compute::ThreadPool threads(1);
  [[maybe_unused]] const auto clip = ondine::models::Clip::Load(*file, threads);
  const auto tokenizer = ondine::text::ClipTokenizer::FromGguf(*file);
  if (!tokenizer) return 0;
  constexpr std::string_view kText = "a RED shoe's 12\xFF w\xC3\xB6rld";
  std::size_t end = 0;  // of what stands before: the bytes of one character may be two tokens
  for (const auto& token : tokenizer->Encode(kText)) {
    const bool lies = token.begin < token.end && token.end >= end && token.end <= kText.size();
    if (token.id < 0 || token.id >= tokenizer->start() || !lies) __builtin_trap();
    end = token.end;
  }
  return 0;
}
