#include "engine/engine_fixture.h"

#include <gtest/gtest.h>

#include <random>

#include "base/temp_dir.h"

namespace ondine::testing {

std::shared_ptr<const Model> LoadTinyModel(const TinyModel& model,
                                           const std::string& chat_template) {
  const TempDir folder;
  const std::string path = folder.File("tiny.gguf");
  EXPECT_TRUE(WriteTinyModel(model, path));
  ModelOptions options;
  options.threads = 1;
  options.chat_template = chat_template;
  auto loaded = Model::Load(path, options);
  EXPECT_TRUE(loaded) << loaded.error().ToString();
  return *loaded;
}

const std::shared_ptr<const Model>& TinyLlamaModel() {
  static const auto model = LoadTinyModel({.architecture = "llama"}, "chatml");
  return model;
}

const std::shared_ptr<const Model>& TinyGemmaModel() {
  static const auto model =
      LoadTinyModel({.architecture = "gemma3", .layers = 7, .window = 16, .seed = 4}, "chatml");
  return model;
}

std::string RandomProse(std::size_t bytes, std::uint32_t seed) {
  std::mt19937 random(seed);
  std::string text;
  while (text.size() < bytes) {
    for (auto letters = 2 + random() % 6; letters > 0; --letters) {
      text += static_cast<char>('a' + random() % 26);
    }
    text += random() % 8 == 0 ? ".\n" : " ";
  }
  text.resize(bytes);
  return text;
}

SessionOptions InPot(std::int64_t slots, PotPolicy policy) {
  SessionOptions options;
  options.threads = 2;
  options.pot.emplace();
  options.pot->slots = slots;
  options.pot->policy = policy;
  options.pot->recent = 4;
  options.pot->catalyst = "Why so?!";
  return options;
}

GenerationOptions Exactly(int tokens) {
  GenerationOptions options;
  options.max_tokens = tokens;
  options.ignore_end = true;
  return options;
}

Session SessionThatRead(const std::shared_ptr<const Model>& model, const SessionOptions& options,
                        const std::string& text) {
  auto session = Session::Create(model, options);
  EXPECT_TRUE(session) << session.error().ToString();
  ReadOptions read;
  read.chat_template = false;
  const Status status = session->Read(*TextFromString(text), read);
  EXPECT_TRUE(status) << status.error().ToString();
  return std::move(*session);
}

}  // namespace ondine::testing
