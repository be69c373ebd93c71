#!/usr/bin/env python3
"""Holds a converted adapter's log-probabilities against those of PEFT itself.

  agreement.py -m F32.gguf --text wiki.test.raw [--chunks 4] [--rank 8] [--rslora] [--keep OUT.gguf]

The model file, of architecture llama and without BOS, is read by ondine and by transformers. PEFT
attaches a random adapter to all matrices of all layers, with patterns of ranks and alphas, and
saves it; `ondine convert-adapter` converts it. Prints a row of a Markdown table each without and
with the adapter: mean and largest Kullback-Leibler divergence, largest difference of two
log-probabilities that PEFT puts above -16 nats, share of the same top token. Needs torch,
transformers, peft and gguf.
"""

import argparse
import os
import subprocess
import tempfile

import numpy as np
import peft
import torch
import transformers


def ondine_log_probs(args, folder, *options):
    """Tokens [chunks][context] and log-probabilities [chunks][scored][vocabulary]."""
    base = os.path.join(folder, "base.kld")
    subprocess.run([args.ondine, "perplexity", "-m", args.model, "-f", os.path.join(folder, "text"),
                    "--chunks", str(args.chunks), "--kl-base", base, "--json", *options],
                   check=True, stdout=subprocess.DEVNULL)
    with open(base, "rb") as f:
        data = f.read()
    os.remove(base)
    context, vocabulary, chunks = np.frombuffer(data, "<i4", 3, 8)
    tokens = np.frombuffer(data, "<i4", context * chunks, 20).reshape(chunks, context)
    rows = np.frombuffer(data, "<u2", offset=20 + 4 * context * chunks)
    rows = rows.reshape(chunks, -1, 4 + vocabulary + vocabulary % 2)
    scale, low = (rows[..., at:at + 2].copy().view("<f4") for at in (0, 2))
    return tokens, rows[..., 4:4 + vocabulary] * scale + low


def add_adapter(model, args, folder):
    config = peft.LoraConfig(
        r=args.rank, lora_alpha=2 * args.rank, use_rslora=args.rslora, init_lora_weights=False,
        target_modules=["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj",
                        "down_proj"],
        rank_pattern={"v_proj": args.rank // 2}, alpha_pattern={"layers.1.self_attn.k_proj": 3})
    model = peft.get_peft_model(model, config)
    torch.manual_seed(1)
    with torch.no_grad():
        for name, values in model.named_parameters():
            if "lora_" in name:
                values.normal_(0, 0.03)
    model.save_pretrained(folder)
    return model


def compare(name, ours, theirs):
    theirs = torch.log_softmax(theirs.double(), -1).numpy()
    told_apart = theirs > -16
    difference = np.where(told_apart, theirs - ours, 0)
    divergence = (np.exp(theirs) * difference).sum(-1)
    same = (theirs.argmax(-1) == ours.argmax(-1)).mean()
    print(f"| {name} | {divergence.mean():.2e} | {divergence.max():.2e} | "
          f"{np.abs(difference).max():.2e} | {100 * same:.2f} % |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("-m", "--model", required=True)
    parser.add_argument("--text", required=True)
    parser.add_argument("--ondine", default="build/bin/ondine")
    parser.add_argument("--chunks", type=int, default=4)
    parser.add_argument("--rank", type=int, default=8)
    parser.add_argument("--rslora", action="store_true")
    parser.add_argument("--keep", help="write the converted adapter here")
    args = parser.parse_args()

    where, file = os.path.split(os.path.abspath(args.model))
    model = transformers.AutoModelForCausalLM.from_pretrained(where, gguf_file=file,
                                                              dtype=torch.float32)
    with tempfile.TemporaryDirectory() as folder:
        with open(args.text, "rb") as source, open(os.path.join(folder, "text"), "wb") as target:
            target.write(source.read(8192 * args.chunks))
        tokens, without = ondine_log_probs(args, folder)
        saved = os.path.join(folder, "saved")
        converted = args.keep or os.path.join(folder, "converted.gguf")
        adapted = add_adapter(model, args, saved)
        print(subprocess.run([args.ondine, "convert-adapter", "-m", args.model, saved, "-o",
                              converted, "--json"], check=True, stdout=subprocess.PIPE,
                             text=True).stdout)
        _, with_adapter = ondine_log_probs(args, folder, "--adapter", converted)

        first = tokens.shape[1] // 2
        with torch.no_grad():
            ids = torch.tensor(tokens.astype(np.int64))
            logits = torch.cat([adapted(chunk[None]).logits[:, first:-1] for chunk in ids])
            with adapted.disable_adapter():
                plain = torch.cat([adapted(chunk[None]).logits[:, first:-1] for chunk in ids])
    compare("without adapter", without, plain)
    compare("with adapter", with_adapter, logits)
    compare("ondine without, PEFT with", without, logits)


if __name__ == "__main__":
    main()
