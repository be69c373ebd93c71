// ondine images search, encode: photos by texts, and vectors of texts and pictures.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/option_checks.h"
#include "base/stopwatch.h"
#include "base/try.h"
#include "cli/clip_choice.h"
#include "cli/command.h"
#include "cli/console.h"
#include "cli/report.h"
#include "images/photo_scan.h"
#include "ondine/images.h"

namespace ondine::cli {
namespace {

std::string Line(const nlohmann::json& record) {
  return record.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

// How queries are read.
struct QueryChoice {
  QueryOptions options;

  void AddTo(CLI::App& command) {
    command
        .add_option(
            "--mode", options.mode,
            "how strengths act: in the encoder's attention, or as multiples of what the word "
            "adds to the vector (default: attention)")
        ->transform(base::OneOf<StrengthMode>(
            {{"attention", StrengthMode::kAttention}, {"difference", StrengthMode::kDifference}}));
    command
        .add_option("--first-block", options.first_block,
                    "of the text encoder, from which on strengths act on attention")
        ->capture_default_str();
    command.add_flag("--literal", options.literal, "brackets are text");
  }
};

struct SearchCommand {
  ClipChoice clip;
  QueryChoice reading;
  std::string library, query, folder, from, to, sheet;
  std::size_t top = 10;
  std::optional<double> min_score;
  bool vector = false, json = false;
};

// Seconds of the beginning of a day, "2021-06-30".
Result<std::int64_t> ParseDay(const std::string& text) {
  int year = 0, month = 0, day = 0;
  char rest = 0;
  namespace chrono = std::chrono;
  // No more digits than a day has: chrono's numbers are narrow.
  if (std::sscanf(text.c_str(), "%4d-%2d-%2d%c", &year, &month, &day, &rest) == 3 && month > 0 &&
      day > 0) {
    const chrono::year_month_day date{chrono::year(year),
                                      chrono::month(static_cast<unsigned>(month)),
                                      chrono::day(static_cast<unsigned>(day))};
    if (date.ok()) {
      return std::int64_t{chrono::sys_days{date}.time_since_epoch().count()} * 24 * 60 * 60;
    }
  }
  return MakeError(ErrorCode::kInvalidArgument, "no day such as 2021-06-30: " + text);
}

std::string DayOf(std::int64_t seconds) {
  namespace chrono = std::chrono;
  const chrono::year_month_day date{
      chrono::floor<chrono::days>(chrono::sys_seconds(chrono::seconds(seconds)))};
  char text[32];
  std::snprintf(text, sizeof text, "%04d-%02u-%02u", static_cast<int>(date.year()),
                static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()));
  return text;
}

Result<SearchOptions> OptionsOf(const SearchCommand& command) {
  SearchOptions options;
  options.top = command.top;
  if (command.min_score) options.min_score = static_cast<float>(*command.min_score);
  options.filter.folder = command.folder;
  if (!command.from.empty()) {
    ONDINE_ASSIGN(options.filter.from, ParseDay(command.from));
  }
  if (!command.to.empty()) {  // that day included
    ONDINE_ASSIGN(const std::int64_t day, ParseDay(command.to));
    options.filter.to = day + 24 * 60 * 60;
  }
  return options;
}

// Where a photo stands in a list, from 1.
std::optional<std::size_t> RankIn(const std::vector<FoundPhoto>& list, const std::string& path) {
  const auto found = std::ranges::find_if(
      list, [&](const FoundPhoto& candidate) { return candidate.photo.path == path; });
  if (found == list.end()) return std::nullopt;
  return static_cast<std::size_t>(found - list.begin()) + 1;
}

// What the search found, and what the plain text would have.
struct Found {
  EncodedQuery query;
  std::vector<FoundPhoto> photos, plain;  // `plain` of many more, where it is to be explained
  double milliseconds = 0;
};

nlohmann::json ToJson(const Found& found, bool explain) {
  nlohmann::json words = nlohmann::json::array(), results = nlohmann::json::array();
  for (const EncodedQuery::Word& word : found.query.words) {
    nlohmann::json entry = {{"text", word.text}, {"weight", word.weight}};
    if (explain) {
      entry["share"] = word.share;
      entry["share_plain"] = word.share_plain;
    }
    words.push_back(std::move(entry));
  }
  for (const FoundPhoto& photo : found.photos) {
    nlohmann::json entry = {{"path", photo.photo.path},
                            {"score", photo.score},
                            {"width", photo.photo.width},
                            {"height", photo.photo.height}};
    if (photo.photo.taken) entry["taken"] = DayOf(*photo.photo.taken);
    if (explain) {
      const auto rank = RankIn(found.plain, photo.photo.path);
      entry["plain_rank"] = rank ? nlohmann::json(*rank) : nlohmann::json();
    }
    results.push_back(std::move(entry));
  }
  nlohmann::json json = {
      {"query", found.query.canonical}, {"words", words},     {"unwanted", found.query.unwanted},
      {"notes", found.query.notes},     {"results", results}, {"milliseconds", found.milliseconds}};
  if (explain) json["plain_similarity"] = found.query.plain_similarity;
  return json;
}

void PrintExplanation(const EncodedQuery& query) {
  std::cout << "Read as: " << VisibleLine(query.canonical) << "\n\n";
  std::cout << "  strength  attention (without)  word\n";
  for (const EncodedQuery::Word& word : query.words) {
    char line[64];
    std::snprintf(line, sizeof line, "  %8.4g  %7.1f %%  (%5.1f %%)  ", word.weight,
                  100 * word.share, 100 * word.share_plain);
    std::cout << line << VisibleLine(word.text) << "\n";
  }
  for (const std::string& text : query.unwanted) {
    std::cout << "  subtracted: " << VisibleLine(text) << "\n";
  }
  std::cout << "\nCosine to the same text without strengths: " << Fixed(query.plain_similarity, 4)
            << "\n\n";
}

void Print(const Found& found, bool explain) {
  if (explain) PrintExplanation(found.query);
  bool far = false;
  for (const FoundPhoto& photo : found.photos) {
    std::cout << Fixed(photo.score, 4) << "  ";
    if (explain) {
      const auto rank = RankIn(found.plain, photo.photo.path);
      far = far || !rank;
      char place[32] = "(   -)  ";
      if (rank) std::snprintf(place, sizeof place, "(%4zu)  ", *rank);
      std::cout << place;
    }
    std::cout << VisibleLine(photo.photo.path) << "\n";
  }
  if (!explain) return;
  std::cout << "\n(in brackets: the place without strengths"
            << (far ? "; -: not among the first " +
                          Grouped(static_cast<std::int64_t>(found.plain.size()))
                    : "")
            << ")\n";
}

Status Search(const SearchCommand& command) {
  ONDINE_TRY(base::CheckDistinct({command.clip.Path(), command.library}));
  ONDINE_TRY(base::CheckOutput(command.sheet, {command.clip.Path(), command.library}));
  ONDINE_TRY(images::CheckNoPhoto(command.sheet));
  ONDINE_ASSIGN(const SearchOptions options, OptionsOf(command));
  ONDINE_ASSIGN(const std::unique_ptr<Clip> clip, command.clip.Load());
  const bool explain = command.reading.options.explain;
  base::Timer timer;
  Found found;
  ONDINE_ASSIGN(found.query, clip->EncodeQuery(command.query, command.reading.options));
  double seconds = timer.Elapsed();
  if (command.vector) {
    for (const std::string& note : found.query.notes) PrintNote(note);
    std::cout << Line({{"query", found.query.canonical}, {"vector", found.query.vector}});
    return {};
  }
  ONDINE_ASSIGN(const auto library, PhotoLibrary::Open(command.library, command.clip.threads));
  ONDINE_TRY(library->CheckMadeBy(*clip));
  timer = {};
  ONDINE_ASSIGN(found.photos, library->Search(found.query.vector, options));
  found.milliseconds = 1000 * (seconds + timer.Elapsed());
  if (explain) {
    SearchOptions many = options;
    many.top = std::max<std::size_t>(1000, 10 * options.top);
    ONDINE_ASSIGN(found.plain, library->Search(found.query.plain_vector, many));
  }
  if (!command.sheet.empty()) {
    ONDINE_TRY(
        WriteContactSheet(command.sheet, found.query.canonical, found.photos, InterruptToken()));
  }
  if (command.json) {
    std::cout << Dump(ToJson(found, explain)) << "\n";
    return {};
  }
  for (const std::string& note : found.query.notes) PrintNote(note);
  if (found.photos.empty()) PrintNote("no photo of the library is what was asked for");
  Print(found, explain);
  return {};
}

struct EncodeOptions {
  ClipChoice clip;
  QueryChoice reading;
  std::vector<std::string> queries, pictures;
};

// One JSON record a line, since that is what other programs take.
Status Encode(const EncodeOptions& options) {
  if (options.queries.empty() && options.pictures.empty()) {
    return MakeError(ErrorCode::kInvalidArgument, "name a query or a --picture");
  }
  ONDINE_ASSIGN(const std::unique_ptr<Clip> clip, options.clip.Load());
  for (const std::string& query : options.queries) {
    ONDINE_ASSIGN(const EncodedQuery encoded, clip->EncodeQuery(query, options.reading.options));
    for (const std::string& note : encoded.notes) PrintNote(note);
    std::cout << Line({{"query", query}, {"vector", encoded.vector}});
  }
  std::size_t failed = 0;
  constexpr std::size_t kTogether = 64;
  std::span<const std::string> left = options.pictures;
  while (!left.empty()) {
    if (InterruptToken().Stopped()) return MakeError(ErrorCode::kCancelled, "stopped");
    const std::span<const std::string> part = left.first(std::min(kTogether, left.size()));
    const auto vectors = clip->EncodePictures({part.begin(), part.end()});
    for (std::size_t i = 0; i < part.size(); ++i) {
      if (vectors[i]) {
        std::cout << Line({{"picture", part[i]}, {"vector", *vectors[i]}});
      } else {
        PrintError(vectors[i].error().ToString());
        ++failed;
      }
    }
    left = left.subspan(part.size());
  }
  if (failed == 0) return {};
  return MakeError(ErrorCode::kCorrupt, std::to_string(failed) + " of " +
                                            std::to_string(options.pictures.size()) +
                                            " pictures could not be encoded");
}

}  // namespace

Action AddImagesSearch(CLI::App& images) {
  auto options = std::make_shared<SearchCommand>();
  CLI::App* search = images.add_subcommand("search", "Find photos by a text");
  search->footer(
      "(word) strengthens, (word:1.6) by a number, [word] weakens, -word is not wanted;\n"
      "\\( \\) \\[ \\] \\\\ \\- \\: are these characters themselves. A query that begins with - "
      "stands "
      "last, behind --.\n\n"
      "Example:\n"
      "  ondine images search --clip clip.gguf --db photos.db \"a (red:1.6) running shoe\" "
      "--explain");
  search->add_option("query", options->query)->required();
  options->clip.AddTo(*search);
  search->add_option("--db", options->library, "library that `images index` made");
  search->add_option("--top", options->top, "results")
      ->capture_default_str()
      ->check(CLI::Range(1, 1'000'000));
  search->add_option("--min-score", options->min_score, "leave out results below it")
      ->check(base::NumberFrom(-1, false, "a number from -1 on"));
  search->add_option("--folder", options->folder, "only photos below it");
  search->add_option("--from", options->from, "taken that day or later, such as 2021-06-30");
  search->add_option("--to", options->to, "taken that day or before");
  options->reading.AddTo(*search);
  CLI::Option* explain =
      search->add_flag("--explain", options->reading.options.explain,
                       "show strengths, attention with and without them, and how results moved");
  CLI::Option* sheet =
      search->add_option("--sheet", options->sheet, "HTML file to write, with thumbnails");
  search
      ->add_flag("--vector", options->vector,
                 "print the query's vector, for other databases, and end")
      ->excludes(explain)
      ->excludes(sheet);
  search->add_flag("--json", options->json, "print as JSON");
  return [options]() -> Status {
    if (options->library.empty() && !options->vector) {
      return MakeError(ErrorCode::kInvalidArgument, "--db is required");
    }
    return Search(*options);
  };
}

Action AddImagesEncode(CLI::App& images) {
  auto options = std::make_shared<EncodeOptions>();
  CLI::App* encode = images.add_subcommand("encode", "Print vectors as JSON, one record a line");
  encode->footer(
      "Example:\n  ondine images encode --clip clip.gguf \"a (red:1.6) shoe\" --picture a.jpg");
  options->clip.AddTo(*encode);
  encode->add_option("query", options->queries, "texts, in which words may have strengths");
  encode->add_option("--picture", options->pictures, "files");
  options->reading.AddTo(*encode);
  return [options] { return Encode(*options); };
}

}  // namespace ondine::cli
