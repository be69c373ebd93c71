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

std::string ClipChoice::Path() const {
  const char* variable = std::getenv("ONDINE_CLIP");
  if (!path.empty()) return path;
  return variable != nullptr && *variable != 0 ? variable : DefaultClipPath();
}

Result<std::unique_ptr<Clip>> ClipChoice::Load() const {
  return Clip::Load(Path(), threads);
}

}  // namespace ondine::cli
