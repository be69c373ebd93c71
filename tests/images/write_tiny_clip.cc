// Writes the checkpoints quick_gelu/ and gelu/ of the tiny CLIP into a folder, for
// clip_transformers.py.
#include <cstdio>
#include <filesystem>
#include <utility>

#include "images/tiny_clip.h"

int main(int argc, char** argv) {
  using ondine::models::ClipActivation;
  if (argc != 2) {
    std::fprintf(stderr, "usage: write_tiny_clip FOLDER\n");
    return 2;
  }
  for (const auto& [name, activation] : {std::pair{"quick_gelu", ClipActivation::kQuickGelu},
                                         std::pair{"gelu", ClipActivation::kGelu}}) {
    const auto folder = std::filesystem::path(argv[1]) / name;
    std::filesystem::create_directories(folder);
    ondine::testing::TinyClip(activation).WriteTransformers(folder);
  }
  return 0;
}
