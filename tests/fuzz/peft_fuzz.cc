// The input is an adapter_config.json, then, behind kMark, a safetensors file.
#include "adapters/peft.h"
#include "formats/safetensors_bytes.h"
#include "fuzz/fuzzer.h"

namespace {

using ondine::adapters::PeftConfig;
using ondine::testing::SafetensorsParts;
using ondine::testing::Stored;

constexpr std::string_view kMark = "\n==file==\n";
constexpr std::string_view kQueries = "base_model.model.model.layers.0.self_attn.q_proj.lora_";

}  // namespace

std::vector<std::string> ondine::testing::FuzzSeeds() {
  SafetensorsParts parts;
  parts.tensors[std::string(kQueries) + "A.weight"] = {"F32", {1, 2}, Stored<float>({1, 2})};
  parts.tensors[std::string(kQueries) + "B.weight"] = {"F32", {2, 1}, Stored<float>({3, 4})};
  std::vector<std::string> seeds;
  for (const char* more : {"", R"(,"use_rslora":true,"bias":"none","modules_to_save":null)",
                           R"(,"r":9,"rank_pattern":{"q_proj":1},"alpha_pattern":{"q_proj":2.5})",
                           R"(,"use_dora":true,"init_lora_weights":"pissa")"}) {
    seeds.push_back(R"({"peft_type":"LORA","r":1,"lora_alpha":4)" + std::string(more) + "}" +
                    std::string(kMark) + parts.Bytes());
  }
  return seeds;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const std::size_t mark = input.find(kMark);
  if (mark == std::string_view::npos) return 0;
  const auto config = PeftConfig::Parse(input.substr(0, mark), "fuzz");
  const auto bytes = std::as_bytes(std::span(input.substr(mark + kMark.size())));
  const auto file = ondine::formats::SafetensorsFile::Parse(bytes, "fuzz");
  if (!config || !file) return 0;
  const auto lora = ReadPeft(*config, *file);
  if (!lora) return 0;
  for (const auto& [matrix, factors] : lora->matrices) {
    if (static_cast<std::int64_t>(factors.a.size()) != factors.rank * factors.in ||
        static_cast<std::int64_t>(factors.b.size()) != factors.rank * factors.out) {
      __builtin_trap();
    }
  }
  return 0;
}
