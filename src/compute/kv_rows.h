// How a row of keys or values (one head, one token) is stored.
//   kF16:  [dim] IEEE half
//   kQ8_0: [dim] signed bytes, then [dim / 32] half scales: x = scale * byte
//   kQ4_0: [dim / 2] nibbles, then [dim / 32] half scales: x = scale * (nibble - 8); of a block of
//          32, byte i holds element i in its low nibble and element i + 16 in its high one
// Values and rounding of a block are those of ggml's types of the same names; only scales and
// quants lie apart, so that quants can be loaded in aligned groups.
#ifndef ONDINE_SRC_COMPUTE_KV_ROWS_H_
#define ONDINE_SRC_COMPUTE_KV_ROWS_H_

#include <cstddef>
#include <cstdint>

namespace ondine::compute {

enum class KvType { kF16, kQ8_0, kQ4_0 };

inline constexpr int kKvBlock = 32;  // elements that share a scale

std::size_t KvRowBytes(KvType type, int dim);

// Values beyond the range of a half are clamped to it.
void EncodeKvRow(KvType type, const float* values, int dim, std::byte* row);
// The same, for a CPU with AVX2 or AVX-512.
void EncodeKvRowAvx2(KvType type, const float* values, int dim, std::byte* row);
void EncodeKvRowAvx512(KvType type, const float* values, int dim, std::byte* row);
void DecodeKvRow(KvType type, const std::byte* row, int dim, float* values);

}  // namespace ondine::compute

#endif  // ONDINE_SRC_COMPUTE_KV_ROWS_H_
