#include "images/class_file.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/quote.h"
#include "base/try.h"

namespace ondine::images {
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

}  // namespace

Result<ClassFile> ParseClassFile(std::string_view text) {
  const json file = json::parse(text, nullptr, false);
  if (!file.is_object()) return MakeError(ErrorCode::kCorrupt, "this is no JSON object");
  const auto format = Text(file, "format");
  if (!format || *format != kFormat) {
    return MakeError(ErrorCode::kCorrupt, "this is no file of photo classes");
  }
  const auto version = file.find("version");
  if (version == file.end() || *version != kVersion) {
    return MakeError(ErrorCode::kUnsupported, "its version is not 1");
  }
  ClassFile parsed;
  if (const auto clip = file.find("clip"); clip != file.end()) {
    if (!clip->is_object()) return MakeError(ErrorCode::kCorrupt, "'clip' is no object");
    ONDINE_ASSIGN(parsed.clip_name, Text(*clip, "name"));
    ONDINE_ASSIGN(parsed.clip_fingerprint, Text(*clip, "fingerprint"));
  }
  const auto list = file.find("classes");
  if (list == file.end() || !list->is_array() || list->empty()) {
    return MakeError(ErrorCode::kCorrupt, "there is no list 'classes', or nothing in it");
  }
  for (const json& entry : *list) {
    if (!entry.is_object()) return MakeError(ErrorCode::kCorrupt, "a class is no object");
    PhotoClass read;
    ONDINE_ASSIGN(read.name, Text(entry, "name"));
    ONDINE_ASSIGN(read.query, Text(entry, "query"));
    parsed.classes.push_back(std::move(read));
  }
  return parsed;
}

std::string FormatClassFile(const ClassFile& file) {
  nlohmann::ordered_json out = {{"format", kFormat}, {"version", kVersion}};
  if (!file.clip_fingerprint.empty()) {
    out["clip"] = {{"name", file.clip_name}, {"fingerprint", file.clip_fingerprint}};
  }
  for (const PhotoClass& written : file.classes) {
    out["classes"].push_back({{"name", written.name}, {"query", written.query}});
  }
  return out.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

Result<std::map<std::string, std::string>> ParseClassTexts(std::string_view text) {
  const json file = json::parse(text, nullptr, false);
  if (!file.is_object()) return MakeError(ErrorCode::kCorrupt, "this is no JSON object");
  std::map<std::string, std::string> texts;
  for (const auto& [name, value] : file.items()) {
    const bool list = value.is_array() && std::ranges::all_of(value, [](const json& description) {
                        return description.is_string();
                      });
    if (!list && !value.is_string()) {
      return MakeError(ErrorCode::kCorrupt,
                       base::Quote(name) + " has neither a text nor a list of texts");
    }
    if (!list) {
      texts[name] = value.get<std::string>();
      continue;
    }
    std::string& joined = texts[name] = PlainClassText(name);
    for (const json& description : value) joined += ", " + description.get<std::string>();
  }
  return texts;
}

std::string PlainClassText(const std::string& name) {
  std::string text = "a photo of a " + name;
  std::ranges::replace(text, '_', ' ');
  return text;
}

}  // namespace ondine::images
