#include "compute/cpu_features.h"

#include <cstdint>

#if defined(__x86_64__) && defined(__linux__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace ondine::compute {
namespace {

#if defined(__x86_64__) && defined(__linux__)
constexpr unsigned kAmxBFloat16 = 1u << 22, kAmxTile = 1u << 24, kAmxInt8 = 1u << 25;

// What the processor's leaf 7 says of AMX; 0 where Linux does not let this process use tiles.
unsigned AmxFeatures() {
  static const unsigned features = [] {
    unsigned a = 0, b = 0, c = 0, d = 0;
    if (__get_cpuid_count(7, 0, &a, &b, &c, &d) == 0 || (d & kAmxTile) == 0) return 0u;
    // A thread's tiles are 8 kB, which Linux keeps for those alone that ask for them.
    constexpr std::uint64_t kRequestPermission = 0x1023, kTileData = 18;
    return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0 ? d : 0u;
  }();
  return features;
}
#else
constexpr unsigned kAmxBFloat16 = 1, kAmxInt8 = 1;
unsigned AmxFeatures() {
  return 0;
}
#endif

}  // namespace

bool HasAmxInt8() {
  return HasAvx512Vnni() && (AmxFeatures() & kAmxInt8) != 0;
}

bool HasAmxBFloat16() {
  return HasAvx512BFloat16() && (AmxFeatures() & kAmxBFloat16) != 0;
}

}  // namespace ondine::compute
