#!/usr/bin/env python3
"""Holds Ondine's CLIP vectors against those of transformers' CLIPModel with random weights.

  agreement.py [--shape vit-b-32|vit-l-14|tiny] [--ondine build/bin/ondine] --merges MERGES.txt.gz
               --pictures FOLDER [--count 8]

Writes a checkpoint as transformers would, converts it with `ondine convert-clip`, encodes texts and
pictures with both and prints the lowest cosine of each kind; fails below 0.9999. The pictures go
through transformers' own pre-processing there and through libvips here; to part the two causes, the
same pictures, made to the model's size beforehand, are compared too. Needs torch, transformers,
pillow and numpy.
"""

import argparse
import gzip
import json
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import torch
from PIL import Image
from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel, CLIPTokenizer

from texts import TEXTS

SHAPES = {  # text: width, layers, heads; picture: width, layers, heads, patch; projection
    "vit-b-32": ((512, 12, 8), (768, 12, 12, 32), 512),
    "vit-l-14": ((768, 12, 12), (1024, 24, 16, 14), 768),
    "tiny": ((64, 2, 2), (96, 2, 3, 32), 48),
}


def vocabulary(merges_path):
    with gzip.open(merges_path, "rt", encoding="utf-8") as file:
        merges = file.read().split("\n")[1:48895]
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    characters = [chr(b) for b in printable] + [chr(256 + i) for i in range(68)]
    tokens = characters + [c + "</w>" for c in characters]
    tokens += [merge.replace(" ", "") for merge in merges] + ["<|startoftext|>", "<|endoftext|>"]
    return {token: i for i, token in enumerate(tokens)}, merges


def make_checkpoint(shape, activation, folder, merges):
    (text_width, text_layers, text_heads), (width, layers, heads, patch), projection = SHAPES[shape]
    config = CLIPConfig(
        text_config={"hidden_size": text_width, "intermediate_size": 4 * text_width,
                     "num_hidden_layers": text_layers, "num_attention_heads": text_heads,
                     "hidden_act": activation, "bos_token_id": 49406, "eos_token_id": 49407,
                     "projection_dim": projection},
        vision_config={"hidden_size": width, "intermediate_size": 4 * width,
                       "num_hidden_layers": layers, "num_attention_heads": heads,
                       "patch_size": patch, "hidden_act": activation, "projection_dim": projection},
        projection_dim=projection)
    torch.manual_seed(1)
    model = CLIPModel(config).eval()
    with torch.no_grad():  # biases and norms that matter
        for name, values in model.named_parameters():
            if name.endswith("bias"):
                values.normal_(0, 0.1)
            elif "norm" in name:
                values.normal_(1, 0.2)
    model.save_pretrained(folder)
    CLIPImageProcessor().save_pretrained(folder)
    with open(folder / "merges.txt", "w", encoding="utf-8") as file:
        file.write("#version: 0.2\n" + "\n".join(merges) + "\n")
    return model


def ours(arguments):
    out = subprocess.run(arguments, check=True, capture_output=True, text=True).stdout
    return np.array([json.loads(line)["vector"] for line in out.splitlines()])


def lowest_cosine(a, b):
    b = b / np.linalg.norm(b, axis=1, keepdims=True)
    return float((a * b).sum(axis=1).min())


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--shape", choices=SHAPES, default="vit-b-32")
    parser.add_argument("--activation", choices=["quick_gelu", "gelu"], default="quick_gelu")
    parser.add_argument("--type", choices=["f16", "bf16", "f32"], default="f16")
    parser.add_argument("--ondine", default="build/bin/ondine")
    parser.add_argument("--merges", required=True)
    parser.add_argument("--pictures", type=pathlib.Path, required=True)
    parser.add_argument("--count", type=int, default=8)
    options = parser.parse_args()

    tokens, merges = vocabulary(options.merges)
    pictures = sorted(options.pictures.rglob("*.jpg"))[:: max(1, len(list(
        options.pictures.rglob("*.jpg"))) // options.count)][:options.count]
    worst = {}
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary)
        checkpoint = folder / "checkpoint"
        checkpoint.mkdir()
        model = make_checkpoint(options.shape, options.activation, checkpoint, merges)
        clip = str(folder / "clip.gguf")
        subprocess.run([options.ondine, "convert-clip", str(checkpoint), "-o", clip, "--type",
                        options.type], check=True, stdout=subprocess.DEVNULL)
        tokenizer = CLIPTokenizer(vocab=tokens, merges=[tuple(m.split(" ")) for m in merges])
        processor = CLIPImageProcessor()
        encode = [options.ondine, "images", "encode", "--clip", clip]

        def of_pictures(images):
            with torch.no_grad():
                pixels = processor(images, return_tensors="pt")["pixel_values"]
                return model.visual_projection(
                    model.vision_model(pixel_values=pixels).pooler_output).numpy()

        with torch.no_grad():
            batch = tokenizer(TEXTS, padding=True, truncation=True, max_length=77,
                              return_tensors="pt")
            theirs = model.text_projection(model.text_model(**batch).pooler_output).numpy()
        worst["texts"] = lowest_cosine(ours(encode + TEXTS), theirs)
        images = [Image.open(path).convert("RGB") for path in pictures]
        flags = [flag for path in pictures for flag in ("--picture", str(path))]
        worst["pictures"] = lowest_cosine(ours(encode + flags), of_pictures(images))
        small = []
        for i, image in enumerate(images):
            left, top = (image.width - 224) // 2, (image.height - 224) // 2
            small.append(image.crop((left, top, left + 224, top + 224)))
            small[-1].save(folder / f"{i}.png")
        flags = [flag for i in range(len(small)) for flag in ("--picture", f"{folder}/{i}.png")]
        worst["pictures of the model's size"] = lowest_cosine(ours(encode + flags),
                                                              of_pictures(small))
    for kind, cosine in worst.items():
        print(f"{options.shape} {options.activation} {options.type}: lowest cosine of {kind}: "
              f"{cosine:.7f}")
    sys.exit(int(min(worst.values()) < 0.9999))


if __name__ == "__main__":
    main()
