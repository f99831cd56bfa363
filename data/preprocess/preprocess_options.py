"""What a user asks of `python -m data preprocess`."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from common.commands import changed_options
from data.preprocess.crop_records import FIVE_POINT, PreprocessSettings
from data.preprocess.crops import crop_format
from data.preprocess.splits import TimeSplit


class Compression(StrEnum):
    """The compressions FaceForensics++ comes in."""

    RAW = "raw"
    C23 = "c23"
    C40 = "c40"


class DataSet(StrEnum):
    """The data sets whose arrangement is known."""

    FFPP = "ffpp"
    CELEBDF = "celebdf"


class Align(StrEnum):
    """How a face is cut out."""

    BOX = "box"
    FIVE_POINT = FIVE_POINT


class Several(StrEnum):
    """What becomes of a video with several faces."""

    MAIN = "main"
    TRACK = "track"
    SKIP = "skip"


class Bystanders(StrEnum):
    """What becomes of the untouched faces in a manipulated video."""

    LEAVE_OUT = "leave-out"
    REAL = "real"


@dataclass(frozen=True)
class VideoOptions:
    """Which videos are read, and which of them are for training or testing.

    Attributes:
        root: the folder of the data set.
        layout: which data set it is.
        compression: which videos of FaceForensics++; None for c23.
        methods: families to take, beside the originals; nothing for all.
        splits: the folder of train.json, val.json and test.json; None for no such split.
        split_by_time: whether each video's start is for training and its end for testing, with a gap between.
        train_share, test_share: of each video, with `split_by_time`.
    """

    root: Annotated[Path, typer.Option("--root", metavar="DIR", help="The folder of the data set.")]
    layout: Annotated[DataSet, typer.Option("--layout", help="Which data set: FaceForensics++ or Celeb-DF-v2.")] = (
        DataSet.FFPP
    )
    compression: Annotated[
        Compression | None, typer.Option("--compression", help="Which videos of FaceForensics++; c23 where not said.")
    ] = None
    methods: Annotated[
        Sequence[str],
        typer.Option("--methods", metavar="NAME", help="Only this family, repeatable; originals are always taken."),
    ] = ()
    splits: Annotated[
        Path | None, typer.Option("--splits", metavar="DIR", help="The folder of train.json, val.json and test.json.")
    ] = None
    split_by_time: Annotated[
        bool, typer.Option("--split-by-time", help="Train on each video's start, test on its end, with a gap between.")
    ] = False
    train_share: Annotated[
        float, typer.Option("--train-share", metavar="X", help="With --split-by-time: the share to train on.")
    ] = TimeSplit.train
    test_share: Annotated[
        float, typer.Option("--test-share", metavar="X", help="With --split-by-time: the share to test on.")
    ] = TimeSplit.test

    def check(self) -> None:
        """Raises typer.BadParameter for options that exclude each other."""
        if self.splits and self.split_by_time:
            raise typer.BadParameter("--splits and --split-by-time exclude each other")
        if not self.split_by_time and (idle := changed_options(self, ("train_share", "test_share"))):
            raise typer.BadParameter(f"{idle[0]} needs --split-by-time")
        if self.layout is DataSet.CELEBDF and (self.splits or self.compression):
            raise typer.BadParameter(
                "--splits and --compression belong to --layout ffpp; Celeb-DF lists its test videos"
            )


@dataclass(frozen=True)
class CropOptions:
    """How faces are found and cut out.

    Attributes:
        frames_per_video: frames of each, evenly spread; 0 for all.
        face_detector: haar, yunet:MODEL.onnx, or a user's package.module:Name.
        margin: the side of a square, in sizes of the face.
        align: whether a square with a margin is cut, or the face turned and scaled to 224 pixels as CADDM expects it.
        landmarks: CADDM's ldm.json, or a dlib predictor (.dat); None for none.
        sources: whether the same square is cut from each manipulated video's original, too.
        size: pixels to which larger crops are reduced; 0 for never.
        file_format: "png", or "jpg:Q" of quality Q.
        several: what becomes of a video with several faces.
        bystanders: what becomes of the faces in a manipulated video that the change does not lie on.
    """

    frames_per_video: Annotated[
        int, typer.Option("--frames-per-video", metavar="N", min=0, help="Frames of each, evenly spread; 0: all.")
    ] = PreprocessSettings.frames_per_video
    face_detector: Annotated[
        str,
        typer.Option("--face-detector", metavar="NAME", help="haar, yunet:MODEL.onnx, or your package.module:Name."),
    ] = PreprocessSettings.face_detector
    margin: Annotated[
        float,
        typer.Option("--margin", metavar="X", min=0.5, max=5.0, help="The side of a square, in sizes of the face."),
    ] = PreprocessSettings.margin
    align: Annotated[
        Align,
        typer.Option("--align", help="A square with a margin, or turned and scaled to 224 pixels as CADDM expects it."),
    ] = Align.BOX
    landmarks: Annotated[
        Path | None,
        typer.Option("--landmarks", metavar="FILE", help="CADDM's ldm.json, or a dlib predictor (.dat) of 68 or 81."),
    ] = None
    sources: Annotated[
        bool, typer.Option("--sources", help="Cut the same square from each manipulated video's original, too.")
    ] = False
    size: Annotated[
        int, typer.Option("--size", metavar="N", min=0, help="Reduce larger crops to N pixels; 0: never.")
    ] = PreprocessSettings.size
    file_format: Annotated[str, typer.Option("--format", metavar="NAME", help="png, or jpg:Q of quality Q.")] = "png"
    several: Annotated[
        Several,
        typer.Option("--several", help="Of a video with several faces, crop the main one, track all, or skip it."),
    ] = Several.MAIN
    bystanders: Annotated[
        Bystanders,
        typer.Option("--bystanders", help="Leave out the untouched faces of manipulated videos, or crop them as real."),
    ] = Bystanders.LEAVE_OUT

    def settings(self, videos: VideoOptions) -> PreprocessSettings:
        """The same for the pipeline, with the split of the videos.

        Raises InputError for an unknown format, typer.BadParameter for options that exclude each other.
        """
        if self.several is Several.SKIP and self.bystanders is Bystanders.REAL:
            raise typer.BadParameter("--several skip and --bystanders real exclude each other")
        return PreprocessSettings(
            frames_per_video=self.frames_per_video,
            face_detector=self.face_detector,
            margin=self.margin,
            size=self.size,
            file_format=crop_format(self.file_format),
            several=self.several.value,
            by_time=TimeSplit(videos.train_share, videos.test_share) if videos.split_by_time else None,
            sources=self.sources,
            align=self.align.value,
            landmarks=self.landmarks,
            bystanders=self.bystanders.value,
        )
