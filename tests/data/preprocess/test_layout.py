"""Where FaceForensics++ keeps its videos."""

from pathlib import Path

import pytest

from common.errors import InputError
from data.preprocess.layout import FaceForensics


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in (
        "original_sequences/youtube/c23/videos/000.mp4",
        "original_sequences/youtube/c40/videos/000.mp4",
        "original_sequences/actors/c23/videos/01__exit_phone_room.mp4",
        "manipulated_sequences/Deepfakes/c23/videos/000_003.mp4",
        "manipulated_sequences/Deepfakes/c23/videos/.hidden.mp4",
        "manipulated_sequences/Deepfakes/c23/videos/._000_003.mp4",
        "manipulated_sequences/.Trashes/c23/videos/000_003.mp4",
        "original_sequences/._youtube/c23/videos/001.mp4",
        "manipulated_sequences/Deepfakes/c23/videos/notes.txt",
        "manipulated_sequences/Deepfakes/masks/videos/000_003.mp4",
        "manipulated_sequences/FaceShifter/c23/videos/007_132.mp4",
        "manipulated_sequences/DeepFakeDetection/c23/videos/01_02__exit_phone_room__YVGY8LOK.mp4",
        "manipulated_sequences/NeuralTextures/c40/videos/000_003.mp4",
    ):
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    return tmp_path


def test_every_family_is_found_with_its_original_and_its_mask(root: Path) -> None:
    found = FaceForensics("c23").find(root)
    clips = {clip.path.stem: clip for clip in found.clips}
    assert [clip.key for clip in found.clips] == sorted(clip.key for clip in found.clips)
    assert set(clips) == {"000", "01__exit_phone_room", "000_003", "007_132", "01_02__exit_phone_room__YVGY8LOK"}
    forged = clips["000_003"]
    assert forged.key == "manipulated_sequences/Deepfakes/c23/videos/000_003.mp4"
    assert (forged.family, forged.label, forged.fake, forged.identity) == ("Deepfakes", 3, True, "000")
    assert forged.original == root / "original_sequences/youtube/c23/videos/000.mp4"
    assert forged.mask == root / "manipulated_sequences/Deepfakes/masks/videos/000_003.mp4"
    assert (clips["000"].label, clips["000"].fake, clips["000"].identity) == (0, False, "000")
    assert (clips["007_132"].label, clips["007_132"].original, clips["007_132"].mask) == (None, None, None)
    actors = clips["01_02__exit_phone_room__YVGY8LOK"]
    assert actors.identity == clips["01__exit_phone_room"].identity == "actor 01"  # not the person of clip 001
    assert actors.original == root / "original_sequences/actors/c23/videos/01__exit_phone_room.mp4"
    assert [remark.split(":")[0] for remark in found.remarks] == ["NeuralTextures"]


def test_families_and_compression_are_chosen(root: Path) -> None:
    assert {clip.path.stem for clip in FaceForensics("c40").find(root).clips} == {"000", "000_003"}
    assert [clip.family for clip in FaceForensics("c23").find(root, ["deepfakes"]).clips] == ["Deepfakes"]


def test_the_real_clips(ffpp: Path) -> None:
    found = FaceForensics("c23").find(ffpp)
    originals = {clip.path.stem: clip.original.stem if clip.original else None for clip in found.clips if clip.fake}
    assert originals == {"004_982": "004", "750_743": None, "519_515": "519", "634_660": "634"}
    assert len(found.clips) == 7
    assert not found.remarks


def test_what_is_not_there_is_said(root: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"unknown family 'Deepfaks' \(did you mean Deepfakes\?\)"):
        FaceForensics().find(root, ["Deepfaks"])
    with pytest.raises(InputError, match="no videos at compression raw"):
        FaceForensics("raw").find(root)
    with pytest.raises(InputError, match="no such folder"):
        FaceForensics().find(tmp_path / "absent")
    (tmp_path / "other").mkdir()
    with pytest.raises(InputError, match="neither original_sequences nor manipulated_sequences"):
        FaceForensics().find(tmp_path / "other")


def test_pictures_in_place_of_videos_are_said_to_be_that(tmp_path: Path) -> None:
    (tmp_path / "original_sequences/youtube/c23/frames/000").mkdir(parents=True)
    with pytest.raises(InputError, match=r"pictures of frames: python -m data index \S+ makes their index"):
        FaceForensics().find(tmp_path)
    with pytest.raises(InputError, match=r"videos/000\.mp4$"):
        FaceForensics("c40").find(tmp_path)
