#include "train/fused_codes.h"

#include <ATen/Parallel.h>
#include <torch/autograd.h>

#include <algorithm>
#include <array>
#include <cmath>

namespace ondine::train {
namespace {

using torch::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::Function;
using torch::autograd::variable_list;

constexpr std::int64_t kLanes = 16;  // sums side by side, so that the compiler uses vectors

// To the nearest whole number, halves to even, for |x| < 2^22.
float Rounded(float x) {
  constexpr float kShift = 1.5f * (1 << 23);  // leaves no bits for a fraction
  return (x + kShift) - kShift;
}

// Values of a matrix [...][width], row by row.
struct Rows {
  explicit Rows(const Tensor& tensor)
      : width(tensor.size(-1)), count(width == 0 ? 0 : tensor.numel() / width) {}

  template <typename F>  // f(row)
  void ForEach(F f) const {
    const std::int64_t grain =
        std::max<std::int64_t>(1, (1 << 15) / std::max<std::int64_t>(1, width));
    at::parallel_for(0, count, grain, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t row = begin; row < end; ++row) f(row);
    });
  }

  std::int64_t width, count;
};

template <typename F>  // float f(i)
double SumOf(std::int64_t count, F f) {
  std::array<float, kLanes> sums = {};
  std::int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    for (std::int64_t lane = 0; lane < kLanes; ++lane) {
      sums[static_cast<std::size_t>(lane)] += f(i + lane);
    }
  }
  double sum = 0;
  for (const float of_lane : sums) sum += of_lane;
  for (; i < count; ++i) sum += f(i);
  return sum;
}

struct Code {
  float reciprocal, low, high;  // of the scale; of the steps

  Code(const Tensor& scale, const Tensor& zero, double largest)
      : reciprocal(1 / scale.item<float>()),
        low(-zero.item<float>()),
        high(static_cast<float>(largest) - zero.item<float>()) {}
};

class Steps : public Function<Steps> {
 public:
  static Tensor forward(AutogradContext* context, const Tensor& any_x, const Tensor& scale,
                        const Tensor& zero, double largest, bool keeps_outliers) {
    const Tensor x = any_x.contiguous();
    context->save_for_backward({x, scale, zero});
    context->saved_data["largest"] = largest;
    context->saved_data["keeps_outliers"] = keeps_outliers;
    const Code code(scale, zero, largest);
    Tensor steps = torch::empty_like(x);
    const Rows rows(x);
    const float* const from = x.data_ptr<float>();
    float* const to = steps.data_ptr<float>();
    rows.ForEach([&](std::int64_t row) {
      for (std::int64_t i = row * rows.width; i < (row + 1) * rows.width; ++i) {
        const float exact = from[i] * code.reciprocal;
        const float held = std::min(std::max(exact, code.low), code.high);
        to[i] = keeps_outliers && exact != held ? exact : Rounded(held);
      }
    });
    return steps;
  }

  static variable_list backward(AutogradContext* context, const variable_list& of_steps) {
    const variable_list saved = context->get_saved_variables();
    const Tensor &x = saved[0], &scale = saved[1], &zero = saved[2];
    const bool keeps_outliers = context->saved_data["keeps_outliers"].toBool();
    const Code code(scale, zero, context->saved_data["largest"].toDouble());
    const Tensor gradient = of_steps[0].contiguous();
    Tensor of_x = torch::empty_like(x);
    const Rows rows(x);
    // Of the scale and of the zero, row by row, so that threads change no sum.
    Tensor sums = torch::zeros({2, rows.count}, torch::kDouble);
    const float *const values = x.data_ptr<float>(), *const from = gradient.data_ptr<float>();
    float* const to = of_x.data_ptr<float>();
    double* const of_row = sums.data_ptr<double>();
    rows.ForEach([&](std::int64_t row) {
      const float *const v = values + row * rows.width, *const g = from + row * rows.width;
      float* const out = to + row * rows.width;
      const auto inside = [&](std::int64_t i) {
        const float exact = v[i] * code.reciprocal;
        return keeps_outliers || (exact >= code.low && exact <= code.high);
      };
      for (std::int64_t i = 0; i < rows.width; ++i) {
        out[i] = inside(i) ? g[i] * code.reciprocal : 0;
      }
      of_row[row] =
          -code.reciprocal * SumOf(rows.width, [&](std::int64_t i) { return out[i] * v[i]; });
      of_row[rows.count + row] =
          -SumOf(rows.width, [&](std::int64_t i) { return inside(i) ? 0 : g[i]; });
    });
    sums = sums.sum(1).to(torch::kFloat);
    return {of_x, sums[0].view_as(scale), sums[1].view_as(zero), {}, {}};
  }
};

// What a row's, or the matrix's, scale divides by; 1 for one that is 0 throughout.
float Divisor(float scale) {
  return scale > 0 ? scale : 1;
}

class WeightSteps : public Function<WeightSteps> {
 public:
  static variable_list forward(AutogradContext* context, const Tensor& any_weights, double largest,
                               bool per_channel) {
    const Tensor weights = any_weights.contiguous();
    const Rows rows(weights);
    const float* const from = weights.data_ptr<float>();
    Tensor limit = torch::empty({rows.count, 1});
    float* const limits = limit.data_ptr<float>();
    rows.ForEach([&](std::int64_t row) {
      const float* const w = from + row * rows.width;
      std::array<float, kLanes> highest = {};
      std::int64_t i = 0;
      for (; i + kLanes <= rows.width; i += kLanes) {
        for (std::int64_t lane = 0; lane < kLanes; ++lane) {
          float& high = highest[static_cast<std::size_t>(lane)];
          high = std::max(high, std::abs(w[i + lane]));
        }
      }
      float high = *std::max_element(highest.begin(), highest.end());
      for (; i < rows.width; ++i) high = std::max(high, std::abs(w[i]));
      limits[row] = high;
    });
    if (!per_channel) limit = limit.max();
    const Tensor scale = limit / largest;
    Tensor steps = torch::empty_like(weights);
    float* const to = steps.data_ptr<float>();
    const float* const divisors = scale.data_ptr<float>();
    const auto most = static_cast<float>(largest);
    rows.ForEach([&](std::int64_t row) {
      const float divisor = Divisor(divisors[per_channel ? row : 0]);
      for (std::int64_t i = row * rows.width; i < (row + 1) * rows.width; ++i) {
        to[i] = Rounded(std::min(std::max(from[i] / divisor, -most), most));
      }
    });
    context->save_for_backward({weights, scale, limit});
    context->saved_data["largest"] = largest;
    context->saved_data["per_channel"] = per_channel;
    return {steps, scale};
  }

  // A scale is the largest magnitude over `largest`; weights that share it share its gradient.
  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const variable_list saved = context->get_saved_variables();
    const Tensor &weights = saved[0], &scale = saved[1], &limit = saved[2];
    const double largest = context->saved_data["largest"].toDouble();
    const bool per_channel = context->saved_data["per_channel"].toBool();
    const Tensor of_steps = gradients[0].contiguous();
    const Rows rows(weights);
    const float *const values = weights.data_ptr<float>(), *const from = of_steps.data_ptr<float>();
    const float *const scales = scale.data_ptr<float>(), *const limits = limit.data_ptr<float>();
    const auto shared = [&](std::int64_t row) { return per_channel ? row : 0; };

    Tensor sums = torch::zeros({2, rows.count}, torch::kDouble);  // of g w, and of limits
    double* const of_row = sums.data_ptr<double>();
    rows.ForEach([&](std::int64_t row) {
      const float *const w = values + row * rows.width, *const g = from + row * rows.width;
      const float most = limits[shared(row)];
      of_row[row] = SumOf(rows.width, [&](std::int64_t i) { return g[i] * w[i]; });
      of_row[rows.count + row] =
          SumOf(rows.width, [&](std::int64_t i) { return std::abs(w[i]) == most ? 1.f : 0.f; });
    });
    if (!per_channel) sums = sums.sum(1, true);
    // The gradient of the scale as of a divisor, and that of the scale as it is returned.
    const Tensor scales64 = scale.flatten().to(torch::kDouble);
    Tensor of_scale = torch::where(scales64 > 0, -sums[0] / scales64.square(), 0.0);
    if (gradients[1].defined()) of_scale = of_scale + gradients[1].flatten().to(torch::kDouble);
    const Tensor of_limit = (of_scale / largest / sums[1]).to(torch::kFloat).contiguous();

    Tensor of_weights = torch::empty_like(weights);
    float* const to = of_weights.data_ptr<float>();
    const float* const shares = of_limit.data_ptr<float>();
    rows.ForEach([&](std::int64_t row) {
      const float divisor = Divisor(scales[shared(row)]), most = limits[shared(row)];
      const float share = most > 0 ? shares[shared(row)] : 0;
      for (std::int64_t i = row * rows.width; i < (row + 1) * rows.width; ++i) {
        const float w = values[i];
        to[i] = from[i] / divisor + (w == most ? share : w == -most ? -share : 0);
      }
    });
    return {of_weights, {}, {}};
  }
};

}  // namespace

Tensor FusedSteps(const Tensor& x, const Tensor& scale, const Tensor& zero, double largest,
                  bool keeps_outliers) {
  return Steps::apply(x, scale, zero, largest, keeps_outliers);
}

std::pair<Tensor, Tensor> FusedWeightSteps(const Tensor& weights, double largest,
                                           bool per_channel) {
  const variable_list result = WeightSteps::apply(weights, largest, per_channel);
  return {result[0], result[1]};
}

}  // namespace ondine::train
