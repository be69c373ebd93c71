#!/usr/bin/env python3
"""Holds ondine's numbers against llama.cpp's on the same model file.

  agreement.py -m MODEL --text wiki.test.raw [--chunks 40] [--bytes 400000] [--reference F32]
               [--adapter LORA] [-fa 1]

Prints a row of a Markdown table: how many greedy continuations of 20 prompts (five languages and
code) are the same, mean Kullback-Leibler divergence and perplexity over chunks of 512 tokens. With
--reference, the same weights in F32 (llama_peer.py convert), also how far each of the two is from
llama.cpp with these. Run it with the Python that has llama_cpp (scripts/bench --with-llama-cpp).
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
PROMPTS = [
    "The capital of France is",
    "Once upon a time, in a small village by the sea,",
    "Water boils at a temperature of",
    "The three laws of thermodynamics state that",
    "La capitale de l'Italie est",
    "Il était une fois une petite fille qui",
    "Le soleil se lève à l'est et",
    "Die Hauptstadt von Deutschland ist",
    "Es war einmal ein König, der",
    "Der schnellste Weg nach Hause ist",
    "La capital de España es",
    "Había una vez un hombre que",
    "El agua está compuesta de",
    "A capital de Portugal é",
    "Era uma vez um rei que",
    "O Brasil é um país",
    "def fibonacci(n):\n    \"\"\"Return the n-th Fibonacci number.\"\"\"\n",
    "#include <stdio.h>\n\nint main(void) {\n",
    "SELECT name, age FROM people WHERE",
    "function add(a, b) {\n",
]


def run(command):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("-m", "--model", required=True)
    parser.add_argument("--text", required=True)
    parser.add_argument("--adapter", help="LoRA adapter as a GGUF file, for both")
    parser.add_argument("--ondine", default="build/bin/ondine")
    parser.add_argument("--chunks", type=int, default=40)
    parser.add_argument("--bytes", type=int, default=400000)
    parser.add_argument("--reference", help="a model file")
    parser.add_argument("-fa", "--flash", type=int, choices=[0, 1], default=0,
                        help="llama.cpp's flash attention")
    parser.add_argument("-n", type=int, default=64, help="tokens of a continuation")
    parser.add_argument("-t", "--threads", type=int, default=2)
    args = parser.parse_args()
    adapter = ["--adapter", args.adapter] if args.adapter else []

    def peer(command, model, *options):
        return run([sys.executable, os.path.join(HERE, "llama_peer.py"), command, "-m", model,
                    "-fa", str(args.flash), "-t", str(args.threads), *adapter, *options])

    with tempfile.TemporaryDirectory() as folder:
        text = os.path.join(folder, "text")
        with open(args.text, "rb") as source, open(text, "wb") as target:
            target.write(source.read(args.bytes))
        prompts = os.path.join(folder, "prompts")
        with open(prompts, "w", encoding="utf-8") as f:
            f.writelines(json.dumps({"prompt": p}) + "\n" for p in PROMPTS)

        theirs = [json.loads(line) for line in
                  peer("greedy", args.model, "--prompts", prompts, "-n", str(args.n)).splitlines()]
        same = 0
        for prompt, their in zip(PROMPTS, theirs):
            ours = json.loads(run([args.ondine, "run", "-m", args.model, "-p", prompt, "-n",
                                   str(args.n), "-t", str(args.threads), "--json", *adapter]))
            if ours["text"] == their["text"]:
                same += 1
            else:
                print(f"differs: {prompt!r}\n  ondine    {ours['text']!r}\n"
                      f"  llama.cpp {their['text']!r}", file=sys.stderr)
        size = ["-f", text, "--chunks", str(args.chunks), "--ctx", "512"]
        base = os.path.join(folder, "base.kld")

        def llama_cpp(model, *option):
            return json.loads(peer("perplexity", model, *size, *option))

        def ondine():
            return json.loads(run([args.ondine, "perplexity", "-m", args.model, *size, "-t",
                                   str(args.threads), *adapter, "--kl-base", base, "--json"]))

        if args.reference:
            llama_cpp(args.reference, "--save-logits", base)
            for name, result in (("llama.cpp", llama_cpp(args.model, "--kl-base", base)),
                                 ("ondine", ondine())):
                print(f"{name} from the reference: {result['kld_mean']:.2e}, same top token "
                      f"{100 * result['top1_agreement']:.2f} %")
        their = llama_cpp(args.model, "--save-logits", base)
        our = ondine()
    difference = 100 * (our["ppl"] / their["ppl"] - 1)
    print(f"| {os.path.basename(args.model)} | {same}/{len(PROMPTS)} | {our['kld_mean']:.2e} ± "
          f"{our['kld_stderr']:.1e} | {100 * our['top1_agreement']:.2f} % | {their['ppl']:.4f} | "
          f"{our['ppl']:.4f} | {difference:+.3f} % |")


if __name__ == "__main__":
    main()
