// What a cheaper estimate of surprise loses: reads a text with several strides of the vocabulary
// (HeadSurprise) and compares with the exact score.
//
//   surprise_estimate MODEL.gguf TEXT [TOKENS]
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <numeric>
#include <vector>

#include "base/file.h"
#include "compute/thread_count.h"
#include "engine/model_parts.h"
#include "engine/prompt_format.h"
#include "memory/pot.h"
#include "ondine/model.h"

namespace {

using ondine::memory::Pot;

struct Reading {
  std::vector<float> tokens, sentences;  // surprise of each token, by itself and as the pot uses it
  double seconds = 0, all_seconds = 0;
};

ondine::Result<Reading> Read(const ondine::Model& model, ondine::compute::ThreadPool& pool,
                             const std::vector<ondine::TokenId>& tokens, int stride) {
  ondine::PotSettings settings;
  settings.surprise_stride = stride;
  settings.slots = static_cast<std::int64_t>(tokens.size()) + 64;
  auto pot = Pot::Create(model.parts().decoder, pool, settings, {}, model.parts().sentence_ends);
  if (!pot) return tl::make_unexpected(pot.error());
  Reading reading;
  (*pot)->OnSurprise([&](std::span<const float> values) {
    reading.tokens.insert(reading.tokens.end(), values.begin(), values.end());
  });
  if (auto status = (*pot)->Feed(tokens, Pot::Part::kText, {}); !status) {
    return tl::make_unexpected(status.error());
  }
  if (auto status = (*pot)->Flush({}); !status) return tl::make_unexpected(status.error());
  for (const auto& layer : (*pot)->entries()) {
    if (!layer.empty()) reading.sentences = layer[0].surprise;
  }
  reading.seconds = (*pot)->counters().seconds_surprise;
  reading.all_seconds = reading.seconds + (*pot)->counters().seconds_model;
  return reading;
}

std::vector<double> Ranks(const std::vector<float>& values) {
  std::vector<std::size_t> order(values.size());
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(),
            [&](std::size_t a, std::size_t b) { return values[a] < values[b]; });
  std::vector<double> ranks(values.size());
  for (std::size_t i = 0; i < order.size();) {
    std::size_t end = i;
    while (end < order.size() && values[order[end]] == values[order[i]]) ++end;
    for (std::size_t j = i; j < end; ++j) ranks[order[j]] = static_cast<double>(i + end - 1) / 2;
    i = end;
  }
  return ranks;
}

double Spearman(const std::vector<float>& a, const std::vector<float>& b) {
  const std::vector<double> x = Ranks(a), y = Ranks(b);
  const double mean = static_cast<double>(a.size() - 1) / 2;
  double xy = 0, xx = 0, yy = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    xy += (x[i] - mean) * (y[i] - mean);
    xx += (x[i] - mean) * (x[i] - mean);
    yy += (y[i] - mean) * (y[i] - mean);
  }
  return xy / std::sqrt(xx * yy);
}

// Share of the `share` highest of one that are among the highest of the other.
double Overlap(const std::vector<float>& a, const std::vector<float>& b, double share) {
  const std::vector<double> x = Ranks(a), y = Ranks(b);
  const double border = (1 - share) * static_cast<double>(a.size());
  double both = 0, first = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    first += x[i] >= border;
    both += x[i] >= border && y[i] >= border;
  }
  return both / first;
}

int Fail(const ondine::Error& error) {
  std::fprintf(stderr, "surprise_estimate: %s\n", error.ToString().c_str());
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fprintf(stderr, "usage: surprise_estimate MODEL.gguf TEXT [TOKENS]\n");
    return 2;
  }
  const auto model = ondine::Model::Load(argv[1]);
  if (!model) return Fail(model.error());
  const auto text = ondine::base::ReadFile(argv[2]);
  if (!text) return Fail(text.error());
  std::vector<ondine::TokenId> tokens = (*model)->Tokenize(*text);
  const std::size_t most = argc > 3 ? std::strtoul(argv[3], nullptr, 10) : 8192;
  tokens.resize(std::min(tokens.size(), most));

  ondine::compute::ThreadPool pool(ondine::compute::ThreadCount(0));
  std::printf("%zu tokens\n\n", tokens.size());
  std::printf(
      "| stride | ms per 1,000 tokens | share of reading | rank correlation, tokens | sentences "
      "| 2.5 %% most surprising: in common |\n| ---: | ---: | ---: | ---: | ---: | ---: |\n");
  Reading exact;
  for (const int stride : {1, 2, 4, 8, 16, 32, 64}) {
    auto reading = Read(**model, pool, tokens, stride);
    if (!reading) return Fail(reading.error());
    if (stride == 1) exact = *reading;
    std::printf("| %d | %.1f | %.1f %% | %.4f | %.4f | %.1f %% |\n", stride,
                1e6 * reading->seconds / static_cast<double>(tokens.size()),
                100 * reading->seconds / reading->all_seconds,
                Spearman(exact.tokens, reading->tokens),
                Spearman(exact.sentences, reading->sentences),
                100 * Overlap(exact.sentences, reading->sentences, 0.025));
  }
  return 0;
}
