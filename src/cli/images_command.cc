// ondine images: photo libraries.
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "base/try.h"
#include "cli/clip_choice.h"
#include "cli/command.h"
#include "cli/console.h"
#include "cli/report.h"
#include "ondine/images.h"

namespace ondine::cli {
namespace {

struct IndexCommand {
  ClipChoice clip;
  std::string folder, library;
  bool json = false, progress = false;
};

Status Index(const IndexCommand& command) {
  ONDINE_ASSIGN(const std::unique_ptr<Clip> clip, command.clip.Load());
  ProgressLine line(command.progress);
  IndexOptions options;
  options.threads = command.clip.threads;
  options.stop = InterruptToken();
  options.progress = [&](const IndexProgress& progress) {
    line.Show(Grouped(progress.done) + " of " + Grouped(progress.total) + " photos, " +
              Fixed(progress.photos_per_second, 0) + " a second, " +
              HumanSeconds(progress.seconds_left) + " left");
  };
  ONDINE_ASSIGN(const IndexReport report,
                IndexPhotos(command.library, command.folder, *clip, options));
  line.Clear();
  if (command.json) {
    std::cout << Dump({{"photos", report.Photos()},
                       {"unchanged", report.unchanged},
                       {"added", report.added},
                       {"copied", report.copied},
                       {"moved", report.moved},
                       {"changed", report.changed},
                       {"removed", report.removed},
                       {"broken", ToJson(report.broken)},
                       {"unreadable_folders", ToJson(report.unreadable_folders)},
                       {"seconds", report.seconds}})
              << "\n";
    return {};
  }
  for (const Error& error : report.broken) PrintNote(error.ToString());
  for (const Error& error : report.unreadable_folders) PrintNote(error.ToString());
  std::cout << Grouped(report.Photos()) << " photos: " << Grouped(report.added) << " new, "
            << Grouped(report.changed) << " changed, " << Grouped(report.moved + report.copied)
            << " moved or copied, " << Grouped(report.removed) << " gone, "
            << Grouped(report.unchanged) << " as they were";
  if (!report.broken.empty()) std::cout << "; " << report.broken.size() << " files cannot be read";
  std::cout << ". " << HumanSeconds(report.seconds) << ".\n";
  return {};
}

struct ForgetCommand {
  std::string folder, library;
  bool json = false;
};

Status Forget(const ForgetCommand& command) {
  ONDINE_ASSIGN(const std::int64_t removed, ForgetPhotos(command.library, command.folder));
  if (command.json) {
    std::cout << Dump({{"removed", removed}}) << "\n";
  } else {
    std::cout << Grouped(removed) << " photos are forgotten.\n";
  }
  return {};
}

}  // namespace

Action AddImages(CLI::App& app) {
  CLI::App* images = app.add_subcommand(
      "images", "Photo libraries: search by words that have a strength, classes from a few photos");
  images->require_subcommand(1);
  images->footer(
      "Example:\n  ondine images index Pictures/ --clip clip.gguf --db photos.db\n"
      "  ondine images search --clip clip.gguf --db photos.db \"a (red:1.6) running shoe\"");

  auto index_options = std::make_shared<IndexCommand>();
  CLI::App* index = images->add_subcommand("index", "Bring a library up to date with a folder");
  index->footer("Example:\n  ondine images index Pictures/ --clip clip.gguf --db photos.db");
  index
      ->add_option(
          "folder", index_options->folder,
          "with photos, also in folders below it: .jpg, .jpeg, .png, .webp, .tif, .tiff, .gif, "
          ".heic, .heif, .avif")
      ->required();
  index_options->clip.AddTo(*index);
  index
      ->add_option("--db", index_options->library,
                   "library, a file that is made if it is not there")
      ->required();
  index->add_flag("--json", index_options->json, "print as JSON");
  index->add_flag("--progress", index_options->progress, "show progress though nobody watches");

  auto forget_options = std::make_shared<ForgetCommand>();
  CLI::App* forget = images->add_subcommand(
      "forget", "Take the photos of a folder out of a library, as of one that is gone");
  forget->footer("Example:\n  ondine images forget OldPictures/ --db photos.db");
  forget->add_option("folder", forget_options->folder, "which need not be there")->required();
  forget->add_option("--db", forget_options->library, "library that `images index` made")
      ->required();
  forget->add_flag("--json", forget_options->json, "print as JSON");

  const Action search = AddImagesSearch(*images), encode = AddImagesEncode(*images);
  const Action learn = AddImagesLearn(*images), classify = AddImagesClassify(*images);
  return [=]() -> Status {
    if (images->got_subcommand("search")) return search();
    if (images->got_subcommand("encode")) return encode();
    if (images->got_subcommand("learn")) return learn();
    if (images->got_subcommand("classify")) return classify();
    return index->parsed() ? Index(*index_options) : Forget(*forget_options);
  };
}

}  // namespace ondine::cli
