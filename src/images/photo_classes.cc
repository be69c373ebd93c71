// Files of classes, and telling classes apart.
#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/file.h"
#include "base/quote.h"
#include "base/try.h"
#include "images/clip_parts.h"
#include "images/vector_math.h"
#include "ondine/images.h"

namespace ondine {
namespace {

using nlohmann::json;

constexpr const char* kFormat = "ondine photo classes";
constexpr int kVersion = 1;

// A member that is a text.
Result<std::string> Text(const json& object, const char* key) {
  const auto found = object.find(key);
  if (found == object.end() || !found->is_string()) {
    return MakeError(ErrorCode::kCorrupt, std::string("there is no text ") + base::Quote(key));
  }
  return found->get<std::string>();
}

Status CheckHead(const json& file, const Clip::Parts& clip) {
  const auto format = Text(file, "format");
  if (!format || *format != kFormat) {
    return MakeError(ErrorCode::kCorrupt, "this is no file of photo classes");
  }
  const auto version = file.find("version");
  if (version == file.end() || *version != kVersion) {
    return MakeError(ErrorCode::kUnsupported, "its version is not 1");
  }
  const auto learned_with = file.find("clip");
  if (learned_with == file.end()) return {};  // written by hand
  if (!learned_with->is_object()) return MakeError(ErrorCode::kCorrupt, "'clip' is no object");
  ONDINE_ASSIGN(const std::string fingerprint, Text(*learned_with, "fingerprint"));
  ONDINE_ASSIGN(const std::string name, Text(*learned_with, "name"));
  if (fingerprint == clip.fingerprint) return {};
  return MakeError(ErrorCode::kMismatch, "its classes were learned with another CLIP, " +
                                             base::Quote(name) + ", than " +
                                             base::Quote(clip.info.name));
}

Result<std::vector<PhotoClass>> Parse(const std::string& text, const Clip::Parts& clip) {
  const json file = json::parse(text, nullptr, false);
  if (!file.is_object()) return MakeError(ErrorCode::kCorrupt, "this is no JSON object");
  ONDINE_TRY(CheckHead(file, clip));
  const auto list = file.find("classes");
  if (list == file.end() || !list->is_array() || list->empty()) {
    return MakeError(ErrorCode::kCorrupt, "there is no list 'classes', or nothing in it");
  }
  std::vector<PhotoClass> classes;
  for (const json& entry : *list) {
    if (!entry.is_object()) return MakeError(ErrorCode::kCorrupt, "a class is no object");
    PhotoClass read;
    ONDINE_ASSIGN(read.name, Text(entry, "name"));
    ONDINE_ASSIGN(read.query, Text(entry, "query"));
    classes.push_back(std::move(read));
  }
  return classes;
}

}  // namespace

Status WritePhotoClasses(const std::string& path, const std::vector<PhotoClass>& classes,
                         Clip& learned_with) {
  const Clip::Parts& clip = learned_with.parts();
  nlohmann::ordered_json file = {
      {"format", kFormat},
      {"version", kVersion},
      {"clip", {{"name", clip.info.name}, {"fingerprint", clip.fingerprint}}}};
  for (const PhotoClass& written : classes) {
    file["classes"].push_back({{"name", written.name}, {"query", written.query}});
  }
  const std::string text =
      file.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
  return base::WriteFileAtomically(
      path, [&](base::FileSink& sink) { return sink.Write(std::as_bytes(std::span(text))); });
}

Result<std::vector<PhotoClass>> ReadPhotoClasses(const std::string& path, Clip& clip) {
  ONDINE_ASSIGN(const std::string text, base::ReadFile(path));
  auto classes = Parse(text, clip.parts());
  if (!classes) classes.error().context = path;
  return classes;
}

Result<PhotoClassifier> PhotoClassifier::Create(Clip& clip,
                                                const std::vector<PhotoClass>& classes) {
  if (classes.empty()) return MakeError(ErrorCode::kInvalidArgument, "there are no classes");
  PhotoClassifier classifier;
  classifier.logit_scale_ = clip.info().logit_scale;
  std::set<std::string> names;
  for (const PhotoClass& one : classes) {
    const std::string name = base::Quote(one.name);
    if (!names.insert(name).second) {
      return MakeError(ErrorCode::kInvalidArgument, "two classes are called " + name);
    }
    Result<EncodedQuery> query = clip.EncodeQuery(one.query);
    if (!query) {
      query.error().context = "class " + name;
      return tl::make_unexpected(std::move(query).error());
    }
    classifier.vectors_.push_back(std::move(query->vector));
  }
  return classifier;
}

std::vector<double> PhotoClassifier::Probabilities(std::span<const float> photo) const {
  std::vector<double> shares;
  for (const std::vector<float>& vector : vectors_) {
    shares.push_back(logit_scale_ * images::Dot(photo, vector));
  }
  images::Softmax(shares);
  return shares;
}

}  // namespace ondine
