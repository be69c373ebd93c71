#!/usr/bin/env python3
"""Times the image encoder of a ViT-B/32-shaped CLIP beside PyTorch's, on the same photos.

  speed.py --merges MERGES.txt.gz --pictures FOLDER [--repeats 5] [--shape vit-b-32]
           [--ondine build/bin/ondine] [--encoder build/bin/clip_encode_speed] [--photos 192]

Makes a checkpoint with random weights, converts it (matrices of F16, and of BF16), quantises the
latter with `ondine quantize --pictures`, and then takes turns between

  - Ondine with both kinds of floats and with 8-bit integers: clip_encode_speed, which times the encoder alone
    over pictures that are decoded, and `ondine images index` into a new library, end to end;
  - transformers' CLIPModel on the CPU, in float32 and bfloat16: torch.inference_mode, batches of 32,
    a thread per core; the encoder alone over pictures that are decoded and normalised, and end to
    end with Pillow decoding in a thread per core beside it.

Prints photos a second, best and median of the repeats, and the ratio of each best to float32's; and
the cosines of the vectors to those with F16, of texts and photos. Needs torch,
transformers, pillow and numpy.
"""

import argparse
import concurrent.futures
import copy
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import tempfile
import time

import torch
from PIL import Image
from transformers import CLIPImageProcessor

from agreement import SHAPES, TEXTS, make_checkpoint, ours, vocabulary

BATCH = 32


def run(arguments):
    return json.loads(subprocess.run(arguments, check=True, capture_output=True, text=True).stdout)


class Torch:
    def __init__(self, model, kind, paths):
        self.model, self.kind = model.to(kind), kind
        self.processor = CLIPImageProcessor()
        self.paths = paths
        self.batches = None

    def decode(self, paths):
        images = [Image.open(path).convert("RGB") for path in paths]
        return self.processor(images, return_tensors="pt")["pixel_values"].to(self.kind)

    def encode(self, pixels):
        vision = self.model.vision_model(pixel_values=pixels)
        return self.model.visual_projection(vision.pooler_output)

    def groups(self):
        return [self.paths[i:i + BATCH] for i in range(0, len(self.paths), BATCH)]

    def encoder_seconds(self):
        if self.batches is None:
            self.batches = [self.decode(group) for group in self.groups()]
        with torch.inference_mode():
            start = time.monotonic()
            for pixels in self.batches:
                self.encode(pixels)
            return time.monotonic() - start

    def index_seconds(self):
        with torch.inference_mode(), concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            start = time.monotonic()
            for pixels in pool.map(self.decode, self.groups()):
                self.encode(pixels)
            return time.monotonic() - start


class Ondine:
    def __init__(self, options, clip, folder):
        self.options, self.clip, self.folder = options, clip, folder

    def encoder_seconds(self):
        return min(run([self.options.encoder, self.clip, self.folder, "2"])["seconds"])

    def index_seconds(self):
        with tempfile.TemporaryDirectory() as place:
            return run([self.options.ondine, "images", "index", self.folder, "--clip", self.clip,
                        "--db", f"{place}/photos.db", "--json"])["seconds"]


def cosines(options, first, second, arguments):
    a, b = (ours([options.ondine, "images", "encode", "--clip", clip, *arguments])
            for clip in (first, second))
    return (a * b).sum(axis=1)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--shape", choices=SHAPES, default="vit-b-32")
    parser.add_argument("--ondine", default="build/bin/ondine")
    parser.add_argument("--encoder", default="build/bin/clip_encode_speed")
    parser.add_argument("--merges", required=True)
    parser.add_argument("--pictures", type=pathlib.Path, required=True)
    parser.add_argument("--photos", type=int, default=192)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()

    _, merges = vocabulary(options.merges)
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary)
        checkpoint, photos, others = folder / "checkpoint", folder / "photos", folder / "others"
        for place in (checkpoint, photos, others):
            place.mkdir()
        for i, path in enumerate(sorted(options.pictures.rglob("*.jpg"))):
            # Ranges come from other photos than those that are measured.
            shutil.copy(path, photos if i % 2 == 0 and i < 2 * options.photos else others)
        paths = sorted(photos.iterdir())
        model = make_checkpoint(options.shape, "quick_gelu", checkpoint, merges)
        floats, shorter, integers = (str(folder / f"{name}.gguf")
                                     for name in ("f16", "bf16", "w8a8"))
        for kind, path in (("f16", floats), ("bf16", shorter)):
            subprocess.run([options.ondine, "convert-clip", str(checkpoint), "-o", path, "--type",
                            kind], check=True, stdout=subprocess.DEVNULL)
        report = run([options.ondine, "quantize", "-m", shorter, "-o", integers, "--pictures",
                      str(others), "--json"])
        print(f"quantized on {report['pictures']} photos and {report['texts']} texts in "
              f"{report['seconds']:.1f} s: {report['bytes_before'] / 1e6:.0f} MB -> "
              f"{report['bytes_after'] / 1e6:.0f} MB")
        flags = [flag for path in paths[:64] for flag in ("--picture", str(path))]
        for name, clip in (("BF16", shorter), ("w8a8", integers)):
            for kind, arguments in (("texts", TEXTS), ("photos", flags)):
                values = cosines(options, floats, clip, arguments)
                print(f"cosine of {name} to F16, {kind}: lowest {values.min():.5f}, mean "
                      f"{values.mean():.5f} of {len(values)}")

        runners = {
            "torch float32": Torch(model, torch.float32, paths),
            "torch bfloat16": Torch(copy.deepcopy(model), torch.bfloat16, paths),
            "Ondine F16": Ondine(options, floats, str(photos)),
            "Ondine BF16": Ondine(options, shorter, str(photos)),
            "Ondine w8a8": Ondine(options, integers, str(photos)),
        }
        seconds = {(name, what): [] for what in ("encoder", "index") for name in runners}
        for _ in range(options.repeats):
            for name, what in seconds:
                seconds[name, what].append(getattr(runners[name], f"{what}_seconds")())
        print(f"{torch.get_num_threads()} threads of torch {torch.__version__}, {len(paths)} "
              f"photos, {options.repeats} repeats; photos/s, best (median)")
        for what in ("encoder", "index"):
            base = min(seconds["torch float32", what])
            for name in runners:
                taken = seconds[name, what]
                print(f"{what:8} {name:14} {len(paths) / min(taken):7.1f} "
                      f"({len(paths) / statistics.median(taken):6.1f})  {base / min(taken):5.2f}x")


if __name__ == "__main__":
    main()
