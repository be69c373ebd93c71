// ondine images: texts and pictures as vectors.
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/try.h"
#include "cli/command.h"
#include "cli/console.h"
#include "cli/report.h"
#include "ondine/images.h"

namespace ondine::cli {
namespace {

struct ClipChoice {
  std::string path;
  int threads = 0;

  void AddTo(CLI::App& command) {
    command.add_option("--clip", path, "CLIP model, a GGUF file")->required();
    command.add_option("-t,--threads", threads, "(default: one per core)")
        ->check(CLI::Range(1, 256));
  }
  Result<std::unique_ptr<Clip>> Load() const { return Clip::Load(path, threads); }
};

struct EncodeOptions {
  ClipChoice clip;
  std::vector<std::string> queries, pictures;
  bool literal = false;
};

// One JSON record a line, since that is what other programs take.
Status Encode(const EncodeOptions& options) {
  if (options.queries.empty() && options.pictures.empty()) {
    return MakeError(ErrorCode::kInvalidArgument, "name a query or a --picture");
  }
  ONDINE_ASSIGN(const std::unique_ptr<Clip> clip, options.clip.Load());
  QueryOptions query_options;
  query_options.literal = options.literal;
  const auto print = [](const nlohmann::json& record) {
    std::cout << record.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) << "\n";
  };
  for (const std::string& query : options.queries) {
    ONDINE_ASSIGN(const EncodedQuery encoded, clip->EncodeQuery(query, query_options));
    for (const std::string& note : encoded.notes) PrintNote(note);
    print({{"query", query}, {"vector", encoded.vector}});
  }
  std::size_t failed = 0;
  for (const std::string& picture : options.pictures) {
    const Result<std::vector<float>> vector = clip->EncodePictures({picture}).front();
    if (!vector) {
      PrintError(vector.error().ToString());
      ++failed;
      continue;
    }
    print({{"picture", picture}, {"vector", *vector}});
  }
  if (failed == 0) return {};
  return MakeError(ErrorCode::kCorrupt, std::to_string(failed) + " of " +
                                            std::to_string(options.pictures.size()) +
                                            " pictures could not be encoded");
}

}  // namespace

Action AddImages(CLI::App& app) {
  CLI::App* images = app.add_subcommand("images", "Vectors of texts and pictures");
  images->require_subcommand(1);
  auto encode_options = std::make_shared<EncodeOptions>();
  CLI::App* encode = images->add_subcommand("encode", "Print vectors as JSON, one record a line");
  encode->footer(
      "Example:\n  ondine images encode --clip clip.gguf \"a (red:1.6) shoe\" --picture a.jpg");
  encode_options->clip.AddTo(*encode);
  encode->add_option("query", encode_options->queries, "texts, in which words may have strengths");
  encode->add_option("--picture", encode_options->pictures, "files");
  encode->add_flag("--literal", encode_options->literal, "brackets are text");
  return [encode_options] { return Encode(*encode_options); };
}

}  // namespace ondine::cli
