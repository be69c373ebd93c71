// ondine quantize: a model file in 8 bits, or with scales folded in.
#include <functional>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/memory.h"
#include "base/option_checks.h"
#include "base/try.h"
#include "cli/command.h"
#include "cli/console.h"
#include "cli/options.h"
#include "cli/report.h"
#include "images/photo_scan.h"
#include "ondine/quantization.h"
#include "ondine/session.h"

namespace ondine::cli {
namespace {

struct Options {
  ModelChoice model;
  QuantizationOptions quantization;
  std::string output, calibration, sites;
  ClipQuantizationOptions clip;  // where it has a folder of pictures
  std::string texts;
  bool json = false, progress = false;
};

nlohmann::json ToJson(const SiteStatistics& site) {
  return {{"layer", site.layer},       {"site", site.site},
          {"low", site.low},           {"high", site.high},
          {"outliers", site.outliers}, {"relative_error", site.relative_error},
          {"largest", site.largest},   {"largest_scaled", site.largest_scaled}};
}

Status WriteSites(const std::vector<SiteStatistics>& sites, const std::string& path) {
  nlohmann::json all = nlohmann::json::array();
  for (const SiteStatistics& site : sites) all.push_back(ToJson(site));
  return base::WriteFileAtomically(path, [&](base::FileSink& sink) {
    const std::string text = Dump(all) + "\n";
    return sink.Write(std::as_bytes(std::span(text)));
  });
}

std::function<void(const QuantizationProgress&)> ShowOn(ProgressLine& line) {
  return [&line](const QuantizationProgress& progress) {
    line.Show(std::string(progress.phase) + " " + Grouped(progress.done) + "/" +
              Grouped(progress.total));
  };
}

std::string Summary(std::int64_t before, std::int64_t after, const std::string& how, double seconds,
                    const std::string& output) {
  return HumanBytes(before) + " -> " + HumanBytes(after) + ", " + how + ", " +
         HumanSeconds(seconds) + ".\nWritten to " + output + "\n";
}

Status RunClip(const Options& options) {
  if (options.model.path.empty()) {
    return MakeError(ErrorCode::kInvalidArgument, "name the CLIP with -m");
  }
  ONDINE_TRY(base::CheckDistinct({options.model.path, options.texts, options.output}));
  ONDINE_TRY(images::CheckNoPhoto(options.output));
  ClipQuantizationOptions settings = options.clip;
  settings.scheme = options.quantization.scheme;
  settings.per_tensor = options.quantization.per_tensor;
  settings.ranges = options.quantization.ranges;
  settings.threads = options.model.threads;
  settings.stop_token = InterruptToken();
  if (!options.texts.empty()) {
    ONDINE_ASSIGN(settings.texts, ReadTextFile(options.texts, InterruptToken()));
  }
  ProgressLine line(options.progress);
  settings.on_progress = ShowOn(line);
  ONDINE_ASSIGN(const ClipQuantizationReport report,
                QuantizeClip(options.model.path, options.output, settings));
  line.Clear();
  for (const Error& error : report.broken) PrintNote("left out: " + error.ToString());
  if (options.json) {
    std::cout << Dump({{"scheme", settings.scheme},
                       {"output", options.output},
                       {"bytes_before", report.bytes_before},
                       {"bytes_after", report.bytes_after},
                       {"pictures", report.pictures},
                       {"texts", report.texts},
                       {"rss_peak_bytes", base::PeakResidentBytes()},
                       {"seconds", report.seconds}})
              << "\n";
    return {};
  }
  std::cout << Summary(report.bytes_before, report.bytes_after, settings.scheme, report.seconds,
                       options.output);
  return {};
}

Status Run(const Options& options) {
  ONDINE_ASSIGN(const std::string model, options.model.Path());
  for (const std::string& input : {model, options.calibration, options.quantization.scales}) {
    ONDINE_TRY(base::CheckDistinct({input, options.output, options.sites}));
  }
  QuantizationOptions settings = options.quantization;
  settings.threads = options.model.threads;
  settings.stop_token = InterruptToken();
  if (!options.calibration.empty()) {
    ONDINE_ASSIGN(settings.calibration_text, ReadTextFile(options.calibration, InterruptToken()));
  }
  settings.statistics = !options.sites.empty();
  if (settings.statistics) ONDINE_TRY(base::CheckWritable(options.sites));
  ProgressLine line(options.progress);
  settings.on_progress = ShowOn(line);
  ONDINE_ASSIGN(const QuantizationReport report, Quantize(model, options.output, settings));
  line.Clear();
  if (settings.statistics) ONDINE_TRY(WriteSites(report.sites, options.sites));
  if (options.json) {
    std::cout << Dump({{"scheme", settings.fold_only ? "fold" : settings.scheme},
                       {"output", options.output},
                       {"bytes_before", report.bytes_before},
                       {"bytes_after", report.bytes_after},
                       {"calibration_tokens", report.calibration_tokens},
                       {"rss_peak_bytes", base::PeakResidentBytes()},
                       {"seconds_calibration", report.seconds_calibration},
                       {"seconds", report.seconds}})
              << "\n";
    return {};
  }
  std::cout << Summary(report.bytes_before, report.bytes_after,
                       settings.fold_only ? "scales folded in" : settings.scheme, report.seconds,
                       options.output);
  return {};
}

}  // namespace

Action AddQuantize(CLI::App& app) {
  auto options = std::make_shared<Options>();
  QuantizationOptions& quantization = options->quantization;
  CLI::App* command = app.add_subcommand(
      "quantize", "Write a model, or a CLIP, with 8-bit weights and static 8-bit activations");
  command->footer(
      "The text tells how large the model's activations get; some 30,000 tokens like those that "
      "the model will see are enough. Learned scales (ondine-train scales) and those of "
      "--smooth 0.5 keep the quality. Of a CLIP pictures tell it (--pictures), some hundred, and "
      "texts.\n\n"
      "Examples:\n"
      "  ondine quantize -m model.gguf -o model.w8a8.gguf --calibrate text.txt --smooth 0.5\n"
      "  ondine quantize -m model.gguf -o model.w8a8.gguf --scales scales.gguf\n"
      "  ondine quantize -m model.gguf -o folded.gguf --scales scales.gguf --fold-only\n"
      "  ondine quantize -m clip.gguf -o clip.w8a8.gguf --pictures Pictures/");
  options->model.AddTo(*command);
  command->add_option("-o,--output", options->output, "GGUF file to write")->required();
  auto* scheme = command
                     ->add_option("--scheme", quantization.scheme,
                                  "bits of weights and activations: w8a8; fewer for research")
                     ->capture_default_str();
  auto* scales =
      command->add_option("--scales", quantization.scales, "file of learned channel scales");
  auto* pictures = command
                       ->add_option("--pictures", options->clip.pictures,
                                    "folder of photos, for a CLIP: like those that it will see")
                       ->excludes(scales);
  command->add_option("--most-pictures", options->clip.most_pictures, "of the folder's, at most")
      ->capture_default_str()
      ->check(CLI::Range(1, 1'000'000))
      ->needs(pictures);
  command
      ->add_option("--text", options->texts,
                   "file with texts for a CLIP, a line each (-: standard input; default: some "
                   "that come along)")
      ->needs(pictures);
  auto* smooth = command
                     ->add_option("--smooth", quantization.smooth,
                                  "scales of SmoothQuant instead, with this strength")
                     ->check(CLI::Range(0.0, 1.0))
                     ->excludes(scales)
                     ->excludes(pictures);
  command
      ->add_flag("--equalize", quantization.equalize, "scales of cross-layer equalisation instead")
      ->excludes(scales)
      ->excludes(smooth)
      ->excludes(pictures);
  command
      ->add_option("--calibrate", options->calibration,
                   "text (-: standard input); not needed with scales that have ranges")
      ->excludes(pictures);
  auto* ranges =
      command
          ->add_option(
              "--ranges", quantization.ranges,
              "learned: the scales' own, else as outliers; outliers: nearly all of the text's "
              "values, while the others stay floats; minmax; mse: least squares")
          ->transform(base::OneOf<RangeChoice>({{"learned", RangeChoice::kLearned},
                                                {"outliers", RangeChoice::kOutliers},
                                                {"minmax", RangeChoice::kMinMax},
                                                {"mse", RangeChoice::kLeastSquares}}))
          ->default_str("learned");
  auto* outliers =
      command
          ->add_option(
              "--outliers", quantization.outliers,
              "share of each input's values that stay floats, with --ranges outliers, which it "
              "implies; more is more exact, and slower")
          ->default_str("0.002, of a CLIP 0.0005")
          ->check(CLI::Range(0.0, 0.2));
  command->add_option("--sequences", quantization.sequences, "of 512 tokens of the text, at most")
      ->capture_default_str()
      ->check(base::Positive())
      ->excludes(pictures);
  auto* per_tensor =
      command->add_flag("--per-tensor", quantization.per_tensor,
                        "one scale for a whole matrix instead of one for each output");
  command
      ->add_flag("--fold-only", quantization.fold_only,
                 "keep floats, with the scales folded into them")
      ->excludes(pictures)
      ->excludes(scheme)
      ->excludes(ranges)
      ->excludes(outliers)
      ->excludes(per_tensor);
  command
      ->add_option("--sites", options->sites,
                   "file for what the text shows of each site, as JSON: ranges, errors, the "
                   "largest value of each channel")
      ->excludes(pictures);
  command->add_flag("--progress", options->progress,
                    "show progress even where stderr is no terminal");
  command->add_flag("--json", options->json, "print as JSON");
  return [options, ranges, outliers, smooth]() -> Status {
    if (options->quantization.fold_only && !options->calibration.empty() && !*smooth) {
      return MakeError(ErrorCode::kInvalidArgument,
                       "scales are folded in without a text: --calibrate is for --smooth here");
    }
    if (*outliers && !*ranges) options->quantization.ranges = RangeChoice::kOutliers;
    if (*outliers && options->quantization.ranges != RangeChoice::kOutliers) {
      return MakeError(ErrorCode::kInvalidArgument,
                       "--outliers is for --ranges outliers: other ranges are clipped");
    }
    if (*outliers) options->clip.outliers = options->quantization.outliers;
    return options->clip.pictures.empty() ? Run(*options) : RunClip(*options);
  };
}

}  // namespace ondine::cli
