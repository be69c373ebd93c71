#!/usr/bin/env python3
"""Prints tests/images/golden_clip.h: vectors of the tiny CLIP by transformers.

  clip_transformers.py FOLDER > tests/images/golden_clip.h

FOLDER has the checkpoints quick_gelu/ and gelu/ that write_tiny_clip writes.
Needs torch and transformers.
"""

import pathlib
import sys

import numpy as np
import torch
from transformers import CLIPModel

TOKENS = [517, 512 + 1, 70, 320, 512 + 4, 518]  # start, "red", two bytes, "shoe", end


def pixels(seed):
    values = np.empty(32 * 32 * 3, dtype=np.float32)
    for i in range(len(values)):
        seed = (seed * 1664525 + 1013904223) % 2**32
        values[i] = seed >> 24
    picture = values.reshape(32, 32, 3) / 255
    picture = (picture - [0.4, 0.5, 0.6]) / [0.2, 0.25, 0.3]
    return torch.tensor(picture.transpose(2, 0, 1)[None], dtype=torch.float32)


def rows(vector):
    vector = vector[0] / vector[0].norm()
    texts = [f"{value:.7f}f" for value in vector.tolist()]
    return ",\n     ".join(", ".join(texts[i:i + 8]) for i in range(0, len(texts), 8))


print("""// Vectors of the tiny CLIP, made by tests/images/clip_transformers.py.
#ifndef ONDINE_TESTS_IMAGES_GOLDEN_CLIP_H_
#define ONDINE_TESTS_IMAGES_GOLDEN_CLIP_H_

#include <cstdint>
#include <vector>

namespace ondine::testing {

inline const std::vector<std::int32_t> kGoldenTokens = {""" + ", ".join(map(str, TOKENS)) + """};
constexpr std::uint32_t kGoldenPicture = 7;  // of TinyPixels()

struct GoldenClip {
  std::vector<float> text, picture;
};
""")
for name, identifier in (("quick_gelu", "kGoldenQuickGelu"), ("gelu", "kGoldenGelu")):
    model = CLIPModel.from_pretrained(pathlib.Path(sys.argv[1]) / name).eval()
    model.config.text_config.eos_token_id = 518
    model.text_model.eos_token_id = 518
    with torch.no_grad():
        text = model.text_projection(
            model.text_model(input_ids=torch.tensor([TOKENS])).pooler_output)
        picture = model.visual_projection(
            model.vision_model(pixel_values=pixels(7)).pooler_output)
    print(f"""// clang-format off
inline const GoldenClip {identifier} = {{
    {{{rows(text)}}},
    {{{rows(picture)}}}}};
// clang-format on
""")
print("""}  // namespace ondine::testing

#endif  // ONDINE_TESTS_IMAGES_GOLDEN_CLIP_H_""")
