#!/usr/bin/env python3
"""Writes tests/text/clip_vectors.h: tokens of some texts, by transformers' CLIPTokenizer (version 5).

  clip_vectors.py MERGES.txt.gz > tests/text/clip_vectors.h
"""

import gzip
import sys

from transformers import CLIPTokenizer

TEXTS = [
    "a photo of a cat", "A Photo  of\ta DOG!", "it's what they've said, I'll do; you're 'd 'M 'RE",
    "Nike Women's EM Tempo 3.5\" Pink Short", "2011 shoes, size 42-44 (red/blue)", "don't stop...now",
    "caf\u00e9 \u00fcber na\u00efve", "cafe\u0301 u\u0308ber", "\u0130stanbul I\u0307zmir \u0131\u015f\u0131k",
    "STRASSE stra\u00dfe \u1e9e", "\u03a3\u039f\u03a6\u039f\u03a3 \u03a9", "\u4e00\u53cc\u7ea2\u8272\u7684\u978b",
    "\u8d64\u3044\u9774\u306e\u5199\u771f", "\u1112\u1161\u11ab \ud55c\uae00", "\u0915\u093c\u094d\u0937 \u0939\u093f\u0928\u094d\u0926\u0940",
    "\u0645\u0631\u062d\u0628\u0627 \u0628\u0643", "\U0001f45f\U0001f3fd\u200d\u2640\ufe0f red \u2764\ufe0f!!", "\ufb01ne \uff21\uff22\uff23 \u2126 \u212b",
    "a\u00a0b\u2003c\u3000d", "snake_case CamelCase 100% #tag @user", "<end> & <b> [x] {y} ~z^",
    "x\u0327\u0301 x\u0301\u0327", "pneumonoultramicroscopicsilicovolcanoconiosis", "\u00bd \u2167 \u00b2",
]


def main():
    with gzip.open(sys.argv[1], "rt", encoding="utf-8") as file:
        merges = file.read().split("\n")[1:48895]
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    characters = [chr(b) for b in printable] + [chr(256 + i) for i in range(68)]
    tokens = characters + [c + "</w>" for c in characters]
    tokens += [merge.replace(" ", "") for merge in merges] + ["<|startoftext|>", "<|endoftext|>"]
    tokenizer = CLIPTokenizer(vocab={token: i for i, token in enumerate(tokens)},
                              merges=[tuple(merge.split(" ")) for merge in merges])
    print("""// Tokens of some texts, without start and end, made by tests/text/clip_vectors.py.
#ifndef ONDINE_TESTS_TEXT_CLIP_VECTORS_H_
#define ONDINE_TESTS_TEXT_CLIP_VECTORS_H_

#include <string>
#include <vector>

#include "text/tokenizer.h"

namespace ondine::testing {

struct ClipVector {
  std::string text;
  std::vector<text::TokenId> ids;
};

// clang-format off
inline const std::vector<ClipVector> kClipVectors = {""")
    for text in TEXTS:
        ids = tokenizer(text)["input_ids"][1:-1]
        # Octal: a hexadecimal escape has no end of its own.
        literal = "".join(chr(b) if 32 <= b < 127 and chr(b) not in '"\\?' else f"\\{b:03o}"
                          for b in text.encode("utf-8"))
        print(f'    {{"{literal}", {{{", ".join(map(str, ids))}}}}},')
    print("""};
// clang-format on

}  // namespace ondine::testing

#endif  // ONDINE_TESTS_TEXT_CLIP_VECTORS_H_""")


if __name__ == "__main__":
    main()
