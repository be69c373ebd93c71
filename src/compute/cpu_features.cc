#include "compute/cpu_features.h"

#include <array>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#if defined(__x86_64__)
#include <cpuid.h>
#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif
#endif

namespace ondine::compute {
namespace {

enum Level { kNone, kAvx2, kAvxVnni, kAvx512, kAmx };

Level Allowed() {
  static const Level allowed = [] {
    constexpr std::array<std::string_view, kAmx + 1> kNames = {"none", "avx2", "avx_vnni", "avx512",
                                                               "amx"};
    const char* variable = std::getenv("ONDINE_CPU");
    if (variable == nullptr) return kAmx;
    for (int level = kNone; level <= kAmx; ++level) {
      if (variable == kNames[static_cast<std::size_t>(level)]) return static_cast<Level>(level);
    }
    return kNone;
  }();
  return allowed;
}

struct Features {
  bool avx2 = false, avx_vnni = false;
  bool avx512 = false, avx512_vnni = false, avx512_bfloat16 = false;
  bool amx_int8 = false, amx_bfloat16 = false;
};

#if defined(__x86_64__)
// Whether Linux lets this process use tiles: 8 kB a thread, kept for those alone that ask for them.
bool MayUseTiles() {
#if defined(__linux__)
  constexpr std::uint64_t kRequestPermission = 0x1023, kTileData = 18;
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
#else
  return false;
#endif
}

Features Find() {
  Features found;
  unsigned a = 0, b = 0, c = 0, d = 0;
  if (Allowed() >= kAvx2) {
    found.avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
                 __get_cpuid(1, &a, &b, &c, &d) != 0 && (c & bit_F16C) != 0;
  }
  if (found.avx2 && Allowed() >= kAvxVnni) {
    constexpr unsigned kAvxVnniBit = 1u << 4;
    const bool has_subleaf = __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && a >= 1;
    found.avx_vnni =
        has_subleaf && __get_cpuid_count(7, 1, &a, &b, &c, &d) != 0 && (a & kAvxVnniBit) != 0;
  }
  if (found.avx2 && Allowed() >= kAvx512) {
    found.avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                   __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
    found.avx512_vnni = found.avx512 && __builtin_cpu_supports("avx512vnni");
    found.avx512_bfloat16 = found.avx512 && __builtin_cpu_supports("avx512bf16");
  }
  if (found.avx512_vnni && Allowed() >= kAmx) {
    constexpr unsigned kBFloat16Bit = 1u << 22, kTileBit = 1u << 24, kInt8Bit = 1u << 25;
    const bool tiles =
        __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (d & kTileBit) != 0 && MayUseTiles();
    found.amx_int8 = tiles && (d & kInt8Bit) != 0;
    found.amx_bfloat16 = tiles && found.avx512_bfloat16 && (d & kBFloat16Bit) != 0;
  }
  return found;
}
#else
Features Find() {
  return {};
}
#endif

const Features& Cpu() {
  static const Features features = Find();
  return features;
}

}  // namespace

bool HasAvx2() {
  return Cpu().avx2;
}
bool HasAvxVnni() {
  return Cpu().avx_vnni;
}
bool HasAvx512() {
  return Cpu().avx512;
}
bool HasAvx512Vnni() {
  return Cpu().avx512_vnni;
}
bool HasAvx512BFloat16() {
  return Cpu().avx512_bfloat16;
}
bool HasAmxInt8() {
  return Cpu().amx_int8;
}
bool HasAmxBFloat16() {
  return Cpu().amx_bfloat16;
}

}  // namespace ondine::compute
