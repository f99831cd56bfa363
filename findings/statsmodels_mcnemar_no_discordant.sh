#!/usr/bin/env bash
# statsmodels 0.15.0: McNemar's test of two classifiers that never disagree has p = 1.0, 0.0 or NaN, by its two
# arguments; Benjamini-Hochberg with a NaN rejects a hypothesis whose corrected p-value is NaN.
#
# Without a discordant pair there is no evidence of a difference: p is 1, and the exact form says so. The chi-square
# form with its default continuity correction takes (|0 - 0| - 1)^2 / 0 for infinite and gives p = 0.0, the strongest
# evidence there can be, with no more than numpy's warning of a division; without the correction it gives NaN. In
# `multipletests` one missing p-value makes every p-value corrected by "fdr_bh" NaN, while `reject` says True of some:
# the two answers of one call contradict. "holm" keeps the NaN where it is, but counts it as a test. One would expect
# 1.0 in all three forms, and NaN to be left out or refused.
#
# Seen: as said. The script fails where one of these is otherwise.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/environment"
"$folder/environment/bin/python" -m pip install --quiet --disable-pip-version-check statsmodels==0.15.0 numpy==2.4.6
"$folder/environment/bin/python" -W ignore - <<'PYTHON'
import numpy as np
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests

agreeing = [[30, 0], [0, 12]]
exact = mcnemar(agreeing, exact=True).pvalue
corrected = mcnemar(agreeing, exact=False).pvalue
plain = mcnemar(agreeing, exact=False, correction=False).pvalue
print(f"no discordant pair: exact p = {exact}, chi-square p = {corrected}, without correction p = {plain}")
p_values = [0.001, np.nan, 0.2, 0.04]
reject, values = multipletests(p_values, method="fdr_bh")[:2]
print(f"Benjamini-Hochberg of {p_values}: corrected {values.tolist()}, rejected {reject.tolist()}")
holm = multipletests(p_values, method="holm")[1]
print(f"Holm: corrected {holm.tolist()}; of the three that are there the first would be 0.003")
contradicts = bool((reject & np.isnan(values)).any())
if not (exact == 1.0 and corrected == 0.0 and np.isnan(plain) and contradicts):
    raise SystemExit("changed: not as it was seen")
PYTHON
echo "as described"
