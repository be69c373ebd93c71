# Shared by the scripts beside it; sets ROOT and changes there.
set -euo pipefail
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$ROOT"

say() { printf '%s\n' "$*" >&2; }
die() {
  say "$(basename "$0"): $*"
  exit 1
}

# usage FILE: prints the comment at the top of a script, which is its help.
usage() { awk 'NR > 1 && !/^#/ { exit } NR > 1 { sub(/^# ?/, ""); print }' "$1"; }

DEFAULT_MODEL=build/models/SmolLM2-135M-Instruct.Q4_1.gguf
GEMMA_MODEL=build/models/gemma-3-270m-q4_k_m.gguf
GGML=libggml-python==0.20.2.post1
LOGS=build/logs
VENV=build/python

# logged NAME COMMAND...: runs COMMAND quietly; keeps what it says in build/logs/NAME.log and, if the
# command fails, shows the first errors and the end of it.
logged() {
  local log=$LOGS/$1.log
  shift
  mkdir -p "$LOGS"
  "$@" >"$log" 2>&1 && return
  {
    grep -E -m 3 '\b(error|ERROR|Error)\b.*:' "$log" || true
    grep -v '^[[:space:]]*$' "$log" | tail -n 5
  } | awk '!seen[$0]++' | cut -c1-200 | sed 's/^/  | /' >&2
  say "  (all of it: $log)"
  return 1
}

# The private Python environment. Debian's interpreter first: its venv module is one of our packages.
# Every package index, proxy or certificate comes from pip's own configuration and PIP_* variables.
# bin/pip names its interpreter by the path at which it was made; bin/python -m pip may be moved.
ensure_venv() {
  "$1/bin/python" -m pip --version >/dev/null 2>&1 && return
  local python
  for python in /usr/bin/python3 python3; do
    rm -rf "$1"
    logged venv "$python" -m venv "$1" && return
  done
  die "cannot make a Python environment; install python3-venv and run this again"
}

# A build folder is bound to a place and its ggml to a CPU; both go into the stamps, so that a folder
# that was copied elsewhere is made again.
machine_key() {
  {
    echo "$ROOT"
    uname -m
    grep -m 1 -E '^(flags|Features)' /proc/cpuinfo || true
  } | sha256sum | cut -c1-16
}

# stamped NAME KEY: whether step NAME was last finished with exactly this KEY.
stamped() { [ -f "build/.stamps/$1" ] && [ "$(cat "build/.stamps/$1")" = "$2" ]; }
stamp() {
  mkdir -p build/.stamps
  printf '%s\n' "$2" >"build/.stamps/$1"
}
