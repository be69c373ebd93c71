#include "adapters/lora.h"

#include <algorithm>
#include <cmath>
#include <new>

#include "base/checksum.h"
#include "base/join.h"
#include "base/quote.h"
#include "base/try.h"

namespace ondine::adapters {
namespace {

using compute::Linear;

Result<Linear> MakeLinear(std::int64_t in, std::int64_t out, const std::vector<float>& values,
                          compute::ThreadPool& pool) {
  return Linear::Create(formats::TensorType::kF32, in, out, std::as_bytes(std::span(values)), pool);
}

// What has happened to W happens to B A: b [out][rank], a [rank][in].
void Fold(const models::TensorFold& fold, std::int64_t rank, std::vector<float>& a,
          std::vector<float>& b) {
  const std::size_t in = fold.columns.size(), r = static_cast<std::size_t>(rank);
  for (std::size_t i = 0; in > 0 && i < a.size(); ++i) a[i] /= fold.columns[i % in];
  for (std::size_t i = 0; !fold.rows.empty() && i < b.size(); ++i) b[i] *= fold.rows[i / r];
}

// The factors of one tensor over all adapters, with zeros where an adapter has none, so that every
// addition has the same rank.
Result<models::LowRank> Stack(std::span<const ScaledLora> adapters, const std::string& tensor,
                              const Linear& weights, const models::TensorFold& fold,
                              std::int64_t rank, compute::ThreadPool& pool) {
  const std::int64_t in = weights.in(), out = weights.out();
  std::vector<float> a(static_cast<std::size_t>(rank * in));
  std::vector<float> b(static_cast<std::size_t>(out * rank));
  std::int64_t at = 0;
  for (const auto& [adapter, scale] : adapters) {
    const auto found = adapter->matrices.find(tensor);
    if (found == adapter->matrices.end()) continue;
    const LowRankFactors& factors = found->second;
    const float factor = scale * adapter->Factor(factors);
    if (!std::isfinite(factor)) {
      return MakeError(ErrorCode::kInvalidArgument, "scale times alpha is too large",
                       adapter->name);
    }
    std::copy(factors.a.begin(), factors.a.end(), a.begin() + at * in);
    for (std::int64_t row = 0; row < out; ++row) {
      for (std::int64_t r = 0; r < factors.rank; ++r) {
        b[static_cast<std::size_t>(row * rank + at + r)] =
            factor * factors.b[static_cast<std::size_t>(row * factors.rank + r)];
      }
    }
    at += factors.rank;
  }
  if (fold.changes()) Fold(fold, rank, a, b);
  models::LowRank addition;
  ONDINE_ASSIGN(addition.down, MakeLinear(in, rank, a, pool));
  ONDINE_ASSIGN(addition.up, MakeLinear(rank, out, b, pool));
  return addition;
}

models::TensorFold FoldOf(const models::Decoder& decoder, const std::string& tensor) {
  if (!decoder.fold()) return {};
  return models::FoldOf(decoder.spec(), decoder.fold()->scales, tensor);
}

Result<std::shared_ptr<const models::Lora>> StackAll(
    std::span<const ScaledLora> adapters, const std::map<std::string, std::int64_t>& ranks,
    const models::Decoder& decoder, compute::ThreadPool& pool) {
  auto lora = std::make_shared<models::Lora>();
  for (const auto& [tensor, rank] : ranks) lora->rank = std::max(lora->rank, rank);
  if (lora->rank > kMostRank) {
    return MakeError(ErrorCode::kUnsupported, "adapters of rank " + std::to_string(lora->rank) +
                                                  " together; at most " +
                                                  std::to_string(kMostRank) + " is possible");
  }
  lora->layers.resize(static_cast<std::size_t>(decoder.spec().layers));
  for (const auto& [tensor, rank] : ranks) {
    const auto target = models::FindLoraTarget(decoder, tensor);
    ONDINE_ASSIGN(auto addition, Stack(adapters, tensor, *target->weights, FoldOf(decoder, tensor),
                                       lora->rank, pool));
    lora->layers[static_cast<std::size_t>(target->layer)].*target->addition = std::move(addition);
  }
  return lora;
}

std::string Known(const models::DecoderSpec& spec) {
  return base::Join(models::LoraTargetNames(spec), ", ");
}

}  // namespace

float LoraAdapter::Factor(const LowRankFactors& factors) const {
  return alpha == 0 ? 1.0f : static_cast<float>(alpha / static_cast<double>(factors.rank));
}

std::string Fingerprint(const LoraAdapter& adapter) {
  base::Checksum hash;
  for (const auto& [tensor, factors] : adapter.matrices) {
    hash.Update(std::as_bytes(std::span(tensor)));
    const float factor = adapter.Factor(factors);
    hash.Update(std::as_bytes(std::span(&factor, 1)));
    hash.Update(std::as_bytes(std::span(factors.a)));
    hash.Update(std::as_bytes(std::span(factors.b)));
  }
  return hash.Digits();
}

// tr(B^T B A A^T): sums over pairs of ranks instead of over the product's elements.
double SquaredNorm(const LowRankFactors& factors) {
  const std::int64_t rank = factors.rank;
  double sum = 0;
  for (std::int64_t r = 0; r < rank; ++r) {
    for (std::int64_t s = 0; s < rank; ++s) {
      double columns = 0, rows = 0;
      for (std::int64_t i = 0; i < factors.out; ++i) {
        columns += static_cast<double>(factors.b[i * rank + r]) * factors.b[i * rank + s];
      }
      for (std::int64_t i = 0; i < factors.in; ++i) {
        rows += static_cast<double>(factors.a[r * factors.in + i]) * factors.a[s * factors.in + i];
      }
      sum += columns * rows;
    }
  }
  return sum;
}

Status CheckFits(const LoraAdapter& adapter, const models::Decoder& decoder) {
  const std::string& architecture = decoder.spec().architecture;
  if (adapter.architecture != architecture) {
    return MakeError(ErrorCode::kMismatch,
                     "the adapter belongs to a model of architecture " +
                         base::Quote(adapter.architecture) + ", this one is " +
                         base::Quote(architecture),
                     adapter.name);
  }
  for (const auto& [tensor, factors] : adapter.matrices) {
    const auto target = models::FindLoraTarget(decoder, tensor);
    if (!target) {
      return MakeError(ErrorCode::kMismatch,
                       "the adapter changes " + base::Quote(tensor) + "; what can be adapted are " +
                           Known(decoder.spec()) + " of the model's layers",
                       adapter.name);
    }
    if (factors.in != target->weights->in() || factors.out != target->weights->out()) {
      return MakeError(ErrorCode::kMismatch,
                       "the adapter changes " + base::Quote(tensor) + " as a matrix of " +
                           std::to_string(factors.out) + " x " + std::to_string(factors.in) +
                           "; the model's has " + std::to_string(target->weights->out()) + " x " +
                           std::to_string(target->weights->in()),
                       adapter.name);
    }
  }
  return {};
}

Result<std::shared_ptr<const models::Lora>> Combine(std::span<const ScaledLora> all,
                                                    const models::Decoder& decoder,
                                                    compute::ThreadPool& pool) {
  std::vector<ScaledLora> adapters;
  for (const ScaledLora& scaled : all) {
    ONDINE_TRY(CheckFits(*scaled.adapter, decoder));
    if (!std::isfinite(scaled.scale)) {
      return MakeError(ErrorCode::kInvalidArgument, "the scale of an adapter must be finite",
                       scaled.adapter->name);
    }
    if (scaled.scale != 0) adapters.push_back(scaled);
  }
  std::map<std::string, std::int64_t> ranks;  // of each tensor, summed up
  for (const ScaledLora& scaled : adapters) {
    for (const auto& [tensor, factors] : scaled.adapter->matrices) ranks[tensor] += factors.rank;
  }
  if (ranks.empty()) return nullptr;
  try {
    return StackAll(adapters, ranks, decoder, pool);
  } catch (const std::bad_alloc&) {
    return MakeError(ErrorCode::kOutOfMemory, "no memory for the adapters");
  }
}

}  // namespace ondine::adapters
