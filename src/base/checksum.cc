#include "base/checksum.h"

#include <cstdio>

#define XXH_INLINE_ALL  // no library to link, also for whoever links Ondine
#include <xxhash.h>

namespace ondine::base {

std::uint64_t Hash64(std::span<const std::byte> bytes) {
  return XXH3_64bits(bytes.data(), bytes.size());
}

struct Checksum::State {
  XXH3_state_t xxh;
};

Checksum::Checksum() : state_(std::make_unique<State>()) {
  XXH3_64bits_reset(&state_->xxh);
}

Checksum::~Checksum() = default;

void Checksum::Update(std::span<const std::byte> bytes) {
  XXH3_64bits_update(&state_->xxh, bytes.data(), bytes.size());
}

std::uint64_t Checksum::Value() const {
  return XXH3_64bits_digest(&state_->xxh);
}

std::string Checksum::Digits() const {
  char digits[17];
  std::snprintf(digits, sizeof digits, "%016llx", static_cast<unsigned long long>(Value()));
  return digits;
}

}  // namespace ondine::base
