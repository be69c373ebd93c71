#!/usr/bin/env python3
"""How learned strengths depend on what the paper leaves open, on the fashion photos of
few_shot.py: by word or by token, w = exp(theta) or max(0, theta), from which block, in all rows or
the last alone, and with what pull and rate.

  learned_variants.py --clip assets/fashion.clip.gguf --data DATA [--part validation]
                      [--shots 4,16] [--seeds 3] [-o variants.json]

Learning is PyTorch's here (reference.py), full batches, Adam; the first row is what `ondine images
learn` does, and its accuracy stands beside it. Needs numpy, torch, transformers and gguf.
"""

import argparse
import json
import pathlib
import tempfile

import numpy as np
import torch

from few_shot import Task, learn, stacked
from photos import Ondine
from reference import TextTower, Variant

DEFAULT = {"unit": "word", "form": "exp", "variant": Variant(), "rate": 0.03, "pull": 1e-3,
           "steps": 200}


def variants(blocks):
    named = {"as the program": {}}
    named["by token"] = {"unit": "token"}
    named["max(0, theta)"] = {"form": "relu"}
    named["last row alone"] = {"variant": Variant(last_row_only=True)}
    for block in range(1, blocks):
        named[f"from block {block}"] = {"variant": Variant(first_block=block)}
    for rate in (0.01, 0.1):
        named[f"rate {rate}"] = {"rate": rate}
    for pull in (0, 1e-2):
        named[f"pull {pull}"] = {"pull": pull}
    named["100 steps"] = {"steps": 100}
    return {name: {**DEFAULT, **changes} for name, changes in named.items()}


def learn_here(tower, texts, drawn, classes, scale, unit, form, variant, rate, pull, steps):
    """Vectors of the classes after learning."""
    ids = [tower.ids(text) for text in texts]
    longest = max(map(len, ids))
    groups = torch.zeros(len(ids), longest, dtype=torch.long)  # 0: pinned
    count = 1
    for row, text in enumerate(texts):
        owners, _ = tower.words(text)
        units = owners if unit == "word" else range(len(owners))
        for i, owner in enumerate(units):
            groups[row, i + 1] = count + owner
        count += max(units) + 1
    neutral = 0.0 if form == "exp" else 1.0
    thetas = torch.full((count,), neutral, requires_grad=True)
    photos, labels = stacked(drawn, classes)
    shares = torch.tensor([1 / (len(classes) * len(drawn[classes[c]])) for c in labels])
    optimizer = torch.optim.Adam([thetas], lr=rate)

    def vectors():
        values = thetas if form == "exp" else torch.log(thetas.clamp(min=0))
        logs = torch.where(groups > 0, values[groups], torch.zeros(()))
        return tower.encode(ids, logs, variant)
    for _ in range(steps):
        loss = (torch.nn.functional.cross_entropy(scale * photos @ vectors().T, labels,
                                                  reduction="none") * shares).sum()
        loss = loss + pull / 2 * (thetas[1:] - neutral).square().sum()
        optimizer.zero_grad()
        loss.backward()
        thetas.grad.nan_to_num_()  # of what is switched off
        optimizer.step()
    with torch.no_grad():
        return vectors().double().numpy()


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    Ondine.add_options(parser)
    parser.add_argument("--part", default="validation", choices=["validation", "test"])
    parser.add_argument("--shots", default="4,16")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("-o", "--output", type=pathlib.Path)
    options = parser.parse_args()
    options.set, options.only_names = "fashion", False

    ondine, tower = Ondine(options), TextTower(options.clip)
    scale = ondine.logit_scale()
    scores = {}
    with tempfile.TemporaryDirectory() as temporary:
        task = Task(ondine, options, pathlib.Path(temporary))
        texts = [task.texts[name] for name in task.classes]
        for shots in map(int, options.shots.split(",")):
            draws = [task.draw(shots, seed) for seed in range(1, options.seeds + 1)]
            scores[f"{shots} shots, ondine"] = [
                task.score(ondine.queries([entry["query"] for entry in learn(
                    ondine, task, drawn, [])])) for drawn in draws]
            for name, settings in variants(tower.blocks).items():
                scores[f"{shots} shots, {name}"] = [
                    task.score(learn_here(tower, texts, drawn, task.classes, scale,
                                          **settings)) for drawn in draws]
                mean = 100 * np.mean(scores[f"{shots} shots, {name}"])
                print(f"{shots} shots, {name}: {mean:.1f}", flush=True)
            print(f"{shots} shots, ondine: {100 * np.mean(scores[f'{shots} shots, ondine']):.1f}")
    if options.output:
        options.output.write_text(json.dumps(scores, indent=1))


if __name__ == "__main__":
    main()
