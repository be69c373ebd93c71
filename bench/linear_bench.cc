// Linear layers beside ggml's mul_mat, on the same matrices in the same run.
//
//   ONDINE_BENCH_THREADS=1 build/bin/compute_bench --benchmark_filter='Q4_1.*n:512'
//
// The figures are of the best iteration, because the machine may be shared: GOPS counts a
// multiplication and an addition as two, GB/s the stored weights once per product.
#include <benchmark/benchmark.h>
#include <ggml-alloc.h>
#include <ggml-backend.h>
#include <ggml-cpu.h>
#include <ggml.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <iterator>
#include <random>
#include <string>
#include <vector>

#include "compute/linear.h"

namespace ondine::compute {
namespace {

using formats::TensorType;

int Threads() {
  const char* threads = std::getenv("ONDINE_BENCH_THREADS");
  return threads == nullptr ? 2 : std::max(1, std::atoi(threads));
}

struct Shape {
  std::int64_t in, out;
};

std::vector<float> RandomFloats(std::int64_t count) {
  std::mt19937 random(1);
  std::uniform_real_distribution<float> values(-1.0f, 1.0f);
  std::vector<float> result(count);
  for (float& value : result) value = values(random);
  return result;
}

std::vector<std::byte> RandomWeights(TensorType type, Shape shape) {
  const auto number = static_cast<ggml_type>(type);
  // A few rows, repeated: quantising to some types takes longer than everything else here.
  constexpr std::int64_t kRows = 16;
  const std::vector<float> values = RandomFloats(shape.in * kRows);
  const std::vector<float> importance(shape.in, 1.0f);
  const std::size_t row_bytes = ggml_row_size(number, shape.in);
  std::vector<std::byte> data(row_bytes * shape.out);
  ggml_quantize_chunk(number, values.data(), data.data(), 0, kRows, shape.in, importance.data());
  for (std::size_t at = row_bytes * kRows; at < data.size(); ++at) {
    data[at] = data[at - row_bytes * kRows];
  }
  return data;
}

double Operations(Shape shape, std::int64_t rows) {
  return static_cast<double>(2 * shape.in * shape.out * rows);
}

double StoredBytes(TensorType type, Shape shape) {
  return static_cast<double>(ggml_row_size(static_cast<ggml_type>(type), shape.in) * shape.out);
}

// Runs `multiply` for every iteration and reports the best one.
template <typename Multiply>
void Measure(benchmark::State& state, double operations, double bytes, Multiply&& multiply) {
  double best = 1e9;
  for (auto _ : state) {
    const auto start = std::chrono::steady_clock::now();
    multiply();
    const std::chrono::duration<double> time = std::chrono::steady_clock::now() - start;
    best = std::min(best, time.count());
  }
  state.counters["best_us"] = best * 1e6;
  state.counters["GOPS"] = operations / best * 1e-9;
  state.counters["GB/s"] = bytes / best * 1e-9;
}

void Ondine(benchmark::State& state, TensorType type, Shape shape, std::int64_t rows) {
  ThreadPool pool(Threads());
  const auto linear = Linear::Create(type, shape.in, shape.out, RandomWeights(type, shape), pool);
  if (!linear) {
    state.SkipWithError(linear.error().message.c_str());
    return;
  }
  const std::vector<float> values = RandomFloats(shape.in);
  Activations x;
  x.Resize(rows, shape.in);
  std::vector<float> y(rows * shape.out);
  for (std::int64_t i = 0; i < rows; ++i) std::copy(values.begin(), values.end(), x.Row(i));
  Measure(state, Operations(shape, rows), StoredBytes(type, shape), [&] {
    pool.Run([&](Worker& worker) {
      const Worker::Range share = worker.Share(rows);
      for (std::int64_t i = share.begin; i < share.end; ++i) x.Finish(i);
      worker.Barrier();
      linear->Multiply(worker, x, Store::kAssign, y.data(), shape.out);
    });
  });
}

// With statically coded inputs, of which `outliers` of a thousand lie outside of the code's range.
void OndineInt8(benchmark::State& state, Shape shape, std::int64_t rows, int outliers) {
  ThreadPool pool(Threads());
  const std::vector<std::byte> data(shape.in * shape.out, std::byte{3});
  const std::vector<float> scale = {0.01f};
  const StaticCode code = {1.0f / 128, 128, 255, outliers > 0};
  const auto linear = Linear::CreateInt8(shape.in, shape.out, data, scale, code, pool);
  if (!linear) {
    state.SkipWithError(linear.error().message.c_str());
    return;
  }
  std::vector<float> values = RandomFloats(shape.in * rows);
  std::mt19937 random(2);
  std::uniform_int_distribution<int> draw(0, 999);
  for (float& value : values) value = draw(random) < outliers ? 20.0f : value * 0.99f;
  Activations x;
  x.Resize(rows, shape.in);
  std::copy(values.begin(), values.end(), x.Row(0));
  std::vector<float> y(rows * shape.out);
  Measure(state, Operations(shape, rows), static_cast<double>(data.size()), [&] {
    pool.Run([&](Worker& worker) {
      const Worker::Range share = worker.Share(rows);
      for (std::int64_t i = share.begin; i < share.end; ++i) x.FinishStatic(i, code);
      worker.Barrier();
      linear->Multiply(worker, x, Store::kAssign, y.data(), shape.out);
    });
  });
}

// Every matrix of SmolLM2-135M in turn: the linear part of a pass over `rows` tokens, whose weights
// (unlike one matrix's) do not fit into a cache.
void OndinePass(benchmark::State& state, TensorType type, std::int64_t rows) {
  constexpr int kLayers = 30;
  constexpr Shape kLayer[] = {{576, 576},  {576, 192},  {576, 192}, {576, 576},
                              {576, 1536}, {576, 1536}, {1536, 576}};
  constexpr Shape kVocabulary = {576, 49152};
  ThreadPool pool(Threads());
  std::vector<Shape> shapes;
  for (int layer = 0; layer < kLayers; ++layer) {
    shapes.insert(shapes.end(), std::begin(kLayer), std::end(kLayer));
  }
  if (rows == 1) shapes.push_back(kVocabulary);
  std::vector<Linear> matrices;
  double operations = 0;
  for (const Shape& shape : shapes) {
    auto linear = Linear::Create(type, shape.in, shape.out, RandomWeights(type, shape), pool);
    if (!linear) {
      state.SkipWithError(linear.error().message.c_str());
      return;
    }
    matrices.push_back(std::move(*linear));
    operations += Operations(shape, rows);
  }
  Activations narrow, wide;
  for (const auto& [x, width] : {std::pair{&narrow, 576}, std::pair{&wide, 1536}}) {
    const std::vector<float> values = RandomFloats(width);
    x->Resize(rows, width);
    for (std::int64_t i = 0; i < rows; ++i) {
      std::copy(values.begin(), values.end(), x->Row(i));
      x->Finish(i);
    }
  }
  std::vector<float> y(rows == 1 ? kVocabulary.out : rows * 1536);
  std::size_t bytes = 0;
  for (const Linear& linear : matrices) bytes += linear.bytes();
  Measure(state, operations, static_cast<double>(bytes), [&] {
    pool.Run([&](Worker& worker) {
      for (const Linear& linear : matrices) {
        linear.Multiply(worker, linear.in() == 576 ? narrow : wide, Store::kAssign, y.data(),
                        linear.out());
        worker.Barrier();
      }
    });
  });
}

// ggml's repacking buffer where it takes the type, as llama.cpp would choose it.
ggml_backend_buffer_t AllocateWeights(ggml_backend_t backend, ggml_tensor* weights) {
  ggml_backend_dev_t device = ggml_backend_get_device(backend);
  const auto extra_types =
      reinterpret_cast<ggml_backend_dev_get_extra_bufts_t>(ggml_backend_reg_get_proc_address(
          ggml_backend_dev_backend_reg(device), "ggml_backend_dev_get_extra_bufts"));
  std::vector<ggml_backend_buffer_type_t> types;
  if (extra_types != nullptr) {
    for (ggml_backend_buffer_type_t* type = extra_types(device);
         type != nullptr && *type != nullptr; ++type) {
      types.push_back(*type);
    }
  }
  types.push_back(ggml_backend_get_default_buffer_type(backend));
  for (ggml_backend_buffer_type_t type : types) {
    ggml_backend_buffer_t buffer =
        ggml_backend_buft_alloc_buffer(type, ggml_backend_buft_get_alloc_size(type, weights));
    ggml_backend_tensor_alloc(buffer, weights, ggml_backend_buffer_get_base(buffer));
    if (type == types.back() || weights->extra != nullptr) return buffer;
    ggml_backend_buffer_free(buffer);
    weights->buffer = nullptr;
    weights->data = nullptr;
  }
  return nullptr;
}

void Ggml(benchmark::State& state, TensorType type, Shape shape, std::int64_t rows) {
  ggml_backend_t backend = ggml_backend_cpu_init();
  ggml_backend_cpu_set_n_threads(backend, Threads());
  const ggml_init_params params = {ggml_tensor_overhead() * 8 + ggml_graph_overhead(), nullptr,
                                   true};
  ggml_context* weight_context = ggml_init(params);
  ggml_context* context = ggml_init(params);
  ggml_tensor* weights =
      ggml_new_tensor_2d(weight_context, static_cast<ggml_type>(type), shape.in, shape.out);
  ggml_backend_buffer_t weight_buffer = AllocateWeights(backend, weights);
  const std::vector<std::byte> data = RandomWeights(type, shape);
  ggml_backend_tensor_set(weights, data.data(), 0, data.size());
  ggml_tensor* x = ggml_new_tensor_2d(context, GGML_TYPE_F32, shape.in, rows);
  ggml_cgraph* graph = ggml_new_graph(context);
  ggml_build_forward_expand(graph, ggml_mul_mat(context, weights, x));
  ggml_backend_buffer_t buffer = ggml_backend_alloc_ctx_tensors(context, backend);
  const std::vector<float> values = RandomFloats(shape.in * rows);
  ggml_backend_tensor_set(x, values.data(), 0, values.size() * sizeof(float));
  Measure(state, Operations(shape, rows), StoredBytes(type, shape),
          [&] { ggml_backend_graph_compute(backend, graph); });
  state.SetLabel(ggml_backend_buffer_name(weight_buffer));
  ggml_backend_buffer_free(buffer);
  ggml_backend_buffer_free(weight_buffer);
  ggml_free(context);
  ggml_free(weight_context);
  ggml_backend_free(backend);
}

void Register() {
  constexpr TensorType kTypes[] = {
      TensorType::kQ4_1,   TensorType::kQ4_0,  TensorType::kQ5_0,    TensorType::kQ5_1,
      TensorType::kQ8_0,   TensorType::kQ2_K,  TensorType::kQ3_K,    TensorType::kQ4_K,
      TensorType::kQ5_K,   TensorType::kQ6_K,  TensorType::kIQ4_NL,  TensorType::kIQ4_XS,
      TensorType::kMXFP4,  TensorType::kNVFP4, TensorType::kF16,     TensorType::kBF16,
      TensorType::kF32,    TensorType::kIQ1_S, TensorType::kIQ1_M,   TensorType::kIQ2_XXS,
      TensorType::kIQ2_XS, TensorType::kIQ2_S, TensorType::kIQ3_XXS, TensorType::kIQ3_S,
      TensorType::kTQ1_0,  TensorType::kTQ2_0, TensorType::kQ1_0,    TensorType::kQ2_0};
  // Of SmolLM2-135M (attention output, MLP down, vocabulary) and of an 8B model (MLP up). Blocks of
  // 256 do not divide 576 columns; such types are measured at 512.
  constexpr Shape kShapes[] = {{576, 1536}, {1536, 576}, {576, 49152}, {4096, 14336}};
  for (const Shape& shape : kShapes) {
    for (const std::int64_t rows : {1, 8, 512}) {
      if (rows > 8 && shape.out == 49152) continue;
      for (const int outliers : {0, 2, 5}) {
        const std::string name = "ondine/I8/" + std::to_string(shape.out) + "x" +
                                 std::to_string(shape.in) + "/n:" + std::to_string(rows) +
                                 "/outliers:" + std::to_string(outliers);
        benchmark::RegisterBenchmark(name.c_str(), OndineInt8, shape, rows, outliers)
            ->UseRealTime();
      }
    }
  }
  for (TensorType type : kTypes) {
    const formats::TensorTypeInfo info = formats::Describe(type);
    if (info.block_size == 32) {
      for (std::int64_t rows : {1, 512}) {
        const std::string name =
            "ondine/" + std::string(info.name) + "/SmolLM2-135M/n:" + std::to_string(rows);
        benchmark::RegisterBenchmark(name.c_str(), OndinePass, type, rows)->UseRealTime();
      }
    }
    for (Shape shape : kShapes) {
      shape.in = shape.in / info.block_size * info.block_size;
      for (std::int64_t rows : {1, 2, 4, 8, 32, 512}) {
        if (rows > 32 && shape.out == 49152) continue;
        const std::string name = std::string(info.name) + "/" + std::to_string(shape.out) + "x" +
                                 std::to_string(shape.in) + "/n:" + std::to_string(rows);
        benchmark::RegisterBenchmark(("ondine/" + name).c_str(), Ondine, type, shape, rows)
            ->UseRealTime();
        benchmark::RegisterBenchmark(("ggml/" + name).c_str(), Ggml, type, shape, rows)
            ->UseRealTime();
      }
    }
  }
}

[[maybe_unused]] const bool kRegistered = (Register(), true);

}  // namespace
}  // namespace ondine::compute
