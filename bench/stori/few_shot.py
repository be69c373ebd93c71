#!/usr/bin/env python3
"""Few-shot classification: what learned strengths of words are worth.

  few_shot.py --clip assets/fashion.clip.gguf --data DATA [--set fashion|clothing] [--part test]
              [--shots 1,2,4,8,16] [--seeds 3] [-o few_shot.json] [-- LEARN OPTIONS]

Classes are the 22 article types with at least 16 photos in training and 20 in test, or the ten
folders of clothing-small. Shots come from the training part (the even half), scores from the test
part (the odd half), balanced: the mean of the classes' accuracies. Methods: the class's name; its
description (descriptions.json), all words alike; SToRI, `ondine images learn` on the shots, whose
options may follow "--"; the same with the learned strengths shuffled among the words of each class;
TaskRes (a free vector a class, added to the description's: Yu et al., CVPR 2023); a linear probe.
Where a class has fewer photos than shots it gives all it has. Needs numpy and torch.
"""

import argparse
import collections
import itertools
import json
import pathlib
import random
import tempfile

import numpy as np
import torch

from photos import Ondine, clothing, fashion, write_photos
from ranks import rank_correlation


def balanced(predicted, truth):
    return float(np.mean([np.mean(predicted[truth == c] == c) for c in np.unique(truth)]))


class Task:
    """Vectors of all candidates for shots and of the photos to score."""

    def __init__(self, ondine, options, folder):
        texts = json.loads((pathlib.Path(__file__).parent / "descriptions.json").read_text())
        self.texts = texts[options.set]
        if options.only_names:
            self.texts = {name: text.split(",")[0] for name, text in self.texts.items()}
        self.classes = sorted(self.texts)
        self.folder = folder
        if options.set == "fashion":
            shots, final = self.fashion_photos(options)
        else:
            halves = clothing(options.data)
            shots, final = halves["shots"], halves["final"]
        self.shots = collections.defaultdict(list)
        vectors = self.encode(ondine, [path for path, _ in shots], "shots")
        for path, name in shots:
            self.shots[name].append((path, vectors[str(path)]))
        vectors = self.encode(ondine, [path for path, _ in final], "final")
        self.final = np.array([vectors[str(path)] for path, _ in final])
        self.truth = np.array([self.classes.index(name) for _, name in final])

    def fashion_photos(self, options):
        parts = fashion(options.data)
        chosen = {"train": [], options.part: []}
        for part, photos in chosen.items():
            limit = collections.Counter()
            photos_of_part = parts[part][:]
            random.Random(1).shuffle(photos_of_part)
            for photo in photos_of_part:
                name = photo.row["articleType"]
                # Shots of some seeds are drawn from these.
                if name in self.texts and (part != "train" or limit[name] < 64):
                    limit[name] += 1
                    photos.append(photo)
        pairs = {}
        for part, photos in chosen.items():
            write_photos(photos, self.folder / part)
            pairs[part] = [(self.folder / part / photo.name, photo.row["articleType"])
                           for photo in photos]
        return pairs["train"], pairs[options.part]

    def encode(self, ondine, paths, name):
        folder = self.folder / f"{name}.links"
        folder.mkdir()
        for i, path in enumerate(paths):
            (folder / f"{i:06}.jpg").symlink_to(path)
        by_path = ondine.photos(folder, self.folder / f"{name}.db")
        return {str(path): by_path[str(folder / f"{i:06}.jpg")] for i, path in enumerate(paths)}

    def draw(self, count, seed):
        """For each class its shots: [(path, vector)]."""
        draw = random.Random(seed)
        return {name: draw.sample(self.shots[name], min(count, len(self.shots[name])))
                for name in self.classes}

    def score(self, class_vectors):
        return balanced((self.final @ class_vectors.T).argmax(1), self.truth)


def learn(ondine, task, drawn, options):
    """[{"name", "query", "words", ...}] in the order of the classes."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary)
        for name, shots in drawn.items():
            (folder / "shots" / name).mkdir(parents=True)
            for i, (path, _) in enumerate(shots):
                (folder / "shots" / name / f"{i:03}.jpg").symlink_to(path)
        (folder / "texts.json").write_text(json.dumps(task.texts))
        learned = json.loads(ondine.run("learn", folder / "shots", "--texts", folder / "texts.json",
                                        "-o", folder / "classes.json", "--json", *options))
    return sorted(learned["classes"], key=lambda entry: task.classes.index(entry["name"]))


def escaped(text):
    """A text without markup, or a word of it, as a query."""
    return "".join("\\" + c if c in "()[]\\" else c for c in text)


def shuffled_queries(learned, draw):
    queries = []
    for entry in learned:
        weights = [word["weight"] for word in entry["words"]]
        draw.shuffle(weights)
        queries.append(" ".join(f"({escaped(word['text'])}:{weight})"
                                for word, weight in zip(entry["words"], weights)))
    return queries


def stacked(drawn, classes):
    vectors = [vector for name in classes for _, vector in drawn[name]]
    labels = [c for c, name in enumerate(classes) for _ in drawn[name]]
    return torch.tensor(np.array(vectors), dtype=torch.float32), torch.tensor(labels)


def task_res(text_vectors, drawn, classes, scale, shots):
    """As its authors' code has it: Adam at 2e-3, cosine decay, 100 epochs to 4 shots, else 200."""
    photos, labels = stacked(drawn, classes)
    base = torch.tensor(text_vectors, dtype=torch.float32)
    free = torch.zeros_like(base, requires_grad=True)
    epochs = 100 if shots <= 4 else 200
    optimizer = torch.optim.Adam([free], lr=2e-3)
    batches = -(-len(photos) // 256)
    decay = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs * batches)
    generator = torch.Generator().manual_seed(1)
    for _ in range(epochs):
        for batch in torch.randperm(len(photos), generator=generator).split(256):
            vectors = torch.nn.functional.normalize(base + 0.5 * free, dim=1)
            logits = scale * photos[batch] @ vectors.T
            loss = torch.nn.functional.cross_entropy(logits, labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            decay.step()
    return torch.nn.functional.normalize(base + 0.5 * free, dim=1).detach().double().numpy()


def linear_probe(drawn, classes, final, pull=1e-4):
    photos, labels = stacked(drawn, classes)
    weights = torch.zeros(len(classes), photos.shape[1], requires_grad=True)
    bias = torch.zeros(len(classes), requires_grad=True)
    optimizer = torch.optim.LBFGS([weights, bias], max_iter=300, line_search_fn="strong_wolfe")

    def closure():
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(photos @ weights.T + bias, labels)
        loss = loss + pull * weights.square().sum()
        loss.backward()
        return loss
    optimizer.step(closure)
    with torch.no_grad():
        return (torch.tensor(final, dtype=torch.float32) @ weights.T + bias).argmax(1).numpy()


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    Ondine.add_options(parser)
    parser.add_argument("--set", default="fashion", choices=["fashion", "clothing"])
    parser.add_argument("--part", default="test", choices=["validation", "test"])
    parser.add_argument("--shots", default="1,2,4,8,16")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only-stori", action="store_true", help="to choose settings")
    parser.add_argument("--only-names", action="store_true", help="learn from names alone")
    parser.add_argument("--probe-pull", type=float, default=1e-4)
    parser.add_argument("-o", "--output", type=pathlib.Path)
    parser.add_argument("learn_options", nargs="*")
    options = parser.parse_args()

    ondine = Ondine(options)
    scale = ondine.logit_scale()
    with tempfile.TemporaryDirectory() as temporary:
        task = Task(ondine, options, pathlib.Path(temporary))
        names = ondine.queries([escaped(task.texts[c].split(",")[0]) for c in task.classes])
        descriptions = ondine.queries([escaped(task.texts[c]) for c in task.classes])
        output = {"photos": len(task.truth), "classes": task.classes,
                  "name": task.score(names), "description": task.score(descriptions), "shots": {}}
        print(f"{len(task.truth)} photos, {len(task.classes)} classes; name "
              f"{100 * output['name']:.1f}, description {100 * output['description']:.1f}")
        for count in map(int, options.shots.split(",")):
            scores, weights = collections.defaultdict(list), []
            for seed in range(1, options.seeds + 1):
                drawn = task.draw(count, seed)
                learned = learn(ondine, task, drawn, options.learn_options)
                weights.append([[word["weight"] for word in entry["words"]] for entry in learned])
                scores["stori"].append(
                    task.score(ondine.queries([entry["query"] for entry in learned])))
                if options.only_stori:
                    continue
                draw = random.Random(seed)
                scores["shuffled"].append(np.mean([
                    task.score(ondine.queries(shuffled_queries(learned, draw))) for _ in range(5)]))
                scores["taskres"].append(task.score(
                    task_res(descriptions, drawn, task.classes, scale, count)))
                scores["probe"].append(balanced(
                    linear_probe(drawn, task.classes, task.final, options.probe_pull), task.truth))
            stability = float(np.mean([
                rank_correlation(a[c], b[c]) for a, b in itertools.combinations(weights, 2)
                for c in range(len(task.classes))])) if len(weights) > 1 else None
            output["shots"][count] = {
                "scores": {method: list(map(float, values)) for method, values in scores.items()},
                "stability": stability,
                "words": [{"name": entry["name"], "words": entry["words"]} for entry in learned],
                "weights_a_class": float(np.mean([len(entry["words"]) for entry in learned]))}
            print(f"{count} shots: " + ", ".join(
                f"{method} {100 * np.mean(values):.1f} ({100 * min(values):.1f} to "
                f"{100 * max(values):.1f})" for method, values in scores.items())
                + (f"; stability {stability:.2f}" if stability is not None else ""), flush=True)
    if options.output:
        options.output.write_text(json.dumps(output, indent=1))


if __name__ == "__main__":
    main()
