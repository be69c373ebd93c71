#include "models/architectures.h"

#include <array>
#include <string>

#include "base/quote.h"
#include "base/try.h"

namespace ondine::models {
namespace {

struct Architecture {
  const char* name;
  Result<DecoderSpec> (*read)(const formats::GgufFile&);
};

constexpr std::array kArchitectures = {
    Architecture{"gemma3", ReadGemma3}, Architecture{"gpt2", ReadGpt2},
    Architecture{"llama", ReadLlama},   Architecture{"qwen2", ReadQwen2},
    Architecture{"qwen3", ReadQwen3},
};

}  // namespace

Result<DecoderSpec> ReadDecoderSpec(const formats::GgufFile& file) {
  ONDINE_ASSIGN(const std::optional<std::string> name, file.FindString("general.architecture"));
  if (!name) {
    return MakeError(ErrorCode::kCorrupt, "the key general.architecture is missing", file.path());
  }
  std::string known;
  for (const Architecture& architecture : kArchitectures) {
    if (*name == architecture.name) return architecture.read(file);
    known += known.empty() ? "" : ", ";
    known += architecture.name;
  }
  return MakeError(
      ErrorCode::kUnsupported,
      "architecture " + base::Quote(*name) + " is not supported (known: " + known + ")",
      file.path());
}

}  // namespace ondine::models
