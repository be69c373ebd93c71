#include <algorithm>

#include "base/guarded.h"
#include "base/try.h"
#include "compute/thread_count.h"
#include "formats/fingerprint.h"
#include "formats/gguf.h"
#include "images/clip_checkpoint.h"
#include "images/clip_parts.h"

namespace ondine {
namespace {

// Patches that go through the encoder together: enough for matrix products, few enough that their
// activations stay in the caches.
constexpr std::size_t kRowsTogether = 512;

}  // namespace

images::EncoderIdentity Clip::Parts::identity() const {
  return {info.name, fingerprint, info.vector_length};
}

images::PictureForm Clip::Parts::form() const {
  const models::ClipSpec& spec = weights->spec();
  return {spec.image_size, spec.resize, spec.fill};
}

Status Clip::Parts::Encode(std::span<const images::Picture> pictures, float* vectors) {
  EncodeAll(pictures, vectors);
  return {};
}

void Clip::Parts::EncodeAll(std::span<const images::Picture> pictures, float* vectors) {
  const auto rows = static_cast<std::size_t>(weights->spec().Patches()) + 1;
  const std::size_t together = std::max<std::size_t>(1, kRowsTogether / rows);
  std::vector<const std::uint8_t*> pixels;
  while (!pictures.empty()) {
    const std::size_t count = std::min(together, pictures.size());
    pixels.clear();
    for (const images::Picture& picture : pictures.first(count)) {
      pixels.push_back(picture.pixels.data());
    }
    pass->EncodePictures(pixels, vectors);
    vectors += count * static_cast<std::size_t>(info.vector_length);
    pictures = pictures.subspan(count);
  }
}

Clip::Clip(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
Clip::~Clip() = default;

const ClipInfo& Clip::info() const {
  return parts_->info;
}

Result<std::unique_ptr<Clip>> Clip::Load(const std::string& path, int threads) {
  const auto load = [&]() -> Result<std::unique_ptr<Clip>> {
    ONDINE_ASSIGN(const formats::GgufFile file, formats::GgufFile::Open(path));
    ONDINE_TRY(models::ReadClipSpec(file));  // else a language model would only lack CLIP's tokens
    ONDINE_ASSIGN(text::ClipTokenizer tokenizer, text::ClipTokenizer::FromGguf(file));
    auto parts = std::make_unique<Parts>(compute::ThreadCount(threads), std::move(tokenizer));
    parts->fingerprint = formats::Fingerprint(file);
    ONDINE_ASSIGN(parts->weights, models::Clip::Load(file, parts->pool));
    parts->pass = std::make_unique<models::ClipPass>(parts->weights, parts->pool);
    const models::ClipSpec& spec = parts->weights->spec();
    parts->info = {spec.name,        spec.projection,
                   spec.image_size,  spec.context - 2,
                   spec.logit_scale, static_cast<std::int64_t>(parts->weights->bytes())};
    return std::unique_ptr<Clip>(new Clip(std::move(parts)));
  };
  return base::Guarded(load, "there is not enough memory for the CLIP", path);
}

std::vector<Result<std::vector<float>>> Clip::EncodePictures(
    const std::vector<std::string>& paths) {
  // As many as are decoded before they are encoded together.
  constexpr std::size_t kPictures = 64;
  const auto length = static_cast<std::size_t>(parts_->info.vector_length);
  std::vector<Result<std::vector<float>>> results;
  std::vector<images::Picture> pictures;
  std::vector<std::size_t> places;  // of the pictures' results
  std::vector<float> vectors;
  for (std::size_t i = 0; i < paths.size(); ++i) {
    Result<images::Picture> picture = images::LoadPicture(paths[i], parts_->form());
    if (picture) {
      places.push_back(results.size());
      pictures.push_back(std::move(*picture));
      results.emplace_back();
    } else {
      results.emplace_back(tl::make_unexpected(std::move(picture).error()));
    }
    if (pictures.size() < kPictures && i + 1 < paths.size()) continue;
    const Status encoded = base::Guarded([&]() -> Status {
      vectors.resize(pictures.size() * length);
      parts_->EncodeAll(pictures, vectors.data());
      for (std::size_t k = 0; k < places.size(); ++k) {
        const auto begin = vectors.begin() + static_cast<std::ptrdiff_t>(k * length);
        results[places[k]]->assign(begin, begin + static_cast<std::ptrdiff_t>(length));
      }
      return {};
    });
    for (const std::size_t place : places) {
      if (!encoded) results[place] = tl::make_unexpected(encoded.error());
    }
    pictures.clear();
    places.clear();
  }
  return results;
}

Status ConvertClip(const std::string& folder, const std::string& output, MatrixType matrices) {
  const formats::TensorType type = matrices == MatrixType::kF32    ? formats::TensorType::kF32
                                   : matrices == MatrixType::kBF16 ? formats::TensorType::kBF16
                                                                   : formats::TensorType::kF16;
  return base::Guarded(
      [&]() -> Status {
        ONDINE_TRY(images::ConvertClip(folder, output, type));
        return {};
      },
      "there is not enough memory to convert it", folder);
}

}  // namespace ondine
