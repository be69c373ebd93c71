// Writes the tiny models as files, for other programs to run: write_tiny_models FOLDER
#include <cstdio>
#include <string>

#include "models/golden_cases.h"

int main(int argc, char** argv) {
  using namespace ondine;
  if (argc != 2) {
    std::fprintf(stderr, "usage: write_tiny_models FOLDER\n");
    return 2;
  }
  for (const testing::GoldenCase& c : testing::GoldenCases()) {
    const Status written =
        testing::WriteTinyModel(c.model, std::string(argv[1]) + "/" + c.name + ".gguf");
    if (written) continue;
    std::fprintf(stderr, "write_tiny_models: %s\n", written.error().ToString().c_str());
    return 1;
  }
  return 0;
}
