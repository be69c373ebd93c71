"""Photos of the evaluations, and their vectors and those of queries, as `ondine` makes them."""

import collections
import csv
import dataclasses
import json
import os
import pathlib
import sqlite3
import subprocess
import tarfile

import numpy as np


def bucket(key):
    """64-bit FNV-1a modulo 100: the split of the data."""
    value = 14695981039346656037
    for byte in key.encode():
        value = ((value ^ byte) * 1099511628211) % 2**64
    return value % 100


@dataclasses.dataclass
class Photo:
    name: str  # of the file
    part: str
    row: dict  # of products.csv
    jpeg: bytes


def fashion(data):
    """The photos of each part, {"train": [...], "validation": [...], "test": [...]}: without the
    blank one, and without those of validation and test whose bytes also occur in training."""
    root = pathlib.Path(data) / "images" / "fashion"
    with open(root / "products.csv", newline="", encoding="utf-8") as file:
        rows = {row["id"]: row for row in csv.DictReader(file)}
    parts = collections.defaultdict(list)
    for number in range(5):
        with tarfile.open(root / f"images-{number}.tar") as archive:
            for member in archive:
                row = rows[member.name.removesuffix(".jpg")]
                if row["id"] == "44998":
                    continue
                place = bucket(row["productDisplayName"])
                part = "train" if place < 90 else "validation" if place < 95 else "test"
                jpeg = archive.extractfile(member).read()
                parts[part].append(Photo(member.name, part, row, jpeg))
    known = {photo.jpeg for photo in parts["train"]}
    for part in ("validation", "test"):
        parts[part] = [photo for photo in parts[part] if photo.jpeg not in known]
    return parts


def clothing(data):
    """The photos of clothing-small, halves by the fixed rule: {"shots": ..., "final": ...}, each
    [(path, class)]."""
    halves = {"shots": [], "final": []}
    root = pathlib.Path(data).resolve() / "images" / "clothing-small" / "test"
    for folder in sorted(root.iterdir()):
        for i, path in enumerate(sorted(folder.iterdir(), key=lambda path: path.name.encode())):
            halves["final" if i % 2 else "shots"].append((path, folder.name))
    return halves


def write_photos(photos, folder):
    folder.mkdir(parents=True, exist_ok=True)
    for photo in photos:
        (folder / photo.name).write_bytes(photo.jpeg)


class Ondine:
    def __init__(self, options):
        self.program = options.ondine
        self.choice = ["--clip", options.clip, "--threads", str(options.threads)]

    @staticmethod
    def add_options(parser):
        parser.add_argument("--ondine", default="build/bin/ondine")
        parser.add_argument("--clip", required=True)
        parser.add_argument("--threads", type=int, default=os.cpu_count())
        parser.add_argument("--data", default="../shared/data")

    def run(self, *arguments):
        return subprocess.run([self.program, "images", *map(str, arguments), *self.choice],
                              check=True, capture_output=True, text=True).stdout

    def logit_scale(self):
        info = subprocess.run([self.program, "info", self.choice[1], "--json"], check=True,
                              capture_output=True, text=True).stdout
        return json.loads(info)["metadata"]["clip.logit_scale"]

    def queries(self, queries, mode="attention", literal=False):
        """Vectors [queries][length]."""
        flags = ["--mode", mode] + ["--literal"] * literal
        vectors = []
        for first in range(0, len(queries), 500):
            lines = self.run("encode", *flags, *queries[first:first + 500]).splitlines()
            vectors += [json.loads(line)["vector"] for line in lines]
        return np.array(vectors, dtype=np.float64)

    def photos(self, folder, library):
        """Vectors of the photos below a folder, by path."""
        self.run("index", folder, "--db", library)
        with sqlite3.connect(library) as database:
            rows = database.execute("SELECT path, vector FROM photos JOIN vectors USING (content)")
            return {path: np.frombuffer(blob, dtype="<f4").astype(np.float64)
                    for path, blob in rows}
