"""Reads a finished run with pandas: flips by method and depth, what decides, and what each frame took.

Usage: python examples/read_a_run.py [RUN], RUN being a folder such as results/demo; without it, a small run is made.
"""

import subprocess
import sys
from pathlib import Path

import pandas as pd

SMALL = ("--method", "LIME", "--limit", "2", "--baseline", "random", "--attack", "pgd", "--set", "LIME.samples=100")

if len(sys.argv) > 1:
    run = Path(sys.argv[1])
else:
    run = Path("results") / "example"
    subprocess.run([sys.executable, "evaluate.py", *SMALL, "--run", run.name], check=True)

(table,) = [path for path in run.glob("rows_*.csv") if path.stem.count("_") >= 1][:1]
rows = pd.read_csv(table)
print(f"{len(rows)} rows of {rows['key'].nunique()} frames from {rows['video'].nunique()} videos")

fakes = rows[rows["predicted"] != "Real"]
print(fakes.pivot_table("flipped_to_real", "method", "depth").round(2).to_string())
print(fakes.groupby("method")[["drop", "area", "mask_precision"]].mean().round(3).to_string())

costs = pd.read_csv(run / "costs.csv")
print(costs.groupby("stage")["forwards"].mean().round(0).to_string())
