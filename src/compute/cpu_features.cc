#include "compute/cpu_features.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#if defined(__x86_64__)
#include <cpuid.h>
#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif
#elif defined(__aarch64__)
#if defined(__linux__)
#include <sys/auxv.h>
#elif defined(__APPLE__)
#include <sys/sysctl.h>
#endif
#endif

namespace ondine::compute {
namespace {

#if defined(__aarch64__)
enum Level { kNone, kNeon, kNeonDot };
constexpr std::array<std::string_view, 3> kLevels = {"none", "neon", "neon_dot"};
#else
enum Level { kNone, kAvx2, kAvxVnni, kAvx512, kAmx };
constexpr std::array<std::string_view, 5> kLevels = {"none", "avx2", "avx_vnni", "avx512", "amx"};
#endif

Level Allowed() {
  static const Level allowed = [] {
    const char* variable = std::getenv("ONDINE_CPU");
    if (variable == nullptr) return static_cast<Level>(kLevels.size() - 1);
    const auto* level = std::find(kLevels.begin(), kLevels.end(), variable);
    return level == kLevels.end() ? kNone : static_cast<Level>(level - kLevels.begin());
  }();
  return allowed;
}

struct Features {
  bool avx2 = false, avx_vnni = false;
  bool avx512 = false, avx512_vnni = false, avx512_bfloat16 = false;
  bool amx_int8 = false, amx_bfloat16 = false;
  bool neon = false, neon_dot = false;
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
#elif defined(__aarch64__)
bool CpuHasDotProducts() {
#if defined(__linux__)
  return (getauxval(AT_HWCAP) & HWCAP_ASIMDDP) != 0;
#elif defined(__APPLE__)
  std::int32_t has = 0;
  std::size_t size = sizeof has;
  return sysctlbyname("hw.optional.arm.FEAT_DotProd", &has, &size, nullptr, 0) == 0 && has != 0;
#else
  return false;
#endif
}

Features Find() {
  Features found;
  found.neon = Allowed() >= kNeon;
  found.neon_dot = Allowed() >= kNeonDot && CpuHasDotProducts();
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
bool HasNeon() {
  return Cpu().neon;
}
bool HasNeonDot() {
  return Cpu().neon_dot;
}

}  // namespace ondine::compute
