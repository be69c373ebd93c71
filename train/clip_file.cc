#include "train/clip_file.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

#include "base/file.h"
#include "compute/half.h"
#include "formats/gguf.h"

namespace ondine::train {
namespace {

using formats::TensorType;

constexpr std::size_t kBlock = 32;  // values of Q8_0 that share a scale

// Blocks of a half, the scale, and a signed byte for each value.
std::vector<std::byte> ToQ8(std::span<const float> values) {
  std::vector<std::byte> bytes;
  for (; !values.empty(); values = values.subspan(kBlock)) {
    const auto block = values.first(kBlock);
    float most = 0;
    for (const float value : block) most = std::max(most, std::abs(value));
    const float scale = most / 127;
    const std::uint16_t half = compute::ToHalves(std::span(&scale, 1)).front();
    const auto scale_bytes = std::as_bytes(std::span(&half, 1));
    bytes.insert(bytes.end(), scale_bytes.begin(), scale_bytes.end());
    for (const float value : block) {
      const float code = scale > 0 ? std::nearbyint(value / scale) : 0;
      bytes.push_back(static_cast<std::byte>(static_cast<std::int8_t>(code)));
    }
  }
  return bytes;
}

TensorType TypeOf(const TrainedWeight& weight, TensorType type) {
  const bool matrix =
      weight.shape.size() > 1 && weight.name.find("position_embd") == std::string::npos;
  if (!matrix) return TensorType::kF32;
  const bool blocks = weight.shape.back() % static_cast<std::int64_t>(kBlock) == 0;
  return type == TensorType::kQ8_0 && !blocks ? TensorType::kF16 : type;
}

std::vector<std::byte> Encoded(std::span<const float> values, TensorType type) {
  if (type == TensorType::kQ8_0) return ToQ8(values);
  if (type == TensorType::kF16) {
    const std::vector<std::uint16_t> halves = compute::ToHalves(values);
    const auto bytes = std::as_bytes(std::span(halves));
    return {bytes.begin(), bytes.end()};
  }
  const auto bytes = std::as_bytes(values);
  return {bytes.begin(), bytes.end()};
}

}  // namespace

Status WriteClip(const TrainedClip& clip, const text::ClipVocabulary& vocabulary,
                 const std::string& provenance, TensorType type, const std::string& path) {
  formats::GgufWriter writer;
  models::WriteClipSpec(clip.spec, writer);
  vocabulary.Write(writer);
  writer.Set("ondine.clip.provenance", provenance);
  for (const TrainedWeight& weight : clip.weights) {
    const TensorType stored = TypeOf(weight, type);
    // Innermost first.
    const std::vector<std::int64_t> shape(weight.shape.rbegin(), weight.shape.rend());
    writer.Add(weight.name, stored, shape, [&weight, stored](base::FileSink& sink) {
      return sink.Write(Encoded(weight.values, stored));
    });
  }
  return writer.Write(path);
}

}  // namespace ondine::train
