// clip_encode_speed CLIP FOLDER [REPEATS]: how fast a CLIP encodes pictures that are decoded
// already. Prints the pictures of the folder and, of each repeat, the seconds, as JSON.
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "base/stopwatch.h"
#include "images/clip_parts.h"
#include "images/photo_scan.h"

int main(int argc, char** argv) {
  using namespace ondine;
  if (argc < 3) {
    std::fprintf(stderr, "usage: clip_encode_speed CLIP FOLDER [REPEATS]\n");
    return 2;
  }
  const auto clip = Clip::Load(argv[1]);
  const auto scan = images::ScanPhotos(argv[2], {});
  if (!clip || !scan) {
    std::fprintf(stderr, "%s\n", (clip ? scan.error() : clip.error()).ToString().c_str());
    return 1;
  }
  Clip::Parts& parts = (*clip)->parts();
  std::vector<images::Picture> pictures;
  for (const images::PhotoFile& file : scan->files) {
    if (auto picture = images::LoadPicture(file.path, parts.form())) {
      pictures.push_back(std::move(*picture));
    }
  }
  std::vector<float> vectors(pictures.size() * static_cast<std::size_t>(parts.info.vector_length));
  const int repeats = argc > 3 ? std::atoi(argv[3]) : 1;
  std::printf("{\"pictures\": %zu, \"seconds\": [", pictures.size());
  for (int i = 0; i < repeats; ++i) {
    const base::Timer timer;
    parts.EncodeAll(pictures, vectors.data());
    std::printf("%s%.4f", i == 0 ? "" : ", ", timer.Elapsed());
  }
  std::printf("]}\n");
  return 0;
}
