// ondine tokenize: the tokens of a text.
#include <array>
#include <cstdio>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/input_file.h"
#include "base/try.h"
#include "cli/command.h"
#include "cli/console.h"
#include "cli/options.h"
#include "cli/report.h"
#include "formats/gguf.h"
#include "text/tokenizer.h"

namespace ondine::cli {
namespace {

struct Options {
  ModelChoice model;
  std::string text;
  bool has_text = false;
  bool ids = false, no_bos = false, special = false, json = false;
};

// All of it, whatever bytes they are.
Result<std::string> StandardInput() {
  ONDINE_ASSIGN(auto input, base::InputFile::Open("-"));
  std::string text;
  std::array<std::byte, 1 << 16> block;
  while (true) {
    ONDINE_ASSIGN(const std::size_t got, input.Read(block, InterruptToken()));
    if (got == 0) return text;
    text.append(reinterpret_cast<const char*>(block.data()), got);
  }
}

Status Tokenize(const Options& options) {
  ONDINE_ASSIGN(const std::string path, options.model.Path());
  // The vocabulary alone: files without tensors will do.
  ONDINE_ASSIGN(const formats::GgufFile file, formats::GgufFile::Open(path));
  ONDINE_ASSIGN(const text::Tokenizer tokenizer, text::Tokenizer::FromGguf(file));
  std::string text = options.text;
  if (!options.has_text) {
    ONDINE_ASSIGN(text, StandardInput());
  }
  text::EncodeOptions encode;
  encode.add_bos = !options.no_bos;
  encode.parse_special = options.special;
  const std::vector<text::TokenId> tokens = tokenizer.Encode(text, encode);
  if (options.json) {
    nlohmann::json list = nlohmann::json::array();
    for (text::TokenId token : tokens) {
      list.push_back({{"id", token}, {"text", tokenizer.Piece(token, true)}});
    }
    const nlohmann::json out = {{"tokens", list}, {"count", tokens.size()}};
    std::cout << Dump(out) << "\n";
    return {};
  }
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    if (options.ids) {
      std::cout << (i > 0 ? " " : "") << tokens[i];
    } else {
      std::printf("%8d  %s\n", tokens[i],
                  nlohmann::json(tokenizer.Piece(tokens[i], true))
                      .dump(-1, ' ', false, nlohmann::json::error_handler_t::replace)
                      .c_str());
    }
  }
  if (options.ids) std::cout << "\n";
  return {};
}

}  // namespace

Action AddTokenize(CLI::App& app) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("tokenize", "Show the tokens of a text");
  command->footer("Example:\n  ondine tokenize --ids \"Hello, world\"");
  options->model.AddTo(*command);
  CLI::Option* text = command->add_option("text", options->text, "text (default: standard input)");
  command->add_flag("--ids", options->ids, "ids only, separated by spaces");
  command->add_flag("--no-bos", options->no_bos, "add no token at the beginning");
  command->add_flag("--special", options->special, "recognise control tokens in the text");
  command->add_flag("--json", options->json, "ids and texts as JSON");
  return [options, text] {
    options->has_text = text->count() > 0;
    return Tokenize(*options);
  };
}

}  // namespace ondine::cli
