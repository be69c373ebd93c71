// Which CLIP a command works with.
#ifndef ONDINE_SRC_CLI_CLIP_CHOICE_H_
#define ONDINE_SRC_CLI_CLIP_CHOICE_H_

#include <CLI/CLI.hpp>
#include <memory>
#include <string>

#include "ondine/images.h"
#include "ondine/result.h"

namespace ondine::cli {

struct ClipChoice {
  std::string path;
  int threads = 0;

  void AddTo(CLI::App& command);
  // --clip, else $ONDINE_CLIP, else the one that comes along.
  std::string Path() const;
  Result<std::unique_ptr<Clip>> Load() const;
};

}  // namespace ondine::cli

#endif  // ONDINE_SRC_CLI_CLIP_CHOICE_H_
