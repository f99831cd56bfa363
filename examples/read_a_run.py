"""Reads a finished run with pandas: flips by method and depth, what decides, and what each frame took.

Usage: python examples/read_a_run.py [RUN], RUN being a folder such as results/demo; without it, a small run is made.
"""

import subprocess
import sys
from pathlib import Path

from runs import read_run

SMALL = ("--method", "LIME", "--limit", "2", "--baseline", "random", "--attack", "pgd", "--set", "LIME.samples=100")

if len(sys.argv) > 1:
    folder = Path(sys.argv[1])
else:
    folder = Path("results") / "example"
    subprocess.run([sys.executable, "evaluate.py", *SMALL, "--run", folder.name], check=True)

run = read_run(folder)
print(f"{len(run.rows)} rows of {run.rows['key'].nunique()} frames from {run.rows['video'].nunique()} videos")

fakes = run.rows[run.rows["predicted"] != "Real"]
print(fakes.pivot_table("flipped_to_real", "method", "depth").round(2).to_string())
print(fakes.groupby("method")[["drop", "area", "mask_precision"]].mean().round(3).to_string())
print(run.costs.groupby("stage")["forwards"].mean().round(0).to_string())
