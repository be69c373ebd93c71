#!/usr/bin/env python3
"""The experiment of Quadapter (Park et al., Findings of EMNLP 2022, arXiv 2211.16912): what is
learned on one text, does it hold on others? Trains every method on the same sequences, quantises,
and prints perplexity, divergence and agreement on every text as a Markdown table.

  experiment.py -m gpt2.gguf --tune wikitext.valid.txt --text wikitext=wikitext.test.txt \\
                --text plays=plays.txt --work folder

The model is a GGUF file that is not quantised to integers yet, of any architecture that
`ondine-train scales` knows, GPT-2 among them. All rows have the same bits and sequences;
steps are those of all layers together, or of each where a row learns layer by layer. What was
trained lies in --work, with the command that trained it, and is not trained again, so that the same
command goes on where it was stopped; one with other options of training is refused. Needs scripts/bootstrap --train.
"""

import argparse
import concurrent.futures
import os
import pathlib
import shlex
import subprocess
import sys
import tempfile
import types

from quality import ONDINE, Texts, output_of

TRAIN = ONDINE.parent.parent / "train" / "bin" / "ondine-train"
# How a row is trained, and how quantised; {layer_steps} and {steps} are the command's.
ROWS = {
    "float model, tuned":
        ("--learn weights --target text --layer-steps 0 --steps {steps}", None),
    "round to nearest, min-max": (None, "--ranges minmax"),
    "round to nearest, least squares": (None, "--ranges mse"),
    "cross-layer equalisation": (None, "--equalize --ranges minmax"),
    "SmoothQuant 0.5": (None, "--smooth 0.5 --ranges minmax"),
    "SmoothQuant 0.8": (None, "--smooth 0.8 --ranges minmax"),
    "learned ranges alone":
        ("--start ones --learn ranges --target model --layer-steps 0 --steps {steps}", ""),
    "quantisation-aware training":
        ("--start ones --learn ranges --target text --layer-steps 0 --steps {steps}", ""),
    "AdaRound": ("--start ones --learn rounding --layer-steps {layer_steps} --steps 0", ""),
    "Quadapter, layer by layer": ("--layer-steps {layer_steps} --steps 0", ""),
    "Quadapter, end to end": ("--target model --layer-steps 0 --steps {steps}", ""),
    "Quadapter, end to end, text":
        ("--target text --layer-steps 0 --steps {steps}", ""),
    "Quadapter, both":
        ("--target model --layer-steps {layer_steps} --steps {steps}", ""),
}
# Rows with weights of their own.
TUNED = ("float model, tuned", "quantisation-aware training", "AdaRound")


def files_of(args, row):
    stem = os.path.join(args.work, row.replace(", ", "-").replace(" ", "-"))
    return types.SimpleNamespace(scales=stem + ".scales.gguf", log=stem + ".jsonl",
                                 checkpoint=stem + ".scales.gguf.checkpoint",
                                 options=stem + ".options",
                                 model=stem + ".gguf" if row in TUNED else args.model)


def options_of(args, row):
    """All that decides what is learned, but the number of threads, which only rounds otherwise."""
    options = ROWS[row][0].format(steps=args.steps, layer_steps=args.layer_steps)
    return [str(part) for part in (
        "-m", args.model, "--text", args.tune, "--sequences", args.sequences, "--batch", args.batch,
        "--weight-bits", args.scheme[1], "--activation-bits", args.scheme[3], "--seed", args.seed,
        "--smooth", args.smooth, "--rate", args.rate, "--weight-rate", args.weight_rate,
        *shlex.split(args.training), *shlex.split(options))]


def lines_of(options):
    """Each option with its values."""
    lines = []
    for part in map(shlex.quote, options):
        if part.startswith("-"):
            lines.append(part)
        else:
            lines[-1] += " " + part
    return lines


def check(args, row):
    """Ends the program where --work has what other options trained."""
    files = files_of(args, row)
    made = [path for path in (files.scales, files.checkpoint) if os.path.exists(path)]
    if ROWS[row][0] is None or not made:
        return
    path = pathlib.Path(files.options)
    if not path.exists():
        sys.exit(f"{made[0]}: no {path.name} beside it tells how it was trained; delete it, or take "
                 "another --work")
    then, now = path.read_text(encoding="utf-8").splitlines(), lines_of(options_of(args, row))
    theirs = " ".join(line for line in then if line not in now)
    ours = " ".join(line for line in now if line not in then)
    if theirs or ours:
        sys.exit(f"{made[0]}: is of another training, with {theirs or 'nothing more'}; this one has "
                 f"{ours or 'nothing more'}; delete it, or take another --work")


def train(args, row):
    files = files_of(args, row)
    if ROWS[row][0] is None or os.path.exists(files.scales):
        return
    options = options_of(args, row)
    pathlib.Path(files.options).write_text("\n".join(lines_of(options)) + "\n", encoding="utf-8")
    command = [str(TRAIN), "scales", *options, "--log", files.log,
               "-t", str(max(1, os.cpu_count() // args.jobs)), "-o", files.scales]
    if row in TUNED:
        command += ["--tuned-model", files.model]
    if os.path.exists(files.checkpoint):
        command.append("--resume")
    print(f"Training: {row}", file=sys.stderr, flush=True)
    with open(files.log + ".err", "w", encoding="utf-8") as errors:
        result = subprocess.run(command, check=False, stderr=errors)
    if result.returncode != 0:
        sys.exit(f"failed: {shlex.join(command)}\n(see {files.log}.err)")
    os.remove(files.checkpoint)


def measure(args, rows):
    with tempfile.TemporaryDirectory() as folder:
        model = os.path.join(folder, "model.gguf")

        def quantize(source, *options):
            output_of(ONDINE, "quantize", "-m", source, "-o", model, "-t", args.threads, "--json",
                      *options)
            return model

        texts = Texts(args, folder)
        texts.print_head()
        # Folded scales turn matrices into floats and change nothing else.
        texts.print_row("float", texts.measure(quantize(args.model, "--equalize", "--fold-only")))
        for row in rows:
            training, conversion = ROWS[row]
            files = files_of(args, row)
            if conversion is None:
                texts.print_row(row, texts.measure(files.model))
                continue
            scales = ["--scales", files.scales] if training else []
            texts.print_row(row, texts.measure(quantize(
                files.model, "--calibrate", args.tune, "--sequences", args.sequences, "--scheme",
                args.scheme, *scales, *shlex.split(conversion))))


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-m", "--model", required=True)
    parser.add_argument("--tune", required=True, metavar="FILE",
                        help="text to calibrate and to train with")
    parser.add_argument("--text", action="append", required=True, metavar="NAME=FILE")
    parser.add_argument("--work", required=True, metavar="FOLDER")
    parser.add_argument("--row", action="append", choices=ROWS, metavar="NAME",
                        help="of the table, instead of all; may be repeated")
    parser.add_argument("--scheme", default="w8a8")
    parser.add_argument("--sequences", type=int, default=128,
                        help="of 512 tokens to calibrate and train with")
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--layer-steps", type=int, default=100)
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--training", default="", metavar="OPTIONS",
                        help="more options of ondine-train scales, such as --sites or --bfloat16")
    parser.add_argument("--smooth", type=float, default=0.7, help="strength of scales to begin with")
    parser.add_argument("--rate", type=float, default=5e-3)
    parser.add_argument("--weight-rate", type=float, default=2e-5)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=1, help="trainings at a time")
    parser.add_argument("--train-only", action="store_true")
    parser.add_argument("--chunks", type=int, default=24, help="of 512 tokens, of each text")
    parser.add_argument("-t", "--threads", type=int, default=os.cpu_count())
    args = parser.parse_args()
    rows = args.row or list(ROWS)
    pathlib.Path(args.work).mkdir(parents=True, exist_ok=True)
    for row in rows:
        check(args, row)
    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        list(pool.map(lambda row: train(args, row), rows))
    if not args.train_only:
        measure(args, rows)


if __name__ == "__main__":
    main()
