"""Runs over many frames: their selection, the workers that score them, and the folder of their results."""
