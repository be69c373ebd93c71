// ondine info: what a file is.
#include <algorithm>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "adapters/gate_file.h"
#include "base/file.h"
#include "base/try.h"
#include "cli/command.h"
#include "cli/console.h"
#include "cli/options.h"
#include "cli/report.h"
#include "formats/gguf.h"
#include "formats/pot_file.h"
#include "images/class_file.h"
#include "images/photo_database.h"

namespace ondine::cli {
namespace {

struct Options {
  std::string file;
  int threads = 0;
  bool default_model = false, default_pool = false, default_scales = false, default_clip = false,
       json = false, tensors = false;
};

nlohmann::json Plain(const formats::GgufValue& value) {
  return std::visit(
      [](const auto& v) -> nlohmann::json {
        if constexpr (requires { v.begin(); } &&
                      !std::is_same_v<std::decay_t<decltype(v)>, std::string>) {
          return "[" + std::to_string(v.size()) + " values]";
        } else {
          return v;
        }
      },
      value);
}

// Files by others may lack the type, and mean a model.
std::string Holds(const formats::GgufFile& file) {
  const auto text = [&](const char* key) {
    const auto* value = std::get_if<std::string>(file.Find(key));
    return value == nullptr ? std::string() : *value;
  };
  std::string type = text("general.type");
  if (type == "adapter") return "adapter";
  if (type == "adapter-pool") return "pool of adapters";
  if (type == "channel-scales") return "channel scales";
  if (!type.empty() && type != "model") return type;
  return text("general.architecture") == "clip" ? "CLIP" : "language model";
}

nlohmann::json Describe(const formats::GgufFile& file, bool with_tensors) {
  nlohmann::json out = {
      {"kind", "gguf"}, {"holds", Holds(file)}, {"path", file.path()}, {"bytes", file.file_size()}};
  for (const auto& [key, value] : file.metadata()) out["metadata"][key] = Plain(value);
  std::int64_t elements = 0;
  std::map<std::string, std::int64_t> types;
  nlohmann::json tensors = nlohmann::json::array();
  for (const formats::GgufTensor& tensor : file.tensors()) {
    const std::string type(formats::Describe(tensor.type).name);
    elements += tensor.Elements();
    ++types[type];
    std::vector<std::int64_t> shape(tensor.shape.begin(), tensor.shape.begin() + tensor.dims);
    tensors.push_back({{"name", tensor.name}, {"type", type}, {"shape", shape}});
  }
  out["parameters"] = elements;
  out["tensor_types"] = types;
  if (with_tensors) out["tensors"] = std::move(tensors);
  return out;
}

nlohmann::json Describe(const formats::PotFile& file) {
  nlohmann::json out = {{"kind", "pot"}, {"path", file.path()}};
  for (const auto& [key, value] : file.values()) {
    std::visit([&, &name = key](const auto& v) { out["values"][name] = v; }, value);
  }
  return out;
}

Result<nlohmann::json> DescribeLibrary(const std::string& path) {
  ONDINE_ASSIGN(const images::PhotoDatabase library, images::PhotoDatabase::Open(path));
  ONDINE_ASSIGN(const auto photos, library.FilesBelow("/"));
  const auto broken =
      std::ranges::count_if(photos, [](const auto& photo) { return !photo.problem.empty(); });
  return nlohmann::json{{"kind", "photo library"},
                        {"path", path},
                        {"photos", photos.size()},
                        {"broken", broken},
                        {"clip", library.encoder().name},
                        {"clip_fingerprint", library.encoder().fingerprint},
                        {"vector_length", library.encoder().length}};
}

// The program's own JSON files: of a gate, or of classes of photos.
Result<nlohmann::json> DescribeJson(const std::string& path) {
  ONDINE_ASSIGN(const std::string text, base::ReadFile(path));
  if (const auto gate = adapters::ParseGate(text, path)) {
    auto out = nlohmann::json::parse(adapters::FormatGate(*gate));
    out.update({{"kind", "gate"}, {"path", path}});
    return out;
  }
  Result<images::ClassFile> file = images::ParseClassFile(text);
  if (!file) {
    file.error().context = path;
    return tl::make_unexpected(std::move(file).error());
  }
  nlohmann::json out = {{"kind", "classes"}, {"path", path}, {"clip", file->clip_name}};
  for (const PhotoClass& one : file->classes) out["classes"][one.name] = one.query;
  return out;
}

// What the file begins with tells its kind.
Result<nlohmann::json> Describe(const std::string& path, bool with_tensors) {
  std::string begin;
  {
    ONDINE_ASSIGN(const base::MappedFile file, base::MappedFile::Open(path));
    const auto bytes = file.bytes().first(std::min<std::size_t>(16, file.bytes().size()));
    begin.assign(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  }
  if (begin.starts_with("SQLite format 3")) return DescribeLibrary(path);
  if (begin.starts_with('{')) return DescribeJson(path);
  auto pot = formats::PotFile::Open(path);
  if (pot) return Describe(*pot);
  if (path.ends_with(".pot")) return tl::make_unexpected(std::move(pot).error());
  ONDINE_ASSIGN(const formats::GgufFile file, formats::GgufFile::Open(path));
  return Describe(file, with_tensors);
}

std::string Line(const nlohmann::json& json) {
  return VisibleLine(json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
}

void Print(const nlohmann::json& json, const std::string& indent) {
  for (const auto& [key, value] : json.items()) {
    if (value.is_object()) {
      std::cout << indent << key << ":\n";
      Print(value, indent + "  ");
    } else if (value.is_array() && !value.empty() && value.front().is_object()) {
      std::cout << indent << key << ":\n";
      for (const auto& item : value) std::cout << indent << "  " << Line(item) << "\n";
    } else {
      std::string text = value.is_string() ? value.get<std::string>() : Line(value);
      // Chat templates are whole programs; one line each is enough here.
      if (text.size() > 160 && key.starts_with("tokenizer.")) text = text.substr(0, 160) + "...";
      for (char& c : text) c = c == '\n' ? ' ' : c;
      std::cout << indent << VisibleLine(key) << ": " << VisibleLine(text) << "\n";
    }
  }
}

Status Info(const Options& options) {
  if (options.default_model) {
    std::cout << DefaultModelPath() << "\n";
    return {};
  }
  if (options.default_pool) {
    std::cout << DefaultPoolPath() << "\n";
    return {};
  }
  if (options.default_scales) {
    std::cout << DefaultScalesPath() << "\n";
    return {};
  }
  if (options.default_clip) {
    std::cout << DefaultClipPath() << "\n";
    return {};
  }
  if (options.file.empty()) {
    return MakeError(ErrorCode::kInvalidArgument,
                     "name a file, or ask for --default-model, --default-pool, --default-scales or "
                     "--default-clip");
  }
  ONDINE_ASSIGN(const nlohmann::json out, Describe(options.file, options.tensors));
  if (options.json) {
    std::cout << Dump(out) << "\n";
  } else {
    Print(out, "");
  }
  return {};
}

}  // namespace

Action AddInfo(CLI::App& app) {
  auto options = std::make_shared<Options>();
  CLI::App* command =
      app.add_subcommand("info", "Say what a model, pot, library or other file of Ondine's is");
  command->footer("Example:\n  ondine info model.gguf --tensors");
  command->add_option("file", options->file, "GGUF or .pot file, photo library or file of classes");
  command->add_flag("--tensors", options->tensors, "list every tensor");
  command->add_flag("--default-model", options->default_model,
                    "print where the default model lies");
  command->add_flag("--default-pool", options->default_pool,
                    "print where the pool of adapters for the default model lies");
  command->add_flag("--default-scales", options->default_scales,
                    "print where the channel scales for the default model lie");
  command->add_flag("--default-clip", options->default_clip, "print where the CLIP lies");
  command->add_option("-t,--threads", options->threads,
                      "as other commands have it; nothing to do here");
  command->add_flag("--json", options->json, "print as JSON");
  return [options] { return Info(*options); };
}

}  // namespace ondine::cli
