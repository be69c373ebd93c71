#include "cli/clip_choice.h"

#include <cstdlib>

#include "cli/options.h"

namespace ondine::cli {

void ClipChoice::AddTo(CLI::App& command) {
  command.add_option(
      "--clip", path,
      "CLIP model, a GGUF file (default: $ONDINE_CLIP, else the one that comes along)");
  command.add_option("-t,--threads", threads, "(default: one per core)")->check(CLI::Range(1, 256));
}

Result<std::unique_ptr<Clip>> ClipChoice::Load() const {
  const char* variable = std::getenv("ONDINE_CLIP");
  std::string chosen = path;
  if (chosen.empty() && variable != nullptr) chosen = variable;
  if (chosen.empty()) chosen = DefaultClipPath();
  return Clip::Load(chosen, threads);
}

}  // namespace ondine::cli
