#!/usr/bin/env python3
"""Runs ondine and llama.cpp by turns and prints one Markdown table with the ratios.

Usually called by scripts/bench. llama.cpp is measured with flash attention off and on, in every
build that is named with --peer; the fastest of these stands in the table, with its setting.

  compare.py -m MODEL --peer plain=build/peer/bin/python --peer blas=build/peer-blas/bin/python \\
             --read 32768 --text book.txt

A text of --read tokens is read by ondine in a pot and by llama.cpp into a cache that holds all of
it. llama.cpp's setting is the one that is fastest at a quarter of the length, by the last tokens of
a shorter reading. Texts longer than --peer-longest are read by ondine alone.
"""

import argparse
import os
import pathlib
import subprocess
import tempfile

from peers import ONDINE, add_peer_option, best, machine, make_peers, median, output_of


def adapter_option(args):
    return ["--adapter", args.adapter] if args.adapter else []


def ondine_bench(args, prompt, gen, depth, pot=0):
    command = [ONDINE, "bench", "-m", args.model, "-p", prompt, "-n", gen, "-d", depth,
               "-r", args.reps, "--threads", args.threads, "-o", "json", *adapter_option(args)]
    return output_of(command + (["--pot", pot] if pot else []))


def fastest(args, peers, *bench):
    """The fastest peer's row in a test of llama-bench, with the peer's name."""
    rows = [{**peer.run(args.model, args.threads, "bench", *bench, "-r", args.reps,
                        *adapter_option(args))[0], "setting": peer.name}
            for peer in peers]
    return max(rows, key=best, default=None)


def print_row(test, ours, theirs):
    def cell(key, form):
        return form.format(ours[key]) if key in ours else ""

    peer = (f"{best(theirs):.1f}, {median(theirs):.1f} ({theirs['setting']}) "
            f"| {best(ours) / best(theirs):.2f}, {median(ours) / median(theirs):.2f} |"
            if theirs else "| |")
    print(f"| {test} | {best(ours):.1f}, {median(ours):.1f} | {cell('gb_per_s', '{:.1f}')} "
          f"| {cell('gops', '{:.0f}')} | {cell('bound_percent', '{:.0f}')} | {peer}", flush=True)


def compare_bench(args, peers):
    for depth in args.depth:
        for row in ondine_bench(args, args.prompt, args.gen, depth):
            theirs = fastest(args, peers, "-p", row["n_prompt"], "-n", row["n_gen"], "-d", depth)
            print_row(row["test"], row, theirs)
            if depth and row["n_gen"] and args.pot:
                in_pot = ondine_bench(args, 0, args.gen, depth, args.pot)[0]
                print_row(f"{row['test']}, pot of {args.pot}", in_pot, theirs)


def count_tokens(args, text):
    result = subprocess.run([ONDINE, "tokenize", "-m", args.model, "--ids"], input=text,
                            stdout=subprocess.PIPE, check=True)
    return len(result.stdout.split())


def text_of(args, tokens):
    """The beginning of the texts, of about `tokens` tokens (1 in 500); None where they are shorter."""
    text = b"\n\n".join(pathlib.Path(file).read_bytes() for file in args.text)
    length, count = len(text), count_tokens(args, text)
    if count < tokens:
        return None
    while abs(count - tokens) > max(8, tokens / 500):
        length = length * tokens // count
        count = count_tokens(args, text[:length])
    return text[:length].decode("utf-8", "ignore").encode()  # not cut inside a character


def last_rate(run):
    """Tokens per second of the last step of a peer's reading."""
    before, last = run["curve"][-2:]
    return (last["tokens"] - before["tokens"]) / (last["seconds"] - before["seconds"])


def compare_read(args, peers):
    notes = []
    with tempfile.TemporaryDirectory() as folder:
        for tokens in args.read:
            text = text_of(args, tokens)
            if text is None:
                notes.append(f"read {tokens}: the texts are shorter")
                continue
            path = pathlib.Path(folder) / "text.txt"
            path.write_bytes(text)
            report = output_of([ONDINE, "read", "-m", args.model, "--pot", args.pot, "--threads",
                                args.threads, path, "--json"])
            ours = {"samples_ts": [report["tokens_per_second"]]}
            theirs = None
            if peers and tokens <= args.peer_longest:
                probe = max(tokens // 4, 4096)

                def read(peer, tokens):
                    return peer.run(args.model, args.threads, "read", "--tokens", tokens)

                peer = max(peers, key=lambda p: last_rate(read(p, probe)))
                theirs = {"samples_ts": [read(peer, tokens)["avg_ts"]], "setting": peer.name}
            print_row(f"read {tokens}, pot of {args.pot}", ours, theirs)
            seconds = report["seconds"]
            shares = ", ".join(f"{name} {100 * seconds[name] / seconds['read']:.1f} %" for name in
                               ("model", "surprise", "catalyst", "selection", "consolidation"))
            notes.append(f"read {tokens}: {shares}; at most {report['pot']['peak_entries']} entries "
                         f"and {report['rss_peak_bytes'] / 1e6:.1f} MB resident")
    print()
    for note in notes:
        print(f"* {note}")


def numbers(text):
    return [int(part) for part in text.split(",") if part]


def make_parser(text):
    parser = argparse.ArgumentParser(description=text,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-m", "--model")
    parser.add_argument("--adapter", help="LoRA adapter as a GGUF file, for both; not for --read")
    parser.add_argument("-p", "--prompt", type=int, default=512)
    parser.add_argument("-n", "--gen", type=int, default=128)
    parser.add_argument("-d", "--depth", type=numbers, default=[0, 8192],
                        help="tokens in the cache before")
    parser.add_argument("-r", "--reps", type=int, default=5)
    parser.add_argument("-t", "--threads", type=int, default=os.cpu_count())
    parser.add_argument("--pot", type=int, default=2048, help="0: no rows with a pot")
    parser.add_argument("--read", type=numbers, default=[], help="tokens of texts to read")
    parser.add_argument("--peer-longest", type=int, default=32768)
    parser.add_argument("--text", nargs="+", default=[], help="files that --read takes texts from")
    add_peer_option(parser)
    return parser


def compare(args, peers):
    print(f"{os.path.basename(args.model)}, {args.threads} threads, {args.reps} repetitions; "
          f"{machine()}\n")
    print("| test | ondine t/s: best, median | GB/s | GOPS | % of bound "
          "| llama.cpp t/s: best, median | ratio: best, median |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |", flush=True)
    compare_bench(args, peers)
    compare_read(args, peers)


def main():
    parser = make_parser(__doc__)
    args = parser.parse_args()
    if not args.model:
        parser.error("-m is needed")
    if args.read and not (args.text and args.pot):
        parser.error("--read needs --text and a pot")
    compare(args, make_peers(args.peer))


if __name__ == "__main__":
    main()
