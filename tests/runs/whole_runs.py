"""A run from its frames to its products, as `evaluate` makes it."""

import json
from pathlib import Path

from reporting.products import RunResults, write_products
from runs.configuration import Configuration
from runs.run import WHOLE_RUN, score_frames
from runs.run_folder import RunFolder, Shard
from runs.selection import Selection
from runs.workers.messages import Score
from runs.workers.worker_pool import WorkerPool


def score_and_report(
    path: Path,
    configuration: Configuration,
    selection: Selection,
    score: Score,
    shard: Shard | None = None,
    pool: WorkerPool | None = None,
) -> RunResults | int:
    """The results, or how many frames other shards have still to score."""
    folder = RunFolder(path)
    with folder.locked(shard or WHOLE_RUN):
        outcome = score_frames(folder, configuration, selection, score, shard or WHOLE_RUN, pool)
        if outcome.missing:
            return outcome.missing
        stored = json.loads(configuration.to_json())
        return write_products(folder, "LIME", stored, outcome.finished, outcome.failures)
