"""Several detectors in one run, in words and tables: whether their explanations rank alike and point alike."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import pandas as pd

from analysis.detector_agreement import (
    Agreement,
    agreements,
    localisation_differences,
    localisation_table,
    overview,
)
from analysis.summary import Summary
from common.console import paragraph, table
from common.csv_files import save_csv
from common.errors import InputError
from detectors.registry import short_name
from reporting import words
from reporting.products import RunResults
from runs.score_table import ScoreTable


def short_names(detectors: Sequence[str]) -> list[str]:
    """A name for each detector that differs from the others and can be a folder's.

    A file that shares its name with another has its folder before it. Raises InputError where
    one is given twice.
    """
    if len(set(detectors)) < len(detectors):
        raise InputError("the same --detector is given twice")
    for name in (short_name, _with_folder):
        names = [name(detector) for detector in detectors]
        if len(set(names)) == len(names):
            return names
    return [f"{number}-{short_name(detector)}" for number, detector in enumerate(detectors, 1)]


def write_detector_comparison(folder: Path, name: str, results: Mapping[str, RunResults], seed: int) -> list[Path]:
    """Writes detectors_NAME.csv, agreement_NAME.csv and localisation_NAME.csv; returns the files.

    Args:
        folder: the run's, where the files go.
        name: what the files are called after.
        results: of each detector's run, by the detector's name, the first to compare with.
        seed: of the intervals and tests.

    Raises:
        OSError: the folder cannot be written.
    """
    tables = {
        "detectors": overview(_summaries(results)),
        "agreement": pd.DataFrame([asdict(agreement) for agreement in agreements(_summaries(results))]),
        "localisation": localisation_table(localisation_differences(_scores(results), seed)),
    }
    paths = []
    for kind, content in tables.items():
        if len(content):
            paths.append(folder / f"{kind}_{name}.csv")
            save_csv(paths[-1], content)
    return paths


def show_detector_comparison(results: Mapping[str, RunResults], seed: int) -> None:
    """Prints a table of methods by detectors for each attack, and what changes from the first to the others."""
    for attack, of_attack in overview(_summaries(results)).groupby("attack", sort=False):
        methods = list(dict.fromkeys(of_attack["method"]))
        cells = {(row.detector, row.method): row for row in of_attack.itertuples()}
        table(
            f"\nAttack {attack}, by detector: flipped (%) / drop / of the regions truly manipulated (%)",
            ["method", *results],
            [[method, *(_cell(cells.get((detector, method))) for detector in results)] for method in methods],
        )
    for sentence in sentences(results, seed):
        paragraph(sentence)


def sentences(results: Mapping[str, RunResults], seed: int) -> list[str]:
    """The sentences about several detectors: how alike they rank the methods, how these point at the mask, fills."""
    said = [_agree(agreement) for agreement in agreements(_summaries(results))]
    differences = localisation_differences(_scores(results), seed)
    first = next(iter(results))
    for detector in dict.fromkeys(difference.detector for difference in differences):
        significant = [line for line in differences if line.detector == detector and line.is_significant]
        listing = ", ".join(f"{line.method} ({100 * line.difference.value:+z.0f} points)" for line in significant)
        said.append(
            f"The explanations of {detector} point at the manipulated pixels differently from {first}'s: {listing}."
            if significant
            else f"No method is shown to point at the manipulated pixels better or worse for {detector} than {first}."
        )
    if not differences and len(results) > 1:
        said.append("No frame that two detectors call fake has a mask: whether they point at it cannot be said.")
    fills = {detector: words.adversarial_fill(own.rows, own.frames) for detector, own in results.items()}
    return [*said, *(f"{detector}: {fill}" for detector, fill in fills.items() if fill)]


def _summaries(results: Mapping[str, RunResults]) -> dict[str, Summary]:
    return {detector: own.summary for detector, own in results.items()}


def _scores(results: Mapping[str, RunResults]) -> dict[str, ScoreTable]:
    return {detector: own.rows for detector, own in results.items()}


def _agree(agreement: Agreement) -> str:
    first, second = agreement.first, agreement.second
    ranked = f"{agreement.methods} methods by {agreement.measure.replace('_', ' ')} under {agreement.attack}"
    if math.isnan(agreement.tau):
        return f"Of {first} and {second}, one does not tell {ranked} apart: their rankings cannot be compared."
    return f"{first} and {second} rank {ranked} with Kendall's tau {agreement.tau:+z.2f}."


def _cell(row: object) -> str:
    if row is None or math.isnan(row.flip_rate):  # type: ignore[attr-defined]
        return "-"
    precision = row.mask_precision  # type: ignore[attr-defined]
    pointing = "-" if math.isnan(precision) else f"{100 * precision:.0f}"
    return f"{100 * row.flip_rate:.0f} / {row.drop:z.2f} / {pointing}"  # type: ignore[attr-defined]


def _with_folder(detector: str) -> str:
    folder = Path(detector).parent.name
    return f"{folder}-{Path(detector).stem}" if folder else short_name(detector)
