"""The evaluate command as a user runs it."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import evaluate
from common import console
from data.entry import Entry
from data.index import read_index, write_index
from runs import row_files
from runs.drift import keep_drift
from runs.replication import replicated_runs
from runs.run_folder import RunFolder
from scoring.scored import Drift
from tests.scoring.stand_ins import TINY, Normalised, picture, save, write_frames

PLANTED = ("--detector", "tests.scoring.stand_ins:PlantedDetector")
ERASER = ("--attack", "tests.scoring.stand_ins:Eraser")
METHODS = ("LIME", "LIME_adv", "SHAP", "SHAP_adv", "SOBOL", "SOBOL_adv", "RISE", "RISE_adv")
BASELINES = {
    "random",
    "random-area",
    "face-centre",
    "edges",
    "whole",
    "oracle",
}  # of "quick", no mask


def settings(*prefixes: str) -> list[str]:
    """The tiny settings of the components that a run has."""
    return [word for each in TINY if not each.startswith(prefixes or "nes") for word in ("--set", each)]


def run(*words: object, command: tuple[str, ...] = ()) -> int:
    return console.status(evaluate.app, [*command, "--device", "cpu", "--threads", "1", *map(str, words)])


def refused(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    """The one line that a refused command prints."""
    capsys.readouterr()
    assert run(*words) != 0
    told = capsys.readouterr().err
    assert told.startswith("error: ")
    assert told.count("\n") == 1, told
    return told


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_frames(tmp_path_factory.mktemp("frames"), videos=3)


@pytest.fixture(scope="module")
def everything(index: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A run of all methods on frames where one planted region decides, and what it printed."""
    results = tmp_path_factory.mktemp("results")
    capture = pytest.MonkeyPatch()
    with capture.context() as patched:
        lines: list[str] = []
        patched.setattr("reporting.terminal.paragraph", lines.append)
        words = ("--method", "All", *ERASER, "--frames", index, *PLANTED, "--results", results, "--preset", "quick")
        assert run(*words, *settings()) == 0
    return results / "evaluation", "\n".join(lines)


def test_a_planted_patch_flips_for_all_eight_methods_and_not_for_random(everything: tuple[Path, str]) -> None:
    summary = pd.read_csv(everything[0] / "summary_All.csv").set_index(["top", "method"])
    assert set(summary.index.get_level_values("method")) == {*METHODS, *BASELINES}
    for method in METHODS:
        assert summary.loc[("1-3", method), "flip_rate"] >= 0.9, method
        assert summary.loc[("mean", method), "flip_rate_vs_random_difference"] > 0.3, method
        assert summary.loc[("mean", method), "flip_rate_vs_random_p_holm"] < 0.05, method
    assert summary.loc[("1", "random"), "flip_rate"] <= 0.35
    for baseline, rate in (("oracle", 1.0), ("whole", 1.0)):
        assert summary.loc[("1-3", baseline), "flip_rate"] == rate, baseline


def test_black_masks_are_said_and_take_no_part_in_localisation(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    index = write_frames(tmp_path / "frames", videos=1)
    entries = []
    for number, entry in enumerate(read_index(index)):
        mask = np.zeros((48, 48), bool)
        mask[:30] = number != 1  # the second is black, the third has none
        save(index.parent, f"masks/{number}.png", mask.astype(np.uint8) * 255)
        entries.append(replace(entry, mask=None if number == 2 else f"masks/{number}.png", faces=2 if number else None))
    write_index(index, entries)
    words = ("--method", "LIME", *ERASER, "--frames", index, *PLANTED, "--results", tmp_path, "--preset", "quick")
    metrics = ("--metric", "pointing-game", "--metric", "relevance-rank", "--baseline", "mask")
    assert run(*words, *metrics, *settings("SHAP", "RISE", "SOBOL", "nes", "adversarial", "blur")) == 0
    said = capsys.readouterr().err
    black = entries[1].key
    assert f"warning: 1 fake frame of 3 with a mask, such as {black}, has no manipulated pixel" in said
    assert "warning: 3 of 4 frames (of 3 videos" in said
    rows = pd.read_csv(tmp_path / "evaluation-LIME" / "rows_LIME.csv")
    known = rows[rows["method"] == "LIME"].groupby("key")["mask_precision"].mean().notna()
    assert [known[entry.key] for entry in entries] == [True, False, False, True]
    assert set(rows.loc[rows["method"] == "mask", "key"]) == {entries[0].key, entries[3].key}
    values = pd.read_csv(tmp_path / "evaluation-LIME" / "metrics_LIME.csv").set_index("key")
    for metric, part in values.groupby("metric"):
        assert part["value"].notna()[[entry.key for entry in entries]].tolist() == [True, False, False, True], metric
        assert part.loc[black, "undefined"] == "the mask has no manipulated pixel"


def test_the_published_table_of_a_real_run(everything: tuple[Path, str]) -> None:
    """The published code stores RISE before SOBOL and labels SOBOL before RISE: here a row is its method's."""
    scores = pd.read_csv(everything[0] / "scores_All.csv", index_col=0)
    assert list(scores.index) == ["Original", *METHODS, "random"]
    assert scores.shape[1] == 25
    assert scores.loc["Original", "Accuracy"] == 1.0
    tidy = pd.read_csv(everything[0] / "rows_All.csv")
    for method in METHODS:
        mine = tidy[(tidy["method"] == method) & (tidy["family"] == "FaceSwap") & (tidy["k"] == 2)]
        assert scores.loc[method, "Sufficiency FS Top 2"] == pytest.approx(mine["drop"].mean(), abs=5e-4)
        assert scores.loc[method, "Accuracy FS Top 2"] == pytest.approx(mine["correct_after"].mean(), abs=5e-4)


def test_what_a_run_prints(everything: tuple[Path, str]) -> None:
    text = everything[1]
    assert "12 frames; preset quick; seed 0." in text
    assert text.count("No explanation can be trusted on the word of one attack.") == 1
    assert "more than random regions under" in text
    assert "Scored 12 of 12 frames, from 12 videos." in text
    assert "summary_All.png" in text
    assert "Demo" not in text


def test_the_configuration_of_a_run(everything: tuple[Path, str]) -> None:
    found = json.loads((everything[0] / "config.json").read_text())
    assert found["methods"] == list(METHODS)
    assert found["settings"]["RISE"]["samples"] == 800
    assert found["settings"]["adversarial"]["step"] == 2 / 255
    assert found["attacks"]["tests.scoring.stand_ins:Eraser"]["epsilon"] == 16 / 255
    assert re.fullmatch("[0-9a-f]{64}", found["detector"]["weights"])
    assert re.fullmatch("[0-9a-f]{64}", found["frames"]["fingerprint"])


def quickly(index: Path, results: Path, *words: object) -> list[object]:
    tiny = [word for each in ("segments.count=9", "LIME.samples=60", TINY[1]) for word in ("--set", each)]
    return [*("--method", "LIME"), *ERASER, "--frames", index, *PLANTED, "--results", results, "--preset", "quick",
            *tiny, *words]  # fmt: skip


def test_running_again_prints_the_same_and_scores_nothing(
    index: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*quickly(index, tmp_path, "--limit", 2)) == 0
    first = capsys.readouterr().out
    frames = sorted((tmp_path / "evaluation-LIME" / "frames").iterdir())
    times = [path.stat().st_mtime_ns for path in frames]
    assert run(*quickly(index, tmp_path, "--limit", 2)) == 0
    assert capsys.readouterr().out == first
    assert [path.stat().st_mtime_ns for path in frames] == times
    told = refused(capsys, *quickly(index, tmp_path, "--limit", 2, "--seed", 1))
    assert "seed was 0 and is now 1" in told
    told = refused(capsys, *quickly(index, tmp_path, "--limit", 2, "--set", "LIME.samples=99"))
    assert "settings.LIME.samples was 60 and is now 99" in told


def test_a_measured_batch_size_is_written_down_and_taken_again(
    index: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    metric_values: list[int] = []

    def fastest(detector: object, device: object, precision: str) -> int:
        metric_values.append(7 + len(metric_values))
        return metric_values[-1]

    monkeypatch.setattr("runs.chosen_parts.fastest", fastest)
    words = quickly(index, tmp_path, "--limit", 2, "--batch-size")
    assert run(*words, "auto") == 0
    assert json.loads((tmp_path / "evaluation-LIME" / "config.json").read_text())["batch_size"] == 7
    rows = (tmp_path / "evaluation-LIME" / "rows_LIME.csv").read_bytes()
    frames = sorted((tmp_path / "evaluation-LIME" / "frames").iterdir())
    frames[0].unlink()
    assert run(*words, "auto") == 0
    assert metric_values == [7]
    assert (tmp_path / "evaluation-LIME" / "rows_LIME.csv").read_bytes() == rows
    assert run(*words, "7") == 0
    assert "batch_size was 7 and is now 9" in refused(capsys, *words, "9")
    assert run(*words, "auto", "--run", "other") == 0
    assert metric_values == [7, 8]


def test_a_plain_folder_of_pictures_has_flips_and_no_accuracies(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number, family in enumerate(("Deepfakes", "FaceSwap", "Deepfakes")):
        save(tmp_path / "pictures", f"{number}.png", picture(str(number), family))
    assert run(*quickly(tmp_path / "pictures", tmp_path / "results")) == 0
    assert "accuracies stay empty" in capsys.readouterr().out
    folder = tmp_path / "results" / "evaluation-LIME"
    tidy = pd.read_csv(folder / "rows_LIME.csv")
    assert tidy[["label", "family", "correct", "correct_after"]].isna().all(axis=None)
    assert tidy["drop"].notna().all()
    assert tidy["flipped_to_real"].any()
    assert pd.read_csv(folder / "scores_LIME.csv", index_col=0).isna().all(axis=None)
    assert pd.read_csv(folder / "summary_LIME.csv")["flip_rate"].notna().all()


def test_real_frames_are_left_out_with_their_number(
    index: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "frames"
    shutil.copytree(index.parent, folder)
    save(folder, "original_sequences/1.png", picture("1", "Deepfakes", planted=False))
    with (folder / "index.csv").open("a") as file:
        file.write("original_sequences/1.png,0,0\n")
    assert run(*quickly(folder / "index.csv", tmp_path / "r", "--limit", 1, "--arm", "none")) == 0
    told = capsys.readouterr().out
    assert "Left out: 1 real frame," in told
    assert "Without random regions" in " ".join(told.split())


def test_a_new_family_is_left_out_of_accuracies_and_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    index = write_frames(tmp_path / "frames", videos=1, families=("Deepfakes", "FaceShifter"))
    assert run(*quickly(index, tmp_path / "r")) == 0
    assert "Without a class that the detector knows: 1 (FaceShifter)" in " ".join(capsys.readouterr().out.split())
    tidy = pd.read_csv(tmp_path / "r" / "evaluation-LIME" / "rows_LIME.csv")
    known = tidy[tidy["method"] == "LIME"].groupby("family")["correct"].count().to_dict()
    assert known == {"Deepfakes": 3, "FaceShifter": 0}


def test_several_attacks_in_one_run(index: Path, tmp_path: Path) -> None:
    words = quickly(index, tmp_path, "--limit", 2, "--attack", "fgsm", "--run", "two")
    assert run(*words) == 0
    names = {path.name for path in (tmp_path / "two").iterdir()}
    assert {"scores_LIME.csv", "scores_LIME_fgsm.csv", "rows_LIME.csv"} <= names
    tidy = pd.read_csv(tmp_path / "two" / "rows_LIME.csv")
    tidy = tidy[tidy["method"] != "oracle"]  # whose regions depend on the attack
    areas = [tidy.loc[tidy["attack"] == attack, "area"].tolist() for attack in tidy["attack"].unique()]
    assert len(areas) == 2
    np.testing.assert_array_equal(*areas)


SURVIVES = ("--survives", "jpeg95,half", "--survives", "png")


@pytest.fixture(scope="module")
def surviving(index: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A run that asks what its flips outlive, by PGD whose flips are near the threshold, and what it printed."""
    results, lines = tmp_path_factory.mktemp("surviving"), list[str]()
    with pytest.MonkeyPatch().context() as patched:
        patched.setattr("reporting.terminal.paragraph", lines.append)
        assert run(*quickly(index, results, "--limit", 4, "--attack", "pgd", *SURVIVES)) == 0
    return results / "evaluation-LIME", "\n".join(lines)


def test_rows_say_what_flips_outlive_and_all_else_is_as_without(
    index: Path, tmp_path: Path, surviving: tuple[Path, str]
) -> None:
    folder, told = surviving
    rows = pd.read_csv(folder / "rows_LIME.csv", dtype={"depth": str})
    asked = ["survives_jpeg95", "survives_half", "survives_png"]
    assert list(rows.columns[-3:]) == asked
    assert rows[asked].notna().all(axis=1).equals(rows["flipped_to_real"])
    assert rows[asked].notna().any(axis=1).equals(rows["flipped_to_real"])
    flips = rows[rows["flipped_to_real"]]
    assert flips.loc[flips["attack"] != "pgd", "survives_png"].all()
    assert flips["survives_png"].astype(bool).mean() > 0.95  # PGD ends so near the threshold that 8 bits may undo it
    assert (rows["survives_jpeg95"] == "False").any() or (rows["survives_jpeg95"] == False).any()  # noqa: E712
    frames = pd.read_csv(folder / "frames.csv")
    assert frames["real_after_half"].all()  # the planted pattern is finer than half the pixels
    assert not frames[["real_after_jpeg95", "real_after_png"]].any(axis=None)
    lines = pd.read_csv(folder / "summary_LIME.csv").set_index(["attack", "top", "method"])
    by_pgd = flips[(flips["attack"] == "pgd") & (flips["method"] == "LIME")]
    line = lines.loc[("pgd", "mean", "LIME")]
    assert line["survives_jpeg95_flips"] == len(by_pgd) > 0
    assert line["survives_jpeg95_survived"] == by_pgd["survives_jpeg95"].astype(bool).sum()
    assert line["survives_jpeg95_share"] == pytest.approx(by_pgd["survives_jpeg95"].astype(bool).mean())
    assert line["survives_half_flips"] == 0
    assert np.isnan(line["survives_half_share"])
    assert "turns to Real without any attack: half 4 of 4." in told
    assert "&" in (folder / "headline.tex").read_text()
    assert "& jpeg95 & half & png" in (folder / "headline.tex").read_text()
    page = (folder / "report.html").read_text()
    assert "Do flips outlive what happens to pictures?" in page
    assert "half 4 of 4" in page
    stacked = np.load(folder / "results_LIME.npy", allow_pickle=False)
    assert ((stacked["survives_png"] == -1) == ~stacked["flipped_to_real"].astype(bool)).all()
    assert (stacked["survives_png"] == 1).sum() == flips["survives_png"].astype(bool).sum()
    costs = pd.read_csv(folder / "costs.csv").groupby("stage")["forwards"].sum()
    assert costs["survives"] == 4 * 3
    assert costs["survives pgd"] > 0

    assert run(*quickly(index, tmp_path, "--limit", 4, "--attack", "pgd")) == 0
    plain = tmp_path / "evaluation-LIME"
    assert "survives" not in (plain / "config.json").read_text() + (plain / "report.html").read_text()
    assert not (plain / "transformed").exists()
    without = pd.read_csv(plain / "rows_LIME.csv", dtype={"depth": str})
    pd.testing.assert_frame_equal(without, rows[without.columns], check_exact=True)
    for path in sorted((plain / "frames").iterdir()):
        assert (np.load(path) == np.load(folder / "frames" / path.name)).all()  # the seals name the configuration


def test_what_flips_outlive_is_the_same_resumed_in_parts_by_workers_and_in_column_files(
    index: Path,
    tmp_path: Path,
    surviving: tuple[Path, str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder, _ = surviving
    words = quickly(index, tmp_path, "--limit", 4, "--attack", "pgd", *SURVIVES)
    assert run(*words, "--shard", "1/2") == run(*words, "--shard", "2/2") == 0
    again = tmp_path / "evaluation-LIME"
    files = ("rows_LIME.csv", "summary_LIME.csv", "summary.csv", "headline.tex", "results_LIME.npy", "config.json")
    for name in files:
        assert (again / name).read_bytes() == (folder / name).read_bytes(), name

    gone, cut, *_ = sorted((again / "transformed").iterdir())
    gone.unlink()
    cut.write_bytes(cut.read_bytes()[:-8])
    capsys.readouterr()
    assert run(*words, "--workers", 2) == 0
    assert capsys.readouterr().err.count("run's command has scored it again") == 2
    for name in files:
        assert (again / name).read_bytes() == (folder / name).read_bytes(), name
    assert "survives was" in refused(capsys, *words[:-2])
    assert "survives was" in refused(capsys, *words[:-4])

    with monkeypatch.context() as patched:
        patched.setattr(row_files, "MOST_ROWS", 10)
        run_folder = RunFolder(again)
        run_folder.pack(run_folder.keys())
        assert len(list((again / "transformed").iterdir())) == 1
        assert run(*words) == 0
    for name in ("summary_LIME.csv", "summary.csv", "headline.tex"):
        assert (again / name).read_bytes() == (folder / name).read_bytes(), name
    one, other = pd.read_csv(folder / "rows_LIME.csv"), pd.read_parquet(again / "rows_LIME.parquet")
    assert list(one.columns) == list(other.columns)
    outlived = [None if pd.isna(told) else bool(told) for told in one["survives_png"]]
    assert other["survives_png"].tolist() == outlived
    assert [told is not None for told in outlived] == one["flipped_to_real"].tolist()
    frames = pd.read_parquet(again / "frames.parquet")
    assert frames["real_after_half"].all()


def test_parts_of_a_run(index: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*quickly(index, tmp_path, "--limit", 3, "--shard", "1/2")) == 0
    assert "1 of the run's 3 frames are not" in " ".join(capsys.readouterr().out.split())
    assert run(*quickly(index, tmp_path, "--limit", 3, "--shard", "2/2")) == 0
    assert "Scored 3 of 3 frames" in capsys.readouterr().out


BAD = {
    "unknown method": (["--method", "LIMA"], "did you mean LIME"),
    "unknown attack": (["--attack", "nse"], "did you mean nes"),
    "unknown preset": (["--preset", "fast"], "known: published, efficient, quick"),
    "unknown component": (["--set", "LIMA.samples=3"], "LIMA"),
    "unknown setting": (["--set", "LIME.sample=3"], "LIME has no setting 'sample'"),
    "bad value": (["--set", "LIME.samples=many"], "LIME.samples='many'"),
    "bad form": (["--set", "LIME.samples"], "COMPONENT.FIELD=VALUE"),
    "setting of another attack": (["--set", "pgd.steps=3"], "--attack pgd"),
    "unknown split": (["--split", "nope"], "nope"),
    "unknown device": (["--device", "gpu"], "unknown device 'gpu'"),
    "batch size of nothing": (["--batch-size", "0"], "--batch-size '0'"),
    "batch size in words": (["--batch-size", "large"], "or auto"),
    "unknown precision": (["--precision", "half"], "half"),
    "unknown option": (["--nonsense"], "--nonsense"),
    "unknown transform": (["--survives", "jpeg75,jpg95"], "unknown transform 'jpg95'; known: jpegQ"),
    "limit of nothing": (["--limit", "0"], "limit"),
    "shard": (["--shard", "3/2"], "--shard '3/2'"),
    "run is a path": (["--run", "../x"], "'../x'"),
    "unknown detector": (["--detector", "no.such:Thing"], "no.such"),
    "missing checkpoint": (["--detector", "gone.ckpt"], "gone.ckpt"),
    "missing index": (["--frames", "gone.csv"], "gone.csv"),
}


@pytest.mark.parametrize("what", BAD)
def test_bad_input_is_one_line_and_leaves_nothing(
    index: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], what: str
) -> None:
    words, named = BAD[what]
    assert named in refused(capsys, *quickly(index, tmp_path), *words)
    assert list(tmp_path.iterdir()) == []


def test_contradictions_about_the_demo(index: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "--frames needs --detector" in refused(capsys, "--frames", index, "--results", tmp_path)
    assert "--images needs --frames" in refused(capsys, "--images", tmp_path, *PLANTED, "--results", tmp_path)
    assert "--split needs --frames" in refused(capsys, "--split", "test", *PLANTED, "--results", tmp_path)


def test_options_before_a_further_command_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "run.yaml").write_text("limit: 2")
    for option, value in (("--seed", "7"), ("--config", str(tmp_path / "run.yaml"))):
        assert console.status(evaluate.app, [option, value, "replicate", "--results", str(tmp_path)]) == 1
        assert f"error: {option} stands before replicate" in capsys.readouterr().err


def test_nothing_to_score(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save(tmp_path, "a/0.png", picture("a", "Deepfakes"))
    write_index(tmp_path / "index.csv", [Entry("a/0.png", False, 0)])
    assert "all 1 frames are real" in refused(capsys, *quickly(tmp_path / "index.csv", tmp_path / "r"))
    (tmp_path / "empty").mkdir()
    assert "no pictures" in refused(capsys, *quickly(tmp_path / "empty", tmp_path / "r"))


def test_a_results_folder_that_cannot_be(index: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("not a folder")
    assert "file" in refused(capsys, *quickly(index, tmp_path / "file"))


def test_help_names_every_option(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--help") == 0
    told = capsys.readouterr().out
    options = "method frames images detector checkpoint attack run results limit split seed device batch-size"
    for option in f"{options} precision preset set threads shard arm seeds segments budget".split():
        assert f"--{option}" in told


def test_several_detectors_are_scored_apart_and_compared(
    index: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("--method", "LIME", "--method", "RISE", *ERASER, "--frames", index, "--preset", "quick", "--limit", "4")
    two = (*PLANTED, "--detector", "tests.scoring.stand_ins:TwoClassPlanted")
    assert run(*words, *two, "--results", tmp_path, "--run", "both", *settings()) == 0
    printed = " ".join(capsys.readouterr().out.split())
    names = {"tests.scoring.stand_ins-PlantedDetector", "tests.scoring.stand_ins-TwoClassPlanted"}
    assert {path.name for path in (tmp_path / "both").iterdir() if path.is_dir()} == names
    assert printed.count("2 methods by flip rate under") == printed.count("2 methods by drop under") == 1
    assert set(pd.read_csv(tmp_path / "both" / "detectors_LIME+RISE.csv")["detector"]) == names
    assert len(pd.read_csv(tmp_path / "both" / "agreement_LIME+RISE.csv")) == 2
    again = (*PLANTED, *PLANTED, "--results", tmp_path)
    assert "given twice" in refused(capsys, *words, *again, *settings())


def test_maps_made_elsewhere_are_judged_beside_a_method(
    index: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A folder that knows the planted place flips every frame; a frame without one keeps what the others gave."""
    keys = [entry.key for entry in read_index(index)][:4]
    write_index(index.parent / "four.csv", [entry for entry in read_index(index) if entry.key in keys])
    known, unknown = tmp_path / "known", tmp_path / "unknown"
    truth = np.zeros((12, 12))
    truth[4:8, 4:8] = 1.0
    for place, key in enumerate(keys):
        for folder, saliency in ((known, truth), (unknown, -truth)):
            if place < 3 or folder == unknown:
                (folder / key).parent.mkdir(parents=True, exist_ok=True)
                np.save(folder / f"{key}.npy", saliency + 10 * place)  # no two are the same
    words = quickly(index.parent / "four.csv", tmp_path, "--saliency", known, "--saliency", unknown)
    assert run(*words) == 0
    told = capsys.readouterr().err
    assert f"{keys[3]} is scored without known: {known} has no saliency map of this frame" in told
    folder = tmp_path / "evaluation-LIME+known+unknown"
    summary = pd.read_csv(folder / "summary_LIME+known+unknown.csv").set_index(["top", "method"])
    assert summary.loc[("1", "known"), "flip_rate"] == 1.0
    assert summary.loc[("1", "unknown"), "flip_rate"] == 0.0
    assert pd.read_csv(folder / "failures.csv")[["key", "stage"]].values.tolist() == [[keys[3], "known"]]
    assert summary["frames"].xs("1", level="top")[["LIME", "known", "unknown"]].tolist() == [4, 3, 4]
    costs = pd.read_csv(folder / "costs.csv")
    assert costs.loc[costs["stage"] == "known", "forwards"].tolist() == [0, 0, 0]

    np.save(known / f"{keys[0]}.npy", truth + 1)
    assert "fingerprint was" in refused(capsys, *words)
    (tmp_path / "other" / "known").mkdir(parents=True)
    np.save(tmp_path / "other" / "known" / "a.npy", truth)
    clash = quickly(index, tmp_path, "--saliency", known, "--saliency", tmp_path / "other" / "known")
    assert "two methods are called known" in refused(capsys, *clash)
    assert "nowhere is not a folder" in refused(capsys, *quickly(index, tmp_path, "--saliency", tmp_path / "nowhere"))


def test_a_library_of_attributions_in_a_run(index: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("--method", "captum:Saliency", "--method", "captum:FeatureAblation_adv", "--limit", 4)
    assert run(*quickly(index, tmp_path, *words, "--arm", "none")) == 0
    name = "LIME+captum-Saliency+captum-FeatureAblation_adv"
    summary = pd.read_csv(tmp_path / f"evaluation-{name}" / f"summary_{name}.csv").set_index(["top", "method"])
    assert summary.loc[("1-3", "captum:Saliency"), "flip_rate"] == 1.0
    assert summary.loc[("1-3", "captum:FeatureAblation_adv"), "flip_rate"] == 1.0
    capsys.readouterr()
    told = refused(capsys, *quickly(index, tmp_path, "--method", "captum:GuidedBackprop", "--run", "new"))
    assert "PlantedDetector has none" in told
    assert not (tmp_path / "new").exists()  # told before any work
    assert "has no feature map" in refused(capsys, *quickly(index, tmp_path, "--method", "cam:GradCAM"))


def test_a_replication_runs_continues_and_says_which_difference_moves_what(
    index: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two of its eleven runs, as each writes all its products."""
    every = replicated_runs
    two = ("as-published", "without-swapped-rows")
    monkeypatch.setattr(evaluate, "replicated_runs", lambda options: {name: every(options)[name] for name in two})
    frames = ("--frames", index, "--limit", 2, "--detector", "tests.scoring.stand_ins:Normalised")
    few = ("LIME.samples=20", "SHAP.evaluations=20", "SOBOL.designs=2", "RISE.samples=20", "nes.steps=2")
    words = (*frames, "--preset", "quick", "--results", tmp_path, *settings())
    words = (*words, *(word for each in few for word in ("--set", each)))
    Normalised.made = 0
    assert run(*words, command=("replicate",)) == 0
    assert Normalised.made == 2  # both runs ask one network; another shows whether its weights are drawn
    told = " ".join(capsys.readouterr().out.split())
    assert "as-published, 1 of 2 without-swapped-rows, 2 of 2" in told
    folder = tmp_path / "replication"
    switches = [json.loads((folder / name / "config.json").read_text())["as_published"] for name in two]
    assert set(switches[0]) - set(switches[1]) == {"swapped-rows"}
    published, without = (pd.read_csv(folder / name / "scores_All.csv", index_col=0) for name in two)
    assert published.loc["SOBOL"].equals(without.loc["RISE"])
    moves = pd.read_csv(folder / "replication_columns.csv")
    assert set(moves.iloc[:, 0]) == {"swapped-rows"}
    before = {path: path.stat().st_mtime_ns for path in folder.glob("*/frames/*")}
    keep_drift(RunFolder(folder / two[1]), Drift("a.png", "b.png", 0.5))
    capsys.readouterr()
    assert run(*words, command=("replicate",)) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "without-swapped-rows: The detector drifted: from b.png on" in told
    assert "as-published: The detector drifted" not in told
    assert {path: path.stat().st_mtime_ns for path in folder.glob("*/frames/*")} == before
