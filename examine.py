"""Examines one film or picture: which heat map of a detector's verdict to believe, and why."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer

from common import console
from common.commands import with_options
from common.config_file import ConfigOption, SaveConfigOption, save_config
from common.errors import InputError
from common.files import sha256
from data.preprocess.face_detection import face_detector
from detectors.checks.fresh_process import PICTURES, require_same_in_fresh_process
from examination.answer import answer
from examination.examining import examine_subject
from examination.faces import FaceChoice
from examination.files import other_cases, write_case
from examination.films import FRAMES, FrameChoice, Subject
from examination.setup import BUDGET, METHODS, ExaminationSetup, prepare_examination
from examination.stage_progress import StageProgress
from examination.subjects import Looking, files_of, subjects_of
from examination.tables import tables
from runs.run_options import EXPLAINING_ONLY, EvaluationOptions

app = console.application("Examines one film or picture.")
HAAR = "haar"
NOT_OFFERED = {
    **EXPLAINING_ONLY, "methods": (), "frames": None, "images": None, "split": None, "limit": None,
    "precision": "float32",
}  # fmt: skip


@app.command()
@with_options(options=NOT_OFFERED)
def examine(
    context: typer.Context,
    options: EvaluationOptions,
    file: Annotated[Path, typer.Argument(help="A film, a picture, or a folder of them.", show_default=False)],
    method: Annotated[
        list[str] | None,
        typer.Option(
            help=f"Maps: All, LIME, SHAP_adv, captum:NAME, cam:NAME, your own, ...; repeatable. "
            f"Default: {', '.join(METHODS)}."
        ),
    ] = None,
    face: Annotated[
        str | None, typer.Option(help="Which face, where several are shown: its number from 1, or all.")
    ] = None,
    whole: Annotated[
        bool, typer.Option("--whole", help="The detector sees whole pictures: look for no faces.")
    ] = False,
    times: Annotated[
        list[float] | None, typer.Option("--time", help="Examine a film at so many seconds; repeatable.")
    ] = None,
    frames: Annotated[
        int | None, typer.Option(min=1, help=f"Examine so many frames, spread over a film. Default: {FRAMES}.")
    ] = None,
    regions: Annotated[
        int | None, typer.Option(help="Random regions each map is compared with; at least 99. Default: what is needed.")
    ] = None,
    budget: Annotated[str, typer.Option(help="L-infinity budget of the attacks on regions.")] = BUDGET,
    detector_of_faces: Annotated[
        str, typer.Option("--face-detector", help="haar, yunet:MODEL.onnx, or your package.module:Name.")
    ] = HAAR,
    out: Annotated[
        Path | None, typer.Option(help="The folder of the case. Default: results/examine/, named after the file.")
    ] = None,
    config: ConfigOption = None,
    saved_config: SaveConfigOption = None,
) -> int:
    """Examines one film or picture: which heat map of a detector's verdict to believe, and why.

    Attacks the region of every map, and random regions of the same area; looks whether the maps stay the same on
    changed copies. Writes case.html, case.pdf, case.json and the maps. Nothing leaves this machine.
    """
    save_config(context, saved_config)
    if times and frames is not None:
        raise InputError("give --time or --frames, not both")
    if whole and (face is not None or detector_of_faces != HAAR):
        raise InputError(f"give {'--face' if face is not None else '--face-detector'} or --whole, not both")
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    choice = FrameChoice(tuple(dict.fromkeys(times or ())), frames or FRAMES)
    chosen_face = FaceChoice.parse(face)
    looking = Looking(chosen_face, None if whole else face_detector(detector_of_faces), detector_of_faces)
    paths = files_of(file)
    named = tuple(method or ()) or (() if options.saliency else METHODS)
    setup = prepare_examination(replace(options, methods=named), regions, budget)
    failed: list[Path] = []
    pictures, asked = list[np.ndarray](), False
    for path in paths:
        of_file = (out or Path("results") / "examine" / file.stem) / (path.name if file.is_dir() else "")
        subjects: list[Subject] = []
        with _failing(path, failed, of_several=file.is_dir()):
            digest = sha256(path)
            subjects = subjects_of(path, looking, choice, bool(times) or frames is not None)
            if sha256(path) != digest:
                raise InputError(f"{path} changed while it was read: examine it again once nothing writes to it")
        for shot in [shot for subject in subjects for shot in subject.shots]:
            pictures = [*pictures[: PICTURES - 1], shot.picture]
        if pictures and not asked:
            require_same_in_fresh_process(
                setup.detector, len(pictures), pictures.__getitem__
            )  # outside, as no file could be examined
            asked = True
        with _failing(path, failed, of_several=file.is_dir()):
            folders = [of_file / f"face-{each.face}" if len(subjects) > 1 else of_file for each in subjects]
            for subject, own in zip(subjects, folders, strict=True):
                _examine(path, digest, subject, setup, None if whole else detector_of_faces, own)
            for other in other_cases(of_file, folders) if subjects else ():
                console.say(f"Note: {other} holds a case that was examined earlier, not now")
    if len(pictures) > 1:
        require_same_in_fresh_process(
            setup.detector, len(pictures), pictures.__getitem__
        )  # what one of them has made of it
    if failed:
        console.say(f"{len(failed)} of {len(paths)} files could not be examined.")
    return 1 if failed else 0


@contextmanager
def _failing(path: Path, failed: list[Path], of_several: bool) -> Iterator[None]:
    """Where a file is one of several, what is wrong with it is said, and the others go on."""
    try:
        yield
    except InputError as error:
        if not of_several:
            raise
        console.fail(str(error))
        failed.append(path)


def _examine(
    path: Path, digest: str, subject: Subject, setup: ExaminationSetup, faces: str | None, folder: Path
) -> None:
    """Examines one face of a file of this SHA-256, prints what was found and writes its case."""
    began = time.perf_counter()

    console.say(f"{path.name}{f', face {subject.face}' if subject.face else ''}: {len(subject.shots)} to examine")
    for remark in subject.remarks:
        console.say(f"Note: {remark}")
    with console.progress("step", shown=not console.errors.is_terminal) as bar:  # on a terminal its stages are enough
        stages = StageProgress(bar, subject.shots, film=bool(subject.curve))

        def on_stage(stage: str) -> None:
            console.say(f"[{time.perf_counter() - began:4.0f} s] {stage}")
            stages.on_stage(stage)

        examiner = setup.examiner([shot.picture for shot in subject.shots], on_stage)
        setting = setup.described(examiner, faces, tuple(sys.argv[1:]))
        case = examine_subject(path, subject, examiner, setting, digest, stages.on_shot)
    lines = answer(case)
    files = write_case(folder, case, lines)
    for line in lines:
        console.paragraph(line)
    for table in tables(case):
        console.table(table.title, table.columns, table.rows)
    for failure in [str(failure) for frame in case.frames for failure in frame.failures]:
        console.say(f"Failed: {failure}")
    console.say(f"Files in {folder}: {', '.join(each.name for each in files[:3])}, and {len(files) - 3} of the maps")


if __name__ == "__main__":
    sys.path.append(str(Path.cwd()))  # for a user's own package.module:Name
    console.run(app)
