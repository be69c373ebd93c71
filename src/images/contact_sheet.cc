#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <string_view>

#include "base/file.h"
#include "base/guarded.h"
#include "base/html.h"
#include "base/try.h"
#include "images/picture.h"
#include "ondine/images.h"

namespace ondine {
namespace {

constexpr int kThumbnail = 240;  // pixels a side

constexpr std::string_view kHead = R"(<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<style>
body { font: 15px sans-serif; margin: 1.5em; background: #fafafa; color: #222 }
main { display: flex; flex-wrap: wrap; gap: 1em }
figure { margin: 0; width: 240px; background: #fff; border: 1px solid #ddd }
figure img, figure p { display: block; width: 240px; height: 240px; margin: 0 }
figcaption { padding: .4em .6em; overflow-wrap: anywhere; font-size: 13px }
b { float: right; margin-left: .5em }
</style>
)";

std::string Base64(std::span<const std::byte> bytes) {
  constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  text.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const auto byte = [&](std::size_t at) {
      return at < bytes.size() ? static_cast<std::uint32_t>(bytes[at]) : 0u;
    };
    const std::uint32_t three = byte(i) << 16 | byte(i + 1) << 8 | byte(i + 2);
    for (std::size_t digit = 0; digit < 4; ++digit) {
      text += i + digit > bytes.size() ? '=' : kDigits[three >> (18 - 6 * digit) & 63];
    }
  }
  return text;
}

std::string Figure(const FoundPhoto& found) {
  const std::string name = base::EscapeHtml(found.photo.path);
  std::string figure = "<figure>";
  Result<std::string> jpeg = MakeError(ErrorCode::kInternal, "");
  const auto picture = images::LoadPicture(
      found.photo.path, {.size = kThumbnail, .resize = models::ResizeMode::kLongest, .fill = 255});
  if (picture) jpeg = images::EncodeJpeg(*picture);
  if (jpeg) {
    figure += "<img alt=\"\" src=\"data:image/jpeg;base64," +
              Base64(std::as_bytes(std::span(*jpeg))) + "\">";
  } else {
    figure +=
        "<p>" + base::EscapeHtml(picture ? jpeg.error().message : picture.error().message) + "</p>";
  }
  std::array<char, 32> score;
  std::snprintf(score.data(), score.size(), "%.3f", static_cast<double>(found.score));
  return figure + "<figcaption><b>" + score.data() + "</b>" + name + "</figcaption></figure>\n";
}

}  // namespace

Status WriteContactSheet(const std::string& path, const std::string& title,
                         std::span<const FoundPhoto> photos, const StopToken& stop) {
  const auto write_all = [&](base::FileSink& sink) -> Status {
    const auto write = [&](std::string_view text) {
      return sink.Write(std::as_bytes(std::span(text)));
    };
    const std::string escaped = base::EscapeHtml(title);
    ONDINE_TRY(write(kHead));
    ONDINE_TRY(write("<title>" + escaped + "</title>\n</head>\n<body>\n<h1>" + escaped +
                     "</h1>\n<main>\n"));
    for (const FoundPhoto& photo : photos) {
      if (stop.Stopped()) return MakeError(ErrorCode::kCancelled, "stopped");
      ONDINE_TRY(write(Figure(photo)));
    }
    return write("</main>\n</body>\n</html>\n");
  };
  return base::Guarded([&] { return base::WriteFileAtomically(path, write_all); },
                       "there is not enough memory for the page", path);
}

}  // namespace ondine
