// The JSON file of a gate.
#ifndef ONDINE_SRC_ADAPTERS_GATE_FILE_H_
#define ONDINE_SRC_ADAPTERS_GATE_FILE_H_

#include <string>
#include <string_view>

#include "ondine/gate.h"
#include "ondine/result.h"

namespace ondine::adapters {

// Errors: kCorrupt, naming the key and `path`.
Result<Gate> ParseGate(std::string_view text, const std::string& path);
std::string FormatGate(const Gate& gate);

}  // namespace ondine::adapters

#endif  // ONDINE_SRC_ADAPTERS_GATE_FILE_H_
