"""Progress lines: what they say and when, by a clock that the test holds, and that they come where no terminal is."""

import io
import threading

import pytest
from rich.console import Console
from rich.progress import Progress

from common import console, progress_lines
from common.progress_lines import EVERY, PERCENT, ProgressLines, duration


class Clock:
    """A time that passes when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Watched:
    """A bar that is not shown, a clock, and the lines written."""

    def __init__(self, what: str = "frame") -> None:
        self.clock, self.written = Clock(), list[str]()
        self.bar = Progress(disable=True)
        self.lines = ProgressLines(self.bar, what, self.written.append, self.clock)

    def after(self, seconds: float) -> list[str]:
        """What has been written since, as the clock is looked at every second."""
        self.written.clear()
        for _ in range(int(seconds)):
            self.clock.now += 1
            self.lines.tick()
        return list(self.written)


def test_a_line_every_half_minute_says_done_elapsed_rate_and_time_left() -> None:
    watched = Watched()
    task = watched.bar.add_task("  LIME      ", total=100)
    watched.lines.tick()
    assert watched.after(EVERY - 1) == []
    assert watched.after(1) == ["progress: 0 of 100 frames in 30 s (LIME)"]
    watched.bar.advance(task, 5)
    assert watched.after(EVERY - 1) == []
    assert watched.after(1) == ["progress: 5 of 100 frames in 1 min 0 s, 5 a minute, 19 min 0 s left (LIME)"]
    watched.bar.advance(task, 85)
    watched.bar.update(task, description="RISE")
    assert watched.after(2 * EVERY) == [
        "progress: 90 of 100 frames in 1 min 30 s, 1 a second, 10 s left (RISE)",
        "progress: 90 of 100 frames in 2 min 0 s, 45 a minute, 13 s left (RISE)",
    ]
    watched.bar.advance(task, 10)
    assert watched.after(5 * EVERY) == []
    watched.lines.finish()
    assert watched.written == ["done: 100 of 100 frames in 4 min 30 s"]


def test_what_an_earlier_command_did_is_not_taken_for_speed() -> None:
    watched = Watched()
    task = watched.bar.add_task("", total=1000, completed=900)
    watched.lines.tick()
    watched.bar.advance(task, 1)
    assert watched.after(EVERY) == ["progress: 901 of 1,000 frames in 30 s, 2 a minute, 49 min 30 s left"]


def test_slow_work_is_counted_by_the_hour_and_a_single_one_is_no_plural() -> None:
    watched = Watched("video")
    task = watched.bar.add_task("", total=2)
    watched.lines.tick()
    watched.after(7199)
    watched.bar.advance(task, 1)
    assert watched.after(1) == ["progress: 1 of 2 videos in 2 h 0 min, 0.5 an hour, 2 h 0 min left"]
    alone = Watched("epoch")
    alone.bar.update(alone.bar.add_task("", total=1), completed=0.5)
    alone.lines.tick()
    assert alone.after(EVERY)[0].startswith("progress: 0.5 of 1 epoch in 30 s")


def test_percents_and_unknown_totals() -> None:
    watched = Watched(PERCENT)
    task = watched.bar.add_task("pgd 8/255", total=100)
    watched.lines.tick()
    watched.bar.update(task, completed=37.4)
    assert watched.after(EVERY) == ["progress: 37 % in 30 s, 1.25 % a second, 50 s left (pgd 8/255)"]
    endless = Watched()
    task = endless.bar.add_task("", total=None)
    endless.lines.tick()
    endless.bar.advance(task, 60)
    assert endless.after(EVERY) == ["progress: 60 frames in 30 s, 2 a second"]


def test_short_work_writes_nothing_and_the_next_task_is_followed() -> None:
    watched = Watched()
    first = watched.bar.add_task("one", total=10)
    watched.lines.tick()
    watched.bar.advance(first, 10)
    assert watched.after(EVERY - 1) == []
    watched.lines.finish()
    assert watched.written == []
    watched.bar.update(watched.bar.add_task("two", total=4), completed=0)
    assert watched.after(EVERY + 1)[-1].startswith("progress: 0 of 4 frames in ")


def test_durations() -> None:
    assert [duration(each) for each in (0.2, 59.6, 61, 3599, 7500)] == [
        "0 s",
        "1 min 0 s",
        "1 min 1 s",
        "59 min 59 s",
        "2 h 5 min",
    ]


def test_a_command_without_a_terminal_writes_lines_while_it_works(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress_lines, "EVERY", 0.0)
    monkeypatch.setattr(progress_lines, "_POLL", 0.01)
    written, stream = threading.Event(), io.StringIO()
    monkeypatch.setattr(console, "errors", Console(file=stream))
    lines = console._line
    monkeypatch.setattr(console, "_line", lambda text: (lines(text), written.set()))
    with console.progress("frame") as bar:
        bar.advance(bar.add_task("LIME", total=8), 2)
        assert written.wait(30)
    assert "of 8 frames in 0 s" in stream.getvalue()
    assert stream.getvalue().splitlines()[-1] == "done: 2 of 8 frames in 0 s"
    assert not [thread for thread in threading.enumerate() if thread.name == "progress"]


def test_neither_a_bar_on_a_terminal_nor_a_hidden_one_writes_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress_lines, "EVERY", 0.0)
    for shown, terminal in ((True, True), (False, False)):
        stream = io.StringIO()
        monkeypatch.setattr(console, "errors", Console(file=stream, force_terminal=terminal))
        with console.progress("frame", shown=shown) as bar:
            bar.advance(bar.add_task("LIME", total=8))
            assert not [thread for thread in threading.enumerate() if thread.name == "progress"]
        assert "done:" not in stream.getvalue()
        assert ("1/8" in stream.getvalue()) == shown


def test_a_line_that_cannot_be_written_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress_lines, "EVERY", 0.0)
    monkeypatch.setattr(progress_lines, "_POLL", 0.01)
    tried = threading.Event()

    def full(_text: str) -> None:
        tried.set()
        raise OSError(28, "No space left on device")

    bar = Progress(disable=True)
    bar.add_task("", total=3)
    with progress_lines.progress_lines(bar, "frame", full):
        assert tried.wait(30)
