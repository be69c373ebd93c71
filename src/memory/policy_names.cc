#include <array>

#include "base/quote.h"
#include "ondine/pot.h"

namespace ondine {
namespace {

struct NamedPolicy {
  PotPolicy policy;
  const char* name;
};

constexpr std::array kPolicies = {
    NamedPolicy{PotPolicy::kInfiniPot, "infinipot"}, NamedPolicy{PotPolicy::kCap, "cap"},
    NamedPolicy{PotPolicy::kSirLlm, "sirllm"},       NamedPolicy{PotPolicy::kSnapKv, "snapkv"},
    NamedPolicy{PotPolicy::kTova, "tova"},           NamedPolicy{PotPolicy::kKeyDiff, "keydiff"},
    NamedPolicy{PotPolicy::kStreaming, "streaming"}, NamedPolicy{PotPolicy::kTruncate, "truncate"},
    NamedPolicy{PotPolicy::kFull, "full"},
};

struct NamedCacheType {
  CacheType type;
  const char* name;
};

constexpr std::array kCacheTypes = {
    NamedCacheType{CacheType::kF16, "f16"},
    NamedCacheType{CacheType::kQ8_0, "q8_0"},
    NamedCacheType{CacheType::kQ4_0, "q4_0"},
};

}  // namespace

Result<PotPolicy> ParsePotPolicy(std::string_view name) {
  if (name == "truncate-middle") return PotPolicy::kTruncate;
  std::string known;
  for (const NamedPolicy& entry : kPolicies) {
    if (name == entry.name) return entry.policy;
    known += (known.empty() ? "" : ", ") + std::string(entry.name);
  }
  return MakeError(ErrorCode::kInvalidArgument,
                   "unknown policy " + base::Quote(name) + " (known: " + known + ")");
}

const char* PotPolicyName(PotPolicy policy) {
  for (const NamedPolicy& entry : kPolicies) {
    if (policy == entry.policy) return entry.name;
  }
  return "unknown";
}

std::vector<std::string> PotPolicyNames() {
  std::vector<std::string> names;
  names.reserve(std::size(kPolicies));
  for (const NamedPolicy& entry : kPolicies) names.emplace_back(entry.name);
  return names;
}

Result<CacheType> ParseCacheType(std::string_view name) {
  for (const NamedCacheType& entry : kCacheTypes) {
    if (name == entry.name) return entry.type;
  }
  return MakeError(ErrorCode::kInvalidArgument,
                   "unknown cache type " + base::Quote(name) + " (known: f16, q8_0, q4_0)");
}

const char* CacheTypeName(CacheType type) {
  for (const NamedCacheType& entry : kCacheTypes) {
    if (type == entry.type) return entry.name;
  }
  return "unknown";
}

}  // namespace ondine
