"""Which frames are attacked."""

from pathlib import Path

import pytest

from common.errors import InputError
from data.source import open_frames
from robustness.attacked_frames import FrameEntry, choose_frames, demo_entries, spread_entries
from tests.robustness.planted import write_frames
from tests.scoring.stand_ins import picture, save


def listed(**families: int) -> list[FrameEntry]:
    """So many frames of each family, one after another in turns, as demo frames are."""
    most = max(families.values())
    order = [(name, i) for i in range(most) for name, count in families.items() if i < count]
    return [FrameEntry(f"{name}{i}", name, f"v{name}{i}", place) for place, (name, i) in enumerate(order)]


def test_an_equal_share_of_every_family_however_they_alternate() -> None:
    frames = listed(A=20, B=20, C=20, D=20)
    taken = spread_entries(frames, 8)  # every tenth frame would be of two families only
    assert [sum(frame.family == name for frame in taken) for name in "ABCD"] == [2, 2, 2, 2]
    assert [frame.key for frame in taken if frame.family == "A"] == ["A5", "A15"]
    assert [frame.index for frame in taken] == sorted(frame.index for frame in taken)


def test_what_a_small_family_leaves_others_take() -> None:
    taken = spread_entries(listed(A=1, B=20, C=20), 9)
    assert [sum(frame.family == name for frame in taken) for name in "ABC"] == [1, 4, 4]
    assert spread_entries(listed(A=1, B=2), 9) == spread_entries(listed(A=1, B=2), None) == listed(A=1, B=2)


def test_fakes_first_and_as_many_real_frames(tmp_path: Path) -> None:
    index = write_frames(tmp_path, {"Deepfakes": [1, 2, 3, 4], "Other": [5, 6, 7, 8]}, real=[-1, -2, -3, -4, -5])
    chosen = choose_frames(open_frames(index), limit=4)
    assert [frame.family for frame in chosen.frames] == ["Deepfakes"] * 2 + ["Other"] * 2 + ["Real"] * 4
    assert [frame.index for frame in chosen.frames] == list(range(8))
    for frame in chosen.frames:
        read = chosen.read(frame)
        assert (read.key, read.family, read.video) == (frame.key, frame.family, frame.video)
    assert chosen.selection.identity.count == 8
    assert (
        chosen.selection.identity.fingerprint
        != choose_frames(open_frames(index), limit=3).selection.identity.fingerprint
    )


def test_frames_without_a_label_and_frames_that_are_all_real_are_refused(tmp_path: Path) -> None:
    save(tmp_path / "plain", "a.png", picture("a", "Deepfakes"))
    with pytest.raises(InputError, match="none of them has a label"):
        choose_frames(open_frames(tmp_path / "plain"))
    index = write_frames(tmp_path / "real", {}, real=[1, 2])
    with pytest.raises(InputError, match="they are all real"):
        choose_frames(open_frames(index))
    with pytest.raises(InputError, match="--limit must be at least 1"):
        choose_frames(open_frames(index), limit=0)


def test_the_demo_has_every_family_and_as_many_real_frames() -> None:
    chosen = demo_entries(5)
    assert [frame.family for frame in chosen.fakes] == [
        "NeuralTextures",
        "Face2Face",
        "Deepfakes",
        "FaceSwap",
        "NeuralTextures",
    ]
    assert len(chosen.real) == 5
    assert len({frame.video for frame in chosen.frames}) == 10
    read = chosen.read(chosen.fakes[1])
    assert (read.key, read.family) == (chosen.fakes[1].key, "Face2Face")
