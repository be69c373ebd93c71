// oneDNN's products of 8-bit integers, for the shapes of linear_bench.cc: what compute/int8 is
// measured against. Built where oneDNN is there (Debian: libdnnl-dev).
//
//   OMP_NUM_THREADS=2 build/bin/onednn_bench
#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <dnnl.hpp>
#include <string>
#include <vector>

namespace {

using dnnl::memory;

// y [rows][out] in floats, of x [rows][in] in unsigned codes with one scale and zero point, and
// weights with a scale for each output, in the order that oneDNN likes best.
void Product(benchmark::State& state, memory::dim in, memory::dim out, memory::dim rows) {
  const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  dnnl::stream stream(engine);
  const memory::desc x({rows, in}, memory::data_type::u8, memory::format_tag::ab);
  const memory::desc any({in, out}, memory::data_type::s8, memory::format_tag::any);
  const memory::desc y({rows, out}, memory::data_type::f32, memory::format_tag::ab);
  dnnl::primitive_attr settings;
  settings.set_output_scales(1 << 1, std::vector<float>(out, 0.01f));
  settings.set_zero_points(DNNL_ARG_SRC, 0, {128});
  const dnnl::matmul::primitive_desc product({x, any, y}, settings, engine);
  const dnnl::matmul multiply(product);
  memory weights(product.weights_desc(), engine), values(x, engine), outputs(y, engine);
  std::fill_n(static_cast<char*>(weights.get_data_handle()), product.weights_desc().get_size(), 3);
  std::fill_n(static_cast<char*>(values.get_data_handle()), rows * in, 101);
  double best = 1e9;
  for (auto _ : state) {
    const auto start = std::chrono::steady_clock::now();
    multiply.execute(
        stream, {{DNNL_ARG_SRC, values}, {DNNL_ARG_WEIGHTS, weights}, {DNNL_ARG_DST, outputs}});
    stream.wait();
    const std::chrono::duration<double> time = std::chrono::steady_clock::now() - start;
    best = std::min(best, time.count());
  }
  state.counters["best_us"] = best * 1e6;
  state.counters["GOPS"] = 2e-9 * static_cast<double>(in * out * rows) / best;
  state.counters["GB/s"] = 1e-9 * static_cast<double>(in * out) / best;
}

void Register() {
  constexpr memory::dim kShapes[][2] = {{576, 1536}, {1536, 576}, {576, 49152}, {4096, 14336}};
  for (const auto& [in, out] : kShapes) {
    for (const memory::dim rows : {1, 8, 512}) {
      if (rows > 8 && out == 49152) continue;
      const std::string name = "oneDNN/I8/" + std::to_string(out) + "x" + std::to_string(in) +
                               "/n:" + std::to_string(rows);
      benchmark::RegisterBenchmark(name.c_str(), [=](benchmark::State& state) {
        Product(state, in, out, rows);
      })->UseRealTime();
    }
  }
}

[[maybe_unused]] const bool kRegistered = (Register(), true);

}  // namespace
