// What a fuzz target defines: libFuzzer's entry point and the inputs to begin with.
#ifndef ONDINE_TESTS_FUZZ_FUZZER_H_
#define ONDINE_TESTS_FUZZ_FUZZER_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace ondine::testing {

// Valid inputs, which fuzzing then damages. They are made anew at every run: a format that changes
// needs no new binary files.
std::vector<std::string> FuzzSeeds();

}  // namespace ondine::testing

#endif  // ONDINE_TESTS_FUZZ_FUZZER_H_
