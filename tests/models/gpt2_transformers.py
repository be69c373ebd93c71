#!/usr/bin/env python3
"""Holds the golden logits of the tiny GPT-2 against those of transformers with the same weights.

  gpt2_transformers.py FOLDER/gpt2.gguf tests/models/golden_logits.cc

Needs torch, transformers and gguf; the file is one of write_tiny_models. Prints the relative
difference over the logits after 60 tokens, and fails above 2e-3: llama.cpp's, which the golden ones
are, come from keys and values of 16 bits.
"""

import re
import sys

import gguf
import numpy as np
import torch
from transformers import GPT2Config, GPT2LMHeadModel

TOKENS = [(i * 37 + 11) % 256 for i in range(60)]


def main():
    path, golden_path = sys.argv[1:]
    reader = gguf.GGUFReader(path)
    field = {key: value.contents() for key, value in reader.fields.items()
             if key.startswith("gpt2.")}
    tensors = {t.name: torch.tensor(np.array(t.data)) for t in reader.tensors}
    config = GPT2Config(
        vocab_size=len(tensors["token_embd.weight"]), n_positions=field["gpt2.context_length"],
        n_embd=field["gpt2.embedding_length"], n_layer=field["gpt2.block_count"],
        n_head=field["gpt2.attention.head_count"], n_inner=field["gpt2.feed_forward_length"],
        layer_norm_epsilon=field["gpt2.attention.layer_norm_epsilon"])
    names = {"wte.weight": "token_embd.weight", "wpe.weight": "position_embd.weight",
             "ln_f.weight": "output_norm.weight", "ln_f.bias": "output_norm.bias"}
    for i in range(config.n_layer):
        for theirs, ours in (("ln_1", "attn_norm"), ("ln_2", "ffn_norm"), ("attn.c_attn", "attn_qkv"),
                             ("attn.c_proj", "attn_output"), ("mlp.c_fc", "ffn_up"),
                             ("mlp.c_proj", "ffn_down")):
            for part in ("weight", "bias"):
                names[f"h.{i}.{theirs}.{part}"] = f"blk.{i}.{ours}.{part}"
    state = {}
    for theirs, ours in names.items():
        # Theirs are [in][out].
        matrix = theirs.endswith(".weight") and ".c_" in theirs
        state["transformer." + theirs] = tensors[ours].T if matrix else tensors[ours]
    state["lm_head.weight"] = tensors["token_embd.weight"]
    model = GPT2LMHeadModel(config).eval()
    missing, unexpected = model.load_state_dict(state, strict=False)
    assert not unexpected and all(name.endswith((".bias", ".masked_bias")) for name in missing)
    with torch.no_grad():
        logits = model(torch.tensor([TOKENS])).logits[0, -1].numpy()

    with open(golden_path, encoding="utf-8") as file:
        block = re.search(r'\{"gpt2",\s*\{(.*?)\}\}', file.read(), re.S).group(1)
    golden = np.array([float(v.rstrip("f")) for v in block.replace("\n", " ").split(",") if v.strip()])
    difference = np.linalg.norm(logits - golden) / np.linalg.norm(golden)
    print(f"relative difference {difference:.2e} over {len(golden)} logits")
    sys.exit(int(difference > 2e-3))


if __name__ == "__main__":
    main()
