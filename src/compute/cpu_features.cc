#include "compute/cpu_features.h"

#if defined(__x86_64__) && defined(__linux__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace ondine::compute {

bool HasAmxInt8() {
#if defined(__x86_64__) && defined(__linux__)
  static const bool has = [] {
    constexpr unsigned kAmxTile = 1u << 24, kAmxInt8 = 1u << 25;
    unsigned a = 0, b = 0, c = 0, d = 0;
    if (__get_cpuid_count(7, 0, &a, &b, &c, &d) == 0) return false;
    // A thread's tiles are 8 kB, which Linux keeps for those alone that ask for them.
    constexpr long kRequestPermission = 0x1023, kTileData = 18;
    return HasAvx512Vnni() && (d & kAmxTile) != 0 && (d & kAmxInt8) != 0 &&
           syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
  }();
  return has;
#else
  return false;
#endif
}

}  // namespace ondine::compute
