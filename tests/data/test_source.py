"""Frames from an index and a source of images."""

import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from common.errors import InputError
from data.entry import Entry
from data.images import encode_png
from data.index import pictures, write_index
from data.picture_doubts import fingerprint_of
from data.source import IndexedFrames, of_split, open_frames, read_frames
from data.stores import FolderImages, LmdbImages, LmdbWriter
from data.stores.transfer import add

RNG = np.random.default_rng(0)
FAKE = "manipulated_sequences/FaceSwap/c23/frames/001_002/000.png"
REAL = "original_sequences/youtube/c23/frames/001/000.png"
OTHER = "FaceShifter/001_002/000.png"
MASK = "masks/001_002/000.png"
PICTURES = {key: RNG.integers(0, 256, (20, 24, 3), np.uint8) for key in (FAKE, REAL, OTHER)}
PIXELS = RNG.random((20, 24)) < 0.3
ENTRIES = [
    Entry(FAKE, True, 4, "test", MASK),
    Entry(REAL, False, 0, "test"),
    Entry(OTHER, True, None, "train"),
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "faces"
    for key, array in [*PICTURES.items(), (MASK, PIXELS)]:
        (root / key).parent.mkdir(parents=True)
        (root / key).write_bytes(encode_png(array))
    write_index(root / "index.csv", ENTRIES)
    return root


@pytest.fixture
def store(folder: Path) -> Path:
    path = folder.parent / "faces.lmdb"
    with LmdbWriter(path) as writer:
        assert add(writer, FolderImages(folder), pictures(ENTRIES)).written.added == 4
    return path


def test_a_frame_has_all_that_the_index_knows(folder: Path, store: Path) -> None:
    for images in (None, folder, store):
        frames = open_frames(folder / "index.csv", images)
        assert len(frames) == 3
        fake, real, other = frames
        for frame in frames:
            np.testing.assert_array_equal(frame.image, PICTURES[frame.key])
        assert (fake.key, fake.label, fake.family) == (FAKE, 4, "FaceSwap")
        assert fake.video == "manipulated_sequences/FaceSwap/c23/frames/001_002"
        assert fake.mask is not None
        np.testing.assert_array_equal(fake.mask, PIXELS)
        assert (real.label, real.family, real.mask) == (0, "Real", None)
        assert (other.label, other.family) == (None, "FaceShifter")


def test_a_split_of_another_case_is_left_out_with_a_word(capsys: pytest.CaptureFixture[str]) -> None:
    entries = [Entry(f"{name}.png", True, 1, split) for name, split in (("a", "test"), ("b", "Test"), ("c", "train"))]
    assert [entry.key for entry in of_split(entries, "test", "index.csv")] == ["a.png"]
    assert "index.csv: 1 frame of the split 'Test' left out: it is not 'test'" in capsys.readouterr().err
    of_split(entries, "train", "index.csv")
    assert capsys.readouterr().err == ""


def test_a_split_that_is_called_all_is_not_taken_for_every_frame() -> None:
    entries = [Entry(f"{name}.png", True, 1, "all") for name in "ab"]
    assert of_split(entries, "all", "index.csv") == entries
    with pytest.raises(InputError, match=r"index\.csv: .all. is a split of it"):
        of_split([*entries, Entry("c.png", True, 1, "train")], "all", "index.csv")


def test_slices_splits_and_pickles_are_frames_again(folder: Path, store: Path) -> None:
    frames = open_frames(folder / "index.csv", store)
    assert [frame.key for frame in frames[::2]] == [FAKE, OTHER]
    assert isinstance(frames[:2], IndexedFrames)
    assert frames[-1].key == OTHER
    with pytest.raises(IndexError):
        frames[3]
    assert open_frames(folder / "index.csv", store, "test").entries == tuple(ENTRIES[:2])
    assert read_frames(folder / "index.csv", LmdbImages(store), "train").entries == (ENTRIES[2],)
    assert open_frames(folder / "index.csv", store, "all").entries == tuple(ENTRIES)
    assert len(open_frames(folder / REAL, split="all")) == 1
    with pytest.raises(InputError, match="no frame of the split 'val'; its splits: test, train"):
        open_frames(folder / "index.csv", store, "val")
    again = pickle.loads(pickle.dumps(frames))
    np.testing.assert_array_equal(again[0].image, frames[0].image)
    assert again.fingerprint() == frames.fingerprint()


def test_one_bad_frame_is_an_error_only_where_it_is_asked_for(folder: Path) -> None:
    (folder / REAL).unlink()
    (folder / OTHER).write_bytes((folder / OTHER).read_bytes()[:100])
    frames = open_frames(folder / "index.csv")
    assert frames.missing() == [REAL]
    assert frames[0].key == FAKE
    with pytest.raises(InputError, match="is not in the folder") as missing:
        frames[1]
    with pytest.raises(InputError, match="truncated or damaged") as damaged:
        frames[2]
    for error, key in ((missing, REAL), (damaged, OTHER)):
        assert key in str(error.value)
        assert str(folder) in str(error.value)
    (folder / MASK).unlink()
    assert frames.missing() == [MASK, REAL]
    with pytest.raises(InputError, match=MASK):
        frames[0]


def test_a_mask_of_another_size_is_refused(folder: Path) -> None:
    (folder / MASK).write_bytes(encode_png(PIXELS[:-1]))
    with pytest.raises(InputError, match=r"the mask is 24x19 pixels, but its image .* is 24x20"):
        open_frames(folder / "index.csv")[0]


def test_the_fingerprint_is_that_of_entries_and_images_wherever_they_lie(folder: Path, store: Path) -> None:
    original = open_frames(folder / "index.csv").fingerprint()
    assert original == open_frames(folder / "index.csv", store).fingerprint()
    assert len(original) == 64
    source = FolderImages(folder)
    others = [
        ENTRIES[:2],
        ENTRIES[::-1],
        [replace(ENTRIES[0], label=3), *ENTRIES[1:]],
        [replace(ENTRIES[0], split=None), *ENTRIES[1:]],
        [replace(ENTRIES[0], mask=None), *ENTRIES[1:]],
    ]
    seen = {original} | {IndexedFrames(entries, source).fingerprint() for entries in others}
    assert len(seen) == 1 + len(others)
    picture = PICTURES[FAKE].copy()
    picture[3, 4, 1] ^= 1  # one bit of one pixel, at the same size in bytes or not
    (folder / FAKE).write_bytes(encode_png(picture))
    assert IndexedFrames(ENTRIES, source).fingerprint() not in seen
    (folder / FAKE).unlink()
    assert IndexedFrames(ENTRIES, source).fingerprint() not in seen


@pytest.mark.parametrize(
    ("name", "options"),
    [("a.bmp", {}), ("a.ppm", {}), ("a.tiff", {"compression": None}), ("a.png", {}), ("a.jpg", {"quality": 90})],
)
def test_a_changed_pixel_changes_the_fingerprint_in_every_format(
    tmp_path: Path, name: str, options: dict[str, object]
) -> None:
    """Also where the file keeps its length and last bytes, as it does where pixels are not compressed."""
    prints, ends = set(), set()
    for value in (0, 1):
        picture = np.full((20, 24, 3), 120, np.uint8)
        picture[5:8, 5:8, 1] = 90 * value
        Image.fromarray(picture).save(tmp_path / name, **options)
        prints.add(open_frames(tmp_path / name).fingerprint())
        ends.add(((tmp_path / name).stat().st_size, (tmp_path / name).read_bytes()[-32:]))
    assert len(prints) == 2
    assert (len(ends) == 1) == (name in ("a.bmp", "a.ppm", "a.tiff"))


def test_a_folder_of_pictures_has_no_labels(folder: Path) -> None:
    with pytest.raises(InputError, match="this folder has an index"):
        open_frames(folder)
    (folder / "index.csv").unlink()
    frames = open_frames(folder)
    assert [frame.key for frame in frames] == sorted([*PICTURES, MASK])
    for entry in frames.entries:
        assert (entry.fake, entry.label, entry.family, entry.split, entry.mask) == (None,) * 5
    assert frames[0].family is None
    assert frames[0].label is None
    assert len(frames.fingerprint()) == 64


def test_a_picture_alone_is_a_frame_without_labels(folder: Path) -> None:
    frames = open_frames(folder / FAKE)
    assert [frame.key for frame in frames] == [Path(FAKE).name]
    assert np.array_equal(frames[0].image, PICTURES[FAKE])
    assert (frames[0].label, frames[0].family, frames[0].mask) == (None, None, None)


def test_what_cannot_be_opened_is_refused(folder: Path, store: Path) -> None:
    index = folder / "index.csv"
    empty = folder.parent / "empty"
    empty.mkdir()
    broken = empty / "not.lmdb"
    broken.write_bytes(b"hello" * 3000)
    directory = folder.parent / "directory"
    directory.mkdir()
    (directory / "data.mdb").write_bytes(store.read_bytes())
    for frames, images, split, says in [
        (folder / "none.csv", None, None, "no such index or folder"),
        (folder / FAKE, store, None, "no images of their own"),
        (directory, None, None, "an image store"),
        (store, None, None, "an image store"),
        (folder / "FaceShifter", store, None, "no images of their own"),
        (folder / "FaceShifter", None, "test", "have no splits"),
        (empty, None, None, "no pictures in this folder"),
        (index, folder / "none.lmdb", None, "no such image store"),
        (index, broken, None, "not an LMDB image store"),
    ]:
        with pytest.raises(InputError, match=says) as refused:
            open_frames(frames, images, split)
        assert "\n" not in str(refused.value)


def test_a_source_picture_is_read_only_when_asked_for(folder: Path) -> None:
    source = "sources/001_002/000.png"
    picture = RNG.integers(0, 256, (20, 24, 3), np.uint8)
    entries = [replace(ENTRIES[0], source=source), *ENTRIES[1:]]
    write_index(folder / "index.csv", entries)
    frames = open_frames(folder / "index.csv")
    assert frames.entries == tuple(entries)
    assert frames.missing() == [source]
    assert frames[0].key == FAKE  # nothing needs it yet
    with pytest.raises(InputError, match=rf"'{source}' is not in the folder"):
        frames.source_image(0)
    without = frames.fingerprint()
    assert without != IndexedFrames(ENTRIES, frames.images).fingerprint()
    (folder / source).parent.mkdir(parents=True)
    (folder / source).write_bytes(encode_png(picture))
    assert frames.missing() == []
    assert frames.fingerprint() != without
    np.testing.assert_array_equal(frames.source_image(0), picture)
    np.testing.assert_array_equal(frames.source_image(-3), picture)
    assert frames.source_image(1) is None
    store = folder.parent / "sources.lmdb"
    with LmdbWriter(store) as writer:
        assert add(writer, FolderImages(folder), pictures(entries)).written.added == 5
    stored = open_frames(folder / "index.csv", store)
    np.testing.assert_array_equal(stored.source_image(0), picture)
    assert stored.fingerprint() == frames.fingerprint()
    (folder / source).write_bytes(encode_png(picture[:-1]))
    with pytest.raises(InputError, match=r"the source picture is 24x19 pixels, but the frame .* is 24x20"):
        open_frames(folder / "index.csv").source_image(0)


def test_the_fingerprint_knows_stated_families_and_videos(folder: Path) -> None:
    images = FolderImages(folder)
    same = IndexedFrames(ENTRIES, images).fingerprint()
    others = [replace(ENTRIES[2], stated_family="Other"), replace(ENTRIES[2], stated_video="Other")]
    found = {IndexedFrames([*ENTRIES[:2], other], images).fingerprint() for other in others}
    assert len(found | {same}) == 3
    assert IndexedFrames([others[1]], images)[0].video == "Other"


@pytest.mark.parametrize("packed", [False, True])
def test_a_picture_that_is_there_twice_is_said_with_its_labels(
    folder: Path, packed: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = fingerprint_of(open_frames(folder / "index.csv"))
    assert capsys.readouterr().err == ""
    for number, key in enumerate((FAKE, FAKE, OTHER)):
        (folder / f"copies{number}").mkdir()
        (folder / f"copies{number}/0.png").write_bytes((folder / key).read_bytes())
    copies = [
        Entry("copies0/0.png", True, 2, "test"),
        Entry("copies1/0.png", True, 4, "val"),
        Entry("copies2/0.png", True, None, "train", stated_family="FaceShifter"),
    ]
    write_index(folder / "index.csv", [*ENTRIES, *copies])
    frames = open_frames(folder / "index.csv")
    if packed:
        with LmdbWriter(tmp_path / "store.lmdb") as writer:
            add(writer, frames.images, pictures(frames.entries))
        frames = IndexedFrames(frames.entries, LmdbImages(tmp_path / "store.lmdb"))
    assert fingerprint_of(frames) == frames.fingerprint() != before
    assert capsys.readouterr().err.splitlines() == [
        f"warning: 1 picture in two classes, the same byte for byte, such as {FAKE} (FaceSwap) and "
        "copies0/0.png (Face2Face): one of the labels is wrong",
        f"warning: 1 picture in two splits, the same byte for byte, such as {FAKE} (test) and copies1/0.png "
        "(val): what is trained on is tested on",
        "warning: 1 picture the same byte for byte as an earlier one of another video, such as copies2/0.png as "
        f"{OTHER}: one observation counts as two; take the copies out",
    ]


@pytest.mark.parametrize("stored", [False, True])
@pytest.mark.parametrize("edited", [FAKE, MASK, REAL])
def test_what_is_replaced_after_the_fingerprint_is_not_read(folder: Path, stored: bool, edited: str) -> None:
    entries = [replace(ENTRIES[0], source=REAL), *ENTRIES[1:]]
    path = folder.parent / "faces.lmdb"
    with LmdbWriter(path) as writer:
        add(writer, FolderImages(folder), pictures(ENTRIES))
    images = LmdbImages(path) if stored else FolderImages(folder)
    frames = IndexedFrames(entries, images)
    whole = frames.fingerprint()
    other, kept = folder.parent / "other", (folder / edited).read_bytes()
    (other / edited).parent.mkdir(parents=True)
    (other / edited).write_bytes(encode_png(np.full((20, 24), 200, np.uint8)))

    def put(root: Path) -> None:
        if isinstance(images, LmdbImages):
            images.close()
            with LmdbWriter(path) as writer:
                add(writer, FolderImages(root), [edited], overwrite=True)
        else:
            (folder / edited).write_bytes(kept if root == folder else (root / edited).read_bytes())

    def read(frames: IndexedFrames) -> None:
        for position in range(len(frames)):
            assert frames[position].key == entries[position].key
            frames.source_image(position)

    frames[0]
    put(other)
    where = path.name if stored else folder.name
    for chosen in (frames, frames[:2], pickle.loads(pickle.dumps(frames))):
        with pytest.raises(InputError, match=rf"'{edited}' in .*{where} changed since"):
            read(chosen)
    del chosen  # with its store, which nothing writes to while it is open
    assert IndexedFrames(entries, images).fingerprint() != whole
    put(folder)
    read(frames)
