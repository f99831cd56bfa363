"""Which frames train a network, how they are weighted, held out, ordered and changed."""

from pathlib import Path, PurePosixPath

import numpy as np
import pytest
import torch
from sklearn.utils.class_weight import compute_class_weight

from common.errors import InputError
from common.seeds import generator
from data.frames import CLASS_NAMES
from data.source import open_frames
from detectors.training.augment import Augmentation, compressed
from detectors.training.classification import Classification
from detectors.training.data import EpochSampler, FrameDataset, Item, collate, steps_of
from detectors.training.training_frames import (
    class_weights,
    hold_out,
    labelled,
    require_apart,
    require_images,
)
from tests.detectors.training.small_frames import write_small_frames
from tests.toys import LinearDetector, PatchDetector

FIVE = PatchDetector(16, slice(0, 4), slice(0, 4))
TWO = LinearDetector(torch.zeros(3, 16, 16))


def test_class_weights_are_scikit_learns_balanced_ones() -> None:
    labels = [0] * 10 + [1] * 3 + [2] * 7 + [3] + [4] * 4
    expected = compute_class_weight("balanced", classes=np.arange(5), y=np.array(labels))
    weights = class_weights(labels, 5)
    assert torch.allclose(weights.double(), torch.tensor(expected), atol=1e-6)
    assert weights[labels].mean().item() == pytest.approx(1.0)


def test_a_class_without_frames_has_no_weight() -> None:
    assert class_weights([0, 0, 2], 3).tolist() == [0.75, 0.0, 1.5]


def test_frames_without_a_class_are_left_out_and_counted(tmp_path: Path) -> None:
    frames = open_frames(write_small_frames(tmp_path, people=2, unlabelled=3))
    five, left_out = labelled(frames, FIVE)
    assert left_out == {"FaceShifter": 3}
    assert five.labels == (0, 1, 2, 3, 4) * 2
    assert [CLASS_NAMES.index(entry.family or "") for entry in five.frames.entries] == list(five.labels)
    two, left_out = labelled(frames, TWO)
    assert left_out == {}
    assert two.labels == (0, 1, 1, 1, 1) * 2 + (1, 1, 1)


def test_no_frame_of_any_class(tmp_path: Path) -> None:
    write_small_frames(tmp_path, people=2, unlabelled=2)
    frames = open_frames(tmp_path / "manipulated_sequences" / "FaceShifter")
    with pytest.raises(InputError, match="no frame belongs to one of the classes Real, NeuralTextures"):
        labelled(frames, FIVE)


def test_people_are_held_out_whole(tmp_path: Path) -> None:
    frames, _ = labelled(open_frames(write_small_frames(tmp_path, people=8)), FIVE)
    training, validation = hold_out(frames, 0.25, seed=0)
    assert validation is not None
    people = [
        {Path(entry.video).stem.split("_")[0] for entry in part.frames.entries} for part in (training, validation)
    ]
    assert len(people[0]) == 6
    assert len(people[1]) == 2
    assert not people[0] & people[1]
    keys = [entry.key for part in (training, validation) for entry in part.frames.entries]
    assert sorted(keys) == sorted(entry.key for entry in frames.frames.entries)
    for part in (training, validation):
        assert [CLASS_NAMES.index(entry.family or "") for entry in part.frames.entries] == list(part.labels)
    again = hold_out(frames, 0.25, seed=0)[1]
    assert again is not None
    assert again.frames.entries == validation.frames.entries


def test_too_few_people_to_hold_any_out(tmp_path: Path) -> None:
    frames, _ = labelled(open_frames(write_small_frames(tmp_path, people=2)), FIVE)
    assert hold_out(frames, 0.1, seed=0) == (frames, None)
    one_family_is_one_person = frames.at([0, 1, 2, 3, 4, 5, 6, 7, 8])  # FaceSwap of person 0 only
    outcomes = [hold_out(one_family_is_one_person, 0.5, seed) for seed in range(4)]
    assert all(outcome == (one_family_is_one_person, None) for outcome in outcomes)


def test_missing_images_are_named_before_training(tmp_path: Path) -> None:
    index = write_small_frames(tmp_path, people=2)
    frames = open_frames(index)
    require_images(frames)
    victim = frames.entries[3].key
    (tmp_path / victim).unlink()
    with pytest.raises(InputError, match=r"1 of 10 images are not in .*, the first is manipulated_sequences/Deepfakes"):
        require_images(open_frames(index))


def test_order_depends_on_seed_and_epoch_only() -> None:
    sampler = EpochSampler(20, shuffle=True, seed=1)
    first = list(sampler)
    assert first == list(sampler)
    assert sorted(position for _, position in first) == list(range(20))
    sampler.set_epoch(3)
    later = list(sampler)
    assert {epoch for epoch, _ in later} == {3}
    assert [position for _, position in later] != [position for _, position in first]
    fresh = EpochSampler(20, shuffle=True, seed=1)
    fresh.set_epoch(3)
    assert list(fresh) == later
    assert [position for _, position in EpochSampler(20, shuffle=True, seed=2)] != [position for _, position in first]
    assert list(EpochSampler(3, shuffle=False, seed=1)) == [(0, 0), (0, 1), (0, 2)]


def test_a_sample_depends_on_its_epoch_and_key_only(tmp_path: Path) -> None:
    frames, _ = labelled(open_frames(write_small_frames(tmp_path, people=2)), FIVE)
    make = Classification().samples
    dataset = FrameDataset(frames, FIVE, make, 5, "augmentation")
    reordered = FrameDataset(frames.at([4, 2]), FIVE, make, 5, "augmentation")
    first, again, other = (
        only(source[place]) for source, place in ((dataset, (0, 2)), (reordered, (0, 1)), (dataset, (1, 2)))
    )
    assert torch.equal(first[0], again[0])
    assert not torch.equal(first[0], other[0])
    assert first[0].shape == (3, 16, 16)
    assert first[1] == again[1] == 2


def test_frames_of_one_class_train_nothing(tmp_path: Path) -> None:
    frames, _ = labelled(open_frames(write_small_frames(tmp_path, people=3)), FIVE)
    real = frames.at([position for position, label in enumerate(frames.labels) if not label])
    with pytest.raises(InputError, match="all 3 frames are Real: training and validation need frames of two classes"):
        Classification().chosen(real, FIVE)
    assert Classification().chosen(frames, FIVE) is frames


def test_validation_is_on_other_frames_and_people(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    frames, _ = labelled(open_frames(write_small_frames(tmp_path, people=3)), FIVE)
    with pytest.raises(
        InputError, match=r"2 of the 2 frames to validate on \(val\) are trained on as well \(all\), as"
    ):
        require_apart(frames, frames.at([0, 1]), ("all", "val"))
    people = [PurePosixPath(entry.video).name[:3] for entry in frames.frames.entries]
    first = [position for position, person in enumerate(people) if person == "000"]
    others = [position for position, person in enumerate(people) if person != "000"]
    require_apart(frames.at(others), frames.at(first), ("train", "val"))
    assert not capsys.readouterr().err
    require_apart(frames.at(others + first[1:]), frames.at(first[:1]), ("train", "val"))
    said = " ".join(capsys.readouterr().err.split())
    assert "1 of the 1 people to validate on (val) are trained on as well (train), as 000" in said


def test_an_unreadable_frame_is_named_once_and_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    frames, _ = labelled(open_frames(write_small_frames(tmp_path, people=2)), FIVE)
    (tmp_path / frames.frames.entries[1].key).write_bytes(b"not a picture")
    dataset = FrameDataset(frames, FIVE, Classification().validation, 0, "validation")
    samples = [dataset[epoch, position] for epoch in (0, 1) for position in (0, 1)]
    assert samples[1] is None
    assert samples[3] is None
    printed = capsys.readouterr().err
    assert printed.count("left out") == 1
    (tmp_path / frames.frames.entries[0].key).write_bytes(b"not a picture")  # first in a later epoch
    assert dataset[2, 0] is None
    assert capsys.readouterr().err.count("left out") == 1
    assert frames.frames.entries[1].key in printed.replace("\n", "")
    images, labels, boxes = collate(samples)
    assert images.shape == (2, 3, 16, 16)
    assert labels.tolist() == [0, 0]
    assert [tuple(each.shape) for each in boxes] == [(0, 4), (0, 4)]
    assert len(collate([None]).labels) == 0


def only(samples: list[Item] | None) -> Item:
    """The one sample of a frame that could be read."""
    assert samples is not None
    (sample,) = samples
    return sample


def photograph() -> np.ndarray:
    """A smooth picture with some texture."""
    y, x = np.mgrid[0:64, 0:64] / 64
    base = np.stack([x, y, 0.5 * (x + y)], -1) * 180 + 40
    return np.clip(base + generator(0, "texture").normal(0, 6, base.shape), 0, 255).astype(np.uint8)


def test_augmentation_of_nothing_changes_nothing() -> None:
    nothing = Augmentation(flip=0, crop=0, light=0, colour=0, jpeg=0)
    assert np.array_equal(nothing(photograph(), generator(0)), photograph())


def test_each_augmentation_does_what_it_says() -> None:
    image = photograph()
    off = {"flip": 0.0, "crop": 0.0, "light": 0.0, "colour": 0.0, "jpeg": 0.0}
    assert np.array_equal(Augmentation(**{**off, "flip": 1.0})(image, generator(0)), image[:, ::-1])
    cut = Augmentation(**{**off, "crop": 0.5})(image, generator(1))
    assert 32 <= cut.shape[0] < 64
    assert any(
        np.array_equal(cut, image[top : top + cut.shape[0], left : left + cut.shape[1]])
        for top in range(65 - cut.shape[0])
        for left in range(65 - cut.shape[1])
    )
    image = image // 2 + 60  # so that nothing is clipped
    lit = Augmentation(**{**off, "light": 0.2})(image, generator(2)).astype(float)
    slope, offset = np.polyfit(image[..., 0].ravel().astype(float), lit[..., 0].ravel(), 1)
    assert (slope, offset) != (1.0, 0.0)
    assert np.abs(slope * image[..., 0] + offset - lit[..., 0]).max() < 2  # one straight line, to rounding
    assert np.array_equal(Augmentation(**{**off, "jpeg": 1.0}, quality=95)(image, generator(3)), compressed(image, 95))


def test_default_augmentation_is_mild() -> None:
    image, augment = photograph(), Augmentation(flip=0, crop=0)
    for draw in range(50):
        changed = augment(image, generator(draw)).astype(float)
        assert np.abs(changed - image).mean() < 70
        correlation = np.corrcoef(changed.ravel(), image.ravel().astype(float))[0, 1]
        assert correlation > 0.95


@pytest.mark.parametrize(("count", "devices", "batch"), [(24, 2, 4), (25, 2, 4), (30, 3, 6), (9, 2, 8)])
def test_devices_share_the_batches_of_one(count: int, devices: int, batch: int) -> None:
    alone = list(EpochSampler(count, True, seed=3))
    shares = [list(EpochSampler(count, True, 3, rank, devices)) for rank in range(devices)]
    each = batch // devices
    assert {len(share) for share in shares} == {count // devices}
    for start in range(0, count // devices, each):
        together = {place for share in shares for place in share[start : start + each]}
        expected = alone[start * devices : start * devices + batch]
        assert together == set(expected[: len(expected) // devices * devices])
    rest = count // devices % each
    assert steps_of(count, batch, devices) == count // devices // each + (rest > 1)
