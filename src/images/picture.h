// Pictures as CLIP's image tower takes them: decoded, turned upright, resized to a small square.
#ifndef ONDINE_SRC_IMAGES_PICTURE_H_
#define ONDINE_SRC_IMAGES_PICTURE_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "models/clip_spec.h"
#include "ondine/result.h"

namespace ondine::images {

struct Picture {
  int size = 0;                      // pixels a side
  std::vector<std::uint8_t> pixels;  // [size][size][3]: red, green, blue, sRGB
  // Of the file, upright.
  int width = 0, height = 0;
  std::optional<std::int64_t> taken;  // EXIF's DateTimeOriginal, as seconds of a UTC clock
};

struct PictureForm {
  int size = 224;
  models::ResizeMode resize = models::ResizeMode::kShortest;
  int fill = 0;  // grey that kLongest fills up with
};

// Larger pictures are refused, whatever they unpack to.
inline constexpr std::int64_t kMostPixels = 400'000'000;

// JPEG, PNG, WebP, TIFF, GIF (its first frame), HEIC, AVIF: what the installed libvips reads.
// Memory is bounded by a few rows of the picture, but for formats that can only be decoded as a
// whole: progressive JPEG, interlaced PNG, GIF, HEIC and AVIF, which may take a gigabyte, and
// lossless WebP, whose sides have 16,383 pixels at most.
// Transparent pixels become white. Bicubic as Pillow's, to the bit; nearly so where a JPEG or WebP
// is so large that it is made smaller while it is decoded.
// May be called from several threads. Errors: kNotFound, kIo, kCorrupt (cut off or damaged),
// kUnsupported (of a size that is not read, or nothing that the installed libraries know as a
// picture: others may).
Result<Picture> LoadPicture(const std::string& path, const PictureForm& form);
// The same from the bytes of a file; `name` stands in error messages.
Result<Picture> DecodePicture(std::span<const std::byte> bytes, const PictureForm& form,
                              const std::string& name);

// Whether pictures can be read at all: kUnsupported where libvips is not installed.
Status CheckPictureReader();

// As a JPEG file to look at.
Result<std::string> EncodeJpeg(const Picture& picture);

}  // namespace ondine::images

#endif  // ONDINE_SRC_IMAGES_PICTURE_H_
