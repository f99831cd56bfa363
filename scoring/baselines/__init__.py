"""Baselines: rankings and regions that no explanation made, attacked and stored exactly like a method's.

A flip after attacking a region means something only against what other regions would have given. `table` names
them, `rankings` holds those that need no attack, `contiguous` the random regions of a given area, `oracle` the ceiling
that attacks find; `baseline_regions` makes the regions of all but the oracle, those of the methods run on a detector
with random weights among them.
"""
