// Options of a server model that answers what the device should not.
#ifndef ONDINE_SRC_CLI_SERVER_OPTIONS_H_
#define ONDINE_SRC_CLI_SERVER_OPTIONS_H_

#include <CLI/CLI.hpp>
#include <string>

#include "ondine/hybrid.h"
#include "ondine/result.h"
#include "ondine/server.h"

namespace ondine::cli {

// Of --server-key-file, else $ONDINE_SERVER_KEY, else empty. Not an option by itself: command lines
// are seen by everybody.
Result<std::string> LoadServerKey(const std::string& path);

struct ServerChoice {
  std::string url, model, key_file, certificates, log, gate, private_file;
  std::string privacy = "ask";
  double budget = HybridSettings().budget;
  double timeout = ServerSettings().answer_seconds;

  void AddTo(CLI::App& command);
  bool wanted() const { return !url.empty(); }
  // The key comes from --server-key-file or $ONDINE_SERVER_KEY: command lines are seen by
  // everybody.
  Result<Server> Load(int max_tokens) const;
  // Without pool and task.
  Result<HybridSettings> Settings() const;
};

}  // namespace ondine::cli

#endif  // ONDINE_SRC_CLI_SERVER_OPTIONS_H_
