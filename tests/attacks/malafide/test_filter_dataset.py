"""Frames to train on and to test on: whole people or whole stretches of time, and no neighbours in both."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch

from attacks.malafide.filter_dataset import Halves, demo_dataset, keys_sha256, moment_of, person_of, split
from attacks.malafide.prepared_images import PreparedImages
from common.errors import InputError
from data.demo.demo_frames import DemoFrames
from data.entry import Entry
from data.frames import REAL, Frame
from tests.attacks.malafide.toys import ChannelDetector, dataset, entries


def both(known: Sequence[Entry], halves: Halves) -> tuple[list[Entry], list[Entry]]:
    return [known[i] for i in halves.train], [known[i] for i in halves.test]


def test_people_are_on_one_side_with_all_their_videos() -> None:
    known = entries(people=10)
    halves = split(known)
    train, test = both(known, halves)
    assert halves.way == "identity"
    assert len(train) + len(test) == len(known)
    assert not {person_of(e) for e in train} & {person_of(e) for e in test}
    assert len({person_of(e) for e in train}) == 7
    assert split(known) == halves
    assert any(split(known, seed=seed) != halves for seed in range(1, 5))
    turned = split(known[::-1])
    assert keys_sha256(known[::-1], turned.train) == keys_sha256(known, halves.train)


def test_few_people_are_split_by_time_with_a_gap() -> None:
    known = entries(people=1, frames=20)
    halves = split(known)
    assert halves.way == "time"
    train, test = both(known, halves)
    for video in {e.video for e in known}:
        early = [int(moment_of(e)) for e in train if e.video == video]
        late = [int(moment_of(e)) for e in test if e.video == video]
        assert (len(early), len(late)) == (14, 5)
        assert max(early) + 10 < min(late)


@pytest.mark.parametrize("frames", range(3, 30))
def test_however_many_frames_at_least_one_lies_between(frames: int) -> None:
    known = entries(people=1, frames=frames, families=("Deepfakes",))
    train, test = both(known, split(known, "time"))
    early, late = max(int(moment_of(e)) for e in train), min(int(moment_of(e)) for e in test)
    assert late - early >= 20


def test_all_faces_of_a_moment_are_on_one_side_and_numbers_count_as_numbers() -> None:
    known = [Entry(f"v.mp4/{moment}_{face}.png", False, 0) for moment in range(2, 22) for face in (0, 1)]
    known += [Entry(f"manipulated_sequences/X/c/v/{e.key}", True, None) for e in known]
    train, test = both(known, split(known, "time"))
    assert {int(moment_of(e)) for e in train} == set(range(2, 16))
    assert {int(moment_of(e)) for e in test} == set(range(17, 22))


def test_the_column_of_the_index_comes_first() -> None:
    known = [replace(e, split=("train", "val", "test")[i % 3]) for i, e in enumerate(entries())]
    halves = split(known)
    assert halves == Halves(tuple(range(0, len(known), 3)), tuple(range(2, len(known), 3)), "index")
    only = [replace(e, split="test") for e in known]
    with pytest.raises(InputError, match=r"no train frames of Deepfakes, FaceSwap, Real; the index needs a column"):
        split(only)
    assert len(split(only, needed=("test",)).test) == len(known)


def test_the_published_split_is_by_frame() -> None:
    known = entries(people=3, frames=10)
    halves = split(known, "frame")
    assert len(halves.train) == round(0.7 * len(known))
    assert set(halves.train) | set(halves.test) == set(range(len(known)))
    assert {e.video for e in both(known, halves)[0]} == {e.video for e in both(known, halves)[1]}


def test_what_cannot_be_split_is_refused_in_one_line() -> None:
    with pytest.raises(InputError, match=r"cannot be split by time: no test frames of .*videos of at least three"):
        split(entries(people=1, frames=2))
    with pytest.raises(InputError, match=r"cannot be split by identity: no (test|train) frames"):
        split(entries(people=1, frames=20), "identity")
    with pytest.raises(InputError, match="unknown split 'half'"):
        split(entries(), "half")


@pytest.mark.parametrize("way", ["auto", "index", "identity", "time", "frame"])
def test_only_the_manipulations_that_are_asked_for_must_be_in_both_halves(way: str) -> None:
    known = [replace(e, split=("train", "test")[person_of(e) > "003"]) for e in entries()]
    known.append(Entry("manipulated_sequences/Face2Face/c23/videos/000_001.mp4/00000_0.png", True, None, "train"))
    with pytest.raises(InputError, match=r"no (test|train) frames of Face2Face"):
        split(known, way)
    with pytest.raises(InputError, match=r"no (test|train) frames of Face2Face"):
        split(known, way, manipulations=["Deepfakes", "Face2Face"])
    halves = split(known, way, manipulations=["Deepfakes", "FaceSwap"])
    assert all({REAL, "Deepfakes", "FaceSwap"} <= {e.family for e in half} for half in both(known, halves))
    with pytest.raises(InputError, match="no train frames of Real"):
        split([e for e in known if e.fake], way, manipulations=["Deepfakes"])


def test_manipulations_are_chosen_by_name() -> None:
    found = dataset()
    assert found.manipulations == found.chosen([]) == ["Deepfakes", "FaceSwap"]
    assert found.chosen(["FaceSwap", "FaceSwap"]) == ["FaceSwap"]
    with pytest.raises(InputError, match=r"unknown manipulation 'FaceSwop' \(did you mean FaceSwap\?\)"):
        found.chosen(["FaceSwop"])
    with pytest.raises(InputError, match="no fake among them"):
        dataset(families=()).chosen([])


def test_demo_frames_are_known_without_being_drawn() -> None:
    frames = DemoFrames(15, split="train", size=128)
    found = demo_dataset(frames)
    assert found.manipulations == ["Deepfakes", "Face2Face", "FaceSwap", "NeuralTextures"]
    assert [e.key for e in found.entries] == [frames.key(i) for i in range(15)]
    assert {e.split for e in found.entries} == {"train"}
    assert [found.entries[i].family for i in found.of([REAL], range(15))] == [REAL] * 3
    shown = frames[2]
    assert (shown.family, shown.video) == (found.entries[2].family, found.entries[2].video)


def test_prepared_images_are_the_detectors_own_in_memory_or_not() -> None:
    found, detector = dataset(people=2, frames=2), ChannelDetector()
    positions = [3, 0, 7]
    expected = torch.stack([detector.prepare(found.frames[i].image) for i in positions])
    for memory in (1 << 20, 0):
        prepared = PreparedImages(found, positions, detector, memory=memory)
        assert (prepared.kept is None) == (memory == 0)
        assert torch.equal(prepared.at([0, 1, 2]), expected)
        assert torch.equal(torch.cat(list(prepared.batches(2))), expected)
        assert len(prepared) == 3


def test_images_that_are_no_bytes_are_kept_as_they_are() -> None:
    class Fine(ChannelDetector):
        def prepare(self, image: np.ndarray) -> torch.Tensor:
            return super().prepare(image) * 0.999

    found, detector = dataset(people=1), Fine()
    prepared = PreparedImages(found, [0, 1], detector)
    assert torch.equal(prepared.at([1])[0], detector.prepare(found.frames[1].image))


def test_a_frame_that_cannot_be_read_is_named_and_left_out(capfd: pytest.CaptureFixture[str]) -> None:
    found = dataset(people=1)

    class Broken(type(found.frames)):  # type: ignore[misc]
        def __getitem__(self, position: int) -> Frame:
            if position == 1:
                raise InputError("frame 1 is damaged")
            return super().__getitem__(position)

    broken = replace(found, frames=Broken(found.entries))
    prepared = PreparedImages(broken, [0, 1, 2], ChannelDetector())
    assert prepared.positions == [0, 2]
    assert "left out: frame 1 is damaged" in capfd.readouterr().err
    with pytest.raises(InputError, match="none of the 1 images can be read"):
        PreparedImages(broken, [1], ChannelDetector())
