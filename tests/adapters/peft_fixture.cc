#include "adapters/peft_fixture.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

namespace ondine::testing {
namespace {

const std::map<std::string, std::string>& Modules() {
  static const std::map<std::string, std::string> modules = {
      {"attn_q", "self_attn.q_proj"}, {"attn_k", "self_attn.k_proj"},
      {"attn_v", "self_attn.v_proj"}, {"attn_output", "self_attn.o_proj"},
      {"ffn_gate", "mlp.gate_proj"},  {"ffn_up", "mlp.up_proj"},
      {"ffn_down", "mlp.down_proj"},
  };
  return modules;
}

}  // namespace

std::string PeftName(int layer, const std::string& module, char factor) {
  return "base_model.model.model.layers." + std::to_string(layer) + "." + module + ".lora_" +
         factor + ".weight";
}

PeftParts PeftParts::From(const adapters::LoraAdapter& lora, std::int64_t rank) {
  PeftParts parts;
  parts.config = {{"peft_type", "\"LORA\""},
                  {"r", std::to_string(rank)},
                  {"lora_alpha", std::to_string(lora.alpha)},
                  {"bias", "\"none\""},
                  {"modules_to_save", "null"},
                  {"use_dora", "false"},
                  {"layers_to_transform", "[0]"},
                  {"rank_pattern", "{}"}};
  for (const auto& [tensor, factors] : lora.matrices) {
    for (int layer = 0; layer < 10; ++layer) {
      for (const auto& [matrix, module] : Modules()) {
        if (tensor != "blk." + std::to_string(layer) + "." + matrix + ".weight") continue;
        parts.file.tensors[PeftName(layer, module, 'A')] = {
            "F32", {factors.rank, factors.in}, Stored(factors.a)};
        parts.file.tensors[PeftName(layer, module, 'B')] = {
            "F32", {factors.out, factors.rank}, Stored(factors.b)};
      }
    }
  }
  EXPECT_EQ(parts.file.tensors.size(), 2 * lora.matrices.size());
  return parts;
}

std::string PeftParts::Config() const {
  std::string text = "{";
  for (const auto& [key, value] : config) {
    text.append(text.size() > 1 ? ",\"" : "\"").append(key).append("\":").append(value);
  }
  return text + "}";
}

void PeftParts::Write(const std::string& folder) const {
  const std::filesystem::path in = folder;
  std::filesystem::create_directory(in);
  std::ofstream(in / "adapter_config.json", std::ios::binary) << Config();
  std::ofstream(in / "adapter_model.safetensors", std::ios::binary) << file.Bytes();
}

}  // namespace ondine::testing
