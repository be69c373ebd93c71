#include <string>
#include <string_view>

#include "adapters/gate_file.h"
#include "fuzz/fuzzer.h"

namespace adapters = ondine::adapters;

std::vector<std::string> ondine::testing::FuzzSeeds() {
  Gate gate;
  gate.thresholds = {0.25, {}};
  std::vector<std::string> seeds = {adapters::FormatGate(gate), "{}", "["};
  gate.fit = GateFit{100, 0.2, {0.19, 0.5}, 0.4, 0.6, "a model"};
  seeds.push_back(adapters::FormatGate(gate));
  return seeds;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto gate =
      adapters::ParseGate(std::string_view(reinterpret_cast<const char*>(data), size), "gate");
  if (!gate) return 0;
  // What was read can be written and read again.
  const std::string text = adapters::FormatGate(*gate);
  const auto again = adapters::ParseGate(text, "again");
  if (!again || adapters::FormatGate(*again) != text) __builtin_trap();
  return 0;
}
