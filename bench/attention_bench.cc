// Attention beside ggml's, same shapes, threads and f16 caches. One iteration is a layer; GFLOPS
// counts both products over the visible slots, GB/s the stored rows.
#include <benchmark/benchmark.h>
#include <ggml-cpu.h>
#include <ggml.h>
#include <time.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>
#include <random>
#include <vector>

#include "compute/attention.h"

namespace ondine::compute {
namespace {

struct ModelShape {
  int kv_heads, group, head_dim;
};
constexpr ModelShape kShapes[] = {{3, 3, 64}, {1, 4, 256}};  // SmolLM2 135M, Gemma 3 270M

struct Setting {
  explicit Setting(const benchmark::State& state)
      : shape(kShapes[state.range(0)]),
        n(state.range(1)),
        slots(state.range(2)),
        threads(static_cast<int>(state.range(3))) {}
  ModelShape shape;
  std::int64_t n, slots;
  int threads;
  std::int64_t Width() const { return shape.kv_heads * shape.head_dim; }
  std::int64_t Heads() const { return shape.kv_heads * shape.group; }
  float Scale() const { return 1.0f / std::sqrt(static_cast<float>(shape.head_dim)); }
  // As many as a model has, so that decoding reads memory and not the processor's cache.
  int Layers() const { return n > 4 ? 1 : 30; }
};

void AddCases(benchmark::internal::Benchmark* b, const std::vector<int>& queries, int slots) {
  b->ArgNames({"shape", "n", "slots", "threads"})->UseManualTime()->Unit(benchmark::kMicrosecond);
  for (const int threads : {1, 2}) {
    for (const int shape : {0, 1}) {
      for (const int n : queries) b->Args({shape, n, slots, threads});
    }
  }
}

void ManyQueries(benchmark::internal::Benchmark* b) {
  AddCases(b, {512, 8}, 2048);
}

void Cases(benchmark::internal::Benchmark* b) {
  ManyQueries(b);
  for (const int slots : {2048, 8192, 32768}) AddCases(b, {1}, slots);
}

std::vector<float> RandomFloats(std::int64_t size) {
  std::mt19937 random(1);
  std::normal_distribution<float> normal;
  std::vector<float> values(size);
  for (float& value : values) value = normal(random);
  return values;
}

// One thread is timed by its own clock, which other programs disturb less.
double Seconds(int threads) {
  timespec now;
  clock_gettime(threads == 1 ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

// Runs pass(layer) for the layers in turn and reports times and rates of the best one. `products`:
// 2 where values are read too, 1 for weights only.
template <typename Pass>
void Measure(benchmark::State& state, const Setting& setting, int products, double row_bytes,
             const Pass& pass) {
  int layer = 0;
  double best = 1e9;
  for (auto _ : state) {
    const double start = Seconds(setting.threads);
    pass(layer);
    const double taken = Seconds(setting.threads) - start;
    state.SetIterationTime(taken);
    best = std::min(best, taken);
    layer = (layer + 1) % setting.Layers();
  }
  // Query i sees slots - n + i + 1 of them.
  const auto n = static_cast<double>(setting.n), slots = static_cast<double>(setting.slots);
  const double pairs = n * (slots - (n - 1) / 2);
  const double flops =
      2 * products * pairs * static_cast<double>(setting.Heads() * setting.shape.head_dim);
  state.counters["best_us"] = best * 1e6;
  state.counters["GFLOPS"] = flops / best / 1e9;
  state.counters["GB/s"] = products * setting.shape.kv_heads * slots * row_bytes / best / 1e9;
}

void BM_Attend(benchmark::State& state, KvType type, bool rotate,
               AttentionKernel kernel = AttentionKernel::kAuto) {
  const Setting setting(state);
  const std::int64_t width = setting.Width(), q_width = setting.Heads() * setting.shape.head_dim;
  ThreadPool pool(setting.threads);
  const std::vector<float> rows = RandomFloats(setting.slots * width);
  std::vector<KvLayer> layers;
  for (int i = 0; i < setting.Layers(); ++i) {
    layers.emplace_back(KvShape{setting.shape.kv_heads, setting.shape.head_dim}, type,
                        setting.slots);
    pool.Run([&](Worker& worker) {
      layers.back().Write(worker, 0, setting.slots, rows.data(), rows.data(), width);
    });
  }
  RopeSettings settings;
  settings.dims = setting.shape.head_dim;
  Rope rope(settings);
  rope.Reserve(setting.slots);
  const std::vector<float> q = RandomFloats(setting.n * q_width);
  std::vector<float> out(q.size());
  AttentionInput input;
  input.q = q.data();
  input.q_stride = q_width;
  input.n = setting.n;
  input.heads = static_cast<int>(setting.Heads());
  input.scale = setting.Scale();
  input.past = setting.slots - setting.n;
  input.rope = rotate ? &rope : nullptr;
  AttentionScratch scratch;
  Measure(state, setting, 2, static_cast<double>(layers[0].RowBytes()), [&](int layer) {
    pool.Run([&](Worker& worker) {
      Attend(worker, layers[layer], input, scratch, out.data(), q_width, kernel);
    });
  });
}
BENCHMARK_CAPTURE(BM_Attend, f16, KvType::kF16, true)->Apply(Cases);
BENCHMARK_CAPTURE(BM_Attend, f16_int8, KvType::kF16, true, AttentionKernel::kInt8)
    ->Apply(ManyQueries);
BENCHMARK_CAPTURE(BM_Attend, f16_stored_rotated, KvType::kF16, false)->Apply(Cases);
BENCHMARK_CAPTURE(BM_Attend, q8_0, KvType::kQ8_0, true)->Apply(Cases);
BENCHMARK_CAPTURE(BM_Attend, q4_0, KvType::kQ4_0, true)->Apply(Cases);

// The weights of a distillation's last rows.
void BM_AttentionWeights(benchmark::State& state) {
  const Setting setting(state);
  const std::int64_t width = setting.Width(), q_width = setting.Heads() * setting.shape.head_dim;
  ThreadPool pool(setting.threads);
  const std::vector<float> rows = RandomFloats(setting.slots * width);
  KvLayer layer({setting.shape.kv_heads, setting.shape.head_dim}, KvType::kF16, setting.slots);
  pool.Run([&](Worker& worker) {
    layer.Write(worker, 0, setting.slots, rows.data(), rows.data(), width);
  });
  RopeSettings settings;
  settings.dims = setting.shape.head_dim;
  Rope rope(settings);
  rope.Reserve(setting.slots);
  const std::vector<float> q = RandomFloats(setting.n * q_width);
  AttentionInput input;
  input.q = q.data();
  input.q_stride = q_width;
  input.n = setting.n;
  input.heads = static_cast<int>(setting.Heads());
  input.scale = setting.Scale();
  input.past = setting.slots - setting.n;
  input.rope = &rope;
  AttentionScratch scratch;
  std::vector<float> weights(setting.Heads() * setting.n * input.past);
  Measure(state, setting, 1, static_cast<double>(layer.RowBytes()), [&](int) {
    pool.Run([&](Worker& worker) {
      AttentionWeights(worker, layer, input, input.past, scratch, weights.data());
    });
  });
}
BENCHMARK(BM_AttentionWeights)
    ->ArgNames({"shape", "n", "slots", "threads"})
    ->UseManualTime()
    ->Unit(benchmark::kMicrosecond)
    ->Args({0, 8, 2048, 2})
    ->Args({0, 64, 2048, 2})
    ->Args({1, 8, 2048, 2});

// Writing a token, and keeping every other slot of one head.
void BM_Keep(benchmark::State& state, KvType type) {
  constexpr std::int64_t kSlots = 2048;
  const ModelShape shape = kShapes[0];
  ThreadPool pool(1);
  KvLayer layer({shape.kv_heads, shape.head_dim}, type, kSlots);
  const std::vector<float> rows = RandomFloats(kSlots * shape.kv_heads * shape.head_dim);
  pool.Run([&](Worker& worker) {
    layer.Write(worker, 0, kSlots, rows.data(), rows.data(), shape.kv_heads * shape.head_dim);
  });
  std::vector<std::int32_t> slots;
  for (std::int32_t slot = 0; slot < kSlots; slot += 2) slots.push_back(slot);
  for (auto _ : state) layer.Keep(1, slots);
}
BENCHMARK_CAPTURE(BM_Keep, f16, KvType::kF16)->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(BM_Keep, q8_0, KvType::kQ8_0)->Unit(benchmark::kMicrosecond);

void BM_Write(benchmark::State& state, KvType type) {
  constexpr std::int64_t kTokens = 512;
  const ModelShape shape = kShapes[0];
  ThreadPool pool(1);
  KvLayer layer({shape.kv_heads, shape.head_dim}, type, kTokens);
  const std::int64_t width = shape.kv_heads * shape.head_dim;
  const std::vector<float> rows = RandomFloats(kTokens * width);
  for (auto _ : state) {
    pool.Run(
        [&](Worker& worker) { layer.Write(worker, 0, kTokens, rows.data(), rows.data(), width); });
  }
}
BENCHMARK_CAPTURE(BM_Write, f16, KvType::kF16)->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(BM_Write, q8_0, KvType::kQ8_0)->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(BM_Write, q4_0, KvType::kQ4_0)->Unit(benchmark::kMicrosecond);

// The graphs llama.cpp builds, keys and values of a head contiguous (its best case).
void BM_Ggml(benchmark::State& state, bool flash) {
  const Setting setting(state);
  const ModelShape& shape = setting.shape;
  const std::size_t cache_bytes = 2 * 2 * setting.slots * setting.Width() * setting.Layers();
  const std::size_t score_bytes = 4 * setting.slots * setting.n * (setting.Heads() * 2 + 2);
  ggml_context* context =
      ggml_init({cache_bytes + score_bytes * setting.Layers() + (64 << 20), nullptr, false});
  ggml_tensor* q =
      ggml_new_tensor_3d(context, GGML_TYPE_F32, shape.head_dim, setting.n, setting.Heads());
  ggml_tensor* mask = ggml_new_tensor_2d(context, GGML_TYPE_F16, setting.slots, setting.n);
  const std::vector<float> values = RandomFloats(ggml_nelements(q));
  std::memcpy(q->data, values.data(), ggml_nbytes(q));
  auto* mask_row = static_cast<ggml_fp16_t*>(mask->data);
  for (std::int64_t i = 0; i < setting.n; ++i) {
    for (std::int64_t j = 0; j < setting.slots; ++j) {
      const bool visible = j <= setting.slots - setting.n + i;
      *mask_row++ = ggml_fp32_to_fp16(visible ? 0.0f : -INFINITY);
    }
  }
  const std::vector<float> rows = RandomFloats(setting.slots * setting.Width());
  std::vector<ggml_cgraph*> graphs;
  for (int layer = 0; layer < setting.Layers(); ++layer) {
    ggml_tensor* k =
        ggml_new_tensor_3d(context, GGML_TYPE_F16, shape.head_dim, setting.slots, shape.kv_heads);
    ggml_tensor* v =
        ggml_new_tensor_3d(context, GGML_TYPE_F16, flash ? shape.head_dim : setting.slots,
                           flash ? setting.slots : shape.head_dim, shape.kv_heads);
    for (ggml_tensor* cache : {k, v}) {
      ggml_fp32_to_fp16_row(rows.data(), static_cast<ggml_fp16_t*>(cache->data),
                            ggml_nelements(cache));
    }
    ggml_tensor* out;
    if (flash) {
      out = ggml_flash_attn_ext(context, q, k, v, mask, setting.Scale(), 0, 0);
    } else {
      ggml_tensor* scores = ggml_mul_mat(context, k, q);
      ggml_mul_mat_set_prec(scores, GGML_PREC_F32);
      out = ggml_mul_mat(context, v, ggml_soft_max_ext(context, scores, mask, setting.Scale(), 0));
    }
    graphs.push_back(ggml_new_graph(context));
    ggml_build_forward_expand(graphs.back(), out);
  }
  ggml_threadpool_params params = ggml_threadpool_params_default(setting.threads);
  ggml_threadpool* pool = ggml_threadpool_new(&params);
  ggml_cplan plan = ggml_graph_plan(graphs[0], setting.threads, pool);
  std::vector<std::uint8_t> work(plan.work_size + 64);
  plan.work_data = work.data();
  Measure(state, setting, 2, 2.0 * shape.head_dim,
          [&](int layer) { ggml_graph_compute(graphs[layer], &plan); });
  ggml_threadpool_free(pool);
  ggml_free(context);
}
BENCHMARK_CAPTURE(BM_Ggml, products, false)->Apply(Cases);
BENCHMARK_CAPTURE(BM_Ggml, flash, true)->Apply(Cases);

}  // namespace
}  // namespace ondine::compute
