#include "engine/logits_file.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

#include "base/try.h"

namespace ondine::engine {
namespace {

constexpr std::string_view kMagic = "_logits_";
constexpr float kSteps = 65535;

// Scale and minimum as floats, then 16 bits a token, padded to an even number of tokens.
std::size_t RowBytes(std::int64_t vocabulary) {
  return 2 * sizeof(float) + 2 * static_cast<std::size_t>((vocabulary + 1) / 2 * 2);
}

std::array<std::int32_t, 3> Numbers(const LogitsHeader& header) {
  return {static_cast<std::int32_t>(header.context), static_cast<std::int32_t>(header.vocabulary),
          static_cast<std::int32_t>(header.chunks)};
}

}  // namespace

Status LogitsWriter::WriteHeader(base::FileSink& sink, const LogitsHeader& header,
                                 std::span<const TokenId> tokens) {
  const std::array<std::int32_t, 3> numbers = Numbers(header);
  ONDINE_TRY(sink.Write(std::as_bytes(std::span(kMagic))));
  ONDINE_TRY(sink.Write(std::as_bytes(std::span(numbers))));
  return sink.Write(std::as_bytes(tokens));
}

Status LogitsWriter::WriteRow(base::FileSink& sink, std::span<const float> logits, float log_sum) {
  row_.assign(RowBytes(static_cast<std::int64_t>(logits.size())), std::byte{0});
  const auto [lowest, highest] = std::minmax_element(logits.begin(), logits.end());
  const float top = *highest - log_sum;
  const float minimum = std::max(*lowest - log_sum, static_cast<float>(kLogProbabilityFloor));
  const float scale = (top - minimum) / kSteps;
  std::memcpy(row_.data(), &scale, sizeof scale);
  std::memcpy(row_.data() + sizeof scale, &minimum, sizeof minimum);
  std::byte* out = row_.data() + 2 * sizeof(float);
  for (float logit : logits) {
    const float steps = scale > 0 ? (logit - log_sum - minimum) / scale : 0;
    const auto value = static_cast<std::uint16_t>(std::lround(std::clamp(steps, 0.0f, kSteps)));
    std::memcpy(out, &value, sizeof value);
    out += sizeof value;
  }
  return sink.Write(row_);
}

Result<LogitsReader> LogitsReader::Open(const std::string& path, const LogitsHeader& header,
                                        std::span<const TokenId> tokens) {
  ONDINE_ASSIGN(base::MappedFile file, base::MappedFile::Open(path));
  ONDINE_ASSIGN(LogitsReader reader, Parse(file.bytes(), path, header, tokens));
  reader.file_ = std::move(file);
  return reader;
}

Result<LogitsReader> LogitsReader::Parse(std::span<const std::byte> bytes, const std::string& path,
                                         const LogitsHeader& header,
                                         std::span<const TokenId> tokens) {
  const std::array<std::int32_t, 3> wanted = Numbers(header);
  std::array<std::int32_t, 3> found = {};
  const std::size_t tokens_at = kMagic.size() + sizeof found;
  const std::size_t rows_at = tokens_at + tokens.size_bytes();
  if (bytes.size() < rows_at || std::memcmp(bytes.data(), kMagic.data(), kMagic.size()) != 0) {
    return MakeError(ErrorCode::kCorrupt, "is no file of logits, or is cut off", path);
  }
  std::memcpy(found.data(), bytes.data() + kMagic.size(), sizeof found);
  if (found != wanted) {
    return MakeError(ErrorCode::kMismatch,
                     "was made with context " + std::to_string(found[0]) + ", vocabulary " +
                         std::to_string(found[1]) + " and " + std::to_string(found[2]) +
                         " chunks; this run has " + std::to_string(wanted[0]) + ", " +
                         std::to_string(wanted[1]) + " and " + std::to_string(wanted[2]),
                     path);
  }
  if (std::memcmp(bytes.data() + tokens_at, tokens.data(), tokens.size_bytes()) != 0) {
    return MakeError(ErrorCode::kMismatch, "was made from another text or tokenizer", path);
  }
  return LogitsReader(bytes, path, header.vocabulary, rows_at);
}

Result<std::span<const float>> LogitsReader::Next() {
  const std::size_t length = RowBytes(static_cast<std::int64_t>(row_.size()));
  if (bytes_.size() - offset_ < length) {
    return MakeError(ErrorCode::kCorrupt, "the file of logits is cut off", path_);
  }
  const std::span<const std::byte> bytes = bytes_.subspan(offset_, length);
  float scale = 0, minimum = 0;
  std::memcpy(&scale, bytes.data(), sizeof scale);
  std::memcpy(&minimum, bytes.data() + sizeof scale, sizeof minimum);
  if (!std::isfinite(scale) || !std::isfinite(minimum)) {
    return MakeError(ErrorCode::kCorrupt, "holds a row that is no numbers", path_);
  }
  const std::byte* in = bytes.data() + 2 * sizeof(float);
  for (float& value : row_) {
    std::uint16_t steps = 0;
    std::memcpy(&steps, in, sizeof steps);
    in += sizeof steps;
    value = minimum + scale * static_cast<float>(steps);
  }
  offset_ += length;
  file_.Release(bytes);
  return std::span<const float>(row_);
}

}  // namespace ondine::engine
