"""The table and its picture from made-up tests."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from attacks.malafide.filter_test import FilterTest, as_json
from attacks.malafide.heatmap import save_heatmap
from attacks.malafide.table import TableRow, find_tests, markdown, tabulate, write_csv, write_tests
from common.errors import InputError

BASE = FilterTest(
    trained_on="caddm", tested_on="caddm", manipulation="Deepfakes", filter="9", size=9, range="image", fidelity=None,
    filter_sha256="ab" * 32, tested_sha256="cd" * 32, input_size=224, frames="ef" * 32, fakes=40, reals=40,
    clean_eer=0.05, clean_auc=0.99, eer=0.5, auc=0.5, clean_accepted=0.05, success=0.9, attack_rate=0.5, psnr=12.0,
    psnr_least=10.0, ssim=0.5, ssim_least=0.4,
)  # fmt: skip


def made_up() -> list[FilterTest]:
    """Two detectors, two manipulations, sizes 3 to 27, and one cell of them that was never tested."""
    tests = []
    for a, trained in enumerate(("sbi", "caddm")):
        for b, tested in enumerate(("caddm", "sbi")):
            for c, manipulation in enumerate(("FaceSwap", "Deepfakes")):
                for d, size in enumerate((27, 3, 9)):
                    if (trained, tested, manipulation, size) == ("sbi", "caddm", "FaceSwap", 27):
                        continue
                    eer = 0.1 + 0.1 * a + 0.2 * b + 0.03 * c + 0.001 * d
                    clean = 0.01 * (1 + b + 2 * c)
                    tests.append(
                        replace(
                            BASE, trained_on=trained, tested_on=tested, manipulation=manipulation, size=size,
                            filter=str(size), eer=eer, clean_eer=clean,
                        )
                    )  # fmt: skip
    return tests


def test_rows_are_in_the_papers_order_and_missing_cells_blank(tmp_path: Path) -> None:
    table = tabulate(made_up())
    rows = [(row.trained_on, row.tested_on, row.filter) for row in table.rows]
    assert rows == [
        (None, "caddm", "none"), (None, "sbi", "none"),
        *((trained, tested, size)
          for trained, tested in (("caddm", "caddm"), ("caddm", "sbi"), ("sbi", "sbi"), ("sbi", "caddm"))
          for size in ("3", "9", "27")),
    ]  # fmt: skip
    write_csv(tmp_path / "table.csv", table)
    with (tmp_path / "table.csv").open() as file:
        read = list(csv.DictReader(file))
    assert list(read[0]) == ["trained_on", "tested_on", "filter", "Deepfakes", "FaceSwap"]
    assert (read[0]["Deepfakes"], read[0]["FaceSwap"]) == ("3.00", "1.00")
    assert read[-1] == {
        "trained_on": "sbi", "tested_on": "caddm", "filter": "27", "Deepfakes": "13.00", "FaceSwap": "",
    }  # fmt: skip
    assert sum(cell == "" for row in read for cell in (row["Deepfakes"], row["FaceSwap"])) == 1


def test_markdown_has_fidelity_beside_every_rate() -> None:
    lines = markdown(tabulate(made_up())).splitlines()
    assert lines[0] == "| trained on | tested on | filter | Deepfakes | FaceSwap |"
    assert lines[2] == "| no filter | caddm |  | 3.0 | 1.0 |"
    assert lines[4] == "| caddm | caddm (white box) | 3 | 23.1 (12.0, 0.50) | 20.1 (12.0, 0.50) |"
    assert lines[15] == "| sbi | caddm (black box) | 27 | 13.0 (12.0, 0.50) |  |"
    unchanged = markdown(tabulate([replace(BASE, psnr=None, ssim=1.0)])).splitlines()
    assert unchanged[3].endswith("| 50.0 (1.00) |")


def test_tests_are_found_wherever_they_lie(tmp_path: Path) -> None:
    tests = made_up()
    for place, test in enumerate(tests):
        path = tmp_path / str(place) / "tests" / f"{test.tested_on}.json"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(as_json([test])))
    assert sorted(map(repr, find_tests(tmp_path))) == sorted(map(repr, tests))
    write_tests(tmp_path / "tests.csv", tests)
    with (tmp_path / "tests.csv").open() as file:
        read = list(csv.DictReader(file))
    assert [float(row["eer"]) for row in read] == pytest.approx([test.eer for test in tests])
    assert read[0]["fidelity"] == ""


def test_damaged_or_contradicting_tests_are_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no tests here"):
        find_tests(tmp_path)
    path = tmp_path / "a" / "tests" / "sbi.json"
    path.parent.mkdir(parents=True)
    for content, words in (("{", "is damaged"), ('[{"eer": 1}]', "test again"), ("[3]", "test again")):
        path.write_text(content)
        with pytest.raises(InputError, match=words) as caught:
            find_tests(tmp_path)
        assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match="two different tests of filter 9"):
        tabulate([BASE, replace(BASE, eer=0.4)])
    assert len(tabulate([BASE, BASE]).values) == 2


def test_the_picture_shows_every_cell_and_is_the_same_every_time(tmp_path: Path) -> None:
    table = tabulate(made_up())
    for name in ("one.png", "two.png"):
        save_heatmap(tmp_path / name, table)
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()
    with Image.open(tmp_path / "one.png") as picture:
        assert picture.width > 600
        assert picture.height > 600
        colours = picture.convert("RGB").quantize(256).getcolors()
    assert colours is not None
    assert len([count for count, _ in colours if count > 2000]) > 10  # a shade for each rate
    assert table.at(TableRow("sbi", "caddm", "27"), "FaceSwap") is None
