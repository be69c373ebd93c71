#include <algorithm>
#include <thread>

#include "base/try.h"
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

int images::ThreadCount(int wanted) {
  if (wanted > 0) return std::min(wanted, 256);
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

images::EncoderIdentity Clip::Parts::identity() const {
  return {info.name, fingerprint, info.vector_length};
}

images::PictureForm Clip::Parts::form() const {
  return {weights->spec().image_size, weights->spec().resize};
}

Status Clip::Parts::Encode(std::span<const images::Picture> pictures, float* vectors) {
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
  return {};
}

Clip::Clip(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
Clip::~Clip() = default;

const ClipInfo& Clip::info() const {
  return parts_->info;
}

Result<std::unique_ptr<Clip>> Clip::Load(const std::string& path, int threads) {
  ONDINE_ASSIGN(const formats::GgufFile file, formats::GgufFile::Open(path));
  ONDINE_ASSIGN(const models::ClipSpec spec, models::ReadClipSpec(file));
  ONDINE_ASSIGN(text::ClipTokenizer tokenizer, text::ClipTokenizer::FromGguf(file));
  auto parts = std::make_unique<Parts>(images::ThreadCount(threads), std::move(tokenizer));
  parts->fingerprint = formats::Fingerprint(file);
  ONDINE_ASSIGN(parts->weights, models::Clip::Load(file, parts->pool));
  parts->pass = std::make_unique<models::ClipPass>(parts->weights, parts->pool);
  parts->info = {spec.name,        spec.projection,
                 spec.image_size,  spec.context - 2,
                 spec.logit_scale, static_cast<std::int64_t>(parts->weights->bytes())};
  return std::unique_ptr<Clip>(new Clip(std::move(parts)));
}

std::vector<Result<std::vector<float>>> Clip::EncodePictures(
    const std::vector<std::string>& paths) {
  const auto length = static_cast<std::size_t>(parts_->info.vector_length);
  std::vector<Result<std::vector<float>>> vectors;
  for (const std::string& path : paths) {
    const Result<images::Picture> picture = images::LoadPicture(path, parts_->form());
    if (!picture) {
      vectors.emplace_back(tl::make_unexpected(picture.error()));
      continue;
    }
    std::vector<float> vector(length);
    if (Status encoded = parts_->Encode({&*picture, 1}, vector.data()); !encoded) {
      vectors.emplace_back(tl::make_unexpected(encoded.error()));
    } else {
      vectors.emplace_back(std::move(vector));
    }
  }
  return vectors;
}

Status ConvertClip(const std::string& folder, const std::string& output, bool floats) {
  ONDINE_TRY(images::ConvertClip(folder, output,
                                 floats ? formats::TensorType::kF32 : formats::TensorType::kF16));
  return {};
}

}  // namespace ondine
