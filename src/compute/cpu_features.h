// What the processor under us can run. The variable ONDINE_CPU lowers it, for tests and benchmarks:
// none, avx2, avx_vnni, avx512 or amx is then the most that is used, and on Arm none, neon or
// neon_dot; any other name means none.
#ifndef ONDINE_SRC_COMPUTE_CPU_FEATURES_H_
#define ONDINE_SRC_COMPUTE_CPU_FEATURES_H_

namespace ondine::compute {

// AVX2, FMA and F16C, as in nearly every x86 core since 2015.
bool HasAvx2();

// Also the 8-bit dot products (VNNI) of such vectors, of Alder Lake, Zen 5 and later.
bool HasAvxVnni();

// AVX-512 F, BW, DQ and VL, as in every server core since Skylake.
bool HasAvx512();

// Also the 8-bit dot products (VNNI) of Cascade Lake, Ice Lake, Zen 4 and later.
bool HasAvx512Vnni();

// Also dot products of BF16 pairs, of Cooper Lake, Zen 4, Sapphire Rapids and later.
bool HasAvx512BFloat16();

// Also products of tiles of bytes (AMX), of Sapphire Rapids and later. Asks the kernel for leave to
// use tiles, which this process then has.
bool HasAmxInt8();
// The same of BF16, and the vector instructions that round to it.
bool HasAmxBFloat16();

// What every 64-bit Arm core has.
bool HasNeon();
// Also the 8-bit dot products of Cortex-A55, A75, Apple's M1 and later.
bool HasNeonDot();

}  // namespace ondine::compute

#endif  // ONDINE_SRC_COMPUTE_CPU_FEATURES_H_
