#include "compute/short_attention.h"

#include "compute/cpu_features.h"
#include "compute/short_attention_kernels.h"
#include "compute/short_attention_loops.h"

namespace ondine::compute {
namespace {

ShortHeadKernel Choose(ShortAttentionKernel kernel) {
  if (kernel == ShortAttentionKernel::kScalar) return AttendShortHeadPlain;
#if defined(__x86_64__)
  if (HasAvx512()) return AttendShortHeadAvx512;
  if (HasAvx2()) return AttendShortHeadAvx2;
#elif defined(__aarch64__)
  if (HasNeon()) return AttendShortHeadNeon;
#endif
  return AttendShortHeadPlain;
}

}  // namespace

void AttendShortHeadPlain(const ShortHead& head) {
  AttendHead(head);
}

void AttendShort(const Worker& worker, const ShortAttentionInput& input, float* out,
                 std::int64_t out_stride, float* last_weights, ShortAttentionKernel kernel) {
  const ShortHeadKernel attend = Choose(kernel);
  const auto sequences = static_cast<std::int64_t>(input.begins.size()) - 1;
  const std::int64_t rows = input.begins.back();
  const Worker::Range share = worker.Share(sequences * input.heads);
  for (std::int64_t i = share.begin; i < share.end; ++i) {
    const auto sequence = static_cast<std::size_t>(i / input.heads);
    const std::int64_t h = i % input.heads;
    const std::int64_t first = input.begins[sequence];
    const std::int64_t offset = first * input.stride + h * input.head_dim;
    attend({input.q + offset, input.k + offset, input.v + offset, input.stride,
            input.begins[sequence + 1] - first, input.head_dim, input.scale, input.causal,
            input.bias == nullptr ? nullptr : input.bias + first, input.bias_for_last_row_only,
            out + first * out_stride + h * input.head_dim, out_stride,
            last_weights == nullptr ? nullptr : last_weights + h * rows + first});
  }
}

}  // namespace ondine::compute
