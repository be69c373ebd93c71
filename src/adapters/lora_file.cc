#include "adapters/lora_file.h"

#include <array>
#include <cmath>
#include <span>
#include <string_view>

#include "base/quote.h"
#include "base/try.h"
#include "models/tensor_floats.h"

namespace ondine::adapters {
namespace {

Result<std::string> Expect(const formats::GgufFile& file, const char* key,
                           std::string_view wanted) {
  ONDINE_ASSIGN(const auto value, file.FindString(key));
  if (!value || (!wanted.empty() && *value != wanted)) {
    return MakeError(ErrorCode::kUnsupported,
                     std::string("not a LoRA adapter: ") + key + " is " +
                         (value ? base::Quote(*value) : "missing") +
                         (wanted.empty() ? "" : ", not " + base::Quote(wanted)),
                     file.path());
  }
  return *value;
}

Result<LowRankFactors> ReadPair(const formats::GgufFile& file, const formats::GgufTensor& a,
                                const std::string& matrix, compute::ThreadPool& pool) {
  const formats::GgufTensor* b = file.FindTensor(matrix + std::string(kLoraB));
  if (b == nullptr) {
    return MakeError(ErrorCode::kCorrupt, "has no counterpart " + matrix + std::string(kLoraB),
                     file.path() + ", tensor " + a.name);
  }
  LowRankFactors factors;
  factors.in = a.shape[0];
  factors.rank = a.shape[1];
  factors.out = b->shape[1];
  if (a.dims > 2 || b->dims > 2) {
    return MakeError(ErrorCode::kCorrupt, "a factor is no matrix", file.path() + ", " + matrix);
  }
  if (factors.rank > kMostRank) {
    return MakeError(ErrorCode::kUnsupported,
                     "a rank of " + std::to_string(factors.rank) + "; at most " +
                         std::to_string(kMostRank) + " is possible",
                     file.path() + ", tensor " + a.name);
  }
  if (b->shape[0] != factors.rank) {
    return MakeError(ErrorCode::kCorrupt,
                     "has rank " + std::to_string(b->shape[0]) + ", its counterpart " +
                         std::to_string(factors.rank),
                     file.path() + ", tensor " + b->name);
  }
  ONDINE_ASSIGN(factors.a, models::ReadFloats(file, a, pool));
  ONDINE_ASSIGN(factors.b, models::ReadFloats(file, *b, pool));
  return factors;
}

}  // namespace

Result<LoraAdapter> ReadLora(const formats::GgufFile& file, compute::ThreadPool& pool) {
  ONDINE_TRY(Expect(file, "general.type", "adapter"));
  ONDINE_TRY(Expect(file, "adapter.type", "lora"));
  LoraAdapter adapter;
  adapter.name = file.path();
  ONDINE_ASSIGN(adapter.architecture, Expect(file, "general.architecture", ""));
  if (file.Find("adapter.alora.invocation_tokens") != nullptr) {
    return MakeError(ErrorCode::kUnsupported, "adapters that begin at an invocation (aLoRA)",
                     file.path());
  }
  ONDINE_ASSIGN(const auto alpha, file.FindNumber("adapter.lora.alpha"));
  adapter.alpha = static_cast<float>(alpha.value_or(0));
  if (!std::isfinite(adapter.alpha) || (adapter.alpha == 0 && alpha.value_or(0) != 0)) {
    return MakeError(ErrorCode::kCorrupt, "adapter.lora.alpha is too large or too small",
                     file.path());
  }
  for (const formats::GgufTensor& tensor : file.tensors()) {
    const std::string_view name = tensor.name;
    if (name.ends_with(kLoraA)) {
      const std::string matrix(name.substr(0, name.size() - kLoraA.size()));
      ONDINE_ASSIGN(adapter.matrices[matrix], ReadPair(file, tensor, matrix, pool));
    } else if (!name.ends_with(kLoraB)) {
      return MakeError(ErrorCode::kUnsupported, "an adapter with a tensor that is no LoRA factor",
                       file.path() + ", tensor " + tensor.name);
    } else if (const std::string a =
                   std::string(name.substr(0, name.size() - kLoraB.size())) + std::string(kLoraA);
               file.FindTensor(a) == nullptr) {
      return MakeError(ErrorCode::kCorrupt, "has no counterpart " + a,
                       file.path() + ", tensor " + tensor.name);
    }
  }
  if (adapter.matrices.empty()) {
    return MakeError(ErrorCode::kCorrupt, "the adapter is empty", file.path());
  }
  return adapter;
}

Status WriteLora(const LoraAdapter& adapter, const std::string& path) {
  return base::WriteFileAtomically(path,
                                   [&](base::FileSink& sink) { return WriteLora(adapter, sink); });
}

Status WriteLora(const LoraAdapter& adapter, base::FileSink& sink) {
  formats::GgufWriter file;
  file.Set("general.type", std::string("adapter"));
  file.Set("general.architecture", adapter.architecture);
  file.Set("adapter.type", std::string("lora"));
  std::int64_t rank = 0;
  for (const auto& [tensor, factors] : adapter.matrices) {
    if (rank != 0 && factors.rank != rank && adapter.alpha == 0) {
      return MakeError(ErrorCode::kInvalidArgument,
                       "an adapter whose matrices have different ranks needs an alpha");
    }
    rank = factors.rank;
    file.Add(tensor + std::string(kLoraA), formats::TensorType::kF32,
             std::array{factors.in, factors.rank}, std::as_bytes(std::span(factors.a)));
    file.Add(tensor + std::string(kLoraB), formats::TensorType::kF32,
             std::array{factors.rank, factors.out}, std::as_bytes(std::span(factors.b)));
  }
  // Programs that find 0 here, or nothing, leave the factor out; alpha = rank says the same.
  file.Set("adapter.lora.alpha", adapter.alpha != 0 ? adapter.alpha : static_cast<double>(rank));
  return file.WriteTo(sink);
}

}  // namespace ondine::adapters
