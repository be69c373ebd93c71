// One command of the program.
#ifndef ONDINE_SRC_CLI_COMMAND_H_
#define ONDINE_SRC_CLI_COMMAND_H_

#include <CLI/CLI.hpp>
#include <functional>

#include "ondine/result.h"

namespace ondine::cli {

// Does the command's work; an error becomes one line on stderr and the exit code.
using Action = std::function<Status()>;

// Each adds its command and options to the program and returns what to do when it is chosen.
Action AddBench(CLI::App& app);
Action AddChat(CLI::App& app);
Action AddConvertAdapter(CLI::App& app);
Action AddConvertClip(CLI::App& app);
Action AddCustomize(CLI::App& app);
Action AddEval(CLI::App& app);
Action AddImages(CLI::App& app);
Action AddInfo(CLI::App& app);
Action AddPerplexity(CLI::App& app);
Action AddQuantize(CLI::App& app);
Action AddRead(CLI::App& app);
Action AddRoute(CLI::App& app);
Action AddRun(CLI::App& app);
Action AddServe(CLI::App& app);
Action AddTokenize(CLI::App& app);

// Tasks of eval with files of their own.
Action AddEvalHybrid(CLI::App& eval_command);
Action AddEvalMcqa(CLI::App& eval_command);

// Of images, with a file of their own.
Action AddImagesClassify(CLI::App& images);
Action AddImagesSearch(CLI::App& images);
Action AddImagesEncode(CLI::App& images);
Action AddImagesLearn(CLI::App& images);

}  // namespace ondine::cli

#endif  // ONDINE_SRC_CLI_COMMAND_H_
