"""Tests of filters against rates counted by hand, scikit-image's SSIM, and what must be held out."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from skimage.metrics import structural_similarity
from sklearn.metrics import roc_auc_score

from attacks.malafide.fidelity import Fidelity
from attacks.malafide.filter import Filter, FilterSpec, identity
from attacks.malafide.filter_dataset import FilterDataset, keys_sha256, split
from attacks.malafide.filter_files import Facts, StoredFilter
from attacks.malafide.filter_results import find_filters, plain_name
from attacks.malafide.filter_settings import FilterTrainingSettings
from attacks.malafide.filter_test import FilterTest, Testing, _rates, held_out, ssim
from attacks.malafide.fitting import Fitting, TargetDetector, cell_of
from attacks.malafide.scores import FilterScores, fakeness
from common.errors import InputError
from detectors.base import Detector
from tests.attacks.malafide.test_filter_files import FACTS
from tests.attacks.malafide.toys import ChannelDetector, Frames, dataset, entries, some_images, some_weight

SETTINGS = FilterTrainingSettings(epochs=2, batch_size=8, learning_rate=0.02, stop=1.0)


def facts_for(found: FilterDataset, **values: object) -> Facts:
    """Facts of a filter trained on the training half of some frames."""
    halves = split(found.entries, seed=3)
    known = {"seed": 3, "split": halves.way, "frames_sha256": keys_sha256(found.entries, halves.train), **values}
    return dataclasses.replace(FACTS, **known)


def stored(kept: Filter) -> StoredFilter:
    return StoredFilter(Path("filter.safetensors"), "ef" * 32, kept, None)


def by_hand(detector: Detector, found: FilterDataset, kept: Filter) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scores of clean fakes, filtered fakes and reals of the test half, one by one."""
    halves = split(found.entries, seed=3)

    def scores(family: str, through: Filter | None) -> np.ndarray:
        values = []
        for place in found.of([family], halves.test):
            image = detector.prepare(found.frames[place].image)[None]
            with torch.no_grad():
                logits = detector(image if through is None else through(image)).double()
            values.append(float(fakeness(logits, detector.real)))
        return np.array(values)

    return scores("Deepfakes", None), scores("Deepfakes", kept), scores("Real", None)


def test_rates_are_those_counted_by_hand() -> None:
    found, detector = dataset(people=10), ChannelDetector()
    kept = Filter(FilterSpec(3), identity(3)[[2, 1, 0]])  # swaps red and blue, so fakes look as reals do
    test = Testing(TargetDetector("toy", detector), found).test(stored(kept), facts_for(found), "Deepfakes")
    clean, filtered, reals = by_hand(detector, found, kept)
    fake = np.r_[np.ones(len(filtered)), np.zeros(len(reals))]
    assert (test.fakes, test.reals) == (len(filtered), len(reals)) == (15, 15)
    assert test.auc == pytest.approx(roc_auc_score(fake, np.r_[filtered, reals]))
    assert (test.clean_eer, test.clean_auc) == (0.0, 1.0)
    assert 0.2 < test.eer < 0.8
    threshold = (clean.min() + reals.max()) / 2
    assert test.success == pytest.approx((filtered < threshold).mean())
    assert test.clean_accepted == 0.0
    errors = [((reals >= t).mean(), (filtered < t).mean()) for t in np.sort(np.r_[filtered, reals])]
    nearest = min(errors, key=lambda pair: abs(pair[0] - pair[1]))
    assert test.eer == pytest.approx(np.mean(nearest), abs=0.05)
    assert test.attack_rate == pytest.approx(test.eer, abs=1 / 15 + 1e-9)
    assert test.input_size == detector.input_size


def test_scores_that_rounding_alone_parts_lie_on_one_side_of_every_threshold() -> None:
    """A detector that says the same of all: its rates are those of a guess, not of how sums round."""
    below, above = np.full(6, 1.6582280766), np.full(6, 1.6582280768)
    same = _rates(below, FilterScores(above, 0.0, np.zeros(6)), below)
    for reals in (below, above):
        assert _rates(below, FilterScores(below, 0.0, np.zeros(6)), reals) == same
        assert _rates(above, FilterScores(below, 0.0, np.zeros(6)), reals) == same
    assert (same["clean_auc"], same["auc"], same["clean_eer"], same["eer"]) == (0.5, 0.5, 0.5, 0.5)


def test_a_detector_that_looks_at_the_first_of_a_batch_is_refused() -> None:
    class First(ChannelDetector):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            logits = super().forward(images)
            return torch.cat([logits[:1], 0.5 * logits[1:]])

    found = dataset(people=10)
    kept = stored(Filter(FilterSpec(3), identity(3)))
    with pytest.raises(
        InputError,
        match="detector First answers a picture, filtered or not, differently when it is asked",
    ):
        Testing(TargetDetector("toy", First()), found).test(kept, facts_for(found), "Deepfakes")


def test_other_weights_under_the_same_name_are_said(capfd: pytest.CaptureFixture[str]) -> None:
    found, detector = dataset(people=10), ChannelDetector()
    detector.weights_sha256 = "12" * 32
    testing, kept = Testing(TargetDetector("toy", detector), found), stored(Filter(FilterSpec(3), identity(3)))
    for sha256, said in (("12" * 32, False), ("34" * 32, True)):
        testing.test(kept, facts_for(found, trained_on="toy", detector_sha256=sha256), "Deepfakes")
        told = "toy has other weights (121212121212) than when the filter was trained on it (343434343434)"
        assert (told in capfd.readouterr().err) == said


def test_the_identity_changes_no_rate() -> None:
    found = dataset(people=10)
    kept = Filter(FilterSpec(5, fidelity=Fidelity("psnr", 30.0)), identity(5))
    test = Testing(TargetDetector("toy", ChannelDetector()), found).test(stored(kept), facts_for(found), "FaceSwap")
    assert (test.eer, test.auc) == (test.clean_eer, test.clean_auc)
    assert test.success == test.clean_accepted
    assert (test.psnr, test.psnr_least, test.ssim) == (None, None, 1.0)
    assert FilterTest.from_json(json.loads(json.dumps(dataclasses.asdict(test), allow_nan=False))) == test


def test_ssim_is_scikit_images() -> None:
    images = some_images(3, 32)
    others = (images + 0.1 * torch.randn(images.shape, generator=torch.Generator().manual_seed(0))).clamp(0, 1)
    for image, other, found in zip(images.numpy(), others.numpy(), ssim(images, others), strict=True):
        expected = structural_similarity(
            image, other, data_range=1.0, channel_axis=0, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
        )
        assert float(found) == pytest.approx(expected, abs=1e-4)
        assert expected < 0.97


def test_a_filter_is_applied_at_the_size_of_the_detector_under_test() -> None:
    class Larger(ChannelDetector):
        input_size = 24

    found = dataset(people=10)
    seen = []

    class Watched(Filter):
        def __call__(self, images: torch.Tensor) -> torch.Tensor:
            seen.append(tuple(images.shape[1:]))
            return super().__call__(images)

    test = Testing(TargetDetector("other", Larger()), found).test(
        stored(Watched(FilterSpec(3), some_weight(3))), facts_for(found, input_size=16), "Deepfakes"
    )
    assert set(seen) == {(3, 24, 24)}
    assert test.input_size == 24
    assert not test.white_box


def test_what_a_filter_was_trained_on_is_never_tested(capfd: pytest.CaptureFixture[str]) -> None:
    found = dataset(people=10)
    facts = facts_for(found)
    assert held_out(found, facts) == split(found.entries, seed=3).test
    assert capfd.readouterr().err == ""
    other = dataset(people=11)
    assert held_out(other, facts) == tuple(range(len(other.entries)))
    assert "trained on another index" in capfd.readouterr().err
    halved = [dataclasses.replace(e, split="test" if i % 2 else "train") for i, e in enumerate(other.entries)]
    with_splits = FilterDataset(Frames(halved), tuple(halved))
    assert held_out(with_splits, facts) == tuple(range(1, len(halved), 2))
    assert "of split test" in capfd.readouterr().err


def test_filters_are_fitted_once_and_gone_on_with(tmp_path: Path) -> None:
    found, target_detector = dataset(), TargetDetector("toy", ChannelDetector(), 8)
    halves = split(found.entries)
    fitting = Fitting(target_detector, found, halves)
    cell = cell_of(tmp_path, target_detector, ["Deepfakes"], FilterSpec(3))
    first = fitting.fit(cell, ("Deepfakes",), FilterSpec(3), SETTINGS)
    assert cell.folder == tmp_path / "toy" / "Deepfakes" / "3"
    assert sorted(path.name for path in cell.folder.iterdir()) == [
        ".lock", "config.json", "filter.safetensors", "history.csv", "last.ckpt",
    ]  # fmt: skip
    facts = first.facts
    assert facts is not None
    assert (facts.trained_on, facts.manipulations, facts.epochs, facts.ended) == ("toy", ("Deepfakes",), 2, "epochs")
    assert facts.fakes == len(found.of(["Deepfakes"], halves.train))
    written = cell.filter.stat().st_mtime_ns
    again = Fitting(target_detector, found, halves).fit(cell, ("Deepfakes",), FilterSpec(3), SETTINGS)
    assert (again.sha256, cell.filter.stat().st_mtime_ns) == (first.sha256, written)
    assert find_filters(tmp_path) == [cell.filter]


def test_a_filter_cut_short_by_time_goes_on_when_there_is_more(tmp_path: Path) -> None:
    found, target_detector = dataset(), TargetDetector("toy", ChannelDetector(), 8)
    cell = cell_of(tmp_path, target_detector, ["Deepfakes"], FilterSpec(3))

    def fit(minutes: float | None) -> StoredFilter:
        settings = dataclasses.replace(SETTINGS, batch_size=4, max_minutes=minutes)
        return Fitting(target_detector, found, split(found.entries)).fit(cell, ("Deepfakes",), FilterSpec(3), settings)

    short = fit(1e-9)
    assert short.facts is not None
    assert (short.facts.ended, short.facts.epochs) == ("time", 0)
    assert fit(1e-9).sha256 == short.sha256
    whole = fit(None)
    assert whole.facts is not None
    assert (whole.facts.ended, whole.facts.epochs) == ("epochs", 2)


def test_a_folder_made_otherwise_is_refused_in_one_line(tmp_path: Path) -> None:
    found, target_detector = dataset(), TargetDetector("toy", ChannelDetector(), 8)
    halves, spec = split(found.entries), FilterSpec(3)
    cell = cell_of(tmp_path, target_detector, ["Deepfakes"], spec)
    Fitting(target_detector, found, halves).fit(cell, ("Deepfakes",), spec, SETTINGS)
    other = ChannelDetector(gain=39.0)
    other.weights_sha256 = "12" * 32
    cases = [
        (Fitting(target_detector, found, halves), dataclasses.replace(SETTINGS, seed=1), r"seed=0, not 1"),
        (Fitting(target_detector, found, halves, limit=3), SETTINGS, r"limit=null, not 3"),
        (Fitting(TargetDetector("toy", other, 8), found, halves), SETTINGS, r"detector_sha256=.*--name"),
        (Fitting(target_detector, found, split(found.entries, "time")), SETTINGS, r'split_by="identity", not "time"'),
    ]
    for fitting, settings, words in cases:
        with pytest.raises(InputError, match=words) as caught:
            fitting.fit(cell, ("Deepfakes",), spec, settings)
        assert "\n" not in str(caught.value)


def test_where_there_is_nothing_to_find_or_name(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no filter here"):
        find_filters(tmp_path)
    with pytest.raises(InputError, match="no filter here"):
        find_filters(tmp_path / "nowhere")
    for name in ("", "..", "a/b", "a b"):
        with pytest.raises(InputError, match="names files"):
            plain_name(name, "--name")
    assert plain_name("sbi-b4.v2", "--name") == "sbi-b4.v2"


def test_limits_spread_evenly() -> None:
    found = dataset(people=1, frames=9)
    positions = found.of(["Deepfakes"], range(len(found.entries)))
    assert [int(found.entries[i].key[-11:-6]) for i in found.limited(positions, 3)] == [0, 40, 80]
    assert found.limited(positions, None) == found.limited(positions, 99) == positions
    assert len(entries(people=1, frames=9)) == 27
