// ondine images learn, images classify: classes of photos whose words have learned strengths.
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/stopwatch.h"
#include "base/try.h"
#include "cli/clip_choice.h"
#include "cli/command.h"
#include "cli/console.h"
#include "cli/report.h"
#include "images/class_folders.h"
#include "images/photo_scan.h"
#include "ondine/images.h"

namespace ondine::cli {
namespace {

using nlohmann::json;

struct LearnCommand {
  ClipChoice clip;
  std::string folder, texts, output;
  LearnOptions options;
  bool json = false, progress = false;
};

struct Learned {
  LearnedClasses classes;
  std::vector<std::size_t> photos;  // of each class
  std::vector<Error> broken;
  double seconds = 0;
};

// A class's words, those whose strengths say most first.
Result<std::vector<EncodedQuery::Word>> WordsOf(Clip& clip, const PhotoClass& learned) {
  ONDINE_ASSIGN(EncodedQuery query, clip.EncodeQuery(learned.query));
  const auto strength = [](const EncodedQuery::Word& word) {
    return std::abs(std::log(std::max(word.weight, 1e-9)));
  };
  std::ranges::stable_sort(query.words, std::ranges::greater(), strength);
  return std::move(query.words);
}

Status PrintJson(const Learned& learned, Clip& clip) {
  json classes = json::array();
  for (std::size_t i = 0; i < learned.classes.classes.size(); ++i) {
    const PhotoClass& one = learned.classes.classes[i];
    ONDINE_ASSIGN(const EncodedQuery query, clip.EncodeQuery(one.query));
    json words = json::array();
    for (const EncodedQuery::Word& word : query.words) {
      words.push_back({{"text", word.text}, {"weight", word.weight}});
    }
    classes.push_back({{"name", one.name},
                       {"query", one.query},
                       {"words", std::move(words)},
                       {"photos", learned.photos[i]}});
  }
  std::cout << Dump({{"classes", std::move(classes)},
                     {"loss", learned.classes.loss},
                     {"plain_loss", learned.classes.plain_loss},
                     {"accuracy", learned.classes.accuracy},
                     {"plain_accuracy", learned.classes.plain_accuracy},
                     {"notes", learned.classes.notes},
                     {"broken", ToJson(learned.broken)},
                     {"seconds", learned.seconds}})
            << "\n";
  return {};
}

Status Print(const Learned& learned, Clip& clip) {
  for (std::size_t i = 0; i < learned.classes.classes.size(); ++i) {
    const PhotoClass& one = learned.classes.classes[i];
    ONDINE_ASSIGN(const auto words, WordsOf(clip, one));
    std::cout << VisibleLine(one.name) << " (" << learned.photos[i] << " photos):";
    for (const EncodedQuery::Word& word : words) {
      std::cout << "  " << VisibleLine(word.text) << " " << Fixed(word.weight, 2);
    }
    std::cout << "\n";
  }
  std::cout << "\nOf the photos given, " << Fixed(100 * learned.classes.accuracy, 1)
            << " % are nearest to their class, and "
            << Fixed(100 * learned.classes.plain_accuracy, 1) << " % with all words alike. "
            << HumanSeconds(learned.seconds) << ".\n";
  return {};
}

Status Learn(const LearnCommand& command) {
  ONDINE_TRY(base::CheckOutput(command.output, {command.clip.Path(), command.texts}));
  ONDINE_TRY(images::CheckNoPhoto(command.output));
  ONDINE_ASSIGN(const std::unique_ptr<Clip> clip, command.clip.Load());
  ProgressLine line(command.progress);
  base::Timer timer;
  Learned learned;
  ONDINE_ASSIGN(images::FolderExamples examples,
                images::ReadExamples(*clip, command.folder, command.texts, InterruptToken(),
                                     [&](const std::string& name, std::size_t done) {
                                       line.Show("photos of " + VisibleLine(name) + ": " +
                                                 Grouped(static_cast<std::int64_t>(done)));
                                     }));
  for (const ClassExamples& one : examples.classes) learned.photos.push_back(one.photos.size());
  learned.broken = std::move(examples.broken);
  LearnOptions options = command.options;
  options.stop = InterruptToken();
  options.progress = [&](int step, double loss) {
    line.Show("step " + std::to_string(step) + " of " + std::to_string(options.steps) + ", loss " +
              Fixed(loss, 4));
  };
  ONDINE_ASSIGN(learned.classes, LearnClasses(*clip, examples.classes, options));
  line.Clear();
  learned.classes.notes.insert(learned.classes.notes.begin(), examples.notes.begin(),
                               examples.notes.end());
  ONDINE_TRY(WritePhotoClasses(command.output, learned.classes.classes, *clip));
  learned.seconds = timer.Elapsed();
  if (command.json) return PrintJson(learned, *clip);
  for (const Error& error : learned.broken) PrintNote(error.ToString());
  for (const std::string& note : learned.classes.notes) PrintNote(note);
  return Print(learned, *clip);
}

struct ClassifyCommand {
  ClipChoice clip;
  std::string classes;
  std::vector<std::string> photos;
  bool json = false, progress = false;
};

// Files as they are named; of folders, all photos below them.
Result<std::vector<std::string>> PathsOf(const std::vector<std::string>& named) {
  std::vector<std::string> paths;
  for (const std::string& name : named) {
    std::error_code error;
    if (!std::filesystem::is_directory(name, error)) {
      paths.push_back(name);
      continue;
    }
    ONDINE_ASSIGN(const images::PhotoScan scan, images::ScanPhotos(name, InterruptToken()));
    for (const Error& unreadable : scan.unreadable) PrintNote(unreadable.ToString());
    for (const images::PhotoFile& file : scan.files) paths.push_back(file.path);
  }
  if (paths.empty())
    return MakeError(ErrorCode::kNotFound, "there is no photo in it", named.front());
  return paths;
}

Status Classify(const ClassifyCommand& command) {
  ONDINE_ASSIGN(const std::unique_ptr<Clip> clip, command.clip.Load());
  ONDINE_ASSIGN(const auto classes, ReadPhotoClasses(command.classes, *clip));
  ONDINE_ASSIGN(const PhotoClassifier classifier, PhotoClassifier::Create(*clip, classes));
  ONDINE_ASSIGN(const std::vector<std::string> paths, PathsOf(command.photos));
  ProgressLine line(command.progress);
  std::vector<Error> broken;
  ONDINE_ASSIGN(const images::EncodedPhotos photos,
                images::EncodePhotos(*clip, paths, InterruptToken(), broken, [&](std::size_t done) {
                  line.Show(Grouped(static_cast<std::int64_t>(done)) + " of " +
                            Grouped(static_cast<std::int64_t>(paths.size())) + " photos");
                }));
  line.Clear();
  json list = json::array();
  for (std::size_t i = 0; i < photos.paths.size(); ++i) {
    const std::vector<double> shares = classifier.Probabilities(photos.vectors[i]);
    const auto best = static_cast<std::size_t>(std::ranges::max_element(shares) - shares.begin());
    if (!command.json) {
      std::cout << Fixed(shares[best], 3) << "  " << VisibleLine(classes[best].name) << "  "
                << VisibleLine(photos.paths[i]) << "\n";
      continue;
    }
    json probabilities;
    for (std::size_t c = 0; c < shares.size(); ++c) probabilities[classes[c].name] = shares[c];
    list.push_back({{"path", photos.paths[i]},
                    {"class", classes[best].name},
                    {"probability", shares[best]},
                    {"probabilities", std::move(probabilities)}});
  }
  if (command.json) {
    std::cout << Dump({{"photos", std::move(list)}, {"broken", ToJson(broken)}}) << "\n";
  } else {
    for (const Error& error : broken) PrintNote(error.ToString());
  }
  if (photos.paths.empty()) {
    return MakeError(ErrorCode::kCorrupt, "none of the photos could be read");
  }
  // Among the photos of a folder there may be broken ones, but who names a file wants its class.
  for (const std::string& path : paths) {
    const bool named = std::ranges::find(command.photos, path) != command.photos.end();
    if (named && std::ranges::find(photos.paths, path) == photos.paths.end()) {
      return MakeError(ErrorCode::kCorrupt, "could not be read", path);
    }
  }
  return {};
}

}  // namespace

Action AddImagesLearn(CLI::App& images) {
  auto command = std::make_shared<LearnCommand>();
  CLI::App* learn =
      images.add_subcommand("learn", "Teach classes from a few photos: a strength for each word");
  learn->footer(
      "The folder has one folder of photos for each class, whose name is the class's. Texts are\n"
      "\"a photo of a NAME\", or those of a JSON file: {\"boots\": \"a photo of boots, high, of "
      "leather\"}.\n\nExample:\n"
      "  ondine images learn examples/ --texts texts.json -o classes.json\n"
      "  ondine images classify --classes classes.json Pictures/");
  learn->add_option("folder", command->folder, "with a folder of photos for each class")
      ->required();
  command->clip.AddTo(*learn);
  learn->add_option("--texts", command->texts, "JSON file with a text for each class");
  learn->add_option("-o,--output", command->output, "file of classes to write, JSON")->required();
  learn->add_option("--steps", command->options.steps)
      ->capture_default_str()
      ->check(CLI::Range(1, 100000));
  learn->add_option("--learning-rate", command->options.learning_rate)
      ->capture_default_str()
      ->check(CLI::Range(1e-6, 1.0));
  learn
      ->add_option("--pull", command->options.pull,
                   "of strengths towards 1: the more, the fewer words get another")
      ->capture_default_str()
      ->check(CLI::Range(0.0, 1.0));
  learn->add_flag("--json", command->json, "print as JSON");
  learn->add_flag("--progress", command->progress, "show progress though nobody watches");
  return [command] { return Learn(*command); };
}

Action AddImagesClassify(CLI::App& images) {
  auto command = std::make_shared<ClassifyCommand>();
  CLI::App* classify = images.add_subcommand("classify", "Tell which class photos are of");
  classify->footer("Example:\n  ondine images classify --classes classes.json Pictures/ --json");
  classify->add_option("photo", command->photos, "photos, or folders with photos below them")
      ->required();
  command->clip.AddTo(*classify);
  classify->add_option("--classes", command->classes, "file that `images learn` made")->required();
  classify->add_flag("--json", command->json, "print as JSON");
  classify->add_flag("--progress", command->progress, "show progress though nobody watches");
  return [command] { return Classify(*command); };
}

}  // namespace ondine::cli
