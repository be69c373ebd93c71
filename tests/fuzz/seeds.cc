// Lets every fuzz target write its seeds into the corpus it is given, before it reads that.
#include <filesystem>
#include <fstream>
#include <system_error>

#include "fuzz/fuzzer.h"

extern "C" int LLVMFuzzerInitialize(int* argc, char*** argv) {
  namespace fs = std::filesystem;
  for (int i = 1; i < *argc; ++i) {
    const fs::path folder = (*argv)[i];
    std::error_code ignored;
    if (!fs::is_directory(folder, ignored)) continue;
    int number = 0;
    for (const std::string& seed : ondine::testing::FuzzSeeds()) {
      std::ofstream(folder / ("seed-" + std::to_string(number++)), std::ios::binary) << seed;
    }
    break;  // libFuzzer too writes to the first folder only
  }
  return 0;
}
