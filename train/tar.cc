#include "train/tar.h"

#include <algorithm>
#include <cstdint>
#include <string_view>

#include "base/quote.h"
#include "base/try.h"

namespace ondine::train {
namespace {

constexpr std::size_t kBlock = 512;  // headers and contents fill whole ones

// Where a header's fields are.
constexpr std::size_t kName = 0, kNameLength = 100, kSize = 124, kSizeLength = 12;
constexpr std::size_t kSum = 148, kSumLength = 8, kKind = 156, kMagic = 257, kPrefix = 345;
constexpr std::size_t kPrefixLength = 155;

// Up to its first zero.
std::string_view Text(std::string_view header, std::size_t at, std::size_t length) {
  const std::string_view field = header.substr(at, length);
  return field.substr(0, field.find('\0'));
}

// Octal digits, which blanks may surround; -1 where it is no such number.
std::int64_t Number(std::string_view header, std::size_t at, std::size_t length) {
  std::string_view field = Text(header, at, length);
  while (field.starts_with(' ')) field.remove_prefix(1);
  while (field.ends_with(' ')) field.remove_suffix(1);
  if (field.empty()) return -1;
  std::int64_t value = 0;
  for (const char c : field) {
    if (c < '0' || c > '7') return -1;
    value = value * 8 + (c - '0');
  }
  return value;
}

// Of its bytes, its own field counted as blanks.
std::int64_t Sum(std::string_view header) {
  std::int64_t sum = 0;
  for (std::size_t i = 0; i < kBlock; ++i) {
    const bool own = i >= kSum && i < kSum + kSumLength;
    sum += own ? ' ' : static_cast<unsigned char>(header[i]);
  }
  return sum;
}

}  // namespace

Result<std::vector<TarMember>> ReadTar(std::span<const std::byte> archive,
                                       const std::string& path) {
  std::vector<TarMember> members;
  std::size_t at = 0;
  const auto corrupt = [&](const std::string& what) {
    return MakeError(ErrorCode::kCorrupt, what + " at byte " + std::to_string(at), path);
  };
  while (at < archive.size()) {
    if (archive.size() - at < kBlock) return corrupt("is cut off");
    const std::string_view header(reinterpret_cast<const char*>(archive.data()) + at, kBlock);
    // Blocks of zeros end the archive.
    if (std::ranges::all_of(header, [](char c) { return c == '\0'; })) return members;
    if (!header.substr(kMagic).starts_with("ustar") ||
        Number(header, kSum, kSumLength) != Sum(header)) {
      return corrupt("has no header of a USTAR archive");
    }
    std::string name(Text(header, kName, kNameLength));
    const std::string_view prefix = Text(header, kPrefix, kPrefixLength);
    if (!prefix.empty()) name = std::string(prefix) + "/" + name;
    if (header[kKind] != '0' && header[kKind] != '\0') {
      return MakeError(ErrorCode::kUnsupported,
                       "holds " + base::Quote(name) + ", which is no regular file", path);
    }
    const std::int64_t size = Number(header, kSize, kSizeLength);
    const std::size_t left = archive.size() - at - kBlock;
    if (size < 0 || static_cast<std::uint64_t>(size) > left) {
      return corrupt("holds " + base::Quote(name) + ", whose size makes no sense,");
    }
    const auto length = static_cast<std::size_t>(size);
    members.push_back({std::move(name), archive.subspan(at + kBlock, length)});
    const std::size_t padded = (length + kBlock - 1) / kBlock * kBlock;
    at += kBlock + std::min(padded, left);
  }
  return members;
}

}  // namespace ondine::train
