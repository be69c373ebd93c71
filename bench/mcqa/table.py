#!/usr/bin/env python3
"""Makes a table of several runs of `ondine eval mcqa --json --items`.

  table.py base=base.json blend=blend.s1.json,blend.s2.json uniform=uniform.json --reference blend

One column a method, one row a set; files behind one name, joined by commas, are runs with other
seeds, and their mean counts. Below, each method's difference to the reference over all questions,
with a 95 % interval: a bootstrap that draws questions, the same ones for both methods, within each
set (for the mean over the sets) or from all (for all questions).
"""

import argparse
import collections
import itertools
import json
import random


def load(path):
    """Right (1) or wrong (0) by set and question, in the order of the file."""
    with open(path, encoding="utf-8") as file:
        items = json.load(file)["items"]
    right = collections.defaultdict(dict)
    for item in items:
        of_task = right[item["task"]]
        question = (item["question"], tuple(choice["continuation"] for choice in item["choices"]))
        # A set may hold a question twice.
        key = next((*question, n) for n in itertools.count() if (*question, n) not in of_task)
        of_task[key] = float(item["chosen"] == item["gold"])
    return right


def load_mean(paths):
    runs = [load(path) for path in paths.split(",")]
    for run in runs[1:]:
        if {task: set(items) for task, items in run.items()} != {
                task: set(items) for task, items in runs[0].items()}:
            raise SystemExit(f"{paths}: the runs have other questions")
    return {task: {key: sum(run[task][key] for run in runs) / len(runs) for key in items}
            for task, items in runs[0].items()}


def mean(values):
    return sum(values) / len(values)


def interval(draws):
    draws.sort()
    return draws[round(0.025 * (len(draws) - 1))], draws[round(0.975 * (len(draws) - 1))]


def compare(method, reference, count, seed):
    """Differences (all questions, mean over the sets), each with its interval."""
    rng = random.Random(seed)
    differences = {task: [method[task][key] - reference[task][key] for key in items]
                   for task, items in reference.items()}
    everything = [d for values in differences.values() for d in values]
    total = [mean(rng.choices(everything, k=len(everything))) for _ in range(count)]
    macro = [mean([mean(rng.choices(values, k=len(values))) for values in differences.values()])
             for _ in range(count)]
    return ((mean(everything), *interval(total)),
            (mean([mean(values) for values in differences.values()]), *interval(macro)))


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", metavar="NAME=FILE[,FILE...]")
    parser.add_argument("--reference", help="name of the method to compare with (default: the first)")
    parser.add_argument("--draws", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()

    methods = {name: load_mean(paths) for name, paths in
               (run.split("=", 1) for run in args.runs)}
    reference = args.reference or next(iter(methods))
    tasks = sorted(methods[reference])
    for name, method in methods.items():
        if {t: set(i) for t, i in method.items()} != {t: set(i) for t, i in methods[reference].items()}:
            raise SystemExit(f"{name} has other questions than {reference}")

    def row(head, cells):
        print("| " + " | ".join([head, *cells]) + " |")

    row("", methods)
    print("| --- |" + " ---: |" * len(methods))
    for task in tasks:
        row(f"`{task}`, n = {len(methods[reference][task])}",
            [f"{100 * mean(list(method[task].values())):.1f}" for method in methods.values()])
    row("**all questions**", [f"{100 * mean([v for t in tasks for v in m[t].values()]):.1f}"
                              for m in methods.values()])
    row("mean over the sets", [f"{100 * mean([mean(list(m[t].values())) for t in tasks]):.1f}"
                               for m in methods.values()])
    print(f"\n{reference} less the others, in points, with 95 % intervals:\n")
    row("", ["all questions", "mean over the sets"])
    print("| --- | ---: | ---: |")
    for name, method in methods.items():
        if name == reference:
            continue
        cells = compare(methods[reference], method, args.draws, args.seed)
        row(name, [f"{100 * d:+.1f} [{100 * low:.1f}, {100 * high:.1f}]" for d, low, high in cells])


if __name__ == "__main__":
    main()
