"""`examine.py` as an analyst runs it: on a crop, a photograph, a film of red discs, and what cannot be examined."""

import contextlib
import hashlib
import html
import json
import os
import re
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

import examine
from common import console
from examination.answer import answer
from examination.case import Case
from examination.document import answer_pages
from examination.faces import FaceChoice
from examination.files import STAGED, write_case
from examination.films import FrameChoice
from examination.subjects import Looking, subjects_of
from tests.data.preprocess.videos import DISCS, HEIGHT, RED, WIDTH, DiscFaces, background, frame, moving, write
from tests.examination.stand_ins import COLUMNS, ROWS, SIZE, TINY

FIND = ("--face-detector", DISCS)
CENTRE_OF = "tests.examination.stand_ins:RedCentre"


def run(*words: object, method: str = "LIME_adv", detector: str = CENTRE_OF) -> int:
    named = {"segments", method.removesuffix("_adv"), *(["adversarial"] if method.endswith("_adv") else [])}
    settings = [word for each in TINY if each.partition(".")[0] in named for word in ("--set", each)]
    given = ["--detector", detector, "--device", "cpu", "--method", method, *settings, *map(str, words)]
    return console.status(examine.app, given)


def crop(path: Path, red: bool = True) -> Path:
    """A grey crop whose patch is red, or nothing of it."""
    image = np.full((2 * SIZE, 2 * SIZE, 3), 90, dtype=np.uint8)
    image += np.random.default_rng(0).integers(0, 8, image.shape, dtype=np.uint8)
    if red:
        image[32:40, 16:40] = RED
    Image.fromarray(image).save(path)
    return path


def data(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "case.json").read_text())
    return found


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("case")
    assert run(crop(folder / "a.png"), "--whole", "--out", folder / "out") == 0
    return folder


def test_a_map_of_the_planted_patch_is_believed_and_everything_is_written(case: Path) -> None:
    found = data(case / "out")
    lime, evidence = found["methods"]["LIME_adv"], found["frames"][0]["evidence"]
    assert evidence["methods"]["LIME_adv"]["p"] <= 0.01
    assert lime["share"] >= 0.9
    assert found["believed"] == ["LIME_adv"]
    assert found["answer"][0].startswith(f'The detector "{CENTRE_OF}" calls a.png Fake')
    assert found["sha256"] == hashlib.sha256((case / "a.png").read_bytes()).hexdigest()
    assert len(evidence["random_moves"]) == found["setting"]["regions"] == 99
    assert set(lime["overlaps"]) == {
        "another seed", "JPEG of quality 90", "JPEG of quality 75", "half the size and back",
    }  # fmt: skip
    region = np.load(case / "out" / "maps" / "picture" / "LIME_adv-region.npy")
    assert region.sum() == evidence["area"]
    assert np.load(case / "out" / "maps" / "picture" / "LIME_adv.npy").shape == (SIZE, SIZE)
    assert Image.open(case / "out" / "maps" / "picture" / "LIME_adv.png").size[0] > 100


def test_the_page_needs_no_network_and_says_the_answer_first(case: Path) -> None:
    page = html.unescape((case / "out" / "case.html").read_text())
    assert "default-src 'none'" in page
    assert not re.search(r"(?:src|href)=\"(?!data:)|https?://|<script", page)
    words = re.sub(r"<style>.*?</style>|<[^>]+>", " ", page, flags=re.S)
    assert words.index("calls a.png Fake") < words.index("not where a forgery is") < words.index("Evidence")


def test_the_document_has_two_a4_pages(case: Path) -> None:
    document = (case / "out" / "case.pdf").read_bytes()
    assert document.count(b"/Type /Page\n") + document.count(b"/Type /Page ") == 2
    assert re.findall(rb"/MediaBox \[ 0 0 (\d+)[.\d]* (\d+)", document)[0] == (b"595", b"841")


def test_no_row_of_the_document_is_cut_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Case] = []
    monkeypatch.setattr(examine, "write_case", lambda folder, case, lines: made.append(case) or [])
    assert run(crop(tmp_path / "a.png"), "--whole", "--out", tmp_path / "out") == 0
    for frames, pages in ((3, 1), (60, 2)):
        case = replace(made[0], frames=made[0].frames * frames)
        drawn = answer_pages(case, answer(case))
        texts = [text for page in drawn for text in page.texts]
        assert len(drawn) == pages
        assert all(text.get_position()[1] > 0.02 for text in texts)
        assert sum(text.get_text() == "picture" for text in texts) == frames  # a row for each


def test_the_same_command_gives_the_same_numbers_whatever_the_file_is_called(case: Path, tmp_path: Path) -> None:
    other = tmp_path / "b.png"
    other.write_bytes((case / "a.png").read_bytes())
    assert run(other, "--whole", "--out", tmp_path / "out") == 0
    first, second = data(case / "out"), data(tmp_path / "out")
    assert first["frames"][0]["evidence"] == second["frames"][0]["evidence"]
    assert first["methods"] == second["methods"]


def test_a_real_verdict_is_said_and_no_map_is_judged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(crop(tmp_path / "a.png", red=False), "--whole", "--out", tmp_path / "out") == 0
    found = data(tmp_path / "out")
    assert found["frames"][0]["evidence"] is None
    assert found["believed"] == []
    assert "calls a.png Real" in found["answer"][0]
    assert "no heat map is judged" in found["answer"][0]
    assert "Traceback" not in capsys.readouterr().err


def test_why_no_map_is_judged_is_said_as_it_is(tmp_path: Path) -> None:
    flat = "tests.scoring.stand_ins:clueless"
    assert run(crop(tmp_path / "a.png"), "--whole", "--out", tmp_path / "picture", method=flat) == 0
    assert "no method can explain it, so no heat map is judged" in data(tmp_path / "picture")["answer"][0]
    pale = frame([(40, 60)])
    pale[50:70, 30:50] = 160, 30, 30  # still found, and called Real
    images = [pale if at in (0, 1, 11, 12, 13, 22, 23) else frame([(40, 60)]) for at in range(24)]
    assert run(write(tmp_path / "film.mp4", images), *FIND, "--out", tmp_path / "film") == 0
    answer = data(tmp_path / "film")["answer"][0]
    assert "calls 17 of 24 frames" in answer
    assert "none of the 3 examined frames is one of these (--time examines others)" in answer
    half = write(tmp_path / "half.mp4", images[2:9] + images[11:13] * 2 + images[:2])
    assert run(half, *FIND, "--out", tmp_path / "half") == 0
    assert "over 2 of 3 examined frames together" in data(tmp_path / "half")["answer"][0]


def test_a_map_from_a_file_has_evidence_and_is_not_said_to_be_found_again(tmp_path: Path) -> None:
    made = np.zeros((SIZE, SIZE), dtype=np.float32)
    made[ROWS, COLUMNS] = 1.0
    (tmp_path / "maps").mkdir()
    np.save(tmp_path / "maps" / "picture.npy", made)
    words = ("--saliency", tmp_path / "maps", "--whole", "--out", tmp_path / "out")
    assert run(crop(tmp_path / "a.png"), *words) == 0
    found = data(tmp_path / "out")
    assert found["believed"] == ["LIME_adv"]
    assert found["methods"]["maps"]["p"] == 0.01
    assert found["methods"]["maps"]["overlaps"] == {}
    assert sum("maps, stability: its map is from a file" in line for line in found["frames"][0]["failures"]) == 1
    assert "maps: some variation could not be explained again" in " ".join(found["answer"])
    assert "not the same in every variation" not in " ".join(found["answer"])


def test_a_detector_that_draws_for_changed_pictures_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    draws = "tests.examination.stand_ins:DrawsOncePale"
    assert run(crop(tmp_path / "a.png"), "--whole", "--out", tmp_path / "out", method="LIME", detector=draws) == 1
    told = capsys.readouterr().err
    assert "detector DrawsOncePale answers a changed picture of this frame (masked, attacked) differently twice" in told
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["Pale", "PaleDraws", "PaleSmoothed"])
def test_a_detector_is_asked_again_about_what_it_calls_real(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    detector, film = f"tests.examination.stand_ins:{name}", write(tmp_path / "film.mp4", moving(30))
    of_film = run(film, *FIND, "--frames", 1, "--out", tmp_path / "film", method="LIME", detector=detector)
    told = capsys.readouterr().err
    of_picture = run(
        crop(tmp_path / "a.png"), "--whole", "--out", tmp_path / "picture", method="LIME", detector=detector
    )
    told_of_picture = capsys.readouterr().err
    if name == "Pale":
        assert (of_film, of_picture, told, told_of_picture) == (0, 0, "", "")
        assert data(tmp_path / "film")["frames"][0]["verdict"] == "Real"
        return
    assert (of_film, of_picture) == (1, 1)
    assert f"detector {name} answers a frame whose verdict belongs to that on the film differently" in told
    assert f"detector {name} answers " in told_of_picture
    assert "differently" in told_of_picture
    assert not (tmp_path / "film").exists()
    assert not (tmp_path / "picture").exists()


def test_a_film_is_examined_by_frame_and_together(tmp_path: Path) -> None:
    film = write(tmp_path / "film.mp4", moving(30))
    assert run(film, *FIND, "--frames", 2, "--out", tmp_path / "out") == 0
    found = data(tmp_path / "out")
    assert found["kind"] == "film"
    assert len(found["frames"]) == 2
    assert len(found["verdict"]["curve"]) >= 24
    assert found["verdict"]["mean"] > 0.5
    assert "the frame before" in found["methods"]["LIME_adv"]["overlaps"]
    assert any("nothing is said about other films" in line for line in found["answer"])
    assert found["methods"]["LIME_adv"]["frames"] == 2
    alone = [each["evidence"]["methods"]["LIME_adv"]["p"] for each in found["frames"]]
    assert found["methods"]["LIME_adv"]["p"] <= max(alone)


def test_times_name_frames(tmp_path: Path) -> None:
    film = write(tmp_path / "film.mp4", moving(30))
    assert run(film, *FIND, "--time", 0.4, "--out", tmp_path / "out") == 0
    assert [frame["time"] for frame in data(tmp_path / "out")["frames"]] == [0.4]


def test_a_photograph_is_cropped_and_several_faces_must_be_chosen(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photo = tmp_path / "photo.png"
    Image.fromarray(frame([(40, 60), (120, 60)])).save(photo)
    assert run(photo, *FIND, "--out", tmp_path / "out") == 1
    told = capsys.readouterr().err
    assert "shows 2 faces; choose by --face N, or --face all (1: " in told
    assert told.count("\n") == 1
    assert not (tmp_path / "out").exists()
    assert run(photo, *FIND, "--face", 2, "--out", tmp_path / "out") == 0
    found = data(tmp_path / "out")
    assert found["face"] == 2
    assert found["frames"][0]["picture"] == [53, 53]  # 1.3 times the disc's 41 pixels
    assert found["remarks"][0].startswith(f"face 2 is cut out of {WIDTH}x{HEIGHT} pixels: 53x53 at ")


def test_cases_of_an_earlier_choice_of_faces_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    photo, out = tmp_path / "photo.png", tmp_path / "out"
    Image.fromarray(frame([(40, 60), (120, 60)])).save(photo)
    assert run(photo, *FIND, "--face", "all", "--out", out) == 0
    assert "earlier, not now" not in capsys.readouterr().out
    assert run(photo, *FIND, "--face", 2, "--out", out) == 0
    told = capsys.readouterr().out
    for number in (1, 2):
        assert f"Note: {out / f'face-{number}'} holds a case that was examined earlier, not now" in told
        assert (out / f"face-{number}" / "case.json").is_file()
    assert run(photo, *FIND, "--face", "all", "--out", out) == 0
    assert f"Note: {out} holds a case" in capsys.readouterr().out


def faceless_film(folder: Path) -> Path:
    return write(folder / "film.mp4", [background()] * 12)


def faceless_photo(folder: Path) -> Path:
    Image.fromarray(background(900, 300)).save(folder / "wide.png")
    return folder / "wide.png"


def text_file(folder: Path) -> Path:
    (folder / "notes.txt").write_text("x")
    return folder / "notes.txt"


def test_a_picture_that_may_have_fewer_bits_than_sixteen_is_told(tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(0, 2**14, (SIZE, SIZE), dtype=np.uint16)
    values[0] = 2**14 - 1
    Image.fromarray(values).save(tmp_path / "a.png")
    looking = Looking(FaceChoice(), None, "")
    (subject,) = subjects_of(tmp_path / "a.png", looking, FrameChoice(), times_named=False)
    assert subject.remarks[-1] == (
        "it is of 16 bits with values in the lower half alone (its largest is 63 of 255): what has 13 to 15 bits is "
        "read darker than it was, and is to be saved with 8"
    )


def small_picture(folder: Path) -> Path:
    Image.fromarray(background(12, 12)).save(folder / "small.png")
    return folder / "small.png"


@pytest.mark.parametrize(
    ("make", "words", "says"),
    [
        (faceless_film, (), "no face found in any of the 12 frames looked at; --whole takes whole frames"),
        (faceless_photo, (), "no face found; --whole takes the whole picture"),
        (text_file, (), "neither a film"),
        (small_picture, (), "12x12 pixels is too small"),
        (lambda folder: folder / "gone.mp4", (), "no such file or folder"),
        (lambda folder: folder, (), "no films or pictures in this folder"),
        (faceless_film, ("--time", 9), "--time 9 is not in the film, which is 0.48 s long"),
        (lambda folder: crop(folder / "a.png"), ("--time", 1), "--time and --frames are of films"),
        (lambda folder: crop(folder / "a.png"), ("--regions", 20), "give at least 99"),
        (lambda folder: crop(folder / "a.png"), ("--face", "left"), "give a number from 1, or all"),
        (lambda folder: crop(folder / "a.png"), ("--face", 1, "--whole"), "give --face or --whole, not both"),
        (lambda folder: crop(folder / "a.png"), ("--face-detector", "x", "--whole"), "give --face-detector or --whole"),
    ],
)  # fmt: skip
def test_what_cannot_be_examined_is_one_line_and_nothing_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], make: Any, words: tuple[object, ...], says: str
) -> None:
    assert run(make(tmp_path), *FIND, *words, "--out", tmp_path / "out") == 1
    told = capsys.readouterr().err
    assert says in told
    assert told.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_folder_is_examined_file_by_file_and_a_bad_one_leaves_the_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    crop(pictures / "a.png")
    (pictures / "b.png").write_bytes(b"no picture")
    (pictures / "._a.png").write_bytes(b"of macOS")
    assert run(pictures, "--whole", "--out", tmp_path / "out") == 1
    assert (tmp_path / "out" / "a.png" / "case.pdf").is_file()
    told = capsys.readouterr()
    assert "b.png" in told.err
    assert "1 of 2 files could not be examined." in told.out


@pytest.mark.parametrize("suffix", ["mov", "mkv", "avi", "webm"])
def test_other_containers_are_films_too(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"film.{suffix}"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libvpx" if suffix == "webm" else "mpeg4", rate=25)
        stream.height, stream.width, stream.pix_fmt, stream.bit_rate = HEIGHT, WIDTH, "yuv420p", 4_000_000
        for image in moving(6):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode(None))
    looking = Looking(FaceChoice(), DiscFaces(), DISCS)
    (subject,) = subjects_of(path, looking, FrameChoice(count=1), times_named=True)
    assert (subject.face, len(subject.curve), subject.shots[0].time) == (1, 6, 2 / 25)
    assert [near.name for near in subject.shots[0].neighbours] == ["the frame before", "the frame after"]


def test_a_case_in_the_folder_of_another_leaves_no_map_of_that(tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert run(crop(tmp_path / "a.png"), "--whole", "--out", out) == 0
    notes = out / "maps" / "notes.txt"
    notes.write_text("mine")
    assert len(list(out.glob("maps/*/*"))) == 3
    assert run(crop(tmp_path / "a.png", red=False), "--whole", "--out", out) == 0
    assert [path.name for path in (out / "maps").iterdir()] == ["notes.txt"], "a Real verdict has no maps"


def test_a_folder_never_holds_parts_of_two_cases(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[tuple[Case, list[str]]] = []
    with monkeypatch.context() as patch:
        patch.setattr(examine, "write_case", lambda _folder, *case: made.append(case) or [Path()] * 3)
        with Image.open(crop(tmp_path / "a.png")) as image:
            image.point(lambda level: max(0, level - 9)).save(tmp_path / "b.png")
        for name in ("a.png", "b.png"):
            assert run(tmp_path / name, "--whole", "--out", tmp_path / "none") == 0

    def contents(folder: Path) -> dict[str, bytes]:
        files = (file for file in folder.rglob("*") if file.is_file() and STAGED not in file.as_posix())
        return {file.relative_to(folder).as_posix(): file.read_bytes() for file in files}

    first, second = tmp_path / "first", tmp_path / "second"
    for folder, written in zip((first, second), made, strict=True):
        write_case(folder, *written)
    one, other = contents(first), contents(second)
    assert len(one) == 6
    assert all(one[name] != other[name] for name in ("case.html", "case.pdf", "case.json"))
    replace, seen = os.replace, set()
    for moment in range(2 * len(one) + 1):
        steps = iter(range(moment))

        def killed(*given: Any, steps: Iterator[int] = steps) -> None:
            if next(steps, None) is None:
                raise KeyboardInterrupt
            replace(*given)

        write_case(tmp_path / "out", *made[0])
        with monkeypatch.context() as patch, contextlib.suppress(KeyboardInterrupt):
            patch.setattr(os, "replace", killed)
            patch.setattr(tempfile.TemporaryDirectory, "cleanup", lambda _: None)
            write_case(tmp_path / "out", *made[1])
        left = contents(tmp_path / "out").items()
        assert left == one.items() or left <= other.items(), f"two cases in one folder after {moment} files"
        seen.add(len(left))
    assert seen == {6, 0, 1, 2, 3, 4, 5}
    write_case(tmp_path / "out", *made[1])
    assert not list((tmp_path / "out").glob(f"{STAGED}*")), "what a killed process left is gone"


def test_the_hash_is_of_what_was_examined(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    picture = crop(tmp_path / "a.png", red=False)
    read, examined = picture.read_bytes(), examine.examine_subject

    def replaced(*given: Any) -> Any:
        crop(picture)
        return examined(*given)

    monkeypatch.setattr(examine, "examine_subject", replaced)
    assert run(picture, "--whole", "--out", tmp_path / "out") == 0
    assert data(tmp_path / "out")["sha256"] == hashlib.sha256(read).hexdigest()
    picture.write_bytes(read)

    def read_and_replaced(*given: Any) -> Any:
        subjects = subjects_of(*given)
        crop(picture)
        return subjects

    monkeypatch.setattr(examine, "subjects_of", read_and_replaced)
    capsys.readouterr()
    assert run(picture, "--whole", "--out", tmp_path / "other") == 1
    assert capsys.readouterr().err.startswith(f"error: {picture} changed while it was read")
    assert not (tmp_path / "other").exists()
