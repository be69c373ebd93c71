#include "adapters/peft.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <filesystem>
#include <map>
#include <optional>
#include <string_view>
#include <utility>

#include "base/file.h"
#include "base/quote.h"
#include "base/try.h"
#include "models/tensor_floats.h"

namespace ondine::adapters {
namespace {

using formats::SafetensorsFile;
using formats::SafetensorsTensor;

struct Name {
  std::string_view peft, gguf;
};
constexpr std::array kNames = {
    Name{"self_attn.q_proj", "attn_q"}, Name{"self_attn.k_proj", "attn_k"},
    Name{"self_attn.v_proj", "attn_v"}, Name{"self_attn.o_proj", "attn_output"},
    Name{"mlp.gate_proj", "ffn_gate"},  Name{"mlp.up_proj", "ffn_up"},
    Name{"mlp.down_proj", "ffn_down"},
};

// "base_model.model." and the module's name and which factor; some writers leave the adapter's
// name in, which is "default".
constexpr std::string_view kWrapper = "base_model.model.", kLayers = "model.layers.";
constexpr std::string_view kSuffixes[2][2] = {{".lora_A.weight", ".lora_A.default.weight"},
                                              {".lora_B.weight", ".lora_B.default.weight"}};

// What a tensor's name says; it lives as long as that.
struct Factor {
  std::string_view module;  // "model.layers.0.self_attn.q_proj"
  std::string matrix;       // "blk.0.attn_q.weight"
  bool is_b = false;
};

// "model.layers.0.self_attn.q_proj" -> "blk.0.attn_q.weight"; nullopt for any other module. Whether
// the model has such a layer is for CheckFits() to say.
std::optional<std::string> MatrixOf(std::string_view module) {
  if (!module.starts_with(kLayers)) return std::nullopt;
  module.remove_prefix(kLayers.size());
  const std::size_t digits = std::min(module.find_first_not_of("0123456789"), module.size());
  if (digits == 0 || !module.substr(digits).starts_with('.')) return std::nullopt;
  const auto name = std::ranges::find(kNames, module.substr(digits + 1), &Name::peft);
  if (name == kNames.end()) return std::nullopt;
  return "blk." + std::string(module.substr(0, digits)) + "." + std::string(name->gguf) + ".weight";
}

std::optional<Factor> ParseName(std::string_view name) {
  if (!name.starts_with(kWrapper)) return std::nullopt;
  name.remove_prefix(kWrapper.size());
  for (const bool is_b : {false, true}) {
    for (const std::string_view suffix : kSuffixes[is_b ? 1 : 0]) {
      if (!name.ends_with(suffix)) continue;
      const std::string_view module = name.substr(0, name.size() - suffix.size());
      auto matrix = MatrixOf(module);
      if (!matrix) return std::nullopt;
      return Factor{module, std::move(*matrix), is_b};
    }
  }
  return std::nullopt;
}

struct Pair {
  std::string_view module;
  const SafetensorsTensor* a = nullptr;
  const SafetensorsTensor* b = nullptr;
};

class Reader {
 public:
  Reader(const PeftConfig& config, const SafetensorsFile& file) : config_(config), file_(file) {}

  Result<LoraAdapter> Read() {
    ONDINE_TRY(FindPairs());
    LoraAdapter adapter;
    adapter.name = file_.path();
    // As it will stand in a file.
    const auto alpha = static_cast<float>(config_.PlainAlpha());
    if (alpha == 0 || !std::isfinite(alpha)) {
      return MakeError(ErrorCode::kCorrupt, "lora_alpha is too large or too small", file_.path());
    }
    adapter.alpha = alpha;
    for (const auto& [matrix, pair] : pairs_) {
      ONDINE_ASSIGN(adapter.matrices[matrix], ReadPair(pair));
    }
    if (adapter.matrices.empty()) {
      return MakeError(ErrorCode::kCorrupt, "the adapter is empty", file_.path());
    }
    return adapter;
  }

 private:
  std::string Place(const SafetensorsTensor& tensor) const {
    return file_.path() + ", tensor " + base::Quote(tensor.name);
  }

  Status FindPairs() {
    for (const SafetensorsTensor& tensor : file_.tensors()) {
      const auto factor = ParseName(tensor.name);
      if (!factor) {
        std::string known;
        for (const Name& name : kNames)
          known += (known.empty() ? "" : ", ") + std::string(name.peft);
        return MakeError(ErrorCode::kUnsupported,
                         "is no lora_A or lora_B of a layer's " + known +
                             "; others cannot be "
                             "adapted",
                         Place(tensor));
      }
      Pair& pair = pairs_[factor->matrix];
      const SafetensorsTensor*& side = factor->is_b ? pair.b : pair.a;
      if (side != nullptr) {
        return MakeError(ErrorCode::kCorrupt,
                         "is there a second time as " + base::Quote(side->name), Place(tensor));
      }
      side = &tensor;
      pair.module = factor->module;
    }
    return {};
  }

  Result<LowRankFactors> ReadPair(const Pair& pair) const {
    if (pair.a == nullptr || pair.b == nullptr) {
      return MakeError(
          ErrorCode::kCorrupt,
          std::string("has no counterpart ") + (pair.a == nullptr ? "lora_A" : "lora_B"),
          Place(pair.a == nullptr ? *pair.b : *pair.a));
    }
    const std::int64_t rank = config_.Rank(pair.module);
    ONDINE_TRY(CheckShape(*pair.a, 0, rank));
    ONDINE_TRY(CheckShape(*pair.b, 1, rank));
    LowRankFactors factors;
    factors.in = pair.a->shape[1];
    factors.out = pair.b->shape[0];
    factors.rank = rank;
    ONDINE_ASSIGN(factors.a, file_.Floats(*pair.a));
    ONDINE_ASSIGN(factors.b, file_.Floats(*pair.b));
    // 1 unless a pattern names the module.
    const auto rest = static_cast<float>(config_.Scale(pair.module) * static_cast<double>(rank) /
                                         config_.PlainAlpha());
    for (float& value : factors.b) value *= rest;
    ONDINE_TRY(models::CheckFinite(factors.a, Place(*pair.a)));
    ONDINE_TRY(models::CheckFinite(factors.b, Place(*pair.b)));
    return factors;
  }

  Status CheckShape(const SafetensorsTensor& tensor, std::size_t dimension,
                    std::int64_t rank) const {
    if (tensor.shape.size() != 2) {
      return MakeError(ErrorCode::kCorrupt, "is no matrix", Place(tensor));
    }
    if (tensor.shape[dimension] != rank) {
      return MakeError(ErrorCode::kCorrupt,
                       "has rank " + std::to_string(tensor.shape[dimension]) +
                           ", adapter_config.json says " + std::to_string(rank),
                       Place(tensor));
    }
    return {};
  }

  const PeftConfig& config_;
  const SafetensorsFile& file_;
  std::map<std::string, Pair> pairs_;  // by matrix
};

// From halves, where element i of a head turns with i + dims / 2, to neighbours, where 2i turns
// with 2i + 1: as the model's own rows were reordered on their way into the GGUF file.
void MakeNeighbours(LowRankFactors& factors, int heads) {
  const std::int64_t dims = factors.out / heads, half = dims / 2;
  const std::vector<float> from = factors.b;
  for (std::int64_t row = 0; row < factors.out; ++row) {
    const std::int64_t element = row % dims;
    const std::int64_t source = row - element + element / 2 + (element % 2) * half;
    std::copy_n(&from[source * factors.rank], factors.rank, &factors.b[row * factors.rank]);
  }
}

}  // namespace

Result<LoraAdapter> ReadPeft(const PeftConfig& config, const SafetensorsFile& file) {
  return Reader(config, file).Read();
}

Result<LoraAdapter> LoadPeft(const std::string& folder, const models::Decoder& decoder) {
  const std::filesystem::path in = folder;
  const std::string path = (in / "adapter_config.json").string();
  ONDINE_ASSIGN(const std::string text, base::ReadFile(path));
  ONDINE_ASSIGN(const PeftConfig config, PeftConfig::Parse(text, path));
  ONDINE_ASSIGN(const auto file,
                SafetensorsFile::Open((in / "adapter_model.safetensors").string()));
  ONDINE_ASSIGN(LoraAdapter adapter, ReadPeft(config, file));
  const models::DecoderSpec& spec = decoder.spec();
  adapter.architecture = spec.architecture;
  ONDINE_TRY(CheckFits(adapter, decoder));
  if (spec.rope.neighbours) {
    for (auto& [matrix, factors] : adapter.matrices) {
      if (matrix.ends_with(".attn_q.weight")) MakeNeighbours(factors, spec.heads);
      if (matrix.ends_with(".attn_k.weight")) MakeNeighbours(factors, spec.kv_heads);
    }
  }
  return adapter;
}

}  // namespace ondine::adapters
