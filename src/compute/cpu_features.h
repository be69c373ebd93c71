// What the processor under us can run.
#ifndef ONDINE_SRC_COMPUTE_CPU_FEATURES_H_
#define ONDINE_SRC_COMPUTE_CPU_FEATURES_H_

namespace ondine::compute {

// AVX2 and FMA, as in every x86 core since 2015.
inline bool HasAvx2() {
#if defined(__x86_64__)
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#else
  return false;
#endif
}

// AVX-512 F, BW, DQ and VL, as in every server core since Skylake.
inline bool HasAvx512() {
#if defined(__x86_64__)
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
#else
  return false;
#endif
}

// Also the 8-bit dot products (VNNI) of Cascade Lake, Ice Lake, Zen 4 and later.
inline bool HasAvx512Vnni() {
#if defined(__x86_64__)
  return HasAvx512() && __builtin_cpu_supports("avx512vnni");
#else
  return false;
#endif
}

// Also dot products of BF16 pairs, of Cooper Lake, Zen 4, Sapphire Rapids and later.
inline bool HasAvx512BFloat16() {
#if defined(__x86_64__)
  return HasAvx512() && __builtin_cpu_supports("avx512bf16");
#else
  return false;
#endif
}

// Also products of tiles of bytes (AMX), of Sapphire Rapids and later. Asks the kernel for leave to
// use tiles, which this process then has.
bool HasAmxInt8();
// The same of BF16, and the vector instructions that round to it.
bool HasAmxBFloat16();

}  // namespace ondine::compute

#endif  // ONDINE_SRC_COMPUTE_CPU_FEATURES_H_
