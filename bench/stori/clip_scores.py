#!/usr/bin/env python3
"""How well a CLIP finds the fashion photos by name and tells their attributes without training.

  clip_scores.py --clip assets/fashion.clip.gguf --data DATA [--part test] [-o scores.json]

Recall at 1, 5 and 10 among the first 1,000 photos of the part that have a name, photos by name and
names by photo; every photo of the same name or with the same bytes counts as right. Accuracy over
all photos of the part among all values that occur in training, of article type, colour and gender:
a value is the mean vector of a few wordings. Beside it chance (the most frequent value, and one
over their number) and a classifier that sees colours only: the nearest of the values' mean colour
histograms (4 x 4 x 4, square roots) over the training photos. Needs numpy and pillow.
"""

import argparse
import collections
import io
import json
import pathlib
import tempfile

import numpy as np
from PIL import Image

from photos import Ondine, fashion, write_photos

NO_ARTICLE = ("jeans", "shorts", "trousers", "pants", "capris", "leggings", "jeggings", "tights",
              "stockings", "sunglasses", "briefs", "suspenders", "boxers")


def singular(label):
    if label.endswith(NO_ARTICLE) or not label.endswith("s") or label.endswith("ss"):
        return label
    return label[:-2] if label.endswith(("ches", "sses")) else label[:-1]


def wordings(attribute, value):
    value = {"tshirts": "t-shirts", "multi": "multicoloured"}.get(value.lower(), value.lower())
    if attribute == "articleType":
        forms = {value, singular(value)}
        return [text for form in sorted(forms) for text in
                (form, f"a {form}", f"a photo of {form}", f"a photo of a {form}")]
    if attribute == "baseColour":
        return [value, f"something {value}", f"a {value} thing", f"a photo of something {value}"]
    if value == "unisex":
        return ["unisex", "a unisex product", "for men and women", "a photo for men and women"]
    return [f"for {value}", f"something for {value}", f"{value}'s wear",
            f"a photo of something for {value}"]


def histogram(photo):
    pixels = np.asarray(Image.open(io.BytesIO(photo.jpeg)).convert("RGB")) // 64
    codes = (pixels[..., 0] * 16 + pixels[..., 1] * 4 + pixels[..., 2]).ravel()
    return np.sqrt(np.bincount(codes, minlength=64) / codes.size)


def accuracy(scores, truth):
    right = scores.argmax(1) == truth
    return {"accuracy": float(right.mean()),
            "balanced": float(np.mean([right[truth == c].mean() for c in np.unique(truth)]))}


def recall(scores, right):
    best = np.where(right, scores, -np.inf).max(1, keepdims=True)
    ahead = (scores > best).sum(1)
    return {k: float((ahead < k).mean()) for k in (1, 5, 10)}


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    Ondine.add_options(parser)
    parser.add_argument("--part", default="test", choices=["validation", "test"])
    parser.add_argument("-o", "--output", type=pathlib.Path)
    options = parser.parse_args()

    ondine = Ondine(options)
    parts = fashion(options.data)
    photos = parts[options.part]
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary)
        write_photos(photos, folder / "photos")
        by_path = ondine.photos(folder / "photos", folder / "photos.db")
    vectors = {pathlib.Path(path).name: vector for path, vector in by_path.items()}
    seen = np.array([vectors[photo.name] for photo in photos])

    named = [i for i, photo in enumerate(photos)
             if photo.row["productDisplayName"] not in ("", "NA")][:1000]
    names = [photos[i].row["productDisplayName"] for i in named]
    texts = ondine.queries(names, literal=True)
    right = np.array([[a == b or photos[i].jpeg == photos[j].jpeg for j, b in zip(named, names)]
                      for i, a in zip(named, names)])
    scores = texts @ seen[named].T
    result = {"photos": len(photos), "named": len(named), "photos_by_name": recall(scores, right),
              "names_by_photo": recall(scores.T, right.T),
              "chance": {k: float(np.mean(1 - (1 - right.mean(1))**k)) for k in (1, 5, 10)}}

    pixels = {part: np.array([histogram(photo) for photo in parts[part]])
              for part in ("train", options.part)}
    for attribute in ("articleType", "baseColour", "gender"):
        values = sorted({photo.row[attribute] for photo in parts["train"]} - {"", "NA"})
        of_train = np.array([photo.row[attribute] for photo in parts["train"]])
        known = [i for i, photo in enumerate(photos) if photo.row[attribute] in values]
        truth = np.array([values.index(photos[i].row[attribute]) for i in known])
        prompts = [wordings(attribute, value) for value in values]
        flat = iter(ondine.queries([text for group in prompts for text in group], literal=True))
        classes = []
        for group in prompts:
            mean = np.mean([next(flat) for _ in group], axis=0)
            classes.append(mean / np.linalg.norm(mean))
        centres = np.array([pixels["train"][of_train == value].mean(0) for value in values])
        centres /= np.linalg.norm(centres, axis=1, keepdims=True)
        counts = collections.Counter(of_train)
        most = values.index(max(values, key=lambda value: counts[value]))
        result[attribute] = {
            "values": len(values), "photos": len(known),
            "clip": accuracy(seen[known] @ np.array(classes).T, truth),
            "histogram": accuracy(pixels[options.part][known] @ centres.T, truth),
            "most_frequent": float((truth == most).mean()), "chance": 1 / len(values)}
    print(json.dumps(result, indent=1))
    if options.output:
        options.output.write_text(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
