#!/usr/bin/env python3
"""Speed of every weight type, beside llama.cpp's in the same run, as a Markdown table.

  weight_types.py [TYPE...] --peer plain=build/peer/bin/python [-r 3]

For each type a model is made up: a llama with 1,024 channels, 6 layers and random weights, so that
every block size fits (SmolLM2's 576 channels take no K types), with the tokenizer of the default
model. Speed does not depend on what the weights are. Of llama.cpp the fastest of the builds named
with --peer stands in the table, with flash attention, which is the faster setting where there is no
long text. Run by scripts/bench --weight-types with a Python that has llama_cpp and gguf.
"""

import argparse
import os
import tempfile

import gguf

from made_up_model import Shape, write_model
from peers import ONDINE, add_peer_option, best, machine, make_peers, output_of

SHAPE = Shape(channels=1024, layers=6, heads=16, kv_heads=4, feed_forward=3072)
TYPES = ["F32", "F16", "BF16", "Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q2_K", "Q3_K", "Q4_K",
         "Q5_K", "Q6_K", "IQ4_NL", "IQ4_XS", "IQ3_S", "IQ3_XXS", "IQ2_S", "IQ2_XS", "IQ2_XXS",
         "IQ1_S", "IQ1_M", "TQ1_0", "TQ2_0", "MXFP4"]


def rates(rows):
    """Best rates of prompt and generation."""
    return [max(best(row) for row in rows if bool(row["n_prompt"]) == prompt)
            for prompt in (True, False)]


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("types", nargs="*", default=TYPES, metavar="TYPE")
    parser.add_argument("-p", "--prompt", type=int, default=512)
    parser.add_argument("-n", "--gen", type=int, default=64)
    parser.add_argument("-r", "--reps", type=int, default=3)
    parser.add_argument("-t", "--threads", type=int, default=os.cpu_count())
    add_peer_option(parser)
    args = parser.parse_args()
    peers = [peer for peer in make_peers(args.peer) if peer.flash]
    size = ["-p", args.prompt, "-n", args.gen, "-r", args.reps]
    print(f"{args.threads} threads, best of {args.reps}; {machine()}\n")
    print(f"| type | pp{args.prompt}: ondine, llama.cpp | ratio | tg{args.gen}: ondine, llama.cpp "
          "| ratio |")
    print("| --- | ---: | ---: | ---: | ---: |", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        model = os.path.join(folder, "model.gguf")
        for name in args.types:
            write_model(model, SHAPE, gguf.GGMLQuantizationType[name])
            ours = rates(output_of([ONDINE, "bench", "-m", model, "-t", args.threads, *size,
                                    "-o", "json"]))
            theirs = [(rates(peer.run(model, args.threads, "bench", *size)), peer.name)
                      for peer in peers]
            cells = []
            for i in range(2):
                peer, setting = max((found[i], setting) for found, setting in theirs)
                cells += [f"{ours[i]:.0f}, {peer:.0f} ({setting})", f"{ours[i] / peer:.2f}"]
            print(f"| {name} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
