"""Workers that score a run's frames, one by one: this process, several of its own, or a Ray cluster's."""
