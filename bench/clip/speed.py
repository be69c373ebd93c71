#!/usr/bin/env python3
"""Times the image encoder of a CLIP beside OpenCLIP's on PyTorch, on the same photos.

  speed.py --pictures FOLDER [--model ViT-B-32] [--photos 192] [--repeats 5]
           [--ondine build/bin/ondine] [--encoder build/bin/clip_encode_speed]

Makes a checkpoint of OpenCLIP with random weights, converts it (matrices of F16, and of BF16),
quantises the latter with `ondine quantize --pictures` on other photos than those that are measured,
and then takes turns between

  - Ondine with both kinds of floats and with 8-bit integers: clip_encode_speed, which times the
    encoder alone over pictures that are decoded, and `ondine images index` into a new library by its
    own clock: files hashed, decoded, encoded and committed;
  - OpenCLIP on the CPU, in float32 and bfloat16: torch.inference_mode, batches of 32, a thread per
    core; the encoder alone over pictures that are decoded and normalised, and end to end with
    Pillow decoding in a thread per core beside it.

Prints photos a second, best and median of the repeats, and the ratio of each best to float32's; and
the cosines of Ondine's vectors to OpenCLIP's in float32, of texts and photos. Loading the models is
not timed. Needs torch, open_clip_torch, safetensors, pillow and numpy.
"""

import argparse
import concurrent.futures
import copy
import gzip
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import tempfile
import time

import numpy as np
import open_clip
import torch
from PIL import Image
from safetensors.torch import save_file

from texts import TEXTS

BATCH = 32


def make_checkpoint(name, folder):
    """As it would come from the hub. Returns the model and how it wants its photos."""
    torch.manual_seed(1)
    model, _, preprocess = open_clip.create_model_and_transforms(name)
    model.eval()
    with torch.no_grad():  # biases and norms that matter
        for key, values in model.named_parameters():
            if key.endswith("bias"):
                values.normal_(0, 0.1)
            elif ".ln_" in key or key.startswith("ln_"):
                values.normal_(1, 0.2)
    save_file({key: values.contiguous() for key, values in model.state_dict().items()},
              folder / "open_clip_model.safetensors")
    config = {"model_cfg": open_clip.get_model_config(name),
              "preprocess_cfg": {"mean": open_clip.OPENAI_DATASET_MEAN,
                                 "std": open_clip.OPENAI_DATASET_STD}}
    (folder / "open_clip_config.json").write_text(json.dumps(config), encoding="utf-8")
    vocabulary = pathlib.Path(open_clip.__file__).with_name("bpe_simple_vocab_16e6.txt.gz")
    merges = gzip.decompress(vocabulary.read_bytes()).decode().split("\n")[1:48895]
    (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *merges]), encoding="utf-8")
    return model, preprocess


def run(arguments):
    return json.loads(subprocess.run(arguments, check=True, capture_output=True, text=True).stdout)


class OpenClip:
    def __init__(self, model, preprocess, kind, paths):
        self.model, self.preprocess, self.kind = model.to(kind), preprocess, kind
        self.groups = [paths[i:i + BATCH] for i in range(0, len(paths), BATCH)]
        self.batches = [self.decode(group) for group in self.groups]
        self.vectors()  # what the first run does besides is not timed

    def decode(self, paths):
        return torch.stack([self.preprocess(Image.open(path)) for path in paths]).to(self.kind)

    def vectors(self):
        with torch.inference_mode():
            return [self.model.encode_image(pixels) for pixels in self.batches]

    def encoder_seconds(self):
        start = time.monotonic()
        self.vectors()
        return time.monotonic() - start

    def index_seconds(self):
        with torch.inference_mode(), concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            start = time.monotonic()
            for pixels in pool.map(self.decode, self.groups):
                self.model.encode_image(pixels)
            return time.monotonic() - start


class Ondine:
    def __init__(self, options, clip, folder):
        self.options, self.clip, self.folder = options, clip, folder
        self.photos = len(list(pathlib.Path(folder).iterdir()))

    def encoder_seconds(self):
        report = run([self.options.encoder, self.clip, self.folder, "2"])
        assert report["pictures"] == self.photos, "not all photos could be read"
        return report["seconds"][1]

    def index_seconds(self):
        with tempfile.TemporaryDirectory() as place:
            report = run([self.options.ondine, "images", "index", self.folder, "--clip", self.clip,
                          "--db", f"{place}/photos.db", "--json"])
            assert report["photos"] == self.photos, "not all photos could be read"
            return report["seconds"]

    def vectors(self, arguments):
        out = subprocess.run([self.options.ondine, "images", "encode", "--clip", self.clip,
                              *arguments], check=True, capture_output=True, text=True).stdout
        return np.array([json.loads(line)["vector"] for line in out.splitlines()])


def unit(vectors):
    vectors = torch.cat(vectors) if isinstance(vectors, list) else vectors
    return (vectors / vectors.norm(dim=1, keepdim=True)).numpy()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", default="ViT-B-32", help="an architecture of OpenCLIP's")
    parser.add_argument("--ondine", default="build/bin/ondine")
    parser.add_argument("--encoder", default="build/bin/clip_encode_speed")
    parser.add_argument("--pictures", type=pathlib.Path, required=True)
    parser.add_argument("--photos", type=int, default=192)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()

    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary)
        checkpoint, photos, others = folder / "checkpoint", folder / "photos", folder / "others"
        for place in (checkpoint, photos, others):
            place.mkdir()
        files = sorted(path for path in options.pictures.rglob("*")
                       if path.suffix.lower() in (".jpg", ".jpeg"))
        if len(files) < 2:
            parser.error(f"{options.pictures} has no two JPEGs")
        for i, path in enumerate(files):
            # Ranges come from other photos than those that are measured.
            measured = i % 2 == 0 and i < 2 * options.photos
            shutil.copy(path, (photos if measured else others) / f"{i}.jpg")
        paths = sorted(photos.iterdir())
        model, preprocess = make_checkpoint(options.model, checkpoint)
        clips = {kind: str(folder / f"{kind}.gguf") for kind in ("f16", "bf16", "w8a8")}
        for kind in ("f16", "bf16"):
            subprocess.run([options.ondine, "convert-clip", str(checkpoint), "-o", clips[kind],
                            "--type", kind], check=True, stdout=subprocess.DEVNULL)
        report = run([options.ondine, "quantize", "-m", clips["bf16"], "-o", clips["w8a8"],
                      "--pictures", str(others), "--json"])
        print(f"quantized on {report['pictures']} photos and {report['texts']} texts in "
              f"{report['seconds']:.1f} s: {report['bytes_before'] / 1e6:.0f} MB -> "
              f"{report['bytes_after'] / 1e6:.0f} MB")

        runners = {
            "OpenCLIP float32": OpenClip(copy.deepcopy(model), preprocess, torch.float32, paths),
            "OpenCLIP bfloat16": OpenClip(model, preprocess, torch.bfloat16, paths),
            "Ondine F16": Ondine(options, clips["f16"], str(photos)),
            "Ondine BF16": Ondine(options, clips["bf16"], str(photos)),
            "Ondine w8a8": Ondine(options, clips["w8a8"], str(photos)),
        }
        theirs = runners["OpenCLIP float32"]
        with torch.inference_mode():
            tokens = open_clip.get_tokenizer(options.model)(TEXTS)
            expected = {"texts": unit(theirs.model.encode_text(tokens)),
                        "photos": unit(theirs.vectors())}
        flags = [flag for path in paths for flag in ("--picture", str(path))]
        for name in ("Ondine F16", "Ondine BF16", "Ondine w8a8"):
            for kind, arguments in (("texts", TEXTS), ("photos", flags)):
                cosines = (runners[name].vectors(arguments) * expected[kind]).sum(axis=1)
                print(f"cosine of {name} to OpenCLIP float32, {len(cosines)} {kind}: lowest "
                      f"{cosines.min():.5f}, mean {cosines.mean():.5f}")

        seconds = {(name, what): [] for what in ("encoder", "index") for name in runners}
        for _ in range(options.repeats):
            for name, what in seconds:
                seconds[name, what].append(getattr(runners[name], f"{what}_seconds")())
        print(f"{options.model}, {torch.get_num_threads()} threads, torch {torch.__version__}, "
              f"open_clip {open_clip.__version__}, {len(paths)} photos, {options.repeats} repeats, "
              f"load {os.getloadavg()[0]:.1f}; photos/s, best (median), ratio of the best")
        for what in ("encoder", "index"):
            base = min(seconds["OpenCLIP float32", what])
            for name in runners:
                taken = seconds[name, what]
                print(f"{what:8} {name:18} {len(paths) / min(taken):7.1f} "
                      f"({len(paths) / statistics.median(taken):6.1f})  {base / min(taken):5.2f}x")


if __name__ == "__main__":
    main()
