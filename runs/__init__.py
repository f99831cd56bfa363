"""Runs over many frames: their selection, the workers that score them, and the folder of their results."""

from runs.run_tables import RunTables, read_run

__all__ = ["RunTables", "read_run"]
