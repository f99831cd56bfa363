"""Testing a detector: scores by manipulation and by video, against closed forms and scikit-learn."""

import csv
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from common.errors import InputError
from data.frames import CLASS_NAMES, Frame
from detectors.base import Reading
from detectors.detector_test import exchanged_names, fake_scores, measure_detector, run_test
from detectors.predictions import Predictions, predict
from detectors.timm_network import TimmConfig, TimmDetector
from tests.toys import LinearDetector, PatchDetector


def frame(brightness: int, family: str | None, video: str, number: int = 0) -> Frame:
    """A grey picture; the toy detectors' p(fake) rises with its brightness."""
    image = np.full((8, 8, 3), brightness, np.uint8)
    return Frame(f"{video}/{number}.png", image, None, family, video)


def by_brightness() -> LinearDetector:
    """p(fake) is 1 / 2 at brightness 127.5 and rises with it."""
    return LinearDetector(torch.full((3, 8, 8), 20 / 192), bias=-10.0)


def logistic(brightness: float) -> float:
    return 1 / (1 + np.exp(-20 * (brightness / 255 - 0.5)))


FRAMES = [
    frame(10, "Real", "r/1", 0),
    frame(20, "Real", "r/1", 1),
    frame(140, "Real", "r/2", 0),  # called fake
    frame(30, "Real", "r/2", 1),
    frame(200, "Deepfakes", "d/1", 0),
    frame(90, "Deepfakes", "d/1", 1),  # called real
    frame(250, "Deepfakes", "d/2", 0),
    frame(240, "Deepfakes", "d/2", 1),
    frame(100, "FaceShifter", "f/1", 0),  # called real
    frame(25, "FaceShifter", "f/1", 1),  # called real
    frame(99, None, "x/1", 0),
]


def test_scores_by_hand() -> None:
    report = measure_detector(by_brightness(), FRAMES, batch_size=3)
    names = ("all", "Deepfakes", "FaceShifter")
    assert [(each.level, each.manipulation) for each in report.separations] == [
        (level, name) for level in ("frame", "video") for name in names
    ]
    deepfakes = report.of("frame", "Deepfakes")
    assert (deepfakes.real, deepfakes.fake) == (4, 4)
    assert deepfakes.accuracy == 6 / 8
    assert deepfakes.auc == 15 / 16  # only 90 lies below a real frame, 140
    assert deepfakes.eer == 1 / 4
    assert (deepfakes.false_positive, deepfakes.false_negative) == (1 / 4, 1 / 4)
    shifter = report.of("frame", "FaceShifter")
    assert shifter.auc == pytest.approx((3 + 2) / 8)
    assert (shifter.false_positive, shifter.false_negative) == (1 / 4, 1.0)
    assert shifter.accuracy == 3 / 6
    everything = report.of("frame")
    assert (everything.real, everything.fake) == (4, 6)
    assert everything.accuracy == 6 / 10
    assert everything.auc == pytest.approx((15 + 5) / 24)
    assert report.predictions.left_out == {"no label": 1}


def test_a_videos_score_is_the_mean_over_its_frames() -> None:
    report = measure_detector(by_brightness(), FRAMES)
    video = report.of("video")
    assert (video.real, video.fake) == (2, 3)
    means = [(10, 20), (140, 30), (200, 90), (250, 240), (100, 25)]
    scores = [np.mean([logistic(each) for each in pair]) for pair in means]
    fake = [False, False, True, True, True]
    assert scores[1] > scores[4]  # or the order below would be that of any other mean
    assert video.auc == roc_auc_score(fake, scores)
    assert video.accuracy == np.mean([(score >= 0.5) == truth for score, truth in zip(scores, fake, strict=True)])
    assert report.of("video", "FaceShifter").auc == 1 / 2
    assert report.of("video", "Deepfakes").eer == 0


def test_mixed_folders_are_one_video_for_each_family() -> None:
    mixed = [frame(10, "Real", "v", 0), frame(250, "Fake", "v", 1), frame(240, "Fake", "v", 2)]
    video = measure_detector(by_brightness(), mixed).of("video")
    assert (video.real, video.fake, video.accuracy, video.auc) == (1, 1, 1.0, 1.0)


def test_detectors_of_several_classes_reject_what_is_not_real() -> None:
    detector = PatchDetector(8, slice(0, 8), slice(0, 8))
    report = measure_detector(detector, FRAMES)  # FaceShifter is none of its classes, but a fake
    assert report.of("frame").fake == 6
    assert report.of("frame", "Deepfakes").auc == 15 / 16
    p = report.predictions.probabilities.double()
    assert report.scores == pytest.approx(1 - p[:, 0].numpy(), abs=1e-6)
    assert report.scores == pytest.approx(p[:, 1:].sum(1).numpy(), abs=1e-6)


def test_confident_verdicts_are_told_apart() -> None:
    logits = torch.tensor([[0.0, 25.0], [0.0, 26.0], [0.0, -25.0], [0.0, -26.0]])
    known = Predictions(tuple("abcd"), ("Real",) * 4, tuple("abcd"), (0,) * 4, logits.softmax(1), {}, 0)
    scores = fake_scores(known, 0)
    assert np.all(np.diff(scores[[3, 2, 0, 1]]) > 0)
    assert scores == pytest.approx(1 / (1 + np.exp(-logits[:, 1].double().numpy())), rel=1e-6)
    assert fake_scores(known, 1) == pytest.approx(1 - scores, rel=1e-5)


def test_verdicts_that_float32_rounds_to_0_do_not_tie() -> None:
    class Certain(PatchDetector):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return torch.stack([200 - 50 * images.mean((1, 2, 3)), *[0 * images.mean((1, 2, 3))] * 4], dim=1)

    report = measure_detector(Certain(8, slice(0, 8), slice(0, 8)), FRAMES)
    known = [frame for frame in FRAMES if frame.family]
    fake = np.array([frame.family != "Real" for frame in known])
    brightness = np.array([frame.image.mean() for frame in known])
    assert report.of("frame").auc == pytest.approx(roc_auc_score(fake, brightness))


def test_one_class_alone() -> None:
    report = measure_detector(by_brightness(), FRAMES[4:8])
    both = report.of("frame")
    assert (both.auc, both.eer, both.eer_threshold, both.false_positive) == (None, None, None, None)
    assert both.accuracy == 3 / 4
    with pytest.raises(KeyError):
        report.of("frame", "FaceShifter")


class Unreadable(Sequence[Frame]):
    """Frames of which one is broken."""

    def __len__(self) -> int:
        return len(FRAMES)

    def __getitem__(self, index: int) -> Frame:  # type: ignore[override]
        if index == 4:
            raise InputError("d/1/0.png is broken")
        return FRAMES[index]


def test_files_and_tables(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    detector = by_brightness()
    report = run_test(detector, Unreadable(), tmp_path / "out", batch_size=4)
    printed = capsys.readouterr()
    assert "d/1/0.png is broken" in printed.err
    assert "1 frames could not be read" in printed.err
    assert "left out: 1 no label" in printed.out
    summary = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert (summary["unreadable"], summary["left_out"], summary["input_size"]) == (1, {"no label": 1}, 8)
    rows = list(csv.DictReader((tmp_path / "out" / "metrics.csv").open()))
    assert [row["manipulation"] for row in rows] == ["all", "Deepfakes", "FaceShifter"] * 2
    for row, kept, each in zip(rows, summary["scores"], report.separations, strict=True):
        assert float(row["auc"]) == kept["auc"] == each.auc
        assert int(row["fake"]) == kept["fake"] == each.fake
        assert f"{each.eer:.4f}" in printed.out
    frames = list(csv.DictReader((tmp_path / "out" / "predictions.csv").open()))
    assert [row["key"] for row in frames] == [each.key for place, each in enumerate(FRAMES[:-1]) if place != 4]
    for row, image in zip(frames, [each.image for place, each in enumerate(FRAMES[:-1]) if place != 4], strict=True):
        assert float(row["p_fake"]) == pytest.approx(logistic(image.mean()), rel=1e-4)
        assert float(row["p_Real"]) + float(row["p_Fake"]) == pytest.approx(1, abs=1e-5)
    assert not list((tmp_path / "out").glob(".*"))


def test_a_verdict_that_is_not_a_number() -> None:
    with pytest.raises(InputError, match=r"not finite for 2 of 2 pictures \(r/1/0\.png, r/1/1\.png\)"):
        measure_detector(LinearDetector(torch.full((3, 8, 8), float("nan"))), FRAMES[:2])


def test_nothing_to_test() -> None:
    with pytest.raises(InputError, match="nothing to test: none of 1 frames"):
        measure_detector(by_brightness(), FRAMES[-1:])


def test_predictions_keep_what_is_known_of_their_frames() -> None:
    detector = PatchDetector(8, slice(0, 8), slice(0, 8))
    found = predict(detector, FRAMES, batch_size=4)
    assert found.families == ("Real",) * 4 + ("Deepfakes",) * 4
    assert found.labels == (0,) * 4 + (3,) * 4
    assert found.videos == ("r/1", "r/1", "r/2", "r/2", "d/1", "d/1", "d/2", "d/2")
    assert found.left_out == {"FaceShifter": 2, "no label": 1}
    one_by_one = [detector(detector.prepare(each.image)[None]).softmax(1)[0] for each in FRAMES[:8]]
    assert torch.allclose(found.probabilities.float(), torch.stack(one_by_one), atol=1e-6)


def swapped(frames: Sequence[Frame]) -> list[Frame]:
    return [replace(frame, family="Deepfakes" if frame.family == "Real" else "Real") for frame in frames]


def many(videos: int) -> list[Frame]:
    return [frame(10 + number, "Real", f"r/{number}") for number in range(videos)] + [
        frame(200 + number, "Deepfakes", f"d/{number}") for number in range(videos)
    ]


def test_an_area_under_chance_says_that_classes_may_be_swapped(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    detector = by_brightness()
    run_test(detector, many(8), tmp_path)
    assert "swapped" not in capsys.readouterr().err
    report = run_test(detector, swapped(many(8)), tmp_path)
    assert report.of("video").auc == 0
    message = capsys.readouterr().err
    assert "the videos' AUC is 0.0000 (95 % interval 0.0000 to 0." in message
    assert "which it says itself are Real, Fake, or the index's labels may be swapped" in message
    detector.reading = Reading((0.0,) * 3, (1.0,) * 3)
    run_test(detector, swapped(many(8)), tmp_path)
    assert "give --classes Fake,Real, else look at the index's labels" in capsys.readouterr().err
    run_test(detector, swapped(many(2)), tmp_path)  # two of each are no evidence
    assert "swapped" not in capsys.readouterr().err


def test_names_of_five_classes_in_another_order_are_said() -> None:
    """Real exchanged with one of four manipulations leaves the AUC near one half."""
    predictions = Predictions(
        keys=tuple(map(str, range(25))),
        families=tuple(name for name in CLASS_NAMES for _ in range(5)),
        videos=tuple(map(str, range(25))),
        labels=tuple(int(place >= 5) for place in range(25)),
        probabilities=0.01 + 0.95 * torch.eye(5, dtype=torch.float64).repeat_interleave(5, dim=0),
        left_out={},
        unreadable=0,
    )
    detector = TimmDetector(TimmConfig(network="test_efficientnet", input_size=32))
    assert exchanged_names(detector, predictions) == ""
    last = replace(predictions, probabilities=predictions.probabilities[:, [4, 1, 2, 3, 0]])
    assert "(those of FaceSwap Real, those of Real FaceSwap)" in exchanged_names(detector, last)


def test_frames_of_one_video_are_no_further_samples(tmp_path: Path) -> None:
    once = measure_detector(by_brightness(), FRAMES)
    often = measure_detector(
        by_brightness(), [replace(each, key=f"{n}/{each.key}") for n in range(9) for each in FRAMES]
    )
    assert (often.of("frame").auc_low, often.of("frame").auc_high) == pytest.approx(
        (once.of("frame").auc_low, once.of("frame").auc_high)
    )


def test_how_a_foreign_file_was_read_stands_in_the_scores(tmp_path: Path) -> None:
    detector = by_brightness()
    detector.reading = Reading((0.0,) * 3, (1.0,) * 3, said=("classes Real, Fake",), assumed=("input 8 x 8 pixels",))
    run_test(detector, many(2), tmp_path)
    reading = json.loads((tmp_path / "metrics.json").read_text())["reading"]
    assert (reading["said"], reading["assumed"]) == (["classes Real, Fake"], ["input 8 x 8 pixels"])


def test_one_verdict_for_all_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bright = [replace(each, image=np.full_like(each.image, 200 + number)) for number, each in enumerate(many(3))]
    run_test(by_brightness(), bright, tmp_path)
    assert "warning: all 6 frames are called fake: outputs sorted by their size, as" in capsys.readouterr().err
    for frames in (bright[:3], many(3)):  # of one class alone, and of two verdicts
        run_test(by_brightness(), frames, tmp_path)
        assert "are called" not in capsys.readouterr().err
