#!/usr/bin/env python3
"""Preference retrieval: does a word's strength decide what a query of two attributes finds?

  preference.py --clip assets/fashion.clip.gguf --data DATA [--part test] [--reference]
                [-o preference.json]

For queries "a photo of A B" (colour and article type; gender and type; usage and type), over the
photos of the part: the preference score is the probability that a random photo with A alone comes
before a random one with B alone (area under the ROC curve, ties half), as the strength of A runs
over 0 to 10, and then that of B. Beside it the average precision of A, of B and of both, the
share of photos with both among the first ten, and the cosine to the query without strengths.

Methods: SToRI (strengths in the program's text encoder); the program's --mode difference; phrase
sums, w e(A) + e(B); a mix of the vectors with and without the word, as compel does it; A said
several times; "very A"; and, with --reference, what only PyTorch has here: factors of the input
embeddings, factors of the encoder's outputs (no effect, a control), and the program's vectors held
against PyTorch's. Methods are compared by the range of preference scores that they reach while the
mean average precision of both stays above a share of what it is without strengths. Intervals:
bootstrap over queries, 95 %.
Needs numpy; --reference also torch, transformers and gguf.
"""

import argparse
import collections
import json
import math
import pathlib
import tempfile

import numpy as np

from photos import Ondine, fashion, write_photos
from ranks import auc, rank_correlation

STRENGTHS = [0, 0.25, 0.5, 0.75, 1, 1.25, 1.5, 2, 3, 5, 10]
FEWEST_ALONE, FEWEST_BOTH = 20, 5
RETENTIONS = [0.9, 0.75, 0.5]
KINDS = {"colour x type": "baseColour", "gender x type": "gender", "usage x type": "usage"}


def words_of(label):
    return {"tshirts": "t-shirts", "multi": "multicoloured"}.get(label.lower(), label.lower())


class Query:
    """Attribute A and type B, and which photos have them."""

    def __init__(self, kind, a, b, rows):
        self.kind, self.a, self.b = kind, words_of(a), words_of(b)
        has_a = np.array([row[KINDS[kind]] == a for row in rows])
        has_b = np.array([row["articleType"] == b for row in rows])
        self.has_a, self.has_b, self.both = has_a, has_b, has_a & has_b
        self.only_a, self.only_b = has_a & ~has_b, has_b & ~has_a

    def enough(self):
        return (min(self.only_a.sum(), self.only_b.sum()) >= FEWEST_ALONE
                and self.both.sum() >= FEWEST_BOTH)

    def text(self, a="{}", b="{}"):
        return f"a photo of {a.replace('{}', self.a)} {b.replace('{}', self.b)}"


def queries_of(kind, rows):
    pairs = sorted({(row[KINDS[kind]], row["articleType"]) for row in rows
                    if row[KINDS[kind]] not in ("", "NA")})
    return [query for query in (Query(kind, a, b, rows) for a, b in pairs) if query.enough()]


def average_precision(scores, relevant):
    hits = relevant[np.argsort(-scores, kind="stable")]
    return (np.cumsum(hits) / np.arange(1, len(hits) + 1))[hits].mean()


def measure(vector, plain, query, photos):
    scores = photos @ vector
    first = np.argsort(-scores, kind="stable")[:10]
    return {"preference": auc(scores[query.only_a], scores[query.only_b]),
            "ap_a": average_precision(scores, query.has_a),
            "ap_b": average_precision(scores, query.has_b),
            "ap_both": average_precision(scores, query.both),
            "recall_10": query.both[first].sum() / min(10, query.both.sum()),
            "cosine": float(vector @ plain)}


def normal(vector):
    return vector / np.linalg.norm(vector)


# Each method: (query, strength of A, strength of B) -> the texts that it needs, and what makes the
# vector of theirs. None where it has no such strength.
def stori(query, a, b):
    return [query.text(f"({{}}:{a})", f"({{}}:{b})")], lambda vectors: vectors[0]


def phrase_sum(query, a, b):
    return ([f"a photo of {query.a}", f"a photo of {query.b}"],
            lambda vectors: normal(a * vectors[0] + b * vectors[1]))


def mix(query, a, b):
    if a != 1 and b != 1:
        return None
    strength = a if a != 1 else b
    without = query.text("({}:0)") if a != 1 else query.text("{}", "({}:0)")

    def combine(vectors):
        full, rest = vectors
        if strength == 0:
            return rest
        if strength <= 1:
            t = math.tan((1 - strength) * math.pi / 2)
            return normal((full + t * rest) / (1 + t))
        return normal(full + (strength - 1) * (full - rest))
    return [query.text(), without], combine


def repeat(query, a, b):
    if a != int(a) or b != int(b) or min(a, b) < 1:
        return None
    return ([query.text(" ".join(["{}"] * int(a)), " ".join(["{}"] * int(b)))],
            lambda vectors: vectors[0])


def rephrase(query, a, b):
    if (a, b) not in ((1, 1), (2, 1), (3, 1)):
        return None
    return [query.text("very " * int(a - 1) + "{}")], lambda vectors: vectors[0]


# And the program's mode that encodes the texts.
METHODS = {"SToRI": (stori, "attention"), "difference": (stori, "difference"),
           "phrase sum": (phrase_sum, "attention"), "mix": (mix, "attention"),
           "repeat": (repeat, "attention"), "very": (rephrase, "attention")}


def settings():
    """(strength of A, strength of B), from B alone to A alone."""
    mirrored = [(1, strength) for strength in reversed(STRENGTHS) if strength > 1]
    weakened = [(1, strength) for strength in reversed(STRENGTHS) if strength < 1]
    return mirrored + [(strength, 1) for strength in STRENGTHS] + weakened


def evaluate(methods, queries, encode, plain, photos):
    """results[method][setting] = [a record a query]"""
    results = collections.defaultdict(dict)
    for name, (method, mode) in methods.items():
        wanted = [(setting, query, method(query, *setting))
                  for setting in settings() for query in queries]
        wanted = [entry for entry in wanted if entry[2] is not None]
        texts = sorted({text for _, _, (texts, _) in wanted for text in texts})
        vectors = dict(zip(texts, encode(texts, mode)))
        for setting, query, (texts, combine) in wanted:
            vector = combine([vectors[text] for text in texts])
            results[name].setdefault(setting, []).append(
                measure(vector, plain[query.text()], query, photos))
    return results


def reference_results(clip, queries, plain, photos):
    from reference import TextTower, Variant
    import torch
    tower = TextTower(clip)

    def weights_of(query, ids, a, b):
        owners, words = tower.words(query.text())
        count_b = len(tower.words(query.b)[1])
        count_a = len(tower.words(query.a)[1])
        weights = [1.0] * len(ids)
        for i, owner in enumerate(owners):
            if owner >= len(words) - count_b:
                weights[i + 1] = b
            elif owner >= len(words) - count_b - count_a:
                weights[i + 1] = a
        return weights

    def vectors(a, b, variant=Variant()):
        """Of all queries."""
        texts = [tower.ids(query.text()) for query in queries]
        longest = max(map(len, texts))
        weights = [weights_of(query, ids, a, b) for query, ids in zip(queries, texts)]
        padded = torch.tensor([row + [1.0] * (longest - len(row)) for row in weights])
        with torch.no_grad():
            return tower.encode(texts, padded.log(), variant).double().numpy()

    variants = {"input embeddings": Variant("embeddings"), "outputs (control)": Variant("outputs"),
                "SToRI, last row alone": Variant(last_row_only=True)}
    for block in range(1, tower.blocks):
        variants[f"SToRI from block {block}"] = Variant(first_block=block)
    results = collections.defaultdict(dict)
    for name, variant in variants.items():
        for setting in settings():
            if name == "outputs (control)" and setting[0] != 10:
                continue
            results[name][setting] = [
                measure(vector, plain[query.text()], query, photos)
                for query, vector in zip(queries, vectors(*setting, variant))]
    return results, vectors


def mean(records, key):
    return float(np.mean([record[key] for record in records]))


def response(by_setting):
    """How the preference follows the strength of A: [queries] each."""
    strengths = [s for s in STRENGTHS if (s, 1) in by_setting]
    curve = np.array([[record["preference"] for record in by_setting[(s, 1)]] for s in strengths]).T
    positive = [i for i, s in enumerate(strengths) if s > 0]
    if len(positive) < 3:
        return None
    logs = np.log2([strengths[i] for i in positive])
    slopes = np.array([np.polyfit(logs, row[positive], 1)[0] for row in curve])
    spearman = np.array([rank_correlation(row, strengths) for row in curve])
    steps = np.diff(curve)
    # A score of 0 cannot fall any further, so that steps there are ties whatever a strength does.
    return {"slope": slopes, "spearman": spearman, "monotone": np.all(steps > 0, axis=1),
            "never_reversed": np.all(steps >= 0, axis=1)}


def reach(by_setting, retention, chosen):
    """The lowest and highest mean preference of the queries chosen while mean AP of both is at
    least this share of what it is without strengths; linear between settings."""
    order = [setting for setting in settings() if setting in by_setting]
    curves = {key: np.array([[record[key] for record in by_setting[setting]] for setting in order])
              for key in ("preference", "ap_both")}
    preference = curves["preference"][:, chosen].mean(1)
    both = curves["ap_both"][:, chosen].mean(1)
    least = retention * both[order.index((1, 1))]
    reached = list(preference[both >= least])
    sides = [[i for i, s in enumerate(order) if s[1 - side] == 1] for side in (0, 1)]
    for side in sides:
        side.sort(key=lambda i: order[i])
        for i, j in zip(side, side[1:]):
            if (both[i] >= least) != (both[j] >= least):
                share = (least - both[i]) / (both[j] - both[i])
                reached.append(preference[i] + share * (preference[j] - preference[i]))
    return min(reached), max(reached)


def interval(values):
    return [float(np.percentile(values, 2.5)), float(np.percentile(values, 97.5))]


def summarize(results, count, draws=1000):
    random = np.random.default_rng(1)
    samples = [random.integers(0, count, count) for _ in range(draws)]
    everyone = np.arange(count)
    summary, widths = {}, {}
    for name, by_setting in results.items():
        entry = {"settings": [
            {"a": a, "b": b, **{key: mean(records, key) for key in records[0]}}
            for (a, b), records in by_setting.items()]}
        followed = response(by_setting)
        if followed:
            for key, values in followed.items():
                entry[key] = float(np.mean(values))
                entry[key + "_ci95"] = interval([np.mean(values[s]) for s in samples])
        if (1, 1) in by_setting:
            for retention in RETENTIONS:
                low, high = reach(by_setting, retention, everyone)
                drawn = [reach(by_setting, retention, s) for s in samples[:300]]
                widths[name, retention] = np.array([h - l for l, h in drawn])
                entry[f"reach_{retention}"] = {
                    "low": low, "high": high, "width": high - low,
                    "width_ci95": interval(widths[name, retention])}
        summary[name] = entry
    for (name, retention), drawn in widths.items():  # paired, on the same queries
        ours, other = (summary[n][f"reach_{retention}"] for n in ("SToRI", name))
        other["stori_less_this"] = ours["width"] - other["width"]
        other["stori_less_this_ci95"] = interval(widths["SToRI", retention] - drawn)
    return summary


def print_tables(kind, count, summary):
    print(f"\n## {kind}: {count} queries\n")
    print("preference at w_A =", *STRENGTHS, sep=" | ")
    for name, entry in summary.items():
        values = {s["a"]: s["preference"] for s in entry["settings"] if s["b"] == 1}
        print(name, *(f"{values[s]:.3f}" if s in values else "" for s in STRENGTHS), sep=" | ")
    for key in ("ap_a", "ap_b", "ap_both", "recall_10", "cosine"):
        values = {s["a"]: s[key] for s in summary["SToRI"]["settings"] if s["b"] == 1}
        print(f"SToRI {key}", *(f"{values[s]:.3f}" for s in STRENGTHS), sep=" | ")
    for name, entry in summary.items():
        if "slope" in entry:
            print(f"{name}: slope {entry['slope']:.3f} {entry['slope_ci95']}, Spearman "
                  f"{entry['spearman']:.3f} {entry['spearman_ci95']}, monotone "
                  f"{100 * entry['monotone']:.1f} % {entry['monotone_ci95']}, never in the wrong "
                  f"direction {100 * entry['never_reversed']:.1f} %")
        for retention in RETENTIONS:
            if f"reach_{retention}" in entry:
                r = entry[f"reach_{retention}"]
                print(f"{name}: AP of both >= {retention}: {r['low']:.3f} to {r['high']:.3f}, width "
                      f"{r['width']:.3f} [{r['width_ci95'][0]:.3f}, {r['width_ci95'][1]:.3f}], "
                      f"SToRI's less this {r['stori_less_this']:+.3f} "
                      f"[{r['stori_less_this_ci95'][0]:+.3f}, {r['stori_less_this_ci95'][1]:+.3f}]")


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    Ondine.add_options(parser)
    parser.add_argument("--part", default="test", choices=["validation", "test"])
    parser.add_argument("--reference", action="store_true")
    parser.add_argument("-o", "--output", type=pathlib.Path)
    options = parser.parse_args()

    ondine = Ondine(options)
    gallery = fashion(options.data)[options.part]
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary)
        write_photos(gallery, folder / "photos")
        by_path = ondine.photos(folder / "photos", folder / "photos.db")
    by_name = {pathlib.Path(path).name: vector for path, vector in by_path.items()}
    gallery = [photo for photo in gallery if photo.name in by_name]
    photos = np.array([by_name[photo.name] for photo in gallery])
    rows = [photo.row for photo in gallery]
    print(f"{len(gallery)} photos of the {options.part} part")

    output = {"photos": len(gallery), "kinds": {}}
    for kind in KINDS:
        queries = queries_of(kind, rows)
        texts = [query.text() for query in queries]
        plain = dict(zip(texts, ondine.queries(texts)))
        results = evaluate(METHODS, queries, ondine.queries, plain, photos)
        if options.reference:
            more, theirs = reference_results(options.clip, queries, plain, photos)
            results.update(more)
            agreement = min(
                float((ondine.queries([stori(query, a, b)[0][0] for query in queries])
                       * theirs(a, b)).sum(1).min())
                for a, b in ((1, 1), (5, 1), (1, 0.5), (0, 1)))
            print(f"{kind}: lowest cosine of the program's and PyTorch's vectors: {agreement:.7f}")
        summary = summarize(results, len(queries))
        print_tables(kind, len(queries), summary)
        output["kinds"][kind] = {"queries": len(queries), "methods": summary}
    if options.output:
        options.output.write_text(json.dumps(output, indent=1))


if __name__ == "__main__":
    main()
