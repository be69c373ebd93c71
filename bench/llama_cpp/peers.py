"""What the comparisons with llama.cpp share: running programs that print JSON, the builds and
settings of llama.cpp, and the machine."""

import json
import os
import pathlib
import platform
import statistics
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
ONDINE = HERE.parent.parent / "build" / "bin" / "ondine"


def cpu_field(name):
    """A field of the first CPU's description, such as "model name" or "flags"."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as f:
            for line in f:
                if line.startswith(name):
                    return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.machine()


def machine():
    return (f"{cpu_field('model name')}, {os.cpu_count()} cores, "
            f"load {os.getloadavg()[0]:.1f} before the run")


def output_of(command, env=None):
    result = subprocess.run([str(part) for part in command], stdout=subprocess.PIPE, text=True,
                            check=False, env=env)
    if result.returncode != 0:
        sys.exit(f"failed: {' '.join(map(str, command))}")
    return json.loads(result.stdout)


class Peer:
    """A build of llama.cpp with flash attention on or off, and perhaps a model file of its own."""

    def __init__(self, build, python, flash, kind=None, model=None):
        self.name = (f"{kind}, " if kind else "") + build + (", fa" if flash else "")
        self.python, self.flash, self.model = python, flash, model

    def run(self, model, threads, *command):
        # OpenBLAS does not know every CPU that has AVX-512; told, it is half as fast again.
        env = dict(os.environ)
        if "avx512f" in cpu_field("flags"):
            env.setdefault("OPENBLAS_CORETYPE", "SkylakeX")
        return output_of([self.python, HERE / "llama_peer.py", *command, "-m", self.model or model,
                          "-t", threads, "-fa", int(self.flash)], env)


def make_peers(named, models=None):
    """Of NAME=PYTHON strings: every build without and with flash attention; and with every one of
    `models`, files by the name of their type, where there are some."""
    builds = [peer.split("=", 1) for peer in named]
    return [Peer(name, python, flash, kind, model) for name, python in builds
            for flash in (False, True) for kind, model in (models or {None: None}).items()]


def add_peer_option(parser):
    parser.add_argument("--peer", action="append", default=[], metavar="NAME=PYTHON",
                        help="a Python that has llama_cpp; may be repeated")


def best(row):
    return max(row["samples_ts"])


def median(row):
    return statistics.median(row["samples_ts"])
