#include "ondine/adapter.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "adapters/lora_file.h"
#include "adapters/peft.h"
#include "base/guarded.h"
#include "base/try.h"
#include "engine/adapter_parts.h"
#include "engine/model_parts.h"
#include "formats/gguf.h"

namespace ondine {
namespace {

constexpr std::string_view kNoMemory = "no memory for the adapter";

double SquaredNorm(const compute::Linear& matrix) {
  std::vector<float> row(static_cast<std::size_t>(matrix.in()));
  double sum = 0;
  for (std::int64_t i = 0; i < matrix.out(); ++i) {
    matrix.GetRow(i, row.data());
    for (const float value : row) sum += static_cast<double>(value) * value;
  }
  return sum;
}

}  // namespace

Result<std::shared_ptr<const Adapter>> Adapter::Load(const Model& model, const std::string& path) {
  const auto load = [&]() -> Result<std::shared_ptr<const Adapter>> {
    ONDINE_ASSIGN(const formats::GgufFile file, formats::GgufFile::Open(path));
    compute::ThreadPool pool(1);
    ONDINE_ASSIGN(adapters::LoraAdapter lora, adapters::ReadLora(file, pool));
    ONDINE_TRY(adapters::CheckFits(lora, *model.parts().decoder));
    return engine::MakeAdapter(std::move(lora), path);
  };
  return base::Guarded(load, kNoMemory, path);
}

Result<std::shared_ptr<const Adapter>> Adapter::LoadPeft(const Model& model,
                                                         const std::string& folder) {
  const auto load = [&]() -> Result<std::shared_ptr<const Adapter>> {
    ONDINE_ASSIGN(adapters::LoraAdapter lora, adapters::LoadPeft(folder, *model.parts().decoder));
    return engine::MakeAdapter(std::move(lora), folder);
  };
  return base::Guarded(load, kNoMemory, folder);
}

Adapter::Adapter(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
Adapter::~Adapter() = default;

const AdapterInfo& Adapter::info() const {
  return parts_->info;
}

Status Adapter::Save(const std::string& path) const {
  return base::Guarded([&] { return adapters::WriteLora(parts_->lora, path); }, kNoMemory, path);
}

double Adapter::RelativeSize(const Model& model) const {
  const models::Decoder& decoder = *model.parts().decoder;
  double added = 0, there = 0;
  for (const auto& [tensor, factors] : parts_->lora.matrices) {
    const auto target = models::FindLoraTarget(decoder, tensor);
    if (!target) continue;
    const double factor = parts_->lora.Factor(factors);
    added += factor * factor * adapters::SquaredNorm(factors);
    there += SquaredNorm(*target->weights);
  }
  return there == 0 ? 0 : std::sqrt(added / there);
}

namespace engine {

std::shared_ptr<const Adapter> MakeAdapter(adapters::LoraAdapter lora, const std::string& path) {
  AdapterInfo info;
  info.path = path;
  info.fingerprint = adapters::Fingerprint(lora);
  info.alpha = lora.alpha;
  for (const auto& [tensor, factors] : lora.matrices) {
    info.rank = std::max(info.rank, factors.rank);
    info.parameters += factors.rank * (factors.in + factors.out);
    ++info.matrices;
  }
  return std::make_shared<const Adapter>(
      std::make_unique<Adapter::Parts>(Adapter::Parts{std::move(info), std::move(lora)}));
}

Result<std::shared_ptr<const models::Lora>> Combine(std::span<const ScaledAdapter> scaled,
                                                    const models::Decoder& decoder,
                                                    compute::ThreadPool& pool) {
  std::vector<adapters::ScaledLora> loras;
  for (const auto& [adapter, scale] : scaled) {
    if (adapter == nullptr) return MakeError(ErrorCode::kInvalidArgument, "an adapter is missing");
    loras.push_back({&adapter->parts().lora, scale});
  }
  return adapters::Combine(loras, decoder, pool);
}

std::string Identity(std::span<const ScaledAdapter> scaled) {
  std::vector<std::string> names;
  for (const auto& [adapter, scale] : scaled) {
    if (scale == 0) continue;
    char digits[32];
    const auto end = std::to_chars(std::begin(digits), std::end(digits), scale).ptr;
    names.push_back(adapter->info().fingerprint + "=" + std::string(digits, end));
  }
  std::sort(names.begin(), names.end());  // their order does not matter
  std::string all;
  for (const std::string& name : names) all += (all.empty() ? "" : ",") + name;
  return all;
}

}  // namespace engine
}  // namespace ondine
