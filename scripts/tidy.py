#!/usr/bin/env python3
"""Runs clang-tidy over src/ and remembers what was clean.

A file is checked again only when it, a header of the project that it reaches, its compile command
or .clang-tidy changed. Needs build/compile_commands.json; the memory is build/tidy/.
"""

import concurrent.futures
import hashlib
import json
import os
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
CLEAN = ROOT / "build" / "tidy"
INCLUDE = re.compile(r'^\s*#\s*include\s*["<]([^">]+)[">]', re.MULTILINE)


def reach(path, seen):
    """Adds `path` and the project's headers that it includes, directly or not, to `seen`."""
    if path in seen:
        return
    text = path.read_text(encoding="utf-8")
    seen[path] = text
    for name in INCLUDE.findall(text):
        for folder in (ROOT / "src", ROOT / "include"):
            if (folder / name).is_file():
                reach(folder / name, seen)


def key(entry):
    files = {}
    reach(pathlib.Path(entry["file"]), files)
    digest = hashlib.sha256((ROOT / ".clang-tidy").read_bytes())
    digest.update(entry["command"].encode())
    for path in sorted(files):
        digest.update(f"\0{path.relative_to(ROOT)}\0{files[path]}".encode())
    return digest.hexdigest()


def check(entry):
    """The complaints about one file; empty when it is clean."""
    mark = CLEAN / key(entry)
    if mark.exists():
        return ""
    result = subprocess.run(
        ["clang-tidy", "--quiet", "-p", str(ROOT / "build"),
         "--extra-arg=-Wno-unknown-warning-option", entry["file"]],
        capture_output=True, text=True, check=False)
    if result.returncode == 0:
        mark.touch()
        return ""
    return result.stdout or result.stderr


def main():
    entries = json.loads((ROOT / "build" / "compile_commands.json").read_text(encoding="utf-8"))
    entries = [e for e in entries if pathlib.Path(e["file"]).is_relative_to(ROOT / "src")]
    CLEAN.mkdir(parents=True, exist_ok=True)
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        complaints = [text for text in pool.map(check, entries) if text]
    print("".join(complaints), end="")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
