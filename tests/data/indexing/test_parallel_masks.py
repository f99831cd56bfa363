"""Masks find their pictures in every arrangement, and no other picture's."""

import pytest

from data.indexing.parallel_masks import is_mask, is_mask_folder, match

FRAME = "manipulated_sequences/Deepfakes/c23/frames/000_003/001.png"


@pytest.mark.parametrize(
    ("key", "mask"),
    [
        (FRAME, "manipulated_sequences/Deepfakes/c23/masks/000_003/001.png"),
        (FRAME, "manipulated_sequences/Deepfakes/masks/frames/000_003/001.png"),
        (FRAME, "manipulated_sequences/Deepfakes/masks/videos/000_003.mp4/001.png"),
        (FRAME, "masks/manipulated_sequences/Deepfakes/000_003/001.png"),
        (FRAME, "masks/Deepfakes/000_003/001.png"),
        (FRAME, "DF_masks/000_003/001.png"),
        (FRAME.replace("c23", "c40"), "manipulated_sequences/Deepfakes/c23/masks/000_003/001.png"),
        ("manipulated_sequences/FaceSwap/c23/videos/1_2.mp4/00001_0.jpg",
         "masks/manipulated_sequences/FaceSwap/c23/videos/1_2.mp4/00001_0.png"),
        ("fake/x.jpg", "masks/x.png"),
        ("fake/x.jpg", "mask/fake/x.png"),
        ("fake/x.jpg", "fake_masks/x.png"),
        ("fake/x.jpg", "fake/masks/x_mask.png"),
        ("fake/x.jpg", "fake/x_mask.png"),
        ("train/fake/images/x.jpg", "train/masks/x.png"),
        ("train/fake/x.jpg", "masks/train/x.png"),
    ],
)  # fmt: skip
def test_a_mask_and_its_picture(key: str, mask: str) -> None:
    stems = frozenset(path.rsplit(".", 1)[0] for path in (key, mask))
    assert is_mask(mask, stems)
    assert not is_mask(key, stems)
    others = [
        mask.replace("001", "002").replace("x", "y"),
        mask.replace("Deepfakes", "Face2Face").replace("train", "test"),
    ]
    found = match([key], [mask, *(other for other in others if other != mask)])
    assert found.of == {key: mask}
    assert mask not in found.unmatched
    assert not found.unclear


def test_no_other_pictures_mask() -> None:
    found = match(
        [FRAME, "train/fake/x.png", "fake/v1/1.png"],
        [
            "manipulated_sequences/FaceSwap/c23/masks/000_003/001.png",
            "manipulated_sequences/Deepfakes/c23/masks/000_003/01.png",
            "manipulated_sequences/Deepfakes/c23/masks/000_004/001.png",
            "test/masks/x.png",
            "masks/v2/1.png",
            "masks/1.png",
        ],
    )
    assert not found.of
    assert len(found.unmatched) == 6


def test_of_several_the_nearest_and_none_where_that_is_not_clear() -> None:
    near, far = "set/a/masks/v/1.png", "masks/set/a/v/1.png"
    assert match(["set/a/v/1.png"], [far, near]).of == {"set/a/v/1.png": near}
    two = match(["fake/x.png"], ["masks/x.png", "mask/x.png"])
    assert (two.of, two.unclear) == ({}, ["fake/x.png"])
    shared = match(["fake/x.png", "forged/x.png"], ["masks/x.png"])
    assert (shared.of, shared.unclear) == ({}, ["fake/x.png", "forged/x.png"])


def test_names_of_folders() -> None:
    assert all(is_mask_folder(name) for name in ("masks", "Mask", "fake_masks", "mask_images", "Deepfakes-masks"))
    assert not any(is_mask_folder(name) for name in ("masked_singer", "mask_mandate_7", "fake", "unmasked"))
    assert not is_mask("fake/x_mask.png", frozenset({"fake/x_mask", "fake/y"}))
