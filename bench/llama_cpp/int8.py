#!/usr/bin/env python3
"""Speed with 8-bit weights and static 8-bit activations, beside llama.cpp, as Markdown tables.

  int8.py --peer plain=build/peer/bin/python --peer blas=build/peer-blas/bin/python [--made-up-1b]

Ondine runs the model as `ondine quantize` makes it, llama.cpp runs it as Q8_0 (first table: in the
first build; second table: the fastest of all builds, and of Q8_0 and Q4_0). Scales are the ones
that ship, where they are for the model; else the first file of --text tells the ranges.
--made-up-1b measures a model of Llama 3.2 1B's shape with random weights. Other options are those
of compare.py. Run by scripts/bench --int8 with a Python that has llama_cpp and gguf.
"""

import os
import subprocess
import sys
import tempfile

import gguf

from compare import compare, make_parser
from made_up_model import DEFAULT_MODEL, Shape, write_model
from peers import HERE, ONDINE, make_peers, output_of

LLAMA_1B = Shape(channels=2048, layers=16, heads=32, kv_heads=8, feed_forward=8192)
PEER_TYPES = ["Q8_0", "Q4_0"]


def run(*command):
    if subprocess.run([str(part) for part in command], check=False).returncode != 0:
        sys.exit(f"failed: {' '.join(map(str, command))}")


def quantize(args, out):
    command = [ONDINE, "quantize", "-m", args.model, "-o", out, "--json"]
    if os.path.realpath(args.model) == os.path.realpath(DEFAULT_MODEL):
        scales = subprocess.run([ONDINE, "info", "--default-scales"], stdout=subprocess.PIPE,
                                text=True, check=True).stdout.strip()
        command += ["--scales", scales]
    elif args.text:
        command += ["--calibrate", args.text[0]]
    else:
        sys.exit("int8.py: --text FILE is needed, to tell ranges of activations")
    report = output_of(command)
    calibration = report["seconds_calibration"]
    print(f"Converted in {report['seconds'] - calibration:.1f} s, after {calibration:.1f} s of "
          f"calibration, with at most "
          f"{report['rss_peak_bytes'] / 1e6:.0f} MB resident: {report['bytes_before'] / 1e6:.0f} MB "
          f"to {report['bytes_after'] / 1e6:.0f} MB.\n")


def main():
    parser = make_parser(__doc__)
    parser.add_argument("--made-up-1b", action="store_true")
    parser.set_defaults(model=str(DEFAULT_MODEL), depth=[0])
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if args.made_up_1b:
            args.model = os.path.join(folder, "made-up-1B.Q8_0.gguf")
            write_model(args.model, LLAMA_1B, gguf.GGMLQuantizationType.Q8_0)
        ours = os.path.join(folder, "w8a8.gguf")
        quantize(args, ours)
        models = {}
        for kind in PEER_TYPES if args.peer else []:
            models[kind] = os.path.join(folder, kind + ".gguf")
            run(sys.executable, HERE / "llama_peer.py", "convert", "-m", args.model, "--type", kind,
                "-o", models[kind])
        args.model = ours
        compare(args, make_peers(args.peer[:1], {"Q8_0": models.get("Q8_0")}))
        if args.peer:
            print()
            compare(args, make_peers(args.peer, models))


if __name__ == "__main__":
    main()
