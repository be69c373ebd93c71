#include "adapters/peft_config.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>

#include "adapters/lora.h"
#include "base/quote.h"
#include "base/try.h"

namespace ondine::adapters {
namespace {

using base::Quote;
using Json = nlohmann::ordered_json;  // of a pattern's names the first that fits counts

// Fields that must be absent, null, false or empty: anything else changes more of the model than
// products of two matrices can say.
constexpr std::array kNeutral = {
    "alora_invocation_tokens",
    "arrow_config",
    "fan_in_fan_out",
    "kasa_config",
    "layer_replication",
    "lora_bias",
    "modules_to_save",
    "monteclora_config",
    "target_parameters",
    "trainable_token_indices",
    "use_bdlora",
    "use_dora",
    "use_qalora",
};
// Ways to begin that leave the model's own weights as they are; the others (PiSSA, OLoRA, LoftQ,
// ...) train the adapter for weights from which its beginning has been taken away.
constexpr std::array kBeginnings = {"gaussian", "eva", "orthogonal", "mica"};
// Names of all modules in two patterns need less.
constexpr std::size_t kLargestFile = std::size_t{256} << 10;

bool IsNeutral(const Json& value) {
  return value.is_null() || value == false || (value.is_structured() && value.empty());
}

// Names are regular expressions to PEFT; nearly everyone writes plain ones, in which a dot is a
// dot.
bool IsPlainName(std::string_view name) {
  return !name.empty() && std::ranges::all_of(name, [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '.';
  });
}

bool EndsWithParts(std::string_view module, std::string_view name) {
  if (!module.ends_with(name)) return false;
  module.remove_suffix(name.size());
  return module.empty() || module.ends_with('.');
}

template <typename Pattern, typename Value>
Value Find(const Pattern& pattern, std::string_view module, Value otherwise) {
  for (const auto& [name, value] : pattern) {
    if (EndsWithParts(module, name)) return value;
  }
  return otherwise;
}

std::optional<std::int64_t> AsRank(const Json& value) {
  if (!value.is_number_unsigned()) return std::nullopt;
  const auto rank = value.get<std::uint64_t>();
  if (rank < 1 || rank > static_cast<std::uint64_t>(kMostRank)) return std::nullopt;
  return static_cast<std::int64_t>(rank);
}

std::optional<double> AsAlpha(const Json& value) {
  if (!value.is_number() || !std::isfinite(value.get<double>())) return std::nullopt;
  return value.get<double>();
}

}  // namespace

class PeftConfigParser {
 public:
  PeftConfigParser(const Json& json, const std::string& path) : json_(json), path_(path) {}

  Result<PeftConfig> Parse() {
    ONDINE_TRY(CheckKind());
    PeftConfig config;
    const auto rank = AsRank(Field("r"));
    if (!rank) {
      return Corrupt("r is no whole number from 1 to " + std::to_string(kMostRank));
    }
    const auto alpha = AsAlpha(Field("lora_alpha"));
    if (!alpha) return Corrupt("lora_alpha is no number");
    // A LoRA file cannot say it either: alpha 0 stands for "no factor" there.
    if (*alpha == 0) return Unsupported("lora_alpha is 0: the adapter would change nothing");
    config.rank_ = *rank;
    config.alpha_ = *alpha;
    config.root_ = Field("use_rslora") == true;
    ONDINE_ASSIGN(config.ranks_, ParsePattern<std::int64_t>("rank_pattern", AsRank));
    ONDINE_ASSIGN(config.alphas_, ParsePattern<double>("alpha_pattern", AsAlpha));
    return config;
  }

 private:
  tl::unexpected<Error> Corrupt(std::string message) const {
    return MakeError(ErrorCode::kCorrupt, std::move(message), path_);
  }
  tl::unexpected<Error> Unsupported(std::string message) const {
    return MakeError(ErrorCode::kUnsupported, std::move(message), path_);
  }

  // Null where there is none.
  const Json& Field(const char* key) const {
    static const Json none;
    const auto found = json_.find(key);
    return found == json_.end() ? none : *found;
  }

  Status CheckKind() const {
    const Json& kind = Field("peft_type");
    if (!kind.is_string()) return Corrupt("no configuration of PEFT: it has no peft_type");
    if (kind != "LORA") {
      return Unsupported("peft_type is " + Quote(kind.get_ref<const std::string&>()) +
                         "; LORA alone can be converted");
    }
    for (const char* field : kNeutral) {
      if (!IsNeutral(Field(field))) {
        return Unsupported(std::string("the adapter uses ") + field +
                           ", which a LoRA file cannot represent");
      }
    }
    if (const Json& bias = Field("bias"); !bias.is_null() && bias != "none") {
      return Unsupported("the adapter changes biases (bias), which a LoRA file cannot represent");
    }
    if (const Json& beginning = Field("init_lora_weights");
        beginning.is_string() && std::ranges::find(kBeginnings, beginning) == kBeginnings.end()) {
      return Unsupported("init_lora_weights is " + Quote(beginning.get_ref<const std::string&>()) +
                         ": the adapter belongs to changed weights; save it with "
                         "path_initial_model_for_weight_conversion");
    }
    return {};
  }

  template <typename T>
  Result<PeftConfig::Pattern<T>> ParsePattern(const char* field,
                                              std::optional<T> (*parse)(const Json&)) const {
    PeftConfig::Pattern<T> pattern;
    const Json& json = Field(field);
    if (IsNeutral(json)) return pattern;
    if (!json.is_object()) return Corrupt(std::string(field) + " is no object");
    for (const auto& [name, value] : json.items()) {
      const std::string label = std::string(field) + " for " + Quote(name);
      if (!IsPlainName(name)) {
        return Unsupported(label + ": a regular expression; names of modules are understood");
      }
      const auto number = parse(value);
      if (!number) return Corrupt(label + " is no such number");
      pattern.emplace_back(name, *number);
    }
    return pattern;
  }

  const Json& json_;
  const std::string& path_;
};

Result<PeftConfig> PeftConfig::Parse(std::string_view text, const std::string& name) {
  if (text.size() > kLargestFile) {
    return MakeError(
        ErrorCode::kCorrupt,
        "has " + std::to_string(text.size()) + " bytes, more than any configuration of an adapter",
        name);
  }
  const Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return MakeError(ErrorCode::kCorrupt, "is no JSON object", name);
  return PeftConfigParser(json, name).Parse();
}

std::int64_t PeftConfig::Rank(std::string_view module) const {
  return Find(ranks_, module, rank_);
}

double PeftConfig::Scale(std::string_view module) const {
  const auto rank = static_cast<double>(Rank(module));
  return Find(alphas_, module, alpha_) / (root_ ? std::sqrt(rank) : rank);
}

double PeftConfig::PlainAlpha() const {
  return root_ ? alpha_ * std::sqrt(static_cast<double>(rank_)) : alpha_;
}

}  // namespace ondine::adapters
