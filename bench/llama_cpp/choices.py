#!/usr/bin/env python3
"""Holds ondine's likelihoods of answer choices against llama.cpp's on the same model file.

  choices.py -m MODEL --data ../shared/data [--tasks piqa] [--limit 100]

Each choice that `ondine eval mcqa --items` scored is scored once more by llama.cpp, context and
continuation in one batch with an empty cache. Prints a row of a Markdown table: how many questions
get the same answer, and by how much the choices' log-likelihoods per token differ. Run it with the
Python that has llama_cpp (scripts/bench --with-llama-cpp).
"""

import argparse
import json
import os
import subprocess

import numpy as np

import llama_peer


def log_likelihood(llama, ctx, context, continuation):
    """Sum over the tokens that follow the context's, and their number."""
    first = len(llama.tokenize(context))
    ids = llama.tokenize(context + continuation)
    logits = llama_peer.chunk_logits(llama, ctx, ids, first - 1).astype(np.float64)
    top = logits.max(axis=1)
    sums = np.log(np.exp(logits - top[:, None]).sum(axis=1)) + top
    return float((logits[np.arange(len(sums)), ids[first:]] - sums).sum()), len(ids) - first


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("-m", "--model", required=True)
    parser.add_argument("--data", default="../shared/data")
    parser.add_argument("--tasks", default="piqa")
    parser.add_argument("--limit", type=int, default=100)
    parser.add_argument("--split", default="final")
    parser.add_argument("--ondine", default="build/bin/ondine")
    parser.add_argument("-t", "--threads", type=int, default=2)
    args = parser.parse_args()

    output = subprocess.run(
        [args.ondine, "eval", "mcqa", "-m", args.model, "--data", args.data, "--tasks", args.tasks,
         "--limit", str(args.limit), "--split", args.split, "-t", str(args.threads), "--items",
         "--json"], check=True, stdout=subprocess.PIPE, text=True).stdout
    items = json.loads(output)["items"]

    llama = llama_peer.Llama(args.model)
    same, differences, other_tokens = 0, [], 0
    with llama.context(2048, args.threads, False) as ctx:
        for item in items:
            theirs = []
            for choice in item["choices"]:
                value, tokens = log_likelihood(llama, ctx, choice["context"],
                                               choice["continuation"])
                theirs.append(value / tokens)
                other_tokens += tokens != choice["tokens"]
                differences.append(choice["log_likelihood"] / choice["tokens"] - theirs[-1])
            same += item["chosen"] == int(np.argmax(theirs))
    differences = np.array(differences)
    print(f"| {os.path.basename(args.model)} | {args.tasks} | {same}/{len(items)} | "
          f"{np.abs(differences).mean():.5f} | {np.abs(differences).max():.5f} | "
          f"{differences.mean():+.5f} | {other_tokens}/{len(differences)} |")


if __name__ == "__main__":
    main()
