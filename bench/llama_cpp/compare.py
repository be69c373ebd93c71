#!/usr/bin/env python3
"""Runs `ondine bench` and llama.cpp by turns and prints one Markdown table with the ratios.

Usually called by scripts/bench. llama.cpp is measured with flash attention off and on; the faster of
the two stands in the table, named.
"""

import argparse
import json
import os
import pathlib
import platform
import statistics
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent


def rows(command):
    result = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if result.returncode != 0:
        sys.exit(f"compare.py: failed: {' '.join(map(str, command))}")
    return json.loads(result.stdout)


def ondine(args, depth):
    return rows([ROOT / "build" / "bin" / "ondine", "bench", "-m", args.model,
                 "-p", str(args.prompt), "-n", str(args.gen), "-d", str(depth),
                 "-r", str(args.reps), "--threads", str(args.threads), "-o", "json"])


def llama_cpp(args, depth, flash):
    return rows([args.peer_python, HERE / "llama_peer.py", "bench", "-m", args.model,
                 "-p", str(args.prompt), "-n", str(args.gen), "-d", str(depth),
                 "-r", str(args.reps), "-t", str(args.threads), "-fa", str(flash)])


def name(row):
    test = f"pp{row['n_prompt']}" if row["n_prompt"] else f"tg{row['n_gen']}"
    return test + (f" @ d{row['n_depth']}" if row["n_depth"] else "")


def best(row):
    return max(row["samples_ts"])


def median(row):
    return statistics.median(row["samples_ts"])


def cell(value, form="{:.1f}"):
    return form.format(value) if value is not None else ""


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-m", "--model", required=True)
    parser.add_argument("-p", "--prompt", type=int, default=512)
    parser.add_argument("-n", "--gen", type=int, default=128)
    parser.add_argument("-d", "--depth", default="0,8192", help="tokens in the cache before")
    parser.add_argument("-r", "--reps", type=int, default=5)
    parser.add_argument("-t", "--threads", type=int, default=os.cpu_count())
    parser.add_argument("--peer-python", default="", help="a Python that has llama_cpp")
    args = parser.parse_args()

    ours, theirs = {}, {}
    load = os.getloadavg()[0]
    for depth in [int(d) for d in args.depth.split(",")]:
        ours.update({name(row): row for row in ondine(args, depth)})
        for flash in (0, 1) if args.peer_python else ():
            for row in llama_cpp(args, depth, flash):
                known = theirs.get(name(row))
                if known is None or best(row) > best(known):
                    theirs[name(row)] = row

    cpu = platform.processor() or platform.machine()
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as f:
            cpu = next((line.split(":", 1)[1].strip() for line in f if "model name" in line), cpu)
    except OSError:
        pass
    print(f"{os.path.basename(args.model)}, {args.threads} threads, {args.reps} repetitions; "
          f"{cpu}, {os.cpu_count()} cores, load {load:.1f} before the run\n")
    print("| test | ondine t/s: best, median | GB/s | GOPS | % of bound "
          "| llama.cpp t/s: best, median | ratio: best, median |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    for test, row in ours.items():
        peer = theirs.get(test)
        flash = " (fa)" if peer and peer["flash_attn"] else ""
        print(f"| {test} | {best(row):.1f}, {median(row):.1f} | {cell(row.get('gb_per_s'))} "
              f"| {cell(row.get('gops'), '{:.0f}')} | {cell(row.get('bound_percent'), '{:.0f}')} | "
              + (f"{best(peer):.1f}, {median(peer):.1f}{flash} "
                 f"| {best(row) / best(peer):.2f}, {median(row) / median(peer):.2f} |"
                 if peer else "| |"))


if __name__ == "__main__":
    main()
