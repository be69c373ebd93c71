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
import ctypes
import os
import pathlib
import tempfile

import gguf
import llama_cpp
import numpy as np

from peers import HERE, ONDINE, add_peer_option, best, machine, make_peers, output_of

TOKENIZER = HERE.parent.parent / "build" / "models" / "SmolLM2-135M-Instruct.Q4_1.gguf"

CHANNELS, LAYERS, HEADS, KV_HEADS, FEED_FORWARD = 1024, 6, 16, 4, 3072
TYPES = ["F32", "F16", "BF16", "Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q2_K", "Q3_K", "Q4_K",
         "Q5_K", "Q6_K", "IQ4_NL", "IQ4_XS", "IQ3_S", "IQ3_XXS", "IQ2_S", "IQ2_XS", "IQ2_XXS",
         "IQ1_S", "IQ1_M", "TQ1_0", "TQ2_0", "MXFP4"]


def ggml_library():
    folder = pathlib.Path(llama_cpp.__file__).parent / "lib"
    library = ctypes.CDLL(str(next(folder.glob("libggml-base.so*"))))
    library.ggml_quantize_chunk.restype = ctypes.c_size_t
    library.ggml_quantize_chunk.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p,
                                            ctypes.c_int64, ctypes.c_int64, ctypes.c_int64,
                                            ctypes.c_void_p]
    return library


def quantized(library, kind, rows, columns):
    """Random weights in blocks of `kind`; 16 different rows, since some types take long to make."""
    few = np.random.default_rng(columns).normal(0, 0.05, (16, columns)).astype(np.float32)
    block, size = gguf.GGML_QUANT_SIZES[kind]
    importance = np.ones(columns, np.float32)
    row_bytes = columns // block * size
    out = np.zeros((16, row_bytes), np.uint8)
    library.ggml_quantize_chunk(kind, few.ctypes.data, out.ctypes.data, 0, 16, columns,
                                importance.ctypes.data)
    return np.tile(out, (rows // 16, 1))


def write_model(path, kind, library):
    writer = gguf.GGUFWriter(path, "llama")
    tokenizer = gguf.GGUFReader(TOKENIZER)
    for key, field in tokenizer.fields.items():
        if key.startswith("tokenizer.") and key != "tokenizer.chat_template":
            of = field.types[1] if len(field.types) > 1 else None
            writer.add_key_value(key, field.contents(), field.types[0], sub_type=of)
    vocabulary = len(tokenizer.fields["tokenizer.ggml.tokens"].data)
    writer.add_block_count(LAYERS)
    writer.add_context_length(8192)
    writer.add_embedding_length(CHANNELS)
    writer.add_feed_forward_length(FEED_FORWARD)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_rope_dimension_count(CHANNELS // HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(vocabulary)

    def add(name, rows, columns):
        writer.add_tensor(name, quantized(library, kind, rows, columns), raw_dtype=kind)

    def add_norm(name):
        writer.add_tensor(name, np.ones(CHANNELS, np.float32))

    kv = CHANNELS // HEADS * KV_HEADS
    add("token_embd.weight", vocabulary, CHANNELS)
    add_norm("output_norm.weight")
    for i in range(LAYERS):
        for name, rows, columns in (("attn_q", CHANNELS, CHANNELS), ("attn_k", kv, CHANNELS),
                                    ("attn_v", kv, CHANNELS), ("attn_output", CHANNELS, CHANNELS),
                                    ("ffn_gate", FEED_FORWARD, CHANNELS),
                                    ("ffn_up", FEED_FORWARD, CHANNELS),
                                    ("ffn_down", CHANNELS, FEED_FORWARD)):
            add(f"blk.{i}.{name}.weight", rows, columns)
        add_norm(f"blk.{i}.attn_norm.weight")
        add_norm(f"blk.{i}.ffn_norm.weight")
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


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
    library = ggml_library()
    size = ["-p", args.prompt, "-n", args.gen, "-r", args.reps]
    print(f"{args.threads} threads, best of {args.reps}; {machine()}\n")
    print(f"| type | pp{args.prompt}: ondine, llama.cpp | ratio | tg{args.gen}: ondine, llama.cpp "
          "| ratio |")
    print("| --- | ---: | ---: | ---: | ---: |", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        model = os.path.join(folder, "model.gguf")
        for name in args.types:
            write_model(model, gguf.GGMLQuantizationType[name], library)
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
