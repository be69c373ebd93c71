// Picture files for tests, made with libvips.
#ifndef ONDINE_TESTS_IMAGES_TEST_PICTURES_H_
#define ONDINE_TESTS_IMAGES_TEST_PICTURES_H_

#include <vips/vips.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace ondine::testing {

struct PictureFile {
  int width = 0, height = 0;
  int bands = 3;
  VipsInterpretation interpretation = VIPS_INTERPRETATION_sRGB;
  int orientation = 0;     // 0: the file says nothing
  std::string taken = {};  // of EXIF

  // `value(x, y, band)` is what the picture shows; `suffix` names the format and its options, such
  // as ".jpg[Q=100]". Samples have 16 bits where `Sample` has.
  template <typename Sample = std::uint8_t>
  std::string Bytes(const char* suffix, const std::function<int(int, int, int)>& value) const {
    std::vector<Sample> samples;
    for (int y = 0; y < height; ++y) {
      for (int x = 0; x < width; ++x) {
        for (int c = 0; c < bands; ++c) samples.push_back(static_cast<Sample>(value(x, y, c)));
      }
    }
    return Save(suffix, samples.data(), samples.size() * sizeof(Sample),
                sizeof(Sample) == 2 ? VIPS_FORMAT_USHORT : VIPS_FORMAT_UCHAR);
  }

 private:
  std::string Save(const char* suffix, const void* samples, std::size_t size,
                   VipsBandFormat format) const {
    vips_init("images_test");
    VipsImage* plain = vips_image_new_from_memory_copy(samples, size, width, height, bands, format);
    VipsImage* image = nullptr;
    vips_copy(plain, &image, "interpretation", interpretation, nullptr);
    g_object_unref(plain);
    if (orientation != 0) vips_image_set_int(image, VIPS_META_ORIENTATION, orientation);
    if (!taken.empty()) {
      vips_image_set_string(image, "exif-ifd2-DateTimeOriginal", taken.c_str());
    }
    void* bytes = nullptr;
    std::size_t length = 0;
    std::string file;
    if (vips_image_write_to_buffer(image, suffix, &bytes, &length, nullptr) == 0) {
      file.assign(static_cast<const char*>(bytes), length);
    }
    g_free(bytes);
    g_object_unref(image);
    return file;
  }
};

// One colour all over.
inline std::string PlainPicture(int width, int height, std::vector<int> colour,
                                const char* suffix = ".png") {
  PictureFile file{.width = width, .height = height};
  return file.Bytes(suffix, [&](int, int, int c) { return colour[static_cast<std::size_t>(c)]; });
}

}  // namespace ondine::testing

#endif  // ONDINE_TESTS_IMAGES_TEST_PICTURES_H_
