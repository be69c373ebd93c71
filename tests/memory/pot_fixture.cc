#include "memory/pot_fixture.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <span>
#include <string>

#include "base/checksum.h"
#include "base/temp_dir.h"
#include "formats/gguf.h"

namespace ondine::testing {
namespace {

template <typename T>
void Append(const std::vector<T>& values, std::string& out) {
  const auto bytes = std::as_bytes(std::span(values));
  out.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
}

}  // namespace

std::shared_ptr<const models::Decoder> LoadTiny(const TinyModel& model) {
  const TempDir folder;
  const std::string path = folder.File("tiny.gguf");
  EXPECT_TRUE(WriteTinyModel(model, path));
  const auto file = formats::GgufFile::Open(path);
  EXPECT_TRUE(file) << file.error().ToString();
  compute::ThreadPool pool(1);
  auto decoder = models::Decoder::Load(*file, pool);
  EXPECT_TRUE(decoder) << decoder.error().ToString();
  return *decoder;
}

const std::shared_ptr<const models::Decoder>& TinyLlama() {
  static const auto decoder = LoadTiny({.architecture = "llama"});
  return decoder;
}

const std::shared_ptr<const models::Decoder>& TinyGemma() {
  static const auto decoder =
      LoadTiny({.architecture = "gemma3", .layers = 7, .window = 16, .seed = 4});
  return decoder;
}

Tokens RandomText(std::int64_t length, std::uint32_t seed) {
  std::mt19937 random(seed);
  Tokens tokens(static_cast<std::size_t>(length));
  for (TokenId& token : tokens) token = static_cast<TokenId>(random() % 256);
  return tokens;
}

PotSettings SmallPot(std::int64_t slots, PotPolicy policy) {
  PotSettings settings;
  settings.slots = slots;
  settings.policy = policy;
  settings.sinks = 2;
  settings.recent = 3;
  settings.keep = 0.5;
  settings.alpha = 0.75;
  settings.surprise_span = 17;
  settings.rarity = 0;
  return settings;
}

std::unique_ptr<Pot> MakePot(const std::shared_ptr<const models::Decoder>& decoder,
                             compute::ThreadPool& pool, const PotSettings& settings,
                             std::int64_t catalyst_length) {
  auto pot = Pot::Create(decoder, pool, settings, RandomText(catalyst_length, 99));
  EXPECT_TRUE(pot) << pot.error().ToString();
  return std::move(*pot);
}

Status Read(Pot& pot, const Tokens& tokens, Pot::Part part) {
  if (Status status = pot.Feed(tokens, part, StopToken()); !status) return status;
  return pot.Flush(StopToken());
}

std::uint64_t StateOf(const Pot& pot) {
  std::string state;
  const models::KvCache& cache = pot.cache();
  const std::int64_t window =
      cache.local_capacity() - models::KvCache::kMaxRewound - models::KvCache::kMaxPrepared;
  Append(std::vector<std::int64_t>{cache.length(), cache.position()}, state);
  for (int i = 0; i < cache.layers(); ++i) {
    const models::KvCache::Layer& layer = cache.layer(i);
    const std::int64_t rows = layer.local ? cache.local_length() : cache.length();
    // What lies before the window is no part of the state: nothing ever looks at it.
    const std::int64_t first = layer.local ? std::max<std::int64_t>(0, rows - window) : 0;
    std::string bytes(layer.store.ExportBytes(rows), '\0');
    auto* out = reinterpret_cast<std::byte*>(bytes.data());
    for (int head = 0; head < layer.store.shape().kv_heads; ++head) {
      layer.store.ExportKeys(head, rows, out);
      state += bytes.substr(layer.store.ExportBytes(first));
      layer.store.ExportValues(head, rows, out);
      state += bytes.substr(layer.store.ExportBytes(first));
    }
    for (const memory::HeadEntries& head : pot.entries()[static_cast<std::size_t>(i)]) {
      Append(head.origin, state);
      Append(head.surprise, state);
    }
  }
  Append(pot.carried(), state);
  return base::Hash64(std::as_bytes(std::span(state)));
}

std::vector<float> LogitsOf(Pot& pot) {
  const std::span<const float> logits = pot.Logits();
  return {logits.begin(), logits.end()};
}

std::int64_t ExpectedDistillations(std::int64_t n, std::int64_t slots, std::int64_t kept,
                                   std::int64_t catalyst) {
  const std::int64_t first = slots - catalyst, later = slots - kept - catalyst;
  return n <= first ? 0 : (n - first + later - 1) / later;
}

}  // namespace ondine::testing
