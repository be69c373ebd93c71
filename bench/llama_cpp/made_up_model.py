"""Models of any size with random weights: speed does not depend on what the weights are."""

import ctypes
import dataclasses
import pathlib

import gguf
import llama_cpp
import numpy as np

from peers import HERE

DEFAULT_MODEL = HERE.parent.parent / "build" / "models" / "SmolLM2-135M-Instruct.Q4_1.gguf"


@dataclasses.dataclass
class Shape:
    """Of a llama; the vocabulary is that of the default model."""
    channels: int
    layers: int
    heads: int
    kv_heads: int
    feed_forward: int


def _ggml_library():
    folder = pathlib.Path(llama_cpp.__file__).parent / "lib"
    library = ctypes.CDLL(str(next(folder.glob("libggml-base.so*"))))
    library.ggml_quantize_chunk.restype = ctypes.c_size_t
    library.ggml_quantize_chunk.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p,
                                            ctypes.c_int64, ctypes.c_int64, ctypes.c_int64,
                                            ctypes.c_void_p]
    return library


def _quantized(library, kind, rows, columns):
    """Random weights in blocks of `kind`; 16 different rows, since some types take long to make."""
    few = np.random.default_rng(columns).normal(0, 0.05, (16, columns)).astype(np.float32)
    block, size = gguf.GGML_QUANT_SIZES[kind]
    importance = np.ones(columns, np.float32)
    out = np.zeros((16, columns // block * size), np.uint8)
    library.ggml_quantize_chunk(kind, few.ctypes.data, out.ctypes.data, 0, 16, columns,
                                importance.ctypes.data)
    return np.tile(out, (rows // 16, 1))


def write_model(path, shape, kind):
    """`kind`: a gguf.GGMLQuantizationType for all matrices."""
    library = _ggml_library()
    writer = gguf.GGUFWriter(path, "llama")
    tokenizer = gguf.GGUFReader(DEFAULT_MODEL)
    for key, field in tokenizer.fields.items():
        if key.startswith("tokenizer.") and key != "tokenizer.chat_template":
            of = field.types[1] if len(field.types) > 1 else None
            writer.add_key_value(key, field.contents(), field.types[0], sub_type=of)
    vocabulary = len(tokenizer.fields["tokenizer.ggml.tokens"].data)
    writer.add_block_count(shape.layers)
    writer.add_context_length(8192)
    writer.add_embedding_length(shape.channels)
    writer.add_feed_forward_length(shape.feed_forward)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.kv_heads)
    writer.add_rope_dimension_count(shape.channels // shape.heads)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(vocabulary)

    def add(name, rows, columns):
        writer.add_tensor(name, _quantized(library, kind, rows, columns), raw_dtype=kind)

    def add_norm(name):
        writer.add_tensor(name, np.ones(shape.channels, np.float32))

    channels, hidden = shape.channels, shape.feed_forward
    kv = channels // shape.heads * shape.kv_heads
    add("token_embd.weight", vocabulary, channels)
    add_norm("output_norm.weight")
    for i in range(shape.layers):
        for name, rows, columns in (("attn_q", channels, channels), ("attn_k", kv, channels),
                                    ("attn_v", kv, channels), ("attn_output", channels, channels),
                                    ("ffn_gate", hidden, channels), ("ffn_up", hidden, channels),
                                    ("ffn_down", channels, hidden)):
            add(f"blk.{i}.{name}.weight", rows, columns)
        add_norm(f"blk.{i}.attn_norm.weight")
        add_norm(f"blk.{i}.ffn_norm.weight")
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
