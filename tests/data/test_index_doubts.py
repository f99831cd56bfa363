"""Indexes that are well-formed and may be wrong: what is said of them, and of which sound ones nothing is."""

import hashlib
from dataclasses import replace

import pytest

from data.entry import Entry
from data.index_doubts import doubts

CLIPS = [
    Entry(f"{kind}/{clip:03}_{clip + 3:03}_{number:04}.png", kind == "fake", None, stated_video=f"{kind}{clip:03}")
    for kind in ("fake", "real")
    for clip in range(4)
    for number in range(3)
]


def stating(videos: list[str | None]) -> list[Entry]:
    return [replace(entry, stated_video=video) for entry, video in zip(CLIPS, videos, strict=True)]


VIDEOS = [entry.stated_video for entry in CLIPS]


def test_nothing_is_said_of_sound_indexes() -> None:
    one_for_each = [
        Entry(f"fake/id{n}_{m:04}.png", True, None, stated_video=f"v/id{n}_{m:04}.mp4") for n in "12" for m in (0, 1)
    ]
    many_in_a_folder = [
        Entry(f"part{part}/img_{number:05}.png", True, None, stated_video=f"clip{part}_{number // 4}")
        for part in (1, 2)
        for number in range(12)
    ]
    numbered = [Entry(f"faces/{number:05}.png", True, None, stated_video=f"clip{number // 2}") for number in range(9)]
    people = [Entry("bystanders/manipulated_sequences/FaceSwap/c23/videos/0_1.mp4/0.png", False, 0)]
    some = [replace(entry, stated_video=None, key=f"others/{entry.key}") for entry in CLIPS]
    layouts = {
        "part_{a}/{name}_0.png": "{name}.mp4",  # DFDC, a frame of each video
        "{a:05}/{n:05}.png": "{n}",  # buckets of pictures that stand alone
        "batch_{a}/{n:05}.png": "film{film}",  # batches of eight, films of six
        "2026-11-0{a}/p{film}_{n}.png": "person{film}",
        "{name}.png": "{n:02}",  # rows are counted, and names say no other video
    }
    others = [
        [
            Entry(key.format(**given), True, None, stated_video=video.format(**given))
            for n in range(24)
            for given in [{"n": n, "a": n // 8, "film": n // 6, "name": hashlib.sha256(bytes([n])).hexdigest()[:9]}]
        ]
        for key, video in layouts.items()
    ]
    alike = [replace(CLIPS[0], key=f"{name}.png", stated_video=name) for name in ("a01b", "a1b", "v1.0", "v1", "b01")]
    for entries in (
        *others,
        alike,
        CLIPS,
        stating([None] * len(CLIPS)),
        one_for_each,
        many_in_a_folder,
        numbered,
        people,
        CLIPS + some,
    ):
        assert doubts(entries) == []


@pytest.mark.parametrize(
    ("videos", "told"),
    [
        ([*VIDEOS[-1:], *VIDEOS[:-1]], "the column video is shifted by 1 row: moved back, every video has the frames"),
        ([*VIDEOS[2:], "x", "y"], "the column video is shifted by 2 rows: moved back, every video has the"),
        (
            [f"clip{number:03}" for number in range(len(CLIPS))],
            "the column video counts the rows, from 'clip000' to 'clip023', where folders",
        ),
        ([*VIDEOS[:7], None, *VIDEOS[8:]], "1 frame without a video beside others of its folder that have one, such "),
        ([str(video).upper() if n % 2 else video for n, video in enumerate(VIDEOS)], "one video is spelt in several"),
        (
            [f"{video}.mp4" if n % 2 else video for n, video in enumerate(VIDEOS)],
            "'fake000', 'fake000.mp4' may be, and",
        ),
        ([f"a {n // 3}" if n % 2 else f"a_{n // 3}" for n in range(len(CLIPS))], "as 'a 0', 'a_0' may be, and each"),
        (
            [f"{n // 6:03}" if n % 2 else f"{n // 6}" for n in range(len(CLIPS))],
            "as '0', '000' may be, and each counts",
        ),
        ([f"{n // 6}.0" if n % 2 else f"{n // 6}" for n in range(len(CLIPS))], "as '0', '0.0' may be, and each counts"),
    ],
)
def test_a_column_of_videos_that_is_shifted_filled_in_or_spelt_anew_is_said(
    videos: list[str | None], told: str
) -> None:
    assert told in "\n".join(doubts(stating(videos)))


def test_a_shift_of_two_frames_a_video_is_said() -> None:
    pairs = [entry for entry in CLIPS if not entry.key.endswith("2.png")]
    videos = [entry.stated_video for entry in pairs]
    shifted = [replace(entry, stated_video=video) for entry, video in zip(pairs, ["x", *videos[:-1]], strict=True)]
    assert doubts(pairs) == []
    assert doubts(shifted)[0].startswith("the column video is shifted by 1 row: moved back")


def test_one_mask_beside_many_videos_and_videos_in_several_splits_are_said() -> None:
    filled = [replace(entry, mask="masks/1.png" if entry.fake else "black.png") for entry in CLIPS]
    assert doubts(filled)[0].startswith("one mask, masks/1.png, beside 12 fakes of 4 videos: it is taken for each")
    of_films = [replace(entry, mask=f"masks/{entry.video}.png") for entry in CLIPS]
    by_time = [replace(entry, split=("train", "train", "test")[number % 3]) for number, entry in enumerate(CLIPS)]
    black = [entry if entry.fake else replace(entry, mask="black.png") for entry in of_films]
    assert doubts(of_films) == doubts(black) == doubts(by_time) == []
    drawn = [replace(entry, split=("test", "train", "test")[number % 3]) for number, entry in enumerate(CLIPS)]
    assert doubts(drawn)[0].startswith("8 videos with frames in several splits by turns, such as fake000 (test, train)")


@pytest.mark.parametrize("column", ["split", "stated_family", "stated_video"])
def test_words_for_nothing_are_said(column: str) -> None:
    entries = [replace(CLIPS[0], **{column: "nan"}), *[replace(entry, stated_video=None) for entry in CLIPS[12:14]]]
    told = f"1 frame with a split, family or video called 'nan', such as {CLIPS[0].key}: it is taken as a name"
    assert told in "\n".join(doubts(entries))


def test_one_film_at_two_compressions_is_said() -> None:
    keys = [f"manipulated_sequences/FaceSwap/{compression}/videos/0_1.mp4/0.png" for compression in ("c23", "c40")]
    entries = [Entry(key, True, 4) for key in keys]
    (told,) = doubts(entries)
    assert told.startswith(f"1 film at several compressions, such as {keys[0][:-6]}, {keys[1][:-6]}, of which each")
    assert doubts(entries[:1]) == []


def test_families_that_are_spelt_in_two_ways_are_said() -> None:
    entries = [replace(entry, stated_family=name) for entry, name in zip(CLIPS[:2], ("NewGen", "new-gen"), strict=True)]
    (told,) = doubts(entries)
    assert told == (
        "one family is spelt in several ways, as 'NewGen', 'new-gen' may be, and each counts as another (1 such "
        "family): write them alike"
    )


@pytest.mark.parametrize(
    ("key", "fake", "said"),
    [
        ("real/1.png", True, "Fake"),
        ("fake/1.png", False, "Real"),
        ("Celeb-synthesis/id1/1.png", False, "Real"),
        ("Deepfakes/real/1.png", True, "Fake"),
        ("Deepfakes/real/1.png", False, None),
        ("Celeb-real/id1/1.png", False, None),
        ("real_vs_fake/1.png", False, None),
        ("fake/real/1.png", True, None),
    ],
)
def test_labels_beside_folders_of_the_other_class_are_said(key: str, fake: bool, said: str | None) -> None:
    entry = Entry(key, fake, None if fake else 0)
    told = doubts([entry])
    assert (
        told == []
        if said is None
        else told[0].startswith(
            f"1 frame whose folder says another class than the labels, such as {key} ({said}): the labels are taken"
        )
    )


NEUTRAL = [Entry(f"clips/{clip:03}/{number:04}.png", clip > 2, None) for clip in range(6) for number in range(4)]


def labelled(fakes: list[bool]) -> list[Entry]:
    return [replace(entry, fake=fake) for entry, fake in zip(NEUTRAL, fakes, strict=True)]


FAKES = [bool(entry.fake) for entry in NEUTRAL]


@pytest.mark.parametrize(
    ("fakes", "told"),
    [
        ([FAKES[-1], *FAKES[:-1]], "2 videos with frames of several classes, such as clips/000 (Real, clips): the"),
        ([*FAKES[1:], True], "1 video with frames of several classes, such as clips/002 (Real, clips): the labels"),
        ([number % 2 == 1 for number in range(len(FAKES))], "6 videos with frames of several classes, such as"),
    ],
)
def test_labels_that_differ_within_a_video_are_said(fakes: list[bool], told: str) -> None:
    videos = [f"v{number // 4}" for number in range(len(FAKES))]
    assert doubts(labelled(FAKES)) == []
    (said,) = doubts(labelled(fakes))
    assert said.startswith(told)
    stated = [replace(entry, stated_video=video) for entry, video in zip(labelled(fakes), videos, strict=True)]
    assert "with frames of several classes, such as v" in doubts(stated)[0]
    hashed = [replace(entry, key=f"all/{hashlib.sha256(entry.key.encode()).hexdigest()}.png") for entry in stated]
    assert "with frames of several classes, such as v" in doubts(hashed)[0]


def test_labels_sorted_alone_or_shifted_among_manipulations_are_said() -> None:
    by_number = sorted(NEUTRAL, key=lambda entry: entry.key[-8:])
    alone = [replace(entry, fake=fake) for entry, fake in zip(by_number, sorted(FAKES), strict=True)]
    assert doubts(by_number) == []
    assert doubts(alone)[0].startswith("6 videos with frames of several classes, such as clips/000 (Real, clips)")
    labels = [1 + number // 4 % 4 for number in range(len(NEUTRAL))]
    kinds = [replace(entry, fake=True, label=label) for entry, label in zip(NEUTRAL, labels, strict=True)]
    later = [replace(entry, label=label) for entry, label in zip(kinds, [labels[-1], *labels[:-1]], strict=True)]
    assert doubts(kinds) == []
    assert doubts(later)[0].startswith("6 videos with frames of several classes, such as clips/000 (Face2Face, Neu")


def test_films_of_several_classes_that_go_by_one_video_are_not_labels_that_differ() -> None:
    names = [(kind, clip, number) for kind in ("real", "fake") for clip in range(3) for number in range(3)]
    flat = [Entry(f"all/{k}_{clip}_{n}.png", k == "fake", None, stated_video=f"{clip}") for k, clip, n in names]
    folders = [Entry(f"{k}/{clip}_{n}.png", k == "fake", None, stated_video=f"{clip}") for k, clip, n in names]
    people = Entry("bystanders/manipulated_sequences/FaceSwap/c23/videos/0_1.mp4/0.png", False, 0, stated_video="a")
    beside = replace(people, key=people.key.removeprefix("bystanders/"), fake=True, label=4)
    for entries in (flat, folders, [people, beside]):
        assert doubts(entries) == []


@pytest.mark.parametrize(
    ("videos", "told"),
    [
        (
            [f"{6953214567890123456 + n * 98765432101:.5E}" for n in range(8)],
            "2 splits, families or videos, such as '6.95321E+18', look",
        ),
        ([f"{n},5e+17" for n in range(1, 9)], "8 splits, families or videos, such as '1,5e+17', look as a spread"),
        (
            [f"{695321456789012 + n}0000" for n in range(8)],
            "8 splits, families or videos, such as '6953214567890120000",
        ),
        ([f"1.2{n}E+05" for n in (0, 0, 0, 3, 4, 5, 6, 7)], "6 splits, families or videos, such as '1.20E+05', look"),
    ],
)
def test_ids_that_a_spreadsheet_shortened_are_said(videos: list[str], told: str) -> None:
    (said,) = doubts(stating([videos[number // 3] for number in range(len(CLIPS))]))
    assert told in said
    assert said.endswith("may be one now, and intervals and tests go by them; write the column anew, as text")


def test_hashes_that_were_read_as_numbers_are_said_and_other_numbers_are_not() -> None:
    hashes = [name for name in ("12e4", "120e3", "1e5", "77e2") for _ in range(3)]
    kept = [Entry(f"c/{name}/{n % 3}.png", True, None, stated_video=name) for n, name in enumerate(hashes)]
    for form in ("{:.1f}", "{:.0f}"):
        read = [replace(entry, stated_video=form.format(float(entry.video))) for entry in kept]
        (said,) = doubts(read)
        assert said.startswith(f"3 splits, families or videos, such as {form.format(12e4)!r}, look as a spreadsheet")
    family = [replace(entry, stated_family="1.00E+05", stated_video=None) for entry in kept]
    assert doubts(family)[0].startswith("1 split, family or video, such as '1.00E+05', looks as a spreadsheet")
    whole = stating([f"{6953214567890123456 + n // 3 * 98765432101}" for n in range(len(CLIPS))])
    dates = stating([f"20261103{n // 3:02}" for n in range(len(CLIPS))])
    assert doubts(kept) == doubts(whole) == doubts(dates) == []


def test_videos_of_several_folders_each_are_not_shifted() -> None:
    entries = [
        Entry(f"c/id{n // 3}/{n % 3}.png", True, None, stated_video=("a", "a", "b", "c")[n // 3]) for n in range(12)
    ]
    assert doubts(entries) == []


def test_long_names_take_no_time() -> None:
    long = "7" * 100_000
    entries = [Entry(f"fake/{long}x{number}.png", True, None, stated_video=f"{long}x") for number in range(3)]
    assert doubts(entries) == []
    assert doubts([replace(entry, stated_video=f"{long}{number}") for number, entry in enumerate(entries)]) == []
