#include "images/picture.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <array>
#include <cmath>
#include <cstdlib>
#include <fstream>

#include "base/temp_dir.h"
#include "images/test_pictures.h"

namespace ondine::images {
namespace {

using models::ResizeMode;
using ::ondine::testing::PictureFile;
using ::ondine::testing::PlainPicture;
using ::ondine::testing::TempDir;
using ::testing::AllOf;
using ::testing::Each;
using ::testing::HasSubstr;
using ::testing::Not;

Result<Picture> Decode(const std::string& bytes, const PictureForm& form = {.size = 8}) {
  return DecodePicture(std::as_bytes(std::span(bytes)), form, "a.jpg");
}

using Colour = std::array<int, 3>;

Colour At(const Picture& picture, int x, int y) {
  const auto* pixel = &picture.pixels[static_cast<std::size_t>((y * picture.size + x) * 3)];
  return {pixel[0], pixel[1], pixel[2]};
}

void ExpectNear(const Colour& colour, const Colour& wanted, int tolerance) {
  for (std::size_t c = 0; c < 3; ++c) EXPECT_NEAR(colour[c], wanted[c], tolerance) << "band " << c;
}

// One line that names the file, of the given code and with the given text.
void ExpectError(const std::string& bytes, ErrorCode code, const std::string& text) {
  const auto picture = Decode(bytes);
  ASSERT_FALSE(picture) << "expected: " << text;
  EXPECT_EQ(picture.error().code, code) << picture.error().message;
  EXPECT_EQ(picture.error().context, "a.jpg");
  EXPECT_THAT(picture.error().message, AllOf(HasSubstr(text), Not(HasSubstr("\n"))));
}

// A picture without a flat spot.
int Waves(int x, int y, int c) {
  return static_cast<int>(128 + 90 * std::sin(0.9 * x + 0.7 * c) * std::cos(0.6 * y - 0.4 * c));
}

// What Pillow 13.0.0 makes of Waves(), red of all pixels:
//   y, x, c = np.mgrid[0:h, 0:w, 0:3]
//   p = Image.fromarray((128+90*np.sin(.9*x+.7*c)*np.cos(.6*y-.4*c)).astype(np.uint8))
void ExpectRed(int width, int height, ResizeMode mode, const std::vector<int>& wanted) {
  const PictureFile file{.width = width, .height = height};
  const auto picture = Decode(file.Bytes(".png", Waves), {.size = 5, .resize = mode, .fill = 255});
  ASSERT_TRUE(picture) << picture.error().ToString();
  EXPECT_EQ(picture->width, width);
  EXPECT_EQ(picture->height, height);
  ASSERT_EQ(picture->pixels.size(), 3 * wanted.size());
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    EXPECT_EQ(picture->pixels[3 * i], wanted[i]) << i;
  }
}

TEST(Picture, ShorterSideAndCentreCropAreThoseOfPillow) {
  // w=14, h=9: p.resize((7, 5), Image.BICUBIC).crop((1, 0, 6, 5))
  ExpectRed(14, 9, ResizeMode::kShortest,
            {185, 68,  96, 202, 126, 143, 111, 119, 148, 127, 83,  174, 152,
             70,  129, 71, 185, 158, 55,  129, 117, 139, 134, 114, 128});
}

TEST(Picture, HalfOfAnOddCutIsRoundedAsAsked) {
  // Three columns or rows of a picture that is three longer than wanted are cut: 1 and 2, or 2 and
  // 1 where 1.5 becomes 2; of five, 2 and 3 both ways.
  for (const bool upright : {false, true}) {
    for (const int cut : {3, 5}) {
      const PictureFile file{.width = upright ? 16 : 16 + cut, .height = upright ? 16 + cut : 16};
      const auto bytes =
          file.Bytes(".png", [&](int x, int y, int) { return 10 * (upright ? y : x); });
      for (const auto mode : {ResizeMode::kShortest, ResizeMode::kShortestRounded}) {
        const auto picture = Decode(bytes, {.size = 16, .resize = mode});
        ASSERT_TRUE(picture) << picture.error().ToString();
        const bool up = cut == 3 && mode == ResizeMode::kShortestRounded;
        EXPECT_EQ(picture->pixels[0], 10 * (cut / 2 + (up ? 1 : 0)));
      }
    }
  }
}

TEST(Picture, LongerSideIsFilledUpWithTheGreyAskedFor) {
  const PictureFile file{.width = 16, .height = 8};
  const auto picture = Decode(file.Bytes(".png", [](int, int, int) { return 99; }),
                              {.size = 16, .resize = ResizeMode::kLongest, .fill = 7});
  ASSERT_TRUE(picture) << picture.error().ToString();
  ExpectNear(At(*picture, 5, 0), {7, 7, 7}, 0);
  ExpectNear(At(*picture, 5, 8), {99, 99, 99}, 0);
  ExpectNear(At(*picture, 5, 15), {7, 7, 7}, 0);
}

TEST(Picture, SquashedIsThatOfPillow) {
  // w=14, h=9: p.resize((5, 5), Image.BICUBIC)
  ExpectRed(14, 9, ResizeMode::kSquash,
            {182, 116, 102, 179, 65,  142, 124, 120, 141, 111, 86,  137, 147,
             87,  176, 75,  139, 152, 77,  188, 118, 130, 132, 117, 140});
}

TEST(Picture, LongerSideOnWhiteIsThatOfPillow) {
  // w=14, h=9: p.resize((5, 3), Image.BICUBIC), pasted on white at (0, 1)
  ExpectRed(14, 9, ResizeMode::kLongest,
            {255, 255, 255, 255, 255, 167, 119, 109, 165, 82,  91,  136, 144,
             93,  169, 98,  134, 142, 99,  162, 255, 255, 255, 255, 255});
}

TEST(Picture, EnlargedIsThatOfPillow) {
  // w=4, h=3: p.resize((5, 5), Image.BICUBIC)
  ExpectRed(4, 3, ResizeMode::kSquash,
            {125, 178, 215, 203, 165, 125, 175, 211, 199, 162, 125, 169, 199,
             189, 157, 126, 154, 172, 166, 146, 127, 144, 156, 151, 139});
}

TEST(Picture, MadeSmallerWhileDecodedIsNearlyThatOfAllPixels) {
  const PictureFile file{.width = 640, .height = 480};
  const auto waves = [](int x, int y, int c) { return Waves(x / 40, y / 40, c); };
  // w=640, h=480 of waves: p.resize((6, 5), Image.BICUBIC).crop((0, 0, 5, 5))
  const std::vector<int> pillow = {174, 126, 91,  181, 86,  113, 128, 139, 111, 141, 75,  129, 168,
                                   67,  174, 130, 127, 126, 129, 126, 180, 126, 87,  188, 81};
  const auto small = Decode(file.Bytes(".png", waves), {.size = 5});
  ASSERT_TRUE(small);
  for (std::size_t i = 0; i < pillow.size(); ++i) {
    EXPECT_EQ(small->pixels[3 * i], pillow[i]) << i;
  }
  const auto exact = Decode(file.Bytes(".png", waves), {.size = 16});
  // These become smaller while they are decoded.
  for (const char* suffix : {".jpg[Q=100,subsample_mode=off]", ".webp[lossless]", ".webp[Q=100]"}) {
    const std::string bytes = file.Bytes(suffix, waves);
    if (bytes.empty()) continue;  // an encoder that this libvips lacks
    const auto shrunk = Decode(bytes, {.size = 16});
    ASSERT_TRUE(exact && shrunk);
    EXPECT_EQ(shrunk->width, 640);
    for (std::size_t i = 0; i < exact->pixels.size(); ++i) {
      EXPECT_NEAR(shrunk->pixels[i], exact->pixels[i], 8) << suffix << i;
    }
  }
}

TEST(Picture, EveryOrientationIsTurnedUpright) {
  // Corners of the file: A B above C D; and where they belong.
  const std::string corners = "ABCD";
  const std::array<std::string, 9> upright = {"ABCD", "ABCD", "BADC", "DCBA", "CDAB",
                                              "ACBD", "CADB", "DBCA", "BDAC"};
  const std::array<Colour, 4> colours = {Colour{250, 5, 5}, Colour{5, 250, 5}, Colour{5, 5, 250},
                                         Colour{250, 250, 5}};
  for (int orientation = 0; orientation <= 8; ++orientation) {
    SCOPED_TRACE(orientation);
    const PictureFile file{.width = 64, .height = 32, .orientation = orientation};
    const auto picture = Decode(file.Bytes(".jpg[Q=100,subsample_mode=off]",
                                           [&](int x, int y, int c) {
                                             const int corner = (y < 16 ? 0 : 2) + (x < 32 ? 0 : 1);
                                             return colours[corner][c];
                                           }),
                                {.size = 16, .resize = ResizeMode::kSquash});
    ASSERT_TRUE(picture) << picture.error().ToString();
    EXPECT_EQ(picture->width, orientation >= 5 ? 32 : 64);
    EXPECT_EQ(picture->height, orientation >= 5 ? 64 : 32);
    for (int i = 0; i < 4; ++i) {
      const auto shown = corners.find(upright[orientation][i]);
      ExpectNear(At(*picture, i % 2 == 0 ? 3 : 12, i < 2 ? 3 : 12), colours[shown], 8);
    }
  }
}

TEST(Picture, CropOfATurnedPictureIsThatOfTheUprightOne) {
  // 9 pixels remain beside the crop, so that its two sides differ.
  constexpr int kSide = 10, kLong = 19;
  const PictureFile upright{.width = kLong, .height = kSide};
  const auto wanted = Decode(upright.Bytes(".png", Waves), {.size = kSide});
  const PictureFile turned{.width = kSide, .height = kLong, .orientation = 6};
  const auto picture =
      Decode(turned.Bytes(".tif", [](int x, int y, int c) { return Waves(18 - y, x, c); }),
             {.size = kSide});
  ASSERT_TRUE(wanted && picture);
  EXPECT_EQ(picture->pixels, wanted->pixels);
}

TEST(Picture, GreyAlphaCmykAndSixteenBitsBecomeColours) {
  PictureFile grey{.width = 8, .height = 8, .bands = 1, .interpretation = VIPS_INTERPRETATION_B_W};
  auto picture = Decode(grey.Bytes(".jpg", [](int, int, int) { return 77; }));
  ASSERT_TRUE(picture) << picture.error().ToString();
  EXPECT_THAT(picture->pixels, Each(77));

  PictureFile alpha{.width = 8, .height = 8, .bands = 4};
  picture = Decode(
      alpha.Bytes(".png", [](int x, int, int c) { return c == 3 ? (x < 4 ? 0 : 255) : 100; }));
  ASSERT_TRUE(picture) << picture.error().ToString();
  ExpectNear(At(*picture, 0, 0), {255, 255, 255}, 0);
  ExpectNear(At(*picture, 7, 7), {100, 100, 100}, 0);

  PictureFile cmyk{.width = 8, .height = 8, .bands = 4, .interpretation = VIPS_INTERPRETATION_CMYK};
  picture = Decode(cmyk.Bytes(".jpg[Q=100]", [](int, int, int c) { return c == 0 ? 255 : 0; }));
  ASSERT_TRUE(picture) << picture.error().ToString();
  const Colour cyan = At(*picture, 4, 4);
  EXPECT_LT(cyan[0], 80);
  EXPECT_GT(cyan[1], 120);
  EXPECT_GT(cyan[2], 180);

  PictureFile deep{
      .width = 8, .height = 8, .bands = 4, .interpretation = VIPS_INTERPRETATION_RGB16};
  picture = Decode(deep.Bytes<std::uint16_t>(
      ".png", [](int x, int, int c) { return c == 3 ? (x < 4 ? 0 : 65535) : 257 * 50 * (c + 1); }));
  ASSERT_TRUE(picture) << picture.error().ToString();
  ExpectNear(At(*picture, 0, 0), {255, 255, 255}, 0);
  ExpectNear(At(*picture, 7, 7), {50, 100, 150}, 1);
}

TEST(Picture, EveryFormatIsRead) {
  for (const char* suffix : {".jpg", ".png", ".webp", ".tif", ".gif", ".jpg[interlace]",
                             ".png[interlace]", ".avif[compression=av1,effort=0]"}) {
    const std::string bytes = PlainPicture(40, 30, {200, 40, 90}, suffix);
    if (bytes.empty()) continue;  // an encoder that this libvips lacks
    const auto picture = Decode(bytes);
    ASSERT_TRUE(picture) << suffix << picture.error().ToString();
    EXPECT_EQ(picture->width, 40);
    ExpectNear(At(*picture, 4, 4), {200, 40, 90}, 12);
  }
}

TEST(Picture, TimeTakenIsRead) {
  const auto taken = [](const std::string& text) {
    PictureFile file{.width = 8, .height = 8, .taken = text};
    return Decode(file.Bytes(".jpg", Waves)).value().taken;
  };
  EXPECT_EQ(taken(""), std::nullopt);
  EXPECT_EQ(taken("2021:06:30 23:59:58"), 1625097598);  // date -u -d '2021-06-30 23:59:58' +%s
  EXPECT_EQ(taken("1969:12:31 23:59:59"), -1);
  EXPECT_EQ(taken("2021:02:30 00:00:00"), std::nullopt);
  EXPECT_EQ(taken("0000:00:00 00:00:00"), std::nullopt);
  EXPECT_EQ(taken("    :  :     :  :  "), std::nullopt);
}

TEST(Picture, WhatIsNoPictureIsRefused) {
  ExpectError("", ErrorCode::kCorrupt, "is empty");
  ExpectError("hello", ErrorCode::kUnsupported, "cannot be read as a JPEG");
  ExpectError("<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"9\" height=\"9\"/>",
              ErrorCode::kUnsupported, "cannot be read as a JPEG");
  ExpectError("%PDF-1.4\n", ErrorCode::kUnsupported, "cannot be read as a JPEG");
}

TEST(Picture, CutOffFilesAreErrors) {
  const PictureFile file{.width = 200, .height = 200};
  for (const char* suffix : {".jpg", ".png", ".webp", ".gif", ".jpg[interlace]"}) {
    const std::string bytes = file.Bytes(suffix, Waves);
    for (const std::size_t kept : {bytes.size() / 2, bytes.size() / 5, std::size_t{30}}) {
      SCOPED_TRACE(suffix + std::to_string(kept));
      ExpectError(bytes.substr(0, kept), ErrorCode::kCorrupt, "damaged or cut off");
    }
  }
}

// 8 bits of red, green and blue; 16 of these and alpha, which can only be decoded as a whole.
constexpr std::string_view kPlainPng("\x08\x02\0\0\0", 5), kInterlacedDeepPng("\x10\x06\0\0\1", 5);

// A PNG that claims these sides and has no pixels.
std::string PngHeader(std::uint32_t width, std::uint32_t height,
                      std::string_view kind = kPlainPng) {
  const auto big_endian = [](std::uint32_t n) {
    return std::string{static_cast<char>(n >> 24), static_cast<char>(n >> 16),
                       static_cast<char>(n >> 8), static_cast<char>(n)};
  };
  const auto chunk = [&](const std::string& name, const std::string& data) {
    std::uint32_t crc = ~0u;
    for (const char byte : name + data) {
      crc ^= static_cast<unsigned char>(byte);
      for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0xEDB88320u : 0);
    }
    return big_endian(static_cast<std::uint32_t>(data.size())) + name + data + big_endian(~crc);
  };
  return "\x89PNG\r\n\x1a\n" +
         chunk("IHDR", big_endian(width) + big_endian(height) + std::string(kind)) +
         chunk("IDAT", std::string("\x78\x9c\x03\x00\x00\x00\x00\x01", 8)) + chunk("IEND", "");
}

TEST(Picture, HugePicturesAreRefusedByTheirHeader) {
  ExpectError(PngHeader(100'000, 100'000), ErrorCode::kUnsupported, "100000 x 100000 pixels");
  ExpectError(PngHeader(19'900, 19'900, kInterlacedDeepPng), ErrorCode::kUnsupported,
              "only be decoded as a whole, which takes 3021 MB");
  ExpectError(PngHeader(8, 8), ErrorCode::kCorrupt, "damaged or cut off");
  ExpectError(PngHeader(1, 9'000'000), ErrorCode::kUnsupported, "too long and thin");
}

TEST(Picture, FilesOfEveryKindAreRefusedByName) {
  const TempDir folder;
  const auto load = [&](const std::string& name) {
    return LoadPicture(folder.File(name), {.size = 8});
  };
  EXPECT_EQ(load("none.jpg").error().code, ErrorCode::kNotFound);
  EXPECT_EQ(load("").error().code, ErrorCode::kIo);
  ASSERT_EQ(mkfifo(folder.File("pipe.jpg").c_str(), 0600), 0);
  EXPECT_EQ(load("pipe.jpg").error().code, ErrorCode::kUnsupported);
  std::ofstream(folder.File("empty.jpg"));
  EXPECT_EQ(load("empty.jpg").error().code, ErrorCode::kCorrupt);

  std::ofstream(folder.File("Über 'a'\n.jpg"), std::ios::binary) << PlainPicture(9, 9, {1, 2, 3});
  const auto picture = load("Über 'a'\n.jpg");
  ASSERT_TRUE(picture) << picture.error().ToString();
  ExpectNear(At(*picture, 0, 0), {1, 2, 3}, 0);
}

}  // namespace
}  // namespace ondine::images
