"""What is shown: fakes beside their real counterparts, from indexes and from videos."""

from pathlib import Path

import pytest
import torch

from attacks.malafide.filter import Filter, FilterSpec
from attacks.malafide.filter_dataset import FilterDataset
from attacks.malafide.filter_files import StoredFilter
from attacks.malafide.filter_pictures import save_images
from attacks.malafide.filtered_frames import filtered_frames, names_of, probabilities
from attacks.malafide.fitting import TargetDetector
from attacks.malafide.open_videos import open_videos
from common.errors import InputError
from data.entry import Entry
from data.images import decode
from tests.attacks.malafide.toys import ChannelDetector, Frames, dataset, some_weight
from tests.data.preprocess.videos import DISCS, data_set, moving, write

TARGET = TargetDetector("toy", ChannelDetector())


def filters() -> dict[str, StoredFilter]:
    kept = Filter(FilterSpec(3), some_weight(3))
    return {"3": StoredFilter(Path("f"), "0" * 64, kept, None)}


def test_a_fake_is_beside_the_real_frame_of_its_person_and_moment() -> None:
    found = dataset(people=4, frames=6)
    positions = found.of(["FaceSwap"], range(len(found.entries)))
    shown = filtered_frames(found, range(len(found.entries)), "FaceSwap", TARGET, filters(), 3)
    assert [each.name for each in shown] == ["000_001_00000_0", "002_003_00000_0", "003_000_00050_0"]
    for filtered_frame in shown:
        person, moment = filtered_frame.name[:3], filtered_frame.name[-7:]
        (real,) = [
            place for place, e in enumerate(found.entries)
            if e.key.startswith("original") and f"/{person}.mp4/" in e.key and e.key.endswith(f"{moment}.png")
        ]  # fmt: skip
        (fake,) = [
            place for place in positions
            if f"/{person}_" in found.entries[place].key and found.entries[place].key.endswith(f"{moment}.png")
        ]  # fmt: skip
        detector = TARGET.detector
        assert torch.equal(filtered_frame.pictures["real"], detector.prepare(found.frames[real].image))
        assert torch.equal(filtered_frame.pictures["fake"], detector.prepare(found.frames[fake].image))
        expected = filters()["3"].filter(filtered_frame.pictures["fake"][None])[0]
        assert torch.equal(filtered_frame.pictures["3"], expected)
    for filtered_frame, chances in zip(shown, probabilities(TARGET, shown), strict=True):
        for name, picture in filtered_frame.pictures.items():
            logits = TARGET.detector(picture[None])
            assert chances[name] == pytest.approx(float(1 - logits.softmax(1)[0, 0]), abs=1e-6)
    assert names_of(shown) == ["real", "fake", "3"]


def test_the_nearest_moment_stands_in_and_who_has_no_real_frame_is_alone(tmp_path: Path) -> None:
    known = [
        Entry("original/000.mp4/00010_0.png", False, 0),
        Entry("original/000.mp4/00050_0.png", False, 0),
        Entry("manipulated_sequences/New/c23/videos/000_009.mp4/00040_0.png", True, None),
        Entry("manipulated_sequences/New/c23/videos/007_000.mp4/00040_0.png", True, None),
    ]
    found = FilterDataset(Frames(known), tuple(known))
    first, second = filtered_frames(found, range(4), "New", TARGET, filters(), 5)
    assert torch.equal(first.pictures["real"], TARGET.detector.prepare(found.frames[1].image))
    assert list(second.pictures) == ["fake", "3"]
    page = save_images(tmp_path, "New", [first, second], probabilities(TARGET, [first, second]))
    assert page.stat().st_size > 5000
    fake = decode((tmp_path / second.name / "fake.png").read_bytes(), "fake")
    assert (torch.from_numpy(fake).permute(2, 0, 1) / 255 - second.pictures["fake"]).abs().max() < 1e-6
    with pytest.raises(InputError, match="no Old frames"):
        filtered_frames(found, range(4), "Old", TARGET, filters(), 1)


def test_a_data_sets_videos_know_what_is_real(tmp_path: Path) -> None:
    root = data_set(tmp_path / "set")
    found = open_videos(root, tmp_path / "crops", 4, DISCS)
    assert found.manipulations == ["Deepfakes", "FaceShifter"]
    assert len(found.of(["Real"], range(len(found.entries)))) == 8
    assert len(found.entries) == 16
    shown = filtered_frames(found, range(len(found.entries)), "Deepfakes", TARGET, filters(), 2)
    assert [list(each.pictures) for each in shown] == [["real", "fake", "3"]] * 2
    red = found.frames[0].image[..., 0]
    assert red.shape[0] < 120  # cropped to the face
    assert red.max() > 180
    again = open_videos(root, tmp_path / "crops", 4, DISCS)
    assert again.entries == found.entries


def test_single_videos_and_plain_folders_are_known_by_their_paths(tmp_path: Path) -> None:
    root = data_set(tmp_path / "set")
    one = root / "manipulated_sequences/Deepfakes/c23/videos/000_001.mp4"
    real = root / "original_sequences/youtube/c23/videos/000.mp4"
    assert {e.family for e in open_videos(one, tmp_path / "a", 2, DISCS).entries} == {"Deepfakes"}
    assert {e.family for e in open_videos(real, tmp_path / "b", 2, DISCS).entries} == {"Real"}
    write(tmp_path / "mine" / "clip.mp4", moving(10))
    write(tmp_path / "mine" / "Celeb-real" / "id0_0001.mp4", moving(10))
    assert {e.family for e in open_videos(tmp_path / "mine" / "clip.mp4", tmp_path / "c", 2, DISCS).entries} == {"mine"}


def test_no_videos_or_no_faces_are_one_clear_line(tmp_path: Path) -> None:
    write(tmp_path / "empty" / "clip.mp4", [frame * 0 for frame in moving(5)])
    (tmp_path / "nothing").mkdir()
    for place, words in (
        ("empty", "no face found"),
        ("nothing", "no videos in this folder"),
        ("none", "no such video"),
    ):
        with pytest.raises(InputError, match=words):
            open_videos(tmp_path / place, tmp_path / "crops", 2, DISCS)
