// LoRA adapters in GGUF files, in llama.cpp's form: docs/formats/lora.md.
#ifndef ONDINE_SRC_ADAPTERS_LORA_FILE_H_
#define ONDINE_SRC_ADAPTERS_LORA_FILE_H_

#include <string>
#include <string_view>

#include "adapters/lora.h"
#include "compute/thread_pool.h"
#include "formats/gguf.h"
#include "ondine/result.h"

namespace ondine::adapters {

// What follows a matrix's name in that of its factors.
inline constexpr std::string_view kLoraA = ".lora_a", kLoraB = ".lora_b";

// Errors: kUnsupported (no LoRA adapter), kCorrupt (half a pair, shapes that do not fit, NaN).
Result<LoraAdapter> ReadLora(const formats::GgufFile& file, compute::ThreadPool& pool);

// Factors are written as F32 and the product's factor as adapter.lora.alpha, always different from
// 0. Errors: kInvalidArgument (ranks that differ between matrices, without an alpha), and those of
// GgufWriter::Write.
Status WriteLora(const LoraAdapter& adapter, const std::string& path);
Status WriteLora(const LoraAdapter& adapter, base::FileSink& sink);

}  // namespace ondine::adapters

#endif  // ONDINE_SRC_ADAPTERS_LORA_FILE_H_
