"""How far an examination is, by its stages."""

from collections.abc import Sequence
from itertools import accumulate

from rich.progress import Progress

from examination.frame import Shot
from examination.stability import COPIES


class StageProgress:
    """Counts the stages of an examination on a progress bar."""

    def __init__(self, bar: Progress, shots: Sequence[Shot], film: bool) -> None:
        """Adds a task to the bar.

        Args:
            bar: that shows it.
            shots: the pictures to examine.
            film: whether the verdicts over a film are taken first.
        """
        self._bar = bar
        self._ends = list(accumulate(map(_stages, shots), initial=int(film)))
        self._task = bar.add_task("", total=self._ends[-1])
        self._begun = 0

    def on_stage(self, stage: str) -> None:
        """A stage begins, so the one before is done."""
        self._bar.update(self._task, completed=self._begun, description=stage)
        self._begun += 1

    def on_shot(self, number: int) -> None:
        """So many pictures are done, whether or not each had all its stages: one that is called Real has none."""
        self._begun = self._ends[number]
        self._bar.update(self._task, completed=self._begun)


def _stages(shot: Shot) -> int:
    """Its maps, the attacks, and the maps of each changed copy and neighbour (`examination.frame.Examiner`)."""
    return 2 + len(COPIES) + len(shot.neighbours)
