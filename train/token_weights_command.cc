#include "train/token_weights_command.h"

#include <cstdio>
#include <memory>
#include <string>
#include <utility>

#include "base/file.h"
#include "base/quote.h"
#include "base/stopwatch.h"
#include "base/try.h"
#include "images/class_folders.h"
#include "train/token_weights.h"
#include "train/training_log.h"

namespace ondine::train {
namespace {

struct TokenWeightsCommand {
  std::string folder, clip, texts, out, log, device = "cpu";
  int threads = 0;
  LearnOptions learning;
};

void Note(const std::string& text) {
  std::fprintf(stderr, "ondine-train: %s\n", text.c_str());
}

Status LearnAndWrite(const TokenWeightsCommand& command) {
  ONDINE_TRY(base::CheckWritable(command.out));
  ONDINE_ASSIGN(const std::unique_ptr<Clip> clip, Clip::Load(command.clip, command.threads));
  ONDINE_ASSIGN(const images::FolderExamples examples,
                images::ReadExamples(*clip, command.folder, command.texts, command.learning.stop,
                                     [](const std::string&, std::size_t) {}));
  for (const Error& error : examples.broken) Note("left out: " + error.ToString());
  for (const std::string& note : examples.notes) Note(note);

  TrainingLog log;
  ProgressLine line;
  ONDINE_TRY(log.Open(command.log, false));
  const base::Timer timer;
  LearnOptions learning = command.learning;
  learning.progress = [&](int step, double loss) {
    line.Show(step + 1, learning.steps, loss, timer.Elapsed(), "");
    log.Write(
        {{"event", "step"}, {"step", step + 1}, {"loss", loss}, {"seconds", timer.Elapsed()}});
  };
  ONDINE_ASSIGN(const LearnedClasses learned,
                LearnTokenWeights(*clip, command.clip, command.device, examples.classes, learning));
  for (const std::string& note : learned.notes) Note(note);
  log.Write({{"event", "end"},
             {"plain_loss", learned.plain_loss},
             {"loss", learned.loss},
             {"plain_accuracy", learned.plain_accuracy},
             {"accuracy", learned.accuracy},
             {"seconds", timer.Elapsed()}});
  ONDINE_TRY(WritePhotoClasses(command.out, learned.classes, *clip));
  ONDINE_TRY(log.Close(command.log));
  for (const PhotoClass& one : learned.classes) {
    std::printf("%s: %s\n", base::Quote(one.name).c_str(), base::Quote(one.query).c_str());
  }
  std::printf("Right of the photos given: %.1f %%, with all words alike %.1f %%.\nWritten to %s\n",
              100 * learned.accuracy, 100 * learned.plain_accuracy, command.out.c_str());
  return {};
}

}  // namespace

std::function<Status()> AddTokenWeights(CLI::App& app, StopToken interrupt) {
  auto command = std::make_shared<TokenWeightsCommand>();
  LearnOptions& learning = command->learning;
  learning.stop = std::move(interrupt);
  CLI::App* weights = app.add_subcommand(
      "token-weights", "Learn strengths of words from photos, as `ondine images learn` does");
  weights->footer(
      "With torch's gradients, on any device of torch's; it writes the same file of classes.\n\n"
      "Example:\n  ondine-train token-weights examples/ --clip clip.gguf --device cuda:0 -o "
      "classes.json");
  weights->add_option("folder", command->folder, "with a folder of photos for each class")
      ->required();
  weights->add_option("--clip", command->clip, "CLIP model, a GGUF file")->required();
  weights->add_option("--texts", command->texts, "JSON file with a text for each class");
  weights->add_option("-o,--out", command->out, "file of classes to write, JSON")->required();
  weights->add_option("--log", command->log, "file for one JSON record a step");
  weights->add_option("--steps", learning.steps)
      ->capture_default_str()
      ->check(CLI::Range(1, 100000));
  weights->add_option("--learning-rate", learning.learning_rate)
      ->capture_default_str()
      ->check(CLI::Range(1e-6, 1.0));
  weights->add_option("--pull", learning.pull, "of strengths towards 1")
      ->capture_default_str()
      ->check(CLI::Range(0.0, 1.0));
  weights->add_option("--device", command->device, "as torch names it: cpu, cuda:0")
      ->capture_default_str();
  weights->add_option("-t,--threads", command->threads, "for the photos (default: one per core)")
      ->check(CLI::Range(1, 256));
  return [command]() -> Status {
    ONDINE_TRY(base::CheckDistinct({command->clip, command->texts, command->out, command->log}));
    return LearnAndWrite(*command);
  };
}

}  // namespace ondine::train
