"""The index: what is written comes back, what is wrong is refused with its line."""

import csv
import posixpath
import unicodedata
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.csv_files import as_read
from common.errors import InputError
from data.class_words import class_of
from data.entry import Entry
from data.index import pictures, read_index, write_index
from data.keys import index_problem

HEADER = "relative_path,bin_label,mc_label\n"

text = st.text(st.characters(codec="utf-8", exclude_characters="\n\r\0"), min_size=1, max_size=30)
keys = text.filter(lambda key: index_problem(key) is None)
names = text.filter(lambda name: unicodedata.normalize("NFC", name).strip() == name)
families = names.filter(lambda name: class_of(name) is None)


@st.composite
def entries(draw: st.DrawFn) -> list[Entry]:
    found = []
    for key in draw(st.lists(keys, min_size=1, max_size=6, unique_by=posixpath.normpath)):
        fake = draw(st.booleans())
        label = draw(st.none() | st.integers(1, 4)) if fake else 0
        family = draw(st.none() | families) if fake and label is None else None
        others = draw(st.none() | names), draw(st.none() | keys), draw(st.none() | keys)
        found.append(Entry(key, fake, label, *others, family, draw(st.none() | names)))
    return found


@settings(deadline=None)
@given(entries(), st.sampled_from([",", " "]))
def test_what_is_written_is_read_again(
    tmp_path_factory: pytest.TempPathFactory, written: list[Entry], sep: str
) -> None:
    path = tmp_path_factory.mktemp("index") / "index.csv"
    write_index(path, written, sep)
    assert read_index(path) == written
    with path.open(encoding="utf-8", newline="") as file:  # the csv module alone, as any other reader would
        rows = list(csv.DictReader(file, delimiter=sep))
    assert [as_read(row["relative_path"]) for row in rows] == [entry.key for entry in written]
    assert [row["bin_label"] for row in rows] == [str(int(bool(entry.fake))) for entry in written]


def test_the_published_space_separated_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "index.csv"
    path.write_text(
        "relative_path bin_label mc_label\n"
        "manipulated_sequences/Deepfakes/c23/frames/000_003/000.png 1 3\n"
        "original_sequences/youtube/c23/frames/000/000.png 0 0\n"
    )
    fake, real = read_index(path)
    assert fake == Entry("manipulated_sequences/Deepfakes/c23/frames/000_003/000.png", True, 3)
    assert (fake.family, fake.video) == ("Deepfakes", "manipulated_sequences/Deepfakes/c23/frames/000_003")
    assert (real.fake, real.label, real.family) == (False, 0, "Real")


def test_columns_in_any_order_and_others_between(tmp_path: Path) -> None:
    path = tmp_path / "index.csv"
    path.write_bytes(
        "\ufeffmc_label,mask_path,note,relative_path,split,bin_label,source_path\r\n"
        "3.0,m/a.png,x,a b/é.png,test,1,c.png\r\n,,,other/b.png,,1,\r\n\r\n,,,c.png,,0,\r\n".encode()
    )
    assert read_index(path) == [
        Entry("a b/é.png", True, 3, "test", "m/a.png", "c.png"),
        Entry("other/b.png", True, None),
        Entry("c.png", False, 0),
    ]
    assert [entry.family for entry in read_index(path)] == ["Deepfakes", "other", "Real"]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "empty"),
        (b"\n  \n", "empty"),
        (HEADER.encode(), "no frames"),
        (b"relative_path,bin_label\na,1\n", "line 1: no column mc_label"),
        (b"relative_path,bin_label,mc_label,split,split\na,1,,x,y\n", "line 1: the column split occurs twice"),
        (HEADER.encode() + b"a.png,1,3\nb.png,2,\n", "line 3: bin_label is '2'"),
        (HEADER.encode() + b"a.png,,\n", "line 2: bin_label is ''"),
        (HEADER.encode() + b"a.png,1,5\n", "line 2: mc_label is '5'"),
        (HEADER.encode() + b"a.png,1,Deepfakes\n", "line 2: mc_label is 'Deepfakes'"),
        (HEADER.encode() + b"a.png,1,-1\n", "line 2: mc_label is '-1'"),
        (HEADER.encode() + b"a.png,1,0\n", "line 2: mc_label 0 (Real) contradicts bin_label 1"),
        (HEADER.encode() + b"a.png,0,2\n", "line 2: mc_label 2 (Face2Face) contradicts bin_label 0"),
        (HEADER.encode() + b"a.png,1,3\nb.png,1,3\na.png,1,3\n", "line 4: 'a.png' is already on line 2"),
        (HEADER.encode() + b"/a.png,1,3\n", "line 2: relative_path '/a.png' is an absolute path"),
        (HEADER.encode() + b"C:\\faces\\a.png,1,3\n", "absolute path"),
        (HEADER.encode() + b"x/../../a.png,1,3\n", "leaves the image folder by '..'"),
        (HEADER.encode() + b",1,3\n", "line 2: relative_path '' is empty"),
        (b"relative_path,bin_label,mc_label,mask_path\na,1,3,/m.png\n", "line 2: mask_path '/m.png' is an absolute"),
        (b"relative_path,bin_label,mc_label,source_path\na,1,3,../r.png\n", "line 2: source_path '../r.png' leaves"),
        (HEADER.encode() + b"x\\..\\..\\a.png,1,3\n", "line 2: relative_path 'x/../../a.png' leaves the image folder"),
        (HEADER.encode() + b"\\\\server\\a.png,1,3\n", "absolute path"),
        (HEADER.encode() + b"\\a.png,1,3\n", "absolute path"),
        (HEADER.encode() + b"a/b.png,1,3\na\\b.png,1,3\n", "line 3: 'a/b.png' is already on line 2"),
        (HEADER.encode() + b"a/b.png,1,3\n./a//b.png,1,3\n", "line 3: './a//b.png' is already on line 2"),
        (
            b"relative_path,bin_label,mc_label,family\na,0,,FaceSwap\n",
            "line 2: family 'FaceSwap' contradicts bin_label 0",
        ),
        (b"relative_path,bin_label,mc_label,family\na,1,,original\n", "line 2: family 'Real' contradicts bin_label 1"),
        (
            b"relative_path,bin_label,mc_label,family\na,1,3,FaceSwap\n",
            "line 2: family 'FaceSwap' contradicts mc_label 3",
        ),
        (b"relative_path,bin_label,mc_label,faces\na,1,3,2\nb,1,3,two\n", "line 3: faces is 'two'; it must be a whole"),
        (b"relative_path,bin_label,mc_label,faces\na,1,3,0\n", "line 2: faces is '0'"),
        (HEADER.encode() + b"a.png,1,3,4\n", "line 2: 4 cells where the header has 3"),
        (b"relative_path bin_label mc_label\na b.png 1 3\n", "line 2: 4 cells where the header has 3"),
        (HEADER.encode() + b'"a.png,1,3\n', "line 2: not readable as CSV"),
        (HEADER.encode() + b"a.png,1,3\n\xff\xfe.png,1,3\n", "line 3: not UTF-8"),
    ],
)
def test_a_wrong_index_is_refused_with_file_and_line(tmp_path: Path, content: bytes, says: str) -> None:
    path = tmp_path / "index.csv"
    path.write_bytes(content)
    with pytest.raises(InputError) as refused:
        read_index(path)
    assert str(refused.value).startswith(str(path))
    assert says in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_missing_index_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.csv: cannot read the index"):
        read_index(tmp_path / "none.csv")


@pytest.mark.parametrize(
    ("entries", "says"),
    [
        ([], "no frames"),
        ([Entry("a", None, None)], "no bin_label"),
        ([Entry("a", True, 0)], "contradicts"),
        ([Entry("a", True, 5)], "not in 0 to 4"),
        ([Entry("a", True, 1), Entry("a", True, 1)], "twice"),
        ([Entry("../a", True, 1)], r"\.\."),
        ([Entry("a\nb", True, 1)], "line break"),
        ([Entry("\udcff", True, 1)], "UTF-8"),
        ([Entry("a", True, 1, "te\rst")], "split"),
        ([Entry("a", True, 1, None, "/m")], "absolute"),
        ([Entry("a", True, 1, None, None, "../real")], r"\.\."),
        ([Entry("a\\b", True, 1)], "contains a backslash"),
        ([Entry("a", True, 1, None, "m\\b")], "contains a backslash"),
        ([Entry("a", True, 1, stated_family="Real")], "contradicts"),
        ([Entry("a", True, 1, stated_video="a\nb")], "its video 'a.nb' contains a line break".replace(".n", r"\\n")),
        ([Entry("a", True, 1, faces=0)], "0 faces"),
    ],
)
def test_what_an_index_cannot_hold_is_refused_and_the_old_file_stays(
    tmp_path: Path, entries: list[Entry], says: str
) -> None:
    path = tmp_path / "index.csv"
    path.write_text("older")
    with pytest.raises(InputError, match=says):
        write_index(path, entries)
    assert path.read_text() == "older"
    assert list(tmp_path.iterdir()) == [path]


def test_optional_columns_appear_where_they_are_filled(tmp_path: Path) -> None:
    path = tmp_path / "index.csv"
    bare, full = Entry("a", True, 1), Entry("b", True, 1, "test", "m/b", "r/b")
    for entries, names in (
        ([bare], []),
        ([bare, Entry("c", True, 1, source="r/c")], ["source_path"]),
        ([full, bare], ["split", "mask_path", "source_path"]),
        ([bare, Entry("d", True, None, stated_family="StyleGAN", stated_video="v")], ["family", "video"]),
        ([bare, Entry("d", True, 1, faces=2)], ["faces"]),
    ):
        write_index(path, entries)
        assert path.read_text().splitlines()[0].split(",")[3:] == names
        assert read_index(path) == entries


def test_backslashes_are_separators_everywhere_and_one_warning_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "index.csv"
    path.write_text(
        "relative_path,bin_label,mc_label,mask_path,source_path\n"
        "manipulated_sequences\\Deepfakes\\000_003\\1.png,1,3,masks\\1.png,\n"
        "a/b.png,1,3,,real\\\\b.png\n"
        "c.png,0,0,,\n"
    )
    fake, other, _ = read_index(path)
    assert (fake.key, fake.mask) == ("manipulated_sequences/Deepfakes/000_003/1.png", "masks/1.png")
    assert fake.video == "manipulated_sequences/Deepfakes/000_003"
    assert other.source == "real/b.png"
    said = " ".join(capsys.readouterr().err.split())
    assert said == f"warning: {path}: backslashes in the paths of 2 lines are read as forward slashes"


def test_a_stated_family_and_video_come_before_the_path(tmp_path: Path) -> None:
    path = tmp_path / "index.csv"
    path.write_text(
        "relative_path,bin_label,mc_label,family,video\n"
        "train/fake/1.png,1,,StyleGAN,clip 7\n"
        "train/df/2.png,1,3,DF,\n"
        "train/live/3.png,0,,genuine,\n"
        "train/other/4.png,1,,,\n"
    )
    found = [(entry.family, entry.video) for entry in read_index(path)]
    assert found == [
        ("StyleGAN", "clip 7"),
        ("Deepfakes", "train/df"),
        ("Real", "train/live"),
        ("train", "train/other"),
    ]


def test_space_around_a_name_and_its_form_of_unicode_make_no_other_name(tmp_path: Path) -> None:
    path = tmp_path / "index.csv"
    rows = ("a.png,1,,test,NewGen,caf\u00e9", "b.png,1,, test ,NewGen\u00a0,cafe\u0301", "c.png,1,, ,,")
    path.write_text("relative_path,bin_label,mc_label,split,family,video\n" + "\n".join(rows), encoding="utf-8")
    first, second, bare = read_index(path)
    assert (first.split, first.family, first.video) == (second.split, second.family, second.video)
    assert (bare.split, bare.stated_family, bare.stated_video) == (None, None, None)


def test_labels_beside_folders_that_say_another_manipulation_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "index.csv"
    swap, real = "manipulated_sequences/FaceSwap/c23/videos/0_1.mp4/0.png", "original_sequences/youtube/c23/videos/0/0"
    write_index(path, [Entry(swap, True, 4), Entry(real, False, 0), Entry(f"bystanders/{swap}", False, 0)])
    read_index(path)
    assert capsys.readouterr().err == ""
    write_index(path, [Entry(swap, True, 3), Entry(real, True, 1), Entry("Deepfakes/0.png", True, 4)])
    assert [entry.label for entry in read_index(path)] == [3, 1, 4]
    told = capsys.readouterr().err
    assert f"2 frames whose folder says another class than the labels, such as {swap} (Deepfakes)" in told


def test_masks_that_are_named_after_other_frames_are_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "index.csv"
    keys = [f"v{video}/{number}.jpg" for video in "ab" for number in range(3)]
    sound = [Entry(key, True, 1, mask=f"masks/{key.replace('.jpg', '.png')}") for key in keys]
    others = [
        Entry("r.png", False, 0),
        Entry("c/0.png", True, 1, mask="m/0.png"),
        Entry("d/0.png", True, 1, mask="d/0_mask.png"),
    ]
    others += [Entry("f.png", True, 1, mask="masks/f.png"), Entry("e/0.png", True, 1, mask="e/masks/0.png")]
    write_index(path, [*sound, *others])
    read_index(path)
    assert capsys.readouterr().err == ""
    shifted = [replace(entry, mask=sound[number - 1].mask) for number, entry in enumerate(sound)]
    write_index(path, [*shifted, *others])
    read_index(path)
    told = " ".join(capsys.readouterr().err.split())
    assert "6 frames whose mask is named after another frame, such as va/0.jpg, with masks/vb/2.png" in told


def test_every_picture_is_named_once() -> None:
    entries = [Entry("a", True, 1, None, "m/a", "r"), Entry("b", True, 1, None, None, "r"), Entry("r", False, 0)]
    assert pictures(entries) == ["a", "m/a", "r", "b"]
