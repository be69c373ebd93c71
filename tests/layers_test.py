#!/usr/bin/env python3
"""Checks the one-way rule of docs/architecture.md: a folder includes only folders below it.

Run from the root of the repository: tests/layers_test.py. First proves on planted trees that it
would notice each kind of violation.
"""

import pathlib
import re
import sys
import tempfile

# From the top down. Every folder may also include itself and the public headers.
ORDER = ["cli", "serve", "eval", "engine", "memory", "adapters", "quant", "images", "models",
         "compute", "text", "formats", "base"]
SUFFIXES = {".h", ".hpp", ".cc", ".cpp", ".cu"}
INCLUDE = re.compile(r'^\s*#\s*include\s*(<[^>]+>|"[^"]+")')
# Only src/compute knows that these exist.
KERNEL_LIBRARIES = re.compile(r"^(ggml|gguf|dnnl|oneapi/dnnl)")
# A public header needs nothing but the standard library, whose headers have no suffix.
PUBLIC = re.compile(r"^(ondine/.+|tl/.+|[a-z0-9_]+)$")


def includes(path):
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        match = INCLUDE.match(line)
        if match:
            yield number, match.group(1)[1:-1], match.group(1)[0] == '"'


def sources(folder):
    return sorted(p for p in folder.rglob("*") if p.suffix in SUFFIXES) if folder.is_dir() else []


def violations(root):
    """Every include that breaks a rule, as "file:line: reason"."""
    found = []

    def report(path, number, reason):
        found.append(f"{path.relative_to(root)}:{number}: {reason}")

    src = root / "src"
    for folder in sorted(p.name for p in src.iterdir() if p.is_dir()) if src.is_dir() else []:
        if folder not in ORDER:
            found.append(f"src/{folder}: has no place in the order of folders ({', '.join(ORDER)})")
            continue
        below = set(ORDER[ORDER.index(folder):])
        for path in sources(src / folder):
            for number, name, quoted in includes(path):
                first = name.split("/")[0]
                if KERNEL_LIBRARIES.match(name):
                    if folder != "compute":
                        report(path, number, f"only src/compute may include {name}")
                elif first == "train" and quoted:
                    report(path, number, f"nothing in src/ depends on train/ ({name})")
                elif quoted and first in ORDER:
                    if first not in below:
                        report(path, number, f"{folder} stands below {first}: {name}")
                elif quoted and first != "ondine":
                    report(path, number, f"name the file from src/ or include/: {name}")

    for path in sources(root / "include"):
        for number, name, _ in includes(path):
            if not PUBLIC.match(name):
                report(path, number, f"a public header may not include {name}")

    # The training component may use everything in src/ except the program and the server.
    for path in sources(root / "train"):
        for number, name, quoted in includes(path):
            if KERNEL_LIBRARIES.match(name):
                report(path, number, f"only src/compute may include {name}")
            elif quoted and name.split("/")[0] in ("cli", "serve"):
                report(path, number, f"train stands below cli and serve: {name}")
    return found


def self_test():
    """Each planted tree breaks one rule once; a clean one breaks none."""
    clean = {
        "include/ondine/a.h": "#include <string>\n#include <tl/expected.hpp>\n"
                              '#include "ondine/b.h"\n',
        "include/ondine/b.h": "",
        "src/base/b.h": '#include "ondine/a.h"\n',
        "src/compute/c.h": '#include "base/b.h"\n',
        "src/compute/c.cc": '#include <ggml.h>\n#include "compute/c.h"\n',
        "src/engine/e.cc": '#include <nlohmann/json.hpp>\n#include "compute/c.h"\n',
        "src/eval/e.h": "",
        "train/t.cc": '#include "compute/c.h"\n',
    }
    planted = {
        "upward": ("src/base/x.cc", '#include "compute/c.h"\n'),
        "past eval": ("src/engine/x.cc", '#include "eval/e.h"\n'),
        "ggml outside compute": ("src/engine/x.cc", "#include <ggml-cpu.h>\n"),
        "oneDNN in training": ("train/x.cc", "#include <dnnl.hpp>\n"),
        "private header in the API": ("include/ondine/x.h", '#include "base/b.h"\n'),
        "third party in the API": ("include/ondine/x.h", "#include <nlohmann/json.hpp>\n"),
        "unknown folder": ("src/misc/x.cc", ""),
        "relative name": ("src/engine/x.cc", '#include "e.h"\n'),
        "training from src": ("src/engine/x.cc", '#include "train/t.h"\n'),
    }
    for name, extra in [("clean", None), *planted.items()]:
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder)
            for path, text in [*clean.items()] + ([extra] if extra else []):
                (root / path).parent.mkdir(parents=True, exist_ok=True)
                (root / path).write_text(text, encoding="utf-8")
            found = violations(root)
            if len(found) != (1 if extra else 0):
                return f"self-test '{name}': found {found}"
    return None


def main():
    failure = self_test()
    found = [failure] if failure else violations(pathlib.Path(__file__).resolve().parent.parent)
    for line in found:
        print(line)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
