// Options of a server model that answers what the device should not.
#ifndef ONDINE_SRC_CLI_SERVER_OPTIONS_H_
#define ONDINE_SRC_CLI_SERVER_OPTIONS_H_

#include <CLI/CLI.hpp>
#include <optional>
#include <string>

#include "cli/options.h"
#include "ondine/hybrid.h"
#include "ondine/result.h"
#include "ondine/server.h"

namespace ondine::cli {

// A file with a server's key. Not an option by itself: command lines are seen by everybody.
Result<std::string> ReadKeyFile(const std::string& path);

struct ServerChoice {
  std::string url, model, key_file, certificates, log, gate, private_file;
  std::string privacy = "ask";
  std::optional<double> budget;
  double timeout = ServerSettings().answer_seconds;

  void AddTo(CLI::App& command);
  bool wanted() const { return !url.empty(); }
  // kInvalidArgument where the log would be written to what is read: its own files and `inputs`.
  Status CheckLog(std::vector<std::string> inputs) const;
  // The key comes from --server-key-file or $ONDINE_SERVER_KEY: command lines are seen by
  // everybody.
  Result<Server> Load(int max_tokens) const;
  // Notes on standard error what in the gate does not fit the model or the task. Without
  // on_fallback.
  Result<HybridSettings> Settings(const Model& device, Customization custom) const;
};

}  // namespace ondine::cli

#endif  // ONDINE_SRC_CLI_SERVER_OPTIONS_H_
