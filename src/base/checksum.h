// A 64-bit hash (XXH3) of content: finds damage and tells models apart. Not cryptographic: whoever
// wants to forge a file can.
#ifndef ONDINE_SRC_BASE_CHECKSUM_H_
#define ONDINE_SRC_BASE_CHECKSUM_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

namespace ondine::base {

// The same on every machine, and the same as a Checksum fed in pieces.
std::uint64_t Hash64(std::span<const std::byte> bytes);

// Hash64 of bytes that arrive in pieces.
class Checksum {
 public:
  Checksum();
  ~Checksum();
  void Update(std::span<const std::byte> bytes);
  std::uint64_t Value() const;  // of what has arrived so far
  std::string Digits() const;   // the value as 16 hexadecimal digits

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace ondine::base

#endif  // ONDINE_SRC_BASE_CHECKSUM_H_
