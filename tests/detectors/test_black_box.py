import io
import json
import sys
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import detectors
from attacks.derivatives import usable_attacks
from attacks.nes import NES
from attacks.pgd import PGD
from common.errors import InputError
from detectors.black_box import STEP, BlackBox, png
from detectors.queries import answer


class Patch(BlackBox):
    """Says fake while the patch in the middle is bright."""

    input_size, class_names, real = 16, ("Real", "Fake"), 0

    def answers(self, pictures: np.ndarray) -> Any:
        bright = pictures[:, 6:10, 6:10].mean(axis=(1, 2, 3)) / 255
        fake = 1 / (1 + np.exp(-60 * (bright - 0.5)))
        return np.stack([1 - fake, fake], axis=1)


class Answering(BlackBox):
    """Gives what it is made with."""

    input_size, class_names, real = 8, ("Real", "Fake"), 0

    def __init__(self, give: Callable[[int], Any]) -> None:
        super().__init__()
        self.give = give

    def answers(self, pictures: np.ndarray) -> Any:
        return self.give(len(pictures))


def test_probabilities_become_logits_of_the_rounded_pictures() -> None:
    images = torch.rand(3, 3, 16, 16)
    rounded = images.mul(255).round().div(255)
    bright = rounded[:, :, 6:10, 6:10].mean(dim=(1, 2, 3))
    given = answer(Patch(), images)
    torch.testing.assert_close(given.softmax(1)[:, 1], torch.sigmoid(60 * (bright - 0.5)), rtol=1e-4, atol=1e-6)


def test_logits_are_taken_as_they_are() -> None:
    detector = Answering(lambda count: [[3.0, -200.0]] * count)
    detector.gives_logits = True
    assert answer(detector, torch.rand(2, 3, 8, 8)).tolist() == [[3.0, -200.0]] * 2


def test_a_probability_of_0_counts_as_a_small_one() -> None:
    assert answer(Answering(lambda count: [[0.0, 1.0]] * count), torch.rand(1, 3, 8, 8)).softmax(1)[0, 0] < 1e-6


@pytest.mark.parametrize(
    ("give", "message"),
    [
        (lambda count: time.sleep(5), "gave no answer within 0.2 seconds"),
        (
            lambda count: {"error": "no such model"},
            r"answered \{'error': 'no such model'\}; expected 2 rows of 2 numbers, one for each of Real, Fake",
        ),
        (lambda count: "<html>", "answered '<html>'; expected 2 rows"),
        (lambda count: None, r"answered None; expected 2 rows"),
        (lambda count: [[0.5, 0.5]], r"answered numbers of shape \(1, 2\); expected \(2, 2\)"),
        (lambda count: [[0.9, 0.9]] * count, r"answered \[0.9, 0.9\], which are no probabilities"),
        (lambda count: [[-1.0, 2.0]] * count, "no probabilities"),
        (lambda count: [[0.5, 0.5], [float("nan"), 0.5]], "answered NaN or infinity for 1 of 2 pictures; expected"),
        (lambda count: [[float("inf"), 0.5]] * count, "answered NaN or infinity for 2 of 2 pictures; expected"),
        (lambda count: [["0.5", "0.5"]] * count, r"answered \[\['0.5', '0.5'\].*; expected 2 rows of 2 numbers"),
        (lambda count: [["real", "fake"]] * count, r"answered \[\['real', 'fake'\].*; expected 2 rows of 2 numbers"),
        (lambda count: [[True, False]] * count, r"answered \[\[True, False\].*; expected 2 rows"),
        (lambda count: [[0.5 + 0j, 0.5]] * count, "answered .*; expected 2 rows of 2 numbers"),
        (lambda count: [[10, 90]] * count, "are percentages: divide them by 100"),
        (lambda count: [[12.5, 87.4]] * count, "are percentages: divide them by 100"),
        (lambda count: [[0.9, 0.3], [0.1, 0.7]], "their columns do: give a row for each picture, not for each class"),
        (lambda count: [[0.5, 0.5, 0.0]] * count, r"shape \(2, 3\); expected \(2, 2\)$"),
        (lambda count: [[-0.5, 1.5]] * count, "where they are logits, say gives_logits = True"),
        (lambda count: [[0.9, 0.4]] * count, "where each class has a score of its own, divide them by their sum"),
        (lambda count: 1 / 0, r"gave no answer \(ZeroDivisionError: division by zero\)"),
        (
            lambda count: (_ for _ in ()).throw(ConnectionRefusedError(111, "refused")),
            "gave no answer .ConnectionRefused",
        ),
    ],
)
def test_late_answers_and_nonsense_are_one_line(give: Callable[[int], Any], message: str) -> None:
    detector = Answering(give)
    detector.seconds = 0.2
    with pytest.raises(InputError, match=message) as caught:
        answer(detector, torch.rand(2, 3, 8, 8))
    assert "\n" not in str(caught.value)


def test_a_row_for_each_class_in_place_of_each_picture_is_said() -> None:
    detector = Answering(lambda count: [[0.4] * count, [0.6] * count])
    with pytest.raises(InputError, match=r"shape \(2, 3\); expected \(3, 2\) \(.*transpose them\)"):
        answer(detector, torch.rand(3, 3, 8, 8))


@pytest.mark.parametrize("logits", [False, True])
def test_whole_numbers_are_remarked_on_once_where_they_may_be_decisions(
    logits: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    detector = Answering(lambda count: [[0, 1]] * count)
    detector.gives_logits = logits
    for _ in range(2):
        assert answer(detector, torch.rand(2, 3, 8, 8)).argmax(1).tolist() == [1, 1]
    assert capsys.readouterr().err.count("answers whole numbers, [0.0, 1.0]") == (not logits)


@pytest.mark.parametrize(("digits", "told"), [(2, 1), (3, 1), (4, 0), (6, 0)])
def test_rounded_probabilities_are_remarked_on_once(digits: int, told: int, capsys: pytest.CaptureFixture[str]) -> None:
    fake = np.random.default_rng(0).random(8).round(digits).astype(np.float32)
    detector = Answering(lambda count: np.stack([1 - fake, fake], axis=1)[:count])
    for count in (1, 8, 8):
        answer(detector, torch.rand(count, 3, 8, 8))
    assert capsys.readouterr().err.count("answers probabilities of 3 decimals at most") == told


def test_nes_flips_it_by_differences_that_8_bits_do_not_swallow(capsys: pytest.CaptureFixture[str]) -> None:
    image = torch.full((3, 16, 16), 0.52)
    attacks = usable_attacks({"nes": NES(pairs=20)}, Patch(), image)
    assert "--set nes.derivatives=finite --set nes.sigma=0.00784" in capsys.readouterr().err
    assert attacks["nes"] == NES(pairs=20, derivatives="finite", sigma=STEP)
    regions = torch.zeros(2, 16, 16, dtype=torch.bool)
    regions[0, 6:10, 6:10] = True
    regions[1, :5, :5] = True
    result = attacks["nes"](Patch(), image.expand(2, 3, 16, 16), regions, [1, 2])
    assert result.flipped.tolist() == [True, False]


def test_an_attack_by_gradients_is_refused_at_the_start() -> None:
    with pytest.raises(InputError, match="gives no gradient; pgd can follow none"):
        usable_attacks({"pgd": PGD()}, Patch(), torch.full((3, 16, 16), 0.52))


class _Judge(BaseHTTPRequestHandler):
    """A web service: how bright a PNG file is, as JSON."""

    def do_POST(self) -> None:
        picture = Image.open(io.BytesIO(self.rfile.read(int(self.headers["Content-Length"]))))
        answered = json.dumps({"fake": float(np.asarray(picture).mean() / 255)}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answered)))
        self.end_headers()
        self.wfile.write(answered)

    def log_message(self, *_said: object) -> None:
        pass


def test_the_documented_service_and_command_are_detectors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (Path(__file__).parents[2] / "docs" / "bring-your-own.md").read_text()
    code = page.split("## A command or a web service")[1].split("```python\n")[1].split("```")[0]
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Judge)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        (tmp_path / "served.py").write_text(code.replace("8000", str(server.server_port)))
        command = [sys.executable, "-c", "import io, sys; sys.stdout.write(str(len(sys.stdin.buffer.read()) > 100))"]
        (tmp_path / "asked.py").write_text(
            "import subprocess\nfrom detectors.black_box import BlackBox, png\n\n\nclass Command(BlackBox):\n"
            "    input_size, class_names, real = 8, ('Real', 'Fake'), 0\n    seconds = 60\n\n"
            f"    def answers(self, pictures):\n        return [[0.25, 0.75] if subprocess.run({command!r}, "
            "input=png(picture), capture_output=True, check=True).stdout == b'True' else [1, 0] "
            "for picture in pictures]\n"
        )
        monkeypatch.syspath_prepend(tmp_path)
        images = torch.rand(2, 3, 224, 224)
        service = detectors.load("served:Service")
        torch.testing.assert_close(
            answer(service, images).softmax(1)[:, 1], images.mean(dim=(1, 2, 3)), rtol=1e-2, atol=1e-3
        )
    finally:
        server.shutdown()
        server.server_close()
    with pytest.raises(InputError, match=r"gave no answer \(URLError"):
        answer(service, images)
    chances = answer(detectors.load("asked:Command"), torch.rand(1, 3, 8, 8)).softmax(1)[0]
    assert chances.tolist() == pytest.approx([0.25, 0.75], abs=1e-6)


def test_png_loses_nothing() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    assert (np.asarray(Image.open(io.BytesIO(png(picture)))) == picture).all()
