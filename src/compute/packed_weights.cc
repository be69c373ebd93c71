#include "compute/packed_weights.h"

#include <ggml.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <cmath>
#include <cstring>

#include "compute/atomic_min.h"
#include "compute/weight_memory.h"

namespace ondine::compute {
namespace {

// Scales beyond this are no weights of anybody, and their products could leave the range of floats.
constexpr float kLargestScale = 0x1p60f;

float ToFloat(ScaleKind kind, std::uint16_t bits) {
  if (kind == ScaleKind::kBFloat16) return std::bit_cast<float>(std::uint32_t{bits} << 16);
  return ggml_fp16_to_fp32(bits);
}

bool Usable(ScaleKind kind, const StoredBlock& block) {
  const auto usable = [kind](std::uint16_t bits) {
    return std::fabs(ToFloat(kind, bits)) <= kLargestScale;  // false for NaN
  };
  const bool second = ScalesPerBlock(kind) == 2 && !IsSuper(kind);
  return usable(block.scale[0]) && (!second || usable(block.scale[1])) &&
         (!HasMin(kind) || usable(block.min[0]));
}

void PutHalf(std::uint8_t* at, std::int64_t lane, std::uint16_t bits) {
  std::memcpy(at + lane * 2, &bits, 2);
}

std::uint16_t GetHalf(const std::uint8_t* at, std::int64_t lane) {
  std::uint16_t bits;
  std::memcpy(&bits, at + lane * 2, 2);
  return bits;
}

float GetByte(const std::uint8_t* at, std::int64_t lane) {
  return static_cast<float>(std::bit_cast<std::int8_t>(at[lane]));
}

constexpr std::int64_t kHalves = kPanelRows * 2;  // bytes of 16 16-bit floats

}  // namespace

PackedWeights::PackedWeights(formats::TensorType type, const PackedFormat& format, std::int64_t in,
                             std::int64_t out)
    : type_(type), format_(format), out_(out), blocks_(in / PackedFormat::kBlock) {
  const std::int64_t scale_groups =
      IsSuper(format.scales) ? blocks_ / PackedFormat::kBlocksPerSuper : blocks_;
  scale_bytes_ = scale_groups * ScaleBytes(format.scales);
  scale_bytes_ = (scale_bytes_ + kVectorBytes - 1) / kVectorBytes * kVectorBytes;
  panel_bytes_ = scale_bytes_ + blocks_ * CodeVectors(format.codes) * kVectorBytes;
  std::shared_ptr<std::byte> memory = AllocateWeights(bytes());
  data_ = {memory, reinterpret_cast<std::uint8_t*>(memory.get())};
}

void PackedWeights::PackBlock(const StoredBlock (&rows)[kPanelRows], std::uint8_t* panel,
                              std::int64_t block) const {
  const CodeKind codes = format_.codes;
  const ScaleKind scales = format_.scales;
  std::uint8_t* vectors = panel + scale_bytes_ + block * CodeVectors(codes) * kVectorBytes;
  std::memset(vectors, 0, static_cast<std::size_t>(CodeVectors(codes) * kVectorBytes));
  for (std::int64_t row = 0; row < kPanelRows; ++row) {
    for (std::int64_t column = 0; column < PackedFormat::kBlock; ++column) {
      const std::int64_t group = column / 4, at = row * 4 + column % 4;
      const int code = rows[row].codes[column];
      const auto put = [&](std::int64_t vector, std::int64_t shift, int bits) {
        vectors[vector * kVectorBytes + at] |= static_cast<std::uint8_t>(bits << shift);
      };
      const auto put_pair = [&](std::int64_t first_vector, int bits) {
        put(first_vector + group / 4, 2 * (group % 4), bits);
      };
      switch (codes) {
        case CodeKind::k3: put(2, group, code >> 2); [[fallthrough]];
        case CodeKind::k2: put_pair(0, code & 3); break;
        case CodeKind::k5: put(4, group, code >> 4); break;
        case CodeKind::k6: put_pair(4, code >> 4); break;
        case CodeKind::k8: put(group, 0, code); break;
        case CodeKind::k4:
        case CodeKind::k4Table: break;
      }
      if (CodeVectors(codes) >= 4 && codes != CodeKind::k8) {
        put(group % 4, group / 4 * 4, code & 15);
      }
    }
  }

  const int per_block = ScalesPerBlock(scales), mins = HasMin(scales) ? per_block : 0;
  if (!IsSuper(scales)) {
    std::uint8_t* at = panel + block * ScaleBytes(scales);
    for (std::int64_t row = 0; row < kPanelRows; ++row) {
      for (int i = 0; i < per_block; ++i) PutHalf(at + i * kHalves, row, rows[row].scale[i]);
      if (mins > 0) PutHalf(at + kHalves, row, rows[row].min[0]);
    }
    return;
  }
  std::uint8_t* at = panel + block / PackedFormat::kBlocksPerSuper * ScaleBytes(scales);
  std::uint8_t* sub = at + (1 + (mins > 0)) * kHalves +
                      block % PackedFormat::kBlocksPerSuper * (per_block + mins) * kPanelRows;
  for (std::int64_t row = 0; row < kPanelRows; ++row) {
    PutHalf(at, row, rows[row].scale[0]);
    if (mins > 0) PutHalf(at + kHalves, row, rows[row].min[0]);
    for (int i = 0; i < per_block; ++i) {
      sub[i * kPanelRows + row] = std::bit_cast<std::uint8_t>(rows[row].sub_scale[i]);
    }
    for (int i = 0; i < mins; ++i) {
      sub[(per_block + i) * kPanelRows + row] = std::bit_cast<std::uint8_t>(rows[row].sub_min[i]);
    }
  }
}

std::int64_t PackedWeights::Pack(std::span<const std::byte> data, ThreadPool& pool) {
  const std::int64_t row_bytes = static_cast<std::int64_t>(data.size()) / out_;
  const formats::TensorTypeInfo stored = formats::Describe(type_);
  const std::int64_t parts = stored.block_size / PackedFormat::kBlock;
  std::atomic<std::int64_t> bad_row{out_};
  pool.Run([&](Worker& worker) {
    const Worker::Range share = worker.Share(panels());
    StoredBlock blocks[PackedFormat::kBlocksPerSuper][kPanelRows];
    StoredBlock of_row[PackedFormat::kBlocksPerSuper];
    for (std::int64_t panel = share.begin; panel < share.end; ++panel) {
      for (std::int64_t block = 0; block < blocks_; block += parts) {
        for (std::int64_t i = 0; i < kPanelRows; ++i) {
          const std::int64_t row = panel * kPanelRows + i;
          std::fill_n(of_row, parts, StoredBlock());
          if (row < out_) {
            ReadStoredBlocks(type_,
                             data.data() + row * row_bytes +
                                 block / parts * static_cast<std::int64_t>(stored.bytes_per_block),
                             of_row);
          }
          for (std::int64_t part = 0; part < parts; ++part) {
            blocks[part][i] = of_row[part];
            if (!Usable(format_.scales, of_row[part])) LowerTo(bad_row, row);
          }
        }
        for (std::int64_t part = 0; part < parts; ++part) {
          PackBlock(blocks[part], data_.get() + panel * panel_bytes_, block + part);
        }
      }
    }
  });
  return bad_row;
}

void PackedWeights::ReadCodes(std::int64_t panel, std::int64_t block,
                              std::uint8_t values[kGroups][kPanelRows][4], RowRange rows) const {
  const CodeKind codes = format_.codes;
  const std::uint8_t* vectors = Codes(panel) + block * CodeVectors(codes) * kVectorBytes;
  for (std::int64_t group = 0; group < kGroups; ++group) {
    for (std::int64_t at = 4 * rows.begin; at < 4 * rows.end; ++at) {
      const auto get = [&](std::int64_t vector, std::int64_t shift, int mask) {
        return vectors[vector * kVectorBytes + at] >> shift & mask;
      };
      const auto get_pair = [&](std::int64_t first_vector) {
        return get(first_vector + group / 4, 2 * (group % 4), 3);
      };
      const auto get_nibble = [&] { return get(group % 4, group / 4 * 4, 15); };
      int value = 0;
      switch (codes) {
        case CodeKind::k2: value = get_pair(0); break;
        case CodeKind::k3: value = get_pair(0) | get(2, group, 1) << 2; break;
        case CodeKind::k4: value = get_nibble(); break;
        case CodeKind::k4Table: value = (*format_.table)[get_nibble()]; break;
        case CodeKind::k5: value = get_nibble() | get(4, group, 1) << 4; break;
        case CodeKind::k6: value = get_nibble() | get_pair(4) << 4; break;
        case CodeKind::k8: value = get(group, 0, 255); break;
      }
      values[group][at / 4][at % 4] = static_cast<std::uint8_t>(value);
    }
  }
}

void PackedWeights::ReadScales(std::int64_t panel, std::int64_t block, BlockScales& out,
                               RowRange rows) const {
  const ScaleKind kind = format_.scales;
  const int per_block = ScalesPerBlock(kind), mins = HasMin(kind) ? per_block : 0;
  const bool super = IsSuper(kind);
  const std::uint8_t* at =
      Scales(panel) + (super ? block / PackedFormat::kBlocksPerSuper : block) * ScaleBytes(kind);
  const std::uint8_t* sub = at + (1 + (mins > 0)) * kHalves +
                            block % PackedFormat::kBlocksPerSuper * (per_block + mins) * kPanelRows;
  for (int i = 0; i < 2; ++i) {
    const int own = i < per_block ? i : 0;
    for (std::int64_t row = rows.begin; row < rows.end; ++row) {
      out.scale[i][row] = ToFloat(kind, GetHalf(at + (super ? 0 : own * kHalves), row));
      out.min[i][row] = mins > 0 ? ToFloat(kind, GetHalf(at + kHalves, row)) : 0.0f;
      if (super) {
        out.scale[i][row] *= GetByte(sub + own * kPanelRows, row);
        // Super minimums are subtracted from the weight.
        if (mins > 0) out.min[i][row] *= -GetByte(sub + (per_block + own) * kPanelRows, row);
      }
    }
  }
}

}  // namespace ondine::compute
