#!/usr/bin/env python3
"""Writes a small GPT-2 with random weights, to be trained by `ondine-train scales --learn weights`:
pretrained ones are not everywhere at hand. Its vocabulary is the most frequent part of that of
another model with GPT-2's kind of tokenizer.

  new_gpt2.py --vocabulary SmolLM2.gguf -o start.gguf
  ondine-train scales -m start.gguf --text text.txt --sequences 4000 --learn weights --target text \\
      --layer-steps 0 --steps 2000 --weight-rate 1e-3 --tuned-model gpt2.gguf -o unused.gguf
"""

import argparse

import gguf
import numpy as np


def cut_vocabulary(path, size):
    """Tokens, types and merges of the first `size` tokens: merges make tokens in their order."""
    fields = gguf.GGUFReader(path).fields
    tokens = fields["tokenizer.ggml.tokens"].contents()[:size]
    types = fields["tokenizer.ggml.token_type"].contents()[:size]
    known = set(tokens)
    merges = [merge for merge in fields["tokenizer.ggml.merges"].contents()
              if merge.replace(" ", "", 1) in known and set(merge.split(" ", 1)) <= known]
    return tokens, types, merges, fields["tokenizer.ggml.pre"].contents()


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vocabulary", required=True, metavar="MODEL")
    parser.add_argument("--tokens", type=int, default=4096)
    parser.add_argument("--layers", type=int, default=6)
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--heads", type=int, default=4)
    parser.add_argument("--context", type=int, default=512)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("-o", "--out", required=True)
    args = parser.parse_args()

    tokens, types, merges, pre = cut_vocabulary(args.vocabulary, args.tokens)
    writer = gguf.GGUFWriter(args.out, "gpt2")
    writer.add_name(f"GPT-2 of {args.layers} layers")
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(pre)
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    writer.add_token_merges(merges)
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(0)
    writer.add_add_bos_token(False)
    writer.add_block_count(args.layers)
    writer.add_context_length(args.context)
    writer.add_embedding_length(args.width)
    writer.add_feed_forward_length(4 * args.width)
    writer.add_head_count(args.heads)
    writer.add_layer_norm_eps(1e-5)

    random = np.random.default_rng(args.seed)

    def add(name, *shape, deviation=0.02):
        writer.add_tensor(name, random.normal(0, deviation, shape).astype(np.float32))

    def add_norm(name):
        writer.add_tensor(name + ".weight", np.ones(args.width, np.float32))
        writer.add_tensor(name + ".bias", np.zeros(args.width, np.float32))

    # Deviations are those of the paper's code: smaller where layers add to the residual stream.
    width, residual = args.width, 0.02 / np.sqrt(2 * args.layers)
    add("token_embd.weight", len(tokens), width)
    add("position_embd.weight", args.context, width, deviation=0.01)
    add_norm("output_norm")
    for i in range(args.layers):
        add_norm(f"blk.{i}.attn_norm")
        add_norm(f"blk.{i}.ffn_norm")
        for name, rows, columns, deviation in (("attn_qkv", 3 * width, width, 0.02),
                                               ("attn_output", width, width, residual),
                                               ("ffn_up", 4 * width, width, 0.02),
                                               ("ffn_down", width, 4 * width, residual)):
            add(f"blk.{i}.{name}.weight", rows, columns, deviation=deviation)
            writer.add_tensor(f"blk.{i}.{name}.bias", np.zeros(rows, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


if __name__ == "__main__":
    main()
