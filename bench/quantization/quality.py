#!/usr/bin/env python3
"""What quantisation costs: perplexity, divergence from the float model and agreement on the most
likely token, on several texts, as a Markdown table.

  quality.py -m MODEL --calibrate wiki.valid.txt --text wiki=wiki.test.txt --text plays=plays.txt \\
             --row "learned=--scales scales.gguf" --row "SmoothQuant 0.75=--smooth 0.75"

The float model is the same weights as 32-bit floats, with inputs that nothing rounds. A row's text
behind the name is options of `ondine quantize`; without any --row, those of DEFAULT_ROWS are
measured. MODEL itself stands in the table too: its inputs are rounded to 8 bits in blocks.
"""

import argparse
import json
import os
import pathlib
import shlex
import subprocess
import sys
import tempfile

ONDINE = pathlib.Path(__file__).resolve().parent.parent.parent / "build" / "bin" / "ondine"
DEFAULT_ROWS = {
    "outliers kept": "--ranges outliers",
    "outliers kept, SmoothQuant 0.5": "--ranges outliers --smooth 0.5",
    "round to nearest, min-max": "--ranges minmax",
    "round to nearest, least squares": "--ranges mse",
    "cross-layer equalisation": "--equalize --ranges minmax",
    "SmoothQuant 0.25": "--smooth 0.25 --ranges minmax",
    "SmoothQuant 0.5": "--smooth 0.5 --ranges minmax",
    "SmoothQuant 0.75": "--smooth 0.75 --ranges minmax",
    "SmoothQuant 0.8": "--smooth 0.8 --ranges minmax",
}


def output_of(*command):
    result = subprocess.run([str(part) for part in command], stdout=subprocess.PIPE, text=True,
                            check=False)
    if result.returncode != 0:
        sys.exit(f"failed: {' '.join(map(str, command))}")
    return json.loads(result.stdout)


def pairs(options):
    return dict(option.split("=", 1) for option in options)


class Texts:
    """Measures a model on every text against the float model."""

    def __init__(self, args, folder):
        self.args, self.folder, self.texts = args, folder, pairs(args.text)
        self.float = {}

    def measure(self, model):
        args, found = self.args, {}
        for name, path in self.texts.items():
            found[name] = output_of(ONDINE, "perplexity", "-m", model, "-f", path, "--ctx", 512,
                                    "--chunks", args.chunks, "-t", args.threads, "--kl-base",
                                    os.path.join(self.folder, name + ".logits"), "--json")
        return found

    def print_head(self):
        print("| | " + " | ".join(f"{name}: perplexity (against float), KLD, same top token"
                                  for name in self.texts) + " |")
        print("| --- | " + " | ".join("---:" for _ in self.texts) + " |", flush=True)

    def print_row(self, title, found):
        cells = []
        for name, result in found.items():
            base = self.float.setdefault(name, result["ppl"])
            cell = f"{result['ppl']:.2f} ({100 * (result['ppl'] / base - 1):+.2f} %)"
            if "kld_mean" in result:
                cell += f", {result['kld_mean']:.4f}, {100 * result['top1_agreement']:.1f} %"
            cells.append(cell)
        print(f"| {title} | {' | '.join(cells)} |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-m", "--model", required=True)
    parser.add_argument("--calibrate", required=True, metavar="FILE")
    parser.add_argument("--text", action="append", required=True, metavar="NAME=FILE")
    parser.add_argument("--row", action="append", default=[], metavar="NAME=OPTIONS")
    parser.add_argument("--other", action="append", default=[], metavar="NAME=FILE",
                        help="another file of the same model, measured as it is")
    parser.add_argument("--chunks", type=int, default=40, help="of 512 tokens, of each text")
    parser.add_argument("-t", "--threads", type=int, default=os.cpu_count())
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        model = os.path.join(folder, "model.gguf")

        def quantize(*options):
            output_of(ONDINE, "quantize", "-m", args.model, "-o", model, "-t", args.threads,
                      "--json", *options)
            return model

        texts = Texts(args, folder)
        texts.print_head()
        # Folded scales turn matrices into floats and change nothing else.
        texts.print_row("float", texts.measure(quantize("--equalize", "--fold-only")))
        texts.print_row(os.path.basename(args.model), texts.measure(args.model))
        for title, path in pairs(args.other).items():
            texts.print_row(title, texts.measure(path))
        for title, options in (pairs(args.row) or DEFAULT_ROWS).items():
            texts.print_row(title, texts.measure(quantize(
                "--calibrate", args.calibrate, *shlex.split(options))))


if __name__ == "__main__":
    main()
