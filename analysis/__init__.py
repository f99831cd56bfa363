"""Numbers alone: from a run's scores to intervals, tests, ranks and comparisons; no files, no pictures, no words."""
