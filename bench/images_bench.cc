// What a search by text costs: encoding the query, with and without strengths, and finding photos
// among 100,000; and what making a photo small does. The CLIP is $ONDINE_CLIP, else the one that
// comes along.
#include <benchmark/benchmark.h>
#include <unistd.h>

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <memory>
#include <random>
#include <string>
#include <system_error>
#include <vector>

#include "images/clip_parts.h"
#include "images/photo_database.h"
#include "images/resample.h"
#include "ondine/images.h"

namespace ondine {
namespace {

constexpr int kPhotos = 100'000;

Clip* LoadedClip() {
  static const auto clip = [] {
    const char* chosen = std::getenv("ONDINE_CLIP");
    return Clip::Load(chosen == nullptr ? "assets/fashion.clip.gguf" : chosen);
  }();
  return clip ? clip->get() : nullptr;
}

void EncodeQuery(benchmark::State& state, const std::string& query, const QueryOptions& options) {
  Clip* clip = LoadedClip();
  if (clip == nullptr) return state.SkipWithError("no CLIP: set ONDINE_CLIP");
  for (auto _ : state) benchmark::DoNotOptimize(clip->EncodeQuery(query, options));
}

// A library with random vectors, as `clip` would have made them.
Status FillLibrary(const std::string& path, Clip& clip) {
  auto database = images::PhotoDatabase::OpenToIndex(path, clip.parts().identity());
  if (!database) return tl::make_unexpected(database.error());
  std::mt19937 random(1);
  std::normal_distribution<float> normal;
  std::vector<float> vector(static_cast<std::size_t>(clip.info().vector_length));
  Status done = database->Begin();
  for (int i = 0; done && i < kPhotos; ++i) {
    double squares = 0;
    for (float& value : vector) squares += std::pow(value = normal(random), 2);
    for (float& value : vector) value /= static_cast<float>(std::sqrt(squares));
    images::ContentHash hash{};
    std::memcpy(hash.data(), &i, sizeof i);
    const auto id = database->AddPicture(hash, images::Picture{}, vector);
    if (!id) return tl::make_unexpected(id.error());
    done = database->SetFile("/photos/" + std::to_string(i) + ".jpg", 1, 1, *id);
  }
  return done ? database->Commit() : done;
}

// From the text to the ten best photos, as `ondine images search` does it.
void SearchByText(benchmark::State& state, const std::string& query) {
  namespace fs = std::filesystem;
  Clip* clip = LoadedClip();
  if (clip == nullptr) return state.SkipWithError("no CLIP: set ONDINE_CLIP");
  static const struct Folder {
    Folder() { fs::create_directories(path); }
    ~Folder() {
      std::error_code ignored;
      fs::remove_all(path, ignored);
    }
    const fs::path path =
        fs::temp_directory_path() / ("ondine-images-bench-" + std::to_string(getpid()));
  } folder;
  const std::string path = folder.path / "photos.db";
  static const Status filled = FillLibrary(path, *clip);
  const auto library = PhotoLibrary::Open(path);
  if (!filled || !library) return state.SkipWithError("no library");
  for (auto _ : state) {
    const auto encoded = clip->EncodeQuery(query);
    benchmark::DoNotOptimize((*library)->Search(encoded->vector));
  }
  state.SetBytesProcessed(state.iterations() * kPhotos * clip->info().vector_length *
                          static_cast<std::int64_t>(sizeof(float)));
}

// 400 x 550 pixels to the 224 x 224 in the middle.
void Resample(benchmark::State& state, const images::ResampleKernels& kernels) {
  std::mt19937 random(1);
  std::vector<std::uint8_t> row(3 * 400);
  for (auto& value : row) value = static_cast<std::uint8_t>(random());
  for (auto _ : state) {
    images::Resampler resampler({400, 224, 0, 224}, {550, 308, 42, 224}, kernels);
    for (int y = 0; y < 550; ++y) resampler.Add(row.data());
    benchmark::DoNotOptimize(resampler.pixels().data());
  }
}

BENCHMARK_CAPTURE(Resample, plain, images::PlainResampleKernels())->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(Resample, fastest, images::FastestResampleKernels())
    ->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(EncodeQuery, plain, "a photo of red running shoes for women", {})
    ->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(EncodeQuery, weighted, "a photo of (red:2) running shoes for (women:1.5)", {})
    ->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(EncodeQuery, difference, "a photo of (red:2) running shoes for (women:1.5)",
                  {.mode = StrengthMode::kDifference})
    ->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(SearchByText, 100000_photos, "a photo of (red:2) running shoes for women")
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace ondine
