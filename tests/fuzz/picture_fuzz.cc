#include <utility>

#include "fuzz/fuzzer.h"
#include "images/picture.h"
#include "images/test_pictures.h"

using ondine::images::DecodePicture;
using ondine::testing::PictureFile;

std::vector<std::string> ondine::testing::FuzzSeeds() {
  PictureFile file{.width = 24, .height = 17, .orientation = 6, .taken = "2021:06:30 12:00:00"};
  std::vector<std::string> seeds;
  // Without AVIF: libdav1d 1.0 loses memory on damaged files.
  for (const char* suffix : {".jpg", ".jpg[interlace]", ".png", ".png[interlace]", ".webp", ".tif",
                             ".tif[compression=lzw]", ".gif"}) {
    std::string seed =
        file.Bytes(suffix, [](int x, int y, int c) { return x * y * (c + 1) % 256; });
    if (!seed.empty()) seeds.push_back(std::move(seed));
  }
  return seeds;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto picture = DecodePicture(std::as_bytes(std::span(data, size)), {.size = 8}, "fuzz");
  if (picture && picture->pixels.size() != 8 * 8 * 3) __builtin_trap();
  return 0;
}
