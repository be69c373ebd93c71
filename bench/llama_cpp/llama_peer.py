#!/usr/bin/env python3
"""Measures llama.cpp, the peer Ondine is compared with, through libllama itself.

llama-cpp-python's wheel holds libllama but neither llama-bench nor llama-perplexity. This script
repeats what those two do, call for call, so that its figures are theirs. `scripts/bench
--with-llama-cpp` makes an environment that has the library, built for this machine.

  llama_peer.py bench -m M -p 512 -n 128 -d 0,8192 -fa 0,1 -t 2 -r 5
  llama_peer.py read -m M --tokens 32768
  llama_peer.py perplexity -m M -f wiki.test.raw --chunks 40 --save-logits base.kld
  llama_peer.py greedy -m M --prompts prompts.jsonl -n 64
  llama_peer.py tokenize -m M < text
  llama_peer.py convert -m M --type Q8_0 -o OUT

Results are JSON on standard output: an array of rows (bench), one object (read, perplexity), one
object a line (greedy, tokenize); convert writes a file. Exit code 0 only on success.
"""

import argparse
import contextlib
import ctypes
import hashlib
import json
import math
import os
import random
import resource
import statistics
import struct
import sys
import time

import numpy as np

try:
    import llama_cpp.llama_cpp as ll
except ImportError:
    sys.exit("llama_peer.py: llama_cpp is not here; scripts/bench --with-llama-cpp builds it")

FILE_TYPES = {"F32": ll.LLAMA_FTYPE_ALL_F32, "Q8_0": ll.LLAMA_FTYPE_MOSTLY_Q8_0,
              "Q4_0": ll.LLAMA_FTYPE_MOSTLY_Q4_0, "Q4_K_M": ll.LLAMA_FTYPE_MOSTLY_Q4_K_M}
N_BATCH = 2048
N_UBATCH = 512


@ll.llama_log_callback
def _drop_log(_level, _text, _data):
    """Keeps libllama's running commentary off standard error."""


class Llama:
    """A loaded model file; contexts are made one at a time."""

    def __init__(self, path, adapter=None):
        ll.llama_log_set(_drop_log, ctypes.c_void_p(0))
        ll.llama_backend_init()
        self.path = path
        self.model = ll.llama_model_load_from_file(
            path.encode(), ll.llama_model_default_params())
        if not self.model:
            sys.exit(f"llama_peer.py: {path}: llama.cpp cannot load this model")
        self.vocab = ll.llama_model_get_vocab(self.model)
        self.n_vocab = ll.llama_vocab_n_tokens(self.vocab)
        self.bos = ll.llama_vocab_bos(self.vocab)
        self.adapter = None
        if adapter:
            self.adapter = ll.llama_adapter_lora_init(self.model, adapter.encode())
            if not self.adapter:
                sys.exit(f"llama_peer.py: {adapter}: llama.cpp cannot load this adapter")
        self.add_bos = bool(ll.llama_vocab_get_add_bos(self.vocab))

    def describe(self):
        text = ctypes.create_string_buffer(128)
        ll.llama_model_desc(self.model, text, 128)
        return {
            "model_filename": os.path.basename(self.path),
            "model_type": text.value.decode(),
            "model_size": ll.llama_model_size(self.model),
            "model_n_params": ll.llama_model_n_params(self.model),
        }

    @contextlib.contextmanager
    def context(self, n_ctx, threads, flash, n_batch=N_BATCH):
        params = ll.llama_context_default_params()
        params.n_ctx = n_ctx
        params.n_batch = n_batch
        params.n_ubatch = min(N_UBATCH, n_batch)
        params.n_threads = params.n_threads_batch = threads
        params.flash_attn_type = (ll.LLAMA_FLASH_ATTN_TYPE_ENABLED
                                  if flash else ll.LLAMA_FLASH_ATTN_TYPE_DISABLED)
        params.swa_full = False  # as llama-bench does
        ctx = ll.llama_init_from_model(self.model, params)
        if not ctx:
            sys.exit(f"llama_peer.py: no context of {n_ctx} tokens: out of memory?")
        if self.adapter:
            ll.llama_set_adapters_lora(ctx, (ll.llama_adapter_lora_p_ctypes * 1)(self.adapter), 1,
                                       (ctypes.c_float * 1)(1.0))
        try:
            yield ctx
        finally:
            ll.llama_free(ctx)

    def tokenize(self, text, special=False):
        data = text if isinstance(text, bytes) else text.encode()
        room = len(data) + 2
        ids = (ll.llama_token * room)()
        n = ll.llama_tokenize(self.vocab, data, len(data), ids, room, True, special)
        if n < 0:
            sys.exit("llama_peer.py: llama.cpp cannot tokenize this text")
        return list(ids[:n])

    def piece(self, token):
        text = ctypes.create_string_buffer(256)
        n = ll.llama_token_to_piece(self.vocab, token, text, 256, 0, False)
        return text.raw[:max(n, 0)]

    def random_tokens(self, n, rng):
        ids = [rng.randrange(self.n_vocab) for _ in range(n)]
        if self.add_bos and ids:
            ids[0] = self.bos
        return ids


def decode(ctx, ids):
    """Appends `ids` to the cache; logits are made for the last one only."""
    array = (ll.llama_token * len(ids))(*ids)
    if ll.llama_decode(ctx, ll.llama_batch_get_one(array, len(ids))) != 0:
        sys.exit("llama_peer.py: llama_decode failed")


def decode_prompt(ctx, ids, n_batch=N_BATCH):
    for i in range(0, len(ids), n_batch):
        decode(ctx, ids[i:i + n_batch])
    ll.llama_synchronize(ctx)


def decode_one_by_one(ctx, ids):
    for token in ids:
        decode(ctx, [token])
        ll.llama_synchronize(ctx)


def last_logits(ctx, n_vocab):
    return np.ctypeslib.as_array(ll.llama_get_logits_ith(ctx, -1), shape=(n_vocab,))


def clear(ctx):
    ll.llama_memory_clear(ll.llama_get_memory(ctx), False)


def machine():
    cpu = "unknown"
    with contextlib.suppress(OSError), open("/proc/cpuinfo", encoding="utf-8") as f:
        cpu = next((line.split(":", 1)[1].strip() for line in f if "model name" in line), cpu)
    return {
        "cpu_info": cpu,
        "n_cpus": os.cpu_count(),
        "load_1min": round(os.getloadavg()[0], 2),
        "system_info": ll.llama_print_system_info().decode().strip(" |"),
    }


def rss_peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def rate_row(samples_ns, n_tokens):
    rates = [n_tokens / (ns / 1e9) for ns in samples_ns]
    return {
        "avg_ns": round(statistics.mean(samples_ns)),
        "avg_ts": statistics.mean(rates),
        "stddev_ts": statistics.stdev(rates) if len(rates) > 1 else 0.0,
        "best_ts": max(rates),
        "median_ts": statistics.median(rates),
        "samples_ns": samples_ns,
        "samples_ts": rates,
    }


def bench_one(llama, n_prompt, n_gen, depth, args, flash):
    """One row of llama-bench: a warm-up, then `reps` timed runs on top of `depth` cached tokens."""
    rng = random.Random(1)
    samples = []
    with llama.context(n_prompt + n_gen + depth, args.threads, flash) as ctx:
        if n_prompt:
            decode_prompt(ctx, llama.random_tokens(n_prompt, rng))
        if n_gen:
            decode_one_by_one(ctx, llama.random_tokens(1, rng))
        saved = None
        for _ in range(args.reps):
            clear(ctx)
            if saved:
                ll.llama_state_seq_set_data(ctx, saved, len(saved), 0)
            elif depth:
                decode_prompt(ctx, llama.random_tokens(depth, rng))
                saved = (ctypes.c_uint8 * ll.llama_state_seq_get_size(ctx, 0))()
                ll.llama_state_seq_get_data(ctx, saved, len(saved), 0)
            prompt = llama.random_tokens(n_prompt, rng)
            generated = llama.random_tokens(n_gen, rng)
            start = time.perf_counter_ns()
            decode_prompt(ctx, prompt)
            decode_one_by_one(ctx, generated)
            samples.append(time.perf_counter_ns() - start)
    return {
        "n_prompt": n_prompt, "n_gen": n_gen, "n_depth": depth, "flash_attn": bool(flash),
        "n_threads": args.threads, "n_batch": N_BATCH, "n_ubatch": N_UBATCH,
        "type_k": "f16", "type_v": "f16", **rate_row(samples, n_prompt + n_gen),
    }


def run_bench(args):
    llama = Llama(args.model, args.adapter)
    rows = []
    for depth in args.depth:
        for flash in args.flash:
            tests = [(n, 0) for n in args.prompt if n] + [(0, n) for n in args.gen if n]
            for n_prompt, n_gen in tests:
                row = bench_one(llama, n_prompt, n_gen, depth, args, flash)
                rows.append({**llama.describe(), **machine(), **row})
                name = f"pp{n_prompt}" if n_prompt else f"tg{n_gen}"
                print(f"{name} @ d{depth} fa={flash}: {row['avg_ts']:.1f} +- "
                      f"{row['stddev_ts']:.1f} t/s, best {row['best_ts']:.1f}", file=sys.stderr)
    json.dump(rows, sys.stdout, indent=1)
    print()


def run_read(args):
    """Reads one long text into a cache that holds all of it, as llama.cpp must."""
    llama = Llama(args.model, args.adapter)
    ids = llama.random_tokens(args.tokens, random.Random(1))
    curve = []
    with llama.context(args.tokens, args.threads, args.flash[0]) as ctx:
        decode_prompt(ctx, ids[:N_UBATCH])
        clear(ctx)
        start = time.perf_counter()
        for i in range(0, len(ids), N_BATCH):
            decode_prompt(ctx, ids[i:i + N_BATCH])
            curve.append({"tokens": min(i + N_BATCH, len(ids)),
                          "seconds": time.perf_counter() - start})
            print(f"{curve[-1]['tokens']} tokens, {curve[-1]['seconds']:.1f} s", file=sys.stderr)
    seconds = curve[-1]["seconds"]
    json.dump({**llama.describe(), **machine(), "n_threads": args.threads,
               "flash_attn": bool(args.flash[0]), "tokens": args.tokens, "seconds": seconds,
               "avg_ts": args.tokens / seconds, "rss_peak_bytes": rss_peak(), "curve": curve},
              sys.stdout, indent=1)
    print()


def chunk_logits(llama, ctx, ids, first):
    """Logits of the positions `first` .. len(ids) - 2, which predict the tokens one further on."""
    n = len(ids)
    batch = ll.llama_batch_init(n, 0, 1)
    batch.n_tokens = n
    for i, token in enumerate(ids):
        batch.token[i] = token
        batch.pos[i] = i
        batch.n_seq_id[i] = 1
        batch.seq_id[i][0] = 0
        batch.logits[i] = int(first <= i < n - 1)
    clear(ctx)
    status = ll.llama_decode(ctx, batch)
    ll.llama_batch_free(batch)
    if status != 0:
        sys.exit("llama_peer.py: llama_decode failed")
    pointer = ll.llama_get_logits(ctx)
    return np.ctypeslib.as_array(pointer, shape=(n - 1 - first, llama.n_vocab))


def write_log_probs(f, log_probs):
    """llama-perplexity's --kl-divergence-base form: a float scale and minimum, then 16-bit steps."""
    for row in log_probs:
        low = max(float(row.min()), float(row.max()) - 16.0)
        scale = (float(row.max()) - low) / 65535.0
        steps = np.maximum((row - low) / scale + 0.5, 0) if scale > 0 else np.zeros_like(row)
        f.write(struct.pack("<ff", scale, low))
        f.write(steps.astype("<u2").tobytes())
        if len(row) % 2:
            f.write(b"\0\0")


class LogProbsReader:
    """Reads what write_log_probs() wrote, chunk by chunk."""

    def __init__(self, path, n_ctx, n_vocab, ids):
        self.file = open(path, "rb")
        self.rows, self.n_vocab = n_ctx - 1 - n_ctx // 2, n_vocab
        if self.file.read(8) != b"_logits_":
            sys.exit(f"llama_peer.py: {path}: no file of logits")
        base_ctx, base_vocab, chunks = struct.unpack("<iii", self.file.read(12))
        tokens = np.frombuffer(self.file.read(4 * base_ctx * chunks), "<i4")
        n = min(len(tokens), len(ids))
        if (base_ctx, base_vocab) != (n_ctx, n_vocab) or list(tokens[:n]) != ids[:n]:
            sys.exit(f"llama_peer.py: {path}: of another text or vocabulary")

    def next_chunk(self):
        size = 8 + 2 * (self.n_vocab + self.n_vocab % 2)
        data = np.frombuffer(self.file.read(size * self.rows), np.uint8).reshape(self.rows, size)
        scale, low = (data[:, at:at + 4].copy().view("<f4") for at in (0, 4))
        return data[:, 8:8 + 2 * self.n_vocab].copy().view("<u2") * scale + low


def run_perplexity(args):
    llama = Llama(args.model, args.adapter)
    with open(args.file, "rb") as f:
        text = f.read(args.bytes) if args.bytes else f.read()
    start = time.perf_counter()
    ids = llama.tokenize(text)
    tokenize_seconds = time.perf_counter() - start
    n_chunks = len(ids) // args.ctx
    if args.chunks:
        n_chunks = min(n_chunks, args.chunks)
    first = args.ctx // 2
    if n_chunks == 0:
        sys.exit(f"llama_peer.py: {args.file}: fewer than {args.ctx} tokens")

    sink = open(args.save_logits, "wb") if args.save_logits else contextlib.nullcontext()
    base = LogProbsReader(args.kl_base, args.ctx, llama.n_vocab, ids) if args.kl_base else None
    losses, divergences, same_top = [], [], []
    start = time.perf_counter()
    with sink as out, llama.context(args.ctx, args.threads, args.flash[0],
                                    max(args.ctx, N_BATCH)) as ctx:
        if out:
            out.write(b"_logits_" + struct.pack("<iii", args.ctx, llama.n_vocab, n_chunks))
            out.write(np.array(ids[:n_chunks * args.ctx], "<i4").tobytes())
        for c in range(n_chunks):
            chunk = ids[c * args.ctx:(c + 1) * args.ctx]
            if llama.add_bos:
                chunk[0] = llama.bos
            logits = chunk_logits(llama, ctx, chunk, first)
            top = logits.max(axis=1, keepdims=True)
            log_probs = logits - top
            log_probs -= np.log(np.exp(log_probs).sum(axis=1, keepdims=True, dtype=np.float64)
                                ).astype(np.float32)
            losses.append(-log_probs[np.arange(len(log_probs)), chunk[first + 1:]]
                          .astype(np.float64))
            if out:
                write_log_probs(out, log_probs)
            if base:
                reference = base.next_chunk()
                # Below -16 lies what the file does not tell apart, as llama-perplexity has it.
                terms = np.where(reference > -16, np.exp(reference) * (reference - log_probs), 0)
                divergences.append(terms.sum(axis=1))
                same_top.append(reference.argmax(axis=1) == log_probs.argmax(axis=1))
            mean = np.concatenate(losses).mean()
            print(f"[{c + 1}]{math.exp(mean):.4f},", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    nll = np.concatenate(losses)
    ppl = math.exp(nll.mean())
    stderr = ppl * math.sqrt(nll.var() / (len(nll) - 1))
    found = {}
    if base:
        found = {"kld_mean": float(np.concatenate(divergences).mean()),
                 "top1_agreement": float(np.concatenate(same_top).mean())}
    json.dump({**llama.describe(), **machine(), **found, "n_threads": args.threads,
               "n_ctx": args.ctx,
               "chunks": n_chunks, "text_bytes": len(text), "text_tokens": len(ids),
               "tokenize_seconds": tokenize_seconds, "seconds": time.perf_counter() - start,
               "text_sha256": hashlib.sha256(text).hexdigest(), "flash_attn": bool(args.flash[0]),
               "ppl": ppl, "stderr": stderr, "tokens": len(nll)}, sys.stdout, indent=1)
    print()
    print(f"Final estimate: PPL = {ppl:.4f} +/- {stderr:.5f}", file=sys.stderr)


def read_prompts(path):
    """One prompt a line: a JSON object with "prompt", a JSON string, or plain text."""
    prompts = []
    with open(path, encoding="utf-8") as f:
        for line in f:
            line = line.rstrip("\n")
            if line.startswith(("{", '"')):
                value = json.loads(line)
                prompts.append(value["prompt"] if isinstance(value, dict) else value)
            elif line:
                prompts.append(line)
    return prompts


def run_greedy(args):
    llama = Llama(args.model, args.adapter)
    for prompt in read_prompts(args.prompts):
        ids = llama.tokenize(prompt, args.special)
        tokens, margins = [], []
        with llama.context(len(ids) + args.n + 1, args.threads, args.flash[0]) as ctx:
            decode_prompt(ctx, ids)
            first_logits = last_logits(ctx, llama.n_vocab).copy()
            for _ in range(args.n):
                logits = last_logits(ctx, llama.n_vocab)
                second, best = np.partition(logits, -2)[-2:]
                token = int(logits.argmax())
                if ll.llama_vocab_is_eog(llama.vocab, token):
                    break
                tokens.append(token)
                # A small margin marks a step at which another summation order may choose otherwise.
                margins.append(round(float(best - second), 4))
                decode(ctx, [token])
        top = np.argsort(-first_logits)[:10]
        text = b"".join(llama.piece(t) for t in tokens).decode("utf-8", "replace")
        print(json.dumps({
            "prompt": prompt, "prompt_tokens": ids, "tokens": tokens, "text": text,
            "margins": margins,
            "first_logits": {int(t): round(float(first_logits[t]), 4) for t in top},
        }, ensure_ascii=False))


def run_tokenize(args):
    llama = Llama(args.model, args.adapter)
    for line in sys.stdin.buffer if args.lines else [sys.stdin.buffer.read()]:
        print(json.dumps(llama.tokenize(line, args.special)))


def run_convert(args):
    """The same weights in another type. With F32 no product rounds its inputs to 8 bits."""
    ll.llama_log_set(_drop_log, ctypes.c_void_p(0))
    params = ll.llama_model_quantize_default_params()
    params.ftype = FILE_TYPES[args.type]
    params.allow_requantize = True
    if ll.llama_model_quantize(args.model.encode(), args.output.encode(), params) != 0:
        sys.exit(f"llama_peer.py: {args.model}: llama.cpp cannot convert this model")


def numbers(text):
    return [int(part) for part in text.split(",")]


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)

    def command(name, function, text):
        sub = commands.add_parser(name, help=text)
        sub.set_defaults(function=function)
        sub.add_argument("-m", "--model", required=True, help="GGUF file")
        sub.add_argument("--adapter", help="LoRA adapter as a GGUF file")
        sub.add_argument("-t", "--threads", type=int, default=os.cpu_count())
        sub.add_argument("-fa", "--flash", type=numbers, default=[0],
                         help="flash attention: 0, 1 or, for bench, 0,1")
        return sub

    sub = command("bench", run_bench, "what llama-bench measures")
    sub.add_argument("-p", "--prompt", type=numbers, default=[512])
    sub.add_argument("-n", "--gen", type=numbers, default=[128])
    sub.add_argument("-d", "--depth", type=numbers, default=[0])
    sub.add_argument("-r", "--reps", type=int, default=5)

    sub = command("read", run_read, "time to read a long text at full context")
    sub.add_argument("--tokens", type=int, default=32768)

    sub = command("perplexity", run_perplexity, "what llama-perplexity measures")
    sub.add_argument("-f", "--file", required=True)
    sub.add_argument("--bytes", type=int, default=0, help="use only the first BYTES of the file")
    sub.add_argument("--ctx", type=int, default=512)
    sub.add_argument("--chunks", type=int, default=0, help="0: all")
    sub.add_argument("--save-logits", metavar="FILE",
                     help="log-probabilities as llama-perplexity --kl-divergence-base writes them")

    sub.add_argument("--kl-base", metavar="FILE", help="such a file to compare with")

    sub = command("greedy", run_greedy, "most likely continuations, for comparing token by token")
    sub.add_argument("--prompts", required=True, help="one a line: text or JSON with \"prompt\"")
    sub.add_argument("-n", type=int, default=64)
    sub.add_argument("--special", action="store_true", help="read control tokens in the prompt")

    sub = command("tokenize", run_tokenize, "token ids of standard input")
    sub.add_argument("--lines", action="store_true", help="each line by itself")
    sub.add_argument("--special", action="store_true")

    sub = command("convert", run_convert, "a model's weights in another type")
    sub.add_argument("-o", "--output", required=True)
    sub.add_argument("--type", choices=FILE_TYPES, default="F32")

    args = parser.parse_args()
    args.function(args)


if __name__ == "__main__":
    main()
