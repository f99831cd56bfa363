"""Indexes, landmarks, splits, lists and records: they are read, or one line says why not."""

import contextlib
import json
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import InputError
from data.index import read_index
from data.landmarks import COUNTS, five_points, landmarks_for, read_landmarks
from data.lmdb_command import list_keys
from data.preprocess.celebdf import TEST_LIST, CelebDF
from data.preprocess.crop_folder import FINISHED, SETTINGS, CropFolder, open_folder
from data.preprocess.crop_records import PreprocessSettings
from data.preprocess.layout import Clip
from data.preprocess.splits import NAMES, official_splits
from data.source import open_frames
from tests.survival.inputs import damaged, survives, tried

NASTY = (
    "", " ", "a.png", "a/b/c.png", "manipulated_sequences/x/y/z.png", "/etc/passwd", "//x", "../a", "a/../../b", "..",
    ".", "C:\\a", "C:a", "\\\\host\\a", "..\\a", "a\\..\\..\\b", "~/a", "a" * 300, "a/" * 3000, "\x1b[2J", "a\0b",
    "a\nb", "\u202etxt.png", "\ud7ff", "0", "1", "2", "3.0", "-1", "1e9", "NaN", '"', '""', "'", ",", ";", "\t",
    "=cmd()", "[/red]", "%s", "{}", "\ufeff",
)  # fmt: skip
cells = st.sampled_from(NASTY) | st.text(max_size=12)
columns = st.sampled_from(["relative_path", "bin_label", "mc_label", "split", "mask_path", "source_path", "note", ""])


@st.composite
def indexes(draw: st.DrawFn) -> bytes:
    """An index with the right header or a wrong one, and lines that are usable or not."""
    separator = draw(st.sampled_from([",", " "]))
    header = ["relative_path", "bin_label", "mc_label"]
    if draw(st.integers(0, 6)) == 0:
        header = draw(st.lists(columns, max_size=8))
    else:
        header += draw(st.lists(st.sampled_from(["split", "mask_path", "source_path", "note"]), unique=True))
    lines = []
    for _ in range(draw(st.integers(0, 5))):
        label = draw(st.integers(0, 4))
        key = f"{draw(st.sampled_from(['a', 'b/c', 'manipulated_sequences/x/y', 'ü ä']))}/{len(lines)}.png"
        usual = {
            "relative_path": key,
            "mask_path": f"m/{key}",
            "source_path": "s.png",
            "bin_label": str(int(label > 0)),
            "mc_label": str(label),
        }
        lines.append([usual.get(name, "") if draw(st.integers(0, 25)) else draw(cells) for name in header])
        if draw(st.integers(0, 9)) == 0:
            lines[-1].append(draw(cells))
    quoted = draw(st.booleans())
    rows = [
        separator.join('"' + cell.replace('"', '""') + '"' if quoted else cell for cell in row)
        for row in [header, *lines]
    ]
    text = draw(st.sampled_from(["\n", "\r\n", "\r", "\n\n"])).join(rows)
    return text.encode(draw(st.sampled_from([*["utf-8"] * 6, "utf-8-sig", "utf-16", "latin-1"])), errors="replace")


@tried(300)
@given(indexes() | damaged(indexes()) | st.binary(max_size=300))
def test_any_index_is_read_or_one_line(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    """No key that is read leads out of the folder; and what it names but is not there is one line again."""
    folder = tmp_path_factory.mktemp("index")
    (folder / "index.csv").write_bytes(content)
    if survives("indexes", lambda: read_index(folder / "index.csv"), str(folder / "index.csv")):
        return
    frames = open_frames(folder / "index.csv")
    assert survives("indexes of nothing", lambda: frames[0], str(folder)) is not None
    frames.missing()
    frames.fingerprint()
    for entry in frames.entries:
        for key in (entry.key, entry.mask, entry.source):
            if key is not None:
                place = os.path.normpath(os.path.join(folder, key))
                assert place == str(folder) or place.startswith(f"{folder}{os.sep}")
                assert "\\..\\" not in f"\\{key}\\"


numbers = st.floats() | st.integers() | st.sampled_from([10**400, True, None, "1", "x", [], {}])
points = st.lists(st.lists(numbers, max_size=3) | numbers, max_size=6) | st.sampled_from(COUNTS).flatmap(
    lambda count: st.lists(st.lists(st.floats(-50, 400), min_size=2, max_size=2), min_size=count, max_size=count)
)


def dumped(value: object) -> bytes:
    """A value as JSON."""
    return json.dumps(value).encode(errors="replace")


@st.composite
def landmark_files(draw: st.DrawFn) -> bytes:
    """Our CSV or CADDM's JSON, with sound values or not."""
    if draw(st.booleans()):
        faces = {draw(cells): {"landmark": draw(points)} for _ in range(draw(st.integers(0, 3)))}
        values = draw(st.sampled_from([faces, {**faces, "x": draw(numbers)}, list(faces)]))
        return dumped(values)
    count = draw(st.sampled_from([*COUNTS, 4]))
    header = ["relative_path", *(f"{axis}{number}" for number in range(count) for axis in "xy")]
    rows = [header]
    for _ in range(draw(st.integers(0, 3))):
        values = draw(st.lists(st.floats(-50, 400), min_size=2 * count, max_size=2 * count))
        rows.append([draw(cells), *map(str, values)])
        if draw(st.integers(0, 2)) == 0:
            rows[-1][draw(st.integers(0, len(header) - 1))] = draw(cells)
    return "\n".join(",".join(row) for row in rows).encode(errors="replace")


@tried(150)
@given(landmark_files() | damaged(landmark_files()))
def test_any_landmarks_are_read_or_one_line(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    """What is read is finite numbers of a known shape; and looking up any key is a face, nothing, or one line."""
    path = tmp_path_factory.mktemp("landmarks") / "ldm.json"
    path.write_bytes(content)
    if survives("landmarks", lambda: read_landmarks(path), str(path)):
        return
    landmarks = read_landmarks(path)
    for key in landmarks:
        assert landmarks[key].shape in [(count, 2) for count in COUNTS]
        assert np.isfinite(five_points(landmarks[key])).all()
    for key in [*landmarks, *NASTY]:
        with contextlib.suppress(InputError):
            assert landmarks_for(key, (300, 200), landmarks).shape in [(68, 2), (81, 2)]


json_values = st.recursive(
    st.none() | st.booleans() | numbers | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
DEEP = [
    "[" * 100_000,
    '{"a":' * 100_000,
    "[" * 990 + "]" * 990,
    '{"a":' * 990 + "1" + "}" * 990,
    "9" * 5000,
    '{"a": {"landmark": [[1' + "0" * 5000 + ", 1]]}}",
]


jsons = json_values.map(dumped) | st.sampled_from(DEEP).map(str.encode) | st.binary(max_size=60)


@tried(120)
@given(st.sampled_from(NAMES), damaged(st.just(b'[["001", "002"], ["003", "004"]]')) | jsons)
def test_any_split_file_is_read_or_one_line(
    tmp_path_factory: pytest.TempPathFactory, name: str, content: bytes
) -> None:
    folder = tmp_path_factory.mktemp("splits")
    for other in NAMES:
        (folder / f"{other}.json").write_text("[]")
    (folder / f"{name}.json").write_bytes(content)
    splits: dict[str, str] = {}
    if not survives("split files", lambda: splits.update(official_splits(folder)), str(folder)):
        assert set(splits.values()) <= {name}


@tried(100)
@given(
    damaged(st.just(b"1 YouTube-real/00170.mp4\n0 Celeb-synthesis/id0_id1_0000.mp4\n"))
    | st.lists(cells).map(lambda lines: "\n".join(f"1 Celeb-real/{line}" for line in lines).encode(errors="replace"))
)
def test_any_list_of_celeb_df_is_read_or_one_line(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    root = tmp_path_factory.mktemp("celeb")
    (root / "Celeb-real").mkdir()
    (root / "Celeb-real" / "id0_0000.mp4").touch()
    (root / TEST_LIST).write_bytes(content)
    survives("lists of videos", lambda: CelebDF().find(root), str(root))


@tried(120)
@given(st.booleans(), jsons)
def test_any_record_of_preprocessing_is_read_or_one_line(
    tmp_path_factory: pytest.TempPathFactory, of_video: bool, content: bytes
) -> None:
    """A folder of crops whose settings or one video's record are damaged."""
    folder = tmp_path_factory.mktemp("crops")
    open_folder(folder, PreprocessSettings())
    clip = Clip("Celeb-real/id0_0000.mp4", folder / "id0_0000.mp4", "Real", "id0")
    record = folder / FINISHED / f"{clip.key}.json"
    record.parent.mkdir(parents=True)
    (record if of_video else folder / SETTINGS).write_bytes(content)
    if of_video:
        survives("records of videos", lambda: CropFolder(folder, ".png").finished(clip), str(record))
    else:
        survives("settings of crops", lambda: open_folder(folder, PreprocessSettings()), str(folder))


@tried(60)
@given(st.lists(cells | st.binary(max_size=20).map(lambda raw: raw.decode(errors="surrogateescape")), max_size=3))
def test_any_name_on_the_command_line_is_found_or_one_line(names: list[str]) -> None:
    """Paths that cannot be, as the frames and the images."""
    for name in names:
        if name in ("", ".", "~/a") or "\0" in name:
            continue
        survives("names of frames", lambda name=name: open_frames("/nowhere/" + name))  # type: ignore[misc]
        survives("names of stores", lambda name=name: list_keys(Path("/nowhere/" + name)))  # type: ignore[misc]
