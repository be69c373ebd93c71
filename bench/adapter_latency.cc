// What customising a model and deciding about a question cost, beside the time to the first token.
//
//   adapter_latency MODEL.gguf POOL.gguf EXAMPLES.jsonl [REPETITIONS]
//
// The questions are the examples' prompts. Times in milliseconds: median, and best.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <vector>

#include "base/stopwatch.h"
#include "ondine/adapter_pool.h"
#include "ondine/session.h"

namespace {

using namespace ondine;

// Median and best of repeated runs, in milliseconds.
struct Times {
  double median, best;
};

Times Measure(int repetitions, const std::function<void(int)>& work) {
  std::vector<double> all;
  for (int i = 0; i < repetitions; ++i) {
    const base::Timer timer;
    work(i);
    all.push_back(1000 * timer.Elapsed());
  }
  std::sort(all.begin(), all.end());
  return {all[all.size() / 2], all.front()};
}

void Print(const char* what, const Times& times) {
  std::printf("| %-48s | %9.3f | %9.3f |\n", what, times.median, times.best);
}

template <typename T>
T Must(Result<T> result) {
  if (result) return std::move(*result);
  std::fprintf(stderr, "adapter_latency: %s\n", result.error().ToString().c_str());
  std::exit(1);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 4) {
    std::fprintf(stderr,
                 "usage: adapter_latency MODEL.gguf POOL.gguf EXAMPLES.jsonl [REPETITIONS]\n");
    return 2;
  }
  const int repetitions = argc > 4 ? std::max(1, std::atoi(argv[4])) : 20;
  const auto model = Must(Model::Load(argv[1]));
  const auto pool = Must(AdapterPool::Load(model, argv[2]));
  const auto examples = Must(LoadExamples(argv[3]));
  const auto question = [&](int i) {
    return examples[static_cast<std::size_t>(i) % examples.size()].prompt;
  };

  PoolWeights weights = Must(pool->Weigh(examples));
  std::shared_ptr<const Adapter> adapter;
  std::printf("%zu examples, %d repetitions\n\n| | median ms | best ms |\n| --- | ---: | ---: |\n",
              examples.size(), repetitions);
  Print("weights of the examples",
        Measure(repetitions, [&](int) { weights = Must(pool->Weigh(examples)); }));
  Print("blend", Measure(repetitions, [&](int) { adapter = Must(pool->Blend(weights.weights)); }));
  Session session = Must(Session::Create(model));
  Print("exchange of a session's adapter", Measure(repetitions, [&](int i) {
          const auto status = session.SetAdapters({{adapter, i % 2 == 0 ? 1.0F : 0.5F}});
          if (!status) std::exit(1);
        }));
  const std::vector<float> task = Must(pool->TaskOf(examples));
  const Times gate = Measure(repetitions, [&](int i) { Must(pool->Likeness(task, question(i))); });
  Print("is a question of the task", gate);
  GenerationOptions one;
  one.max_tokens = 1;
  const Times first =
      Measure(repetitions, [&](int i) { Must(session.Complete(question(i), one)); });
  Print("first token of its answer", first);
  GenerationOptions answer;
  answer.max_tokens = answer.probe_tokens = 32;
  answer.ignore_end = true;
  const Times plain =
      Measure(repetitions, [&](int i) { Must(session.Complete(question(i), answer)); });
  answer.on_probe = [](const Confidence&) { return std::optional<std::string>(); };
  const Times probed =
      Measure(repetitions, [&](int i) { Must(session.Complete(question(i), answer)); });
  Print("32 tokens", plain);
  Print("32 tokens and how sure the model is", probed);
  std::printf(
      "\nThe test of the task takes %.2f %% of the time to the first token, confidence %.2f %% "
      "of 32 tokens.\n",
      100 * gate.median / first.median, 100 * (probed.best / plain.best - 1));
  return 0;
}
