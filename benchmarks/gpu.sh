#!/usr/bin/env bash
# Everything that is to be measured on a GPU, in at most 8 minutes: bash benchmarks/gpu.sh [options of benchmarks.gpu]
# It needs this repository and its environment, which `make .venv/ready` makes; PYTHON=... names another one.
# The table is printed and written to results/gpu.md.
set -euo pipefail
cd "$(dirname "$0")/.."

fail() {
  echo "error: $1" >&2
  exit 1
}

python=${PYTHON:-.venv/bin/python}
command -v timeout >/dev/null || fail "there is no timeout program (GNU coreutils)"
command -v "$python" >/dev/null || fail "there is no $python: make .venv/ready, or name another with PYTHON=..."
"$python" -c 'import sys; from importlib.util import find_spec
sys.exit(not all(map(find_spec, ("torch", "lime", "pytest"))))' || fail "$python has not what this needs: make .venv/ready"

exec timeout --signal=TERM --kill-after=5 470 "$python" -m benchmarks.gpu "$@"
