#!/usr/bin/env python3
"""Writes golden_logits.cc: llama.cpp's logits after 60 tokens of each tiny model in a folder.

  golden_logits.py FOLDER > tests/models/golden_logits.cc
"""

import os
import sys

from llama_cpp import Llama

TOKENS = [(i * 37 + 11) % 256 for i in range(60)]


def main():
    print("// Made by golden_logits.py; see golden_logits_test.cc.")
    print('#include "models/golden_logits.h"\n')
    print("namespace ondine::testing {\n")
    print("const std::map<std::string, std::vector<float>> kGoldenLogits = {")
    for name in sorted(os.listdir(sys.argv[1])):
        if not name.endswith(".gguf"):
            continue
        llama = Llama(os.path.join(sys.argv[1], name), n_ctx=64, n_batch=64, logits_all=True,
                      n_threads=2, verbose=False)
        llama.eval(TOKENS)
        values = [f"{v:.5g}f" if "." in f"{v:.5g}" or "e" in f"{v:.5g}" else f"{v:.5g}.0f"
                  for v in llama.scores[len(TOKENS) - 1]]
        print(f'    {{"{name[:-5]}",\n     {{')
        for i in range(0, len(values), 9):
            print("      " + ", ".join(values[i:i + 9]) + ",")
        print("     }},")
    print("};\n\n}  // namespace ondine::testing")


if __name__ == "__main__":
    main()
