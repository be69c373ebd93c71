#include "images/picture.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <memory>
#include <string_view>
#include <system_error>
#include <utility>

#include "base/guarded.h"
#include "base/try.h"
#include "images/resample.h"
#include "images/vips_library.h"

namespace ondine::images {
namespace {

struct Unref {
  void operator()(gpointer object) const { Vips().g_object_unref(object); }
};
using Image = std::unique_ptr<VipsImage, Unref>;
using Source = std::unique_ptr<VipsSource, Unref>;

struct UnrefArea {
  void operator()(VipsArrayDouble* array) const {
    Vips().vips_area_unref(reinterpret_cast<VipsArea*>(array));
  }
};
using Background = std::unique_ptr<VipsArrayDouble, UnrefArea>;
Background Grey(double value) {
  const double colour[] = {value, value, value};
  return Background(Vips().vips_array_double_new(colour, 3));
}

// The classes that libvips finds for a picture by its first bytes. What it can read besides, SVG
// and PDF above all, are programs more than pictures and no photos.
constexpr std::string_view kJpegLoader = "VipsForeignLoadJpegSource";
constexpr std::string_view kWebpLoader = "VipsForeignLoadWebpSource";
constexpr std::string_view kGifLoader = "VipsForeignLoadNsgifSource";
constexpr std::string_view kHeifLoader = "VipsForeignLoadHeifSource";
constexpr std::array<std::string_view, 6> kLoaders = {kJpegLoader, "VipsForeignLoadPngSource",
                                                      kWebpLoader, "VipsForeignLoadTiffSource",
                                                      kGifLoader,  kHeifLoader};

// A JPEG or WebP is made smaller while it is decoded where at least this factor is left to the
// bicubic filter. Of a made-up JPEG of 12 million pixels 224 x 224 then differ from Pillow's by
// 0.06 of 255 in the mean, and by 3 at most. Of a WebP the memory is that of what is decoded.
constexpr int kLeftToBicubic = 4;

// Of what can only be decoded as a whole.
constexpr std::int64_t kMostDecodedBytes = std::int64_t{1} << 30;

// Rows that are decoded at a time: those of a JPEG come in eights or sixteens.
constexpr int kRowsAtATime = 16;

// Replaces `image` by what an operation makes of it; false where that fails.
template <typename Operation>
bool Apply(Image& image, Operation operation) {
  VipsImage* result = nullptr;
  if (operation(image.get(), &result) != 0) return false;
  image.reset(result);
  return true;
}

struct Size {
  int width = 0, height = 0;
};

// What is done to the pixels, in the order of the file or upright.
struct Layout {
  Size resized;           // of the whole picture
  int left = 0, top = 0;  // of what is kept of that
  Size kept;
};

// Sizes and offsets are rounded as Hugging Face's CLIPImageProcessor (kShortest) and OpenCLIP
// (kShortestRounded, kLongest) round them.
Layout LayoutOf(Size upright, const PictureForm& form) {
  const std::int64_t size = form.size, width = upright.width, height = upright.height;
  Layout layout;
  if (form.resize == models::ResizeMode::kSquash) {
    layout.resized = {form.size, form.size};
  } else if (form.resize != models::ResizeMode::kLongest) {
    const std::int64_t shorter = std::min(width, height);
    layout.resized = {
        static_cast<int>(std::min<std::int64_t>(size * width / shorter, VIPS_MAX_COORD)),
        static_cast<int>(std::min<std::int64_t>(size * height / shorter, VIPS_MAX_COORD))};
  } else {
    const double scale = static_cast<double>(std::max(width, height)) / static_cast<double>(size);
    const auto scaled = [&](std::int64_t side) {
      return std::max(1, static_cast<int>(std::nearbyint(static_cast<double>(side) / scale)));
    };
    layout.resized = {scaled(width), scaled(height)};
  }
  layout.kept = {std::min(layout.resized.width, form.size),
                 std::min(layout.resized.height, form.size)};
  const auto half = [&](int cut) {
    return form.resize == models::ResizeMode::kShortestRounded
               ? static_cast<int>(std::nearbyint(0.5 * cut))
               : cut / 2;
  };
  layout.left = half(layout.resized.width - layout.kept.width);
  layout.top = half(layout.resized.height - layout.kept.height);
  return layout;
}

// How pixels of a file are turned upright, by EXIF's orientation.
struct Turn {
  explicit Turn(int orientation)
      : swaps_sides(orientation >= 5),
        from_right(orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8),
        from_bottom(orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7) {}

  bool swaps_sides;              // first ...
  bool from_right, from_bottom;  // ... and then are taken from these sides of the file
};

// The same layout of the pixels as they are stored.
Layout Stored(const Layout& upright, const Turn& turn) {
  Layout stored = upright;
  if (turn.swaps_sides) {
    std::swap(stored.resized.width, stored.resized.height);
    std::swap(stored.kept.width, stored.kept.height);
    std::swap(stored.left, stored.top);
  }
  if (turn.from_right) stored.left = stored.resized.width - stored.kept.width - stored.left;
  if (turn.from_bottom) stored.top = stored.resized.height - stored.kept.height - stored.top;
  return stored;
}

// The stored pixels, upright, in the middle of a square of grey.
std::vector<std::uint8_t> OnSquare(const std::vector<std::uint8_t>& stored, Size size,
                                   const Turn& turn, const PictureForm& form) {
  const auto side = static_cast<std::size_t>(form.size);
  std::vector<std::uint8_t> square(side * side * 3, static_cast<std::uint8_t>(form.fill));
  const Size upright = turn.swaps_sides ? Size{size.height, size.width} : size;
  const int left = (form.size - upright.width) / 2, top = (form.size - upright.height) / 2;
  for (int y = 0; y < upright.height; ++y) {
    std::uint8_t* to = &square[(static_cast<std::size_t>(top + y) * side + left) * 3];
    for (int x = 0; x < upright.width; ++x, to += 3) {
      const int across = turn.swaps_sides ? y : x, down = turn.swaps_sides ? x : y;
      const int from_x = turn.from_right ? size.width - 1 - across : across;
      const int from_y = turn.from_bottom ? size.height - 1 - down : down;
      std::copy_n(&stored[(static_cast<std::size_t>(from_y) * size.width + from_x) * 3], 3, to);
    }
  }
  return square;
}

// "2021:06:30 23:59:59 (...)", as libvips shows it.
std::optional<std::int64_t> ParseExifTime(const char* text) {
  namespace chrono = std::chrono;
  int year = 0, hour = 0, minute = 0, second = 0;
  unsigned month = 0, day = 0;
  if (std::sscanf(text, "%4d:%2u:%2u %2d:%2d:%2d", &year, &month, &day, &hour, &minute, &second) !=
      6) {
    return std::nullopt;
  }
  const chrono::year_month_day date{chrono::year(year), chrono::month(month), chrono::day(day)};
  const bool valid = date.ok() && year > 0 && hour >= 0 && hour < 24 && minute >= 0 &&
                     minute < 60 && second >= 0 && second < 61;
  if (!valid) return std::nullopt;
  const std::int64_t days = chrono::sys_days{date}.time_since_epoch().count();
  return ((days * 24 + hour) * 60 + minute) * 60 + second;
}

std::optional<std::int64_t> TimeTaken(VipsImage* image) {
  constexpr const char* kField = "exif-ifd2-DateTimeOriginal";
  const char* text = nullptr;
  if (Vips().vips_image_get_typeof(image, kField) == 0) return std::nullopt;
  if (Vips().vips_image_get_string(image, kField, &text) != 0) return std::nullopt;
  return ParseExifTime(text);
}

class Reader {
 public:
  Reader(VipsSource* source, const PictureForm& form, const std::string& name)
      : source_(source), form_(form), name_(name) {}

  Result<Picture> Read() {
    const char* loader = Vips().vips_foreign_find_load_source(source_);
    if (loader == nullptr || std::ranges::find(kLoaders, loader) == kLoaders.end()) {
      return MakeError(ErrorCode::kUnsupported,
                       "cannot be read as a JPEG, PNG, WebP, TIFF, GIF, HEIC or AVIF picture",
                       name_);
    }
    Image image = Open(loader, 1);
    if (image == nullptr) return Damaged(loader);
    const Size size = {Vips().vips_image_get_width(image.get()),
                       Vips().vips_image_get_height(image.get())};
    if (std::int64_t{size.width} * size.height > kMostPixels) {
      return MakeError(ErrorCode::kUnsupported,
                       "has " + std::to_string(size.width) + " x " + std::to_string(size.height) +
                           " pixels; at most " + std::to_string(kMostPixels / 1'000'000) +
                           " million are read",
                       name_);
    }
    const std::int64_t bytes = DecodedBytes(loader, image.get());
    if (bytes > kMostDecodedBytes) {
      return MakeError(ErrorCode::kUnsupported,
                       "can only be decoded as a whole, which takes " +
                           std::to_string(bytes >> 20) + " MB; at most " +
                           std::to_string(kMostDecodedBytes >> 20) + " are given to a picture",
                       name_);
    }
    const Turn turn(Vips().vips_image_get_orientation(image.get()));
    Picture picture;
    picture.size = form_.size;
    picture.width = turn.swaps_sides ? size.height : size.width;
    picture.height = turn.swaps_sides ? size.width : size.height;
    picture.taken = TimeTaken(image.get());

    const Layout upright = LayoutOf({picture.width, picture.height}, form_);
    if (std::max(upright.resized.width, upright.resized.height) >= VIPS_MAX_COORD) {
      return MakeError(ErrorCode::kUnsupported,
                       "is too long and thin: " + std::to_string(size.width) + " x " +
                           std::to_string(size.height) + " pixels",
                       name_);
    }
    const Layout stored = Stored(upright, turn);
    if (loader == kJpegLoader || loader == kWebpLoader) {
      const int left =
          std::min(size.width / stored.resized.width, size.height / stored.resized.height);
      const int shrink = left >= 8 * kLeftToBicubic   ? 8
                         : left >= 4 * kLeftToBicubic ? 4
                         : left >= 2 * kLeftToBicubic ? 2
                                                      : 1;
      if (shrink > 1) image = Open(loader, shrink);
      if (image == nullptr) return Damaged(loader);
    }
    if (!Convert(image)) return Damaged(loader);
    const auto pixels = Resize(image.get(), stored);
    if (!pixels) return Damaged(loader);
    picture.pixels = OnSquare(*pixels, stored.kept, turn, form_);
    return picture;
  }

 private:
  // What must be in memory at once; 0 where rows are enough.
  static std::int64_t DecodedBytes(std::string_view loader, VipsImage* image) {
    const bool whole = loader == kGifLoader || loader == kHeifLoader ||
                       Vips().vips_image_get_typeof(image, "interlaced") != 0;
    if (!whole) return 0;
    return std::int64_t{Vips().vips_image_get_width(image)} * Vips().vips_image_get_height(image) *
           Vips().vips_image_get_bands(image) *
           static_cast<std::int64_t>(
               Vips().vips_format_sizeof(Vips().vips_image_get_format(image)));
  }

  Image Open(const char* loader, int shrink) {
    VipsImage* image = nullptr;
    const auto open = [&](auto... how) {
      return Vips().vips_call(loader, source_, &image, "access", VIPS_ACCESS_SEQUENTIAL, "fail_on",
                              VIPS_FAIL_ON_TRUNCATED, how..., nullptr);
    };
    const int failed = shrink == 1             ? open()
                       : loader == kWebpLoader ? open("scale", 1.0 / shrink)
                                               : open("shrink", shrink);
    return Image(failed != 0 ? nullptr : image);
  }

  // libvips keeps its messages in one place for all threads, so that they cannot be told apart.
  tl::unexpected<Error> Damaged(std::string_view loader) const {
    Vips().vips_error_clear();
    // libheif's decoders are plugins, which need not be there.
    if (loader == kHeifLoader) {
      return MakeError(ErrorCode::kUnsupported,
                       "the picture is damaged, or libheif has no decoder for it", name_);
    }
    return MakeError(ErrorCode::kCorrupt, "the picture is damaged or cut off", name_);
  }

  // To red, green and blue bytes.
  static bool Convert(Image& image) {
    if (!Apply(image, [](VipsImage* in, VipsImage** out) {
          return Vips().vips_colourspace(in, out, VIPS_INTERPRETATION_sRGB, nullptr);
        })) {
      return false;
    }
    const bool flattened =
        Vips().vips_image_hasalpha(image.get()) == 0 ||
        Apply(image, [](VipsImage* in, VipsImage** out) {
          return Vips().vips_flatten(in, out, "background", Grey(255).get(), nullptr);
        });
    return flattened &&
           Apply(image, [](VipsImage* in,
                           VipsImage** out) { return Vips().vips_cast_uchar(in, out, nullptr); }) &&
           Vips().vips_image_get_bands(image.get()) == 3;
  }

  // Nothing where the file ends too early.
  static std::optional<std::vector<std::uint8_t>> Resize(VipsImage* image, const Layout& stored) {
    const int width = Vips().vips_image_get_width(image);
    const int height = Vips().vips_image_get_height(image);
    const std::unique_ptr<VipsRegion, Unref> rows(Vips().vips_region_new(image));
    Resampler resampler({width, stored.resized.width, stored.left, stored.kept.width},
                        {height, stored.resized.height, stored.top, stored.kept.height});
    for (int top = 0; top < height; top += kRowsAtATime) {
      const VipsRect wanted = {0, top, width, std::min(kRowsAtATime, height - top)};
      if (rows == nullptr || Vips().vips_region_prepare(rows.get(), &wanted) != 0) return {};
      for (int y = top; y < top + wanted.height; ++y) {
        resampler.Add(rows->data + static_cast<std::ptrdiff_t>(y - rows->valid.top) * rows->bpl);
      }
    }
    return resampler.pixels();
  }

  VipsSource* source_;
  const PictureForm& form_;
  const std::string& name_;
};

Result<Picture> Read(Source source, const PictureForm& form, const std::string& name) {
  constexpr std::string_view kNoMemory = "no memory to read the picture";
  if (source == nullptr) return MakeError(ErrorCode::kOutOfMemory, std::string(kNoMemory), name);
  return base::Guarded([&] { return Reader(source.get(), form, name).Read(); }, kNoMemory, name);
}

}  // namespace

Status CheckPictureReader() {
  if (FindVips() != nullptr) return {};
  return MakeError(ErrorCode::kUnsupported,
                   "libvips, which reads pictures, is not installed or does not start");
}

Result<Picture> DecodePicture(std::span<const std::byte> bytes, const PictureForm& form,
                              const std::string& name) {
  if (bytes.empty()) return MakeError(ErrorCode::kCorrupt, "is empty", name);
  ONDINE_TRY(CheckPictureReader());
  return Read(Source(Vips().vips_source_new_from_memory(bytes.data(), bytes.size())), form, name);
}

Result<Picture> LoadPicture(const std::string& path, const PictureForm& form) {
  ONDINE_TRY(CheckPictureReader());
  // Without O_NONBLOCK a named pipe would block here before it can be refused.
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  const auto failed = [&](int number) {
    return MakeError(number == ENOENT || number == ENOTDIR ? ErrorCode::kNotFound : ErrorCode::kIo,
                     "cannot read: " + std::generic_category().message(number), path);
  };
  if (fd < 0) return failed(errno);
  struct Closer {
    int fd;
    ~Closer() { close(fd); }
  } const closer{fd};
  struct stat info;
  if (fstat(fd, &info) != 0) return failed(errno);
  if (S_ISDIR(info.st_mode)) return MakeError(ErrorCode::kIo, "is a directory", path);
  if (!S_ISREG(info.st_mode)) {
    return MakeError(ErrorCode::kUnsupported, "is not a regular file", path);
  }
  if (info.st_size == 0) return MakeError(ErrorCode::kCorrupt, "is empty", path);
  return Read(Source(Vips().vips_source_new_from_descriptor(fd)), form, path);
}

Result<std::string> EncodeJpeg(const Picture& picture) {
  constexpr const char* kWhat = "thumbnail";
  ONDINE_TRY(CheckPictureReader());
  const Image image(Vips().vips_image_new_from_memory(picture.pixels.data(), picture.pixels.size(),
                                                      picture.size, picture.size, 3,
                                                      VIPS_FORMAT_UCHAR));
  void* bytes = nullptr;
  std::size_t length = 0;
  if (image == nullptr ||
      Vips().vips_jpegsave_buffer(image.get(), &bytes, &length, "Q", 85, nullptr) != 0) {
    Vips().vips_error_clear();
    return MakeError(ErrorCode::kInternal, "cannot be made a JPEG", kWhat);
  }
  const std::unique_ptr<void, decltype(&g_free)> owner(bytes, Vips().g_free);
  return std::string(static_cast<const char*>(bytes), length);
}

}  // namespace ondine::images
