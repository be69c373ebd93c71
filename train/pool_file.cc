#include "train/pool_file.h"

#include <cstddef>
#include <span>

#include "formats/gguf.h"

namespace ondine::train {
namespace {

using formats::TensorType;

void Add(formats::GgufWriter& writer, const std::string& name, TensorType type,
         std::initializer_list<std::int64_t> shape, std::span<const std::byte> data) {
  writer.Add(name, type, std::span(shape.begin(), shape.size()), data);
}

}  // namespace

Status WritePool(const PoolDescription& description, const TaskSpace& space,
                 const TrainedAdapters& adapters, const std::string& path) {
  const PoolShape& shape = description.shape;
  formats::GgufWriter writer;
  writer.Set("general.type", std::string("adapter-pool"));
  writer.Set("general.architecture", description.architecture);
  writer.Set("general.name", description.name);
  writer.Set("pool.version", std::uint64_t{1});
  writer.Set("pool.adapters", static_cast<std::uint64_t>(shape.adapters));
  writer.Set("pool.rank", static_cast<std::uint64_t>(shape.rank));
  writer.Set("pool.lora_alpha", shape.lora_alpha);
  writer.Set("pool.temperature", description.temperature);
  writer.Set("pool.blend", std::string(shape.blend == Blend::kSeparate ? "separate" : "product"));
  writer.Set("pool.training",
             std::string(description.mode == Mode::kJoint ? "joint" : "independent"));
  writer.Set("pool.base.name", description.base_name);
  writer.Set("pool.base.fingerprint", description.base_fingerprint);
  writer.Set("pool.provenance", description.provenance);

  const auto dim = static_cast<std::int64_t>(space.mean.size());
  const std::int64_t n = shape.adapters, r = shape.rank;
  Add(writer, "pool.mean", TensorType::kF32, {dim}, std::as_bytes(std::span(space.mean)));
  Add(writer, "pool.indicators", TensorType::kF32, {dim, n},
      std::as_bytes(std::span(space.indicators.values)));
  for (const TrainedMatrix& matrix : adapters) {
    Add(writer, matrix.tensor + ".lora_a", TensorType::kF16, {matrix.shape.in, r, n},
        std::as_bytes(std::span(matrix.a)));
    Add(writer, matrix.tensor + ".lora_b", TensorType::kF16, {r, matrix.shape.out, n},
        std::as_bytes(std::span(matrix.b)));
  }
  return writer.Write(path);
}

}  // namespace ondine::train
