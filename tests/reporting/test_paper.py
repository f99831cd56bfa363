"""What goes into a paper: the same bytes every time, the right numbers, and names that nothing trips over."""

import io
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from analysis.headline import Condition, Headline, HeadlineLine
from analysis.summary import Estimate
from analysis.surviving_flips import SurvivingFlips
from analysis.trust import Answer, Trust
from common.figures import BLUE
from reporting import paper, words
from reporting.latex_table import escape, latex
from runs.finished_run import FinishedRun
from tests.reporting.page import plausible

METHODS = ("LIME", "LIME_adv", "RISE")
HOSTILE = "_own$x$ \\input{/etc/passwd} 100% #1 {~^&}\n<b>"


@pytest.fixture(scope="module")
def run() -> FinishedRun:
    return plausible.finished(8, METHODS)


def test_files_are_the_same_every_time(run: FinishedRun, tmp_path: Path) -> None:
    headlines = plausible.headlines(run)
    first, second = (paper.write_paper_files(tmp_path / name, run, headlines) for name in "ab")
    assert [path.name for path in first] == [
        "summary.csv", "headline.tex", "ranking.pdf", "ranking.png", "curves_1.pdf", "curves_1.png", "curves_2.pdf",
        "curves_2.png",
    ]  # fmt: skip
    for one, other in zip(first, second, strict=True):
        assert one.read_bytes() == other.read_bytes()
    for path in first:
        if path.suffix == ".pdf":
            assert b"Date" not in path.read_bytes()
            assert b"/TrueType" in path.read_bytes() or b"/CIDFontType2" in path.read_bytes()  # letters stay letters


def test_files_are_the_same_in_another_process(tmp_path: Path) -> None:
    """Hashes of names differ from process to process; the figures must not."""
    script = (
        "import sys; from pathlib import Path; from tests.reporting.test_paper import write_small;"
        "write_small(Path(sys.argv[1]))"
    )
    write_small(tmp_path / "here")
    environment = {**os.environ, "PYTHONHASHSEED": "7"}
    subprocess.run([sys.executable, "-c", script, str(tmp_path / "there")], check=True, env=environment)
    for path in (tmp_path / "here").iterdir():
        assert path.read_bytes() == (tmp_path / "there" / path.name).read_bytes()


def write_small(folder: Path) -> None:
    """Writes what a run of four frames gives."""
    small = plausible.finished(4, ("LIME", "RISE"))
    paper.write_paper_files(folder, small, plausible.headlines(small))


def test_the_ranking_shows_what_is_certain(tmp_path: Path) -> None:
    """A dot for each method: filled and blue where certain."""
    lines = tuple(
        HeadlineLine(n, Estimate(s, s - 0.1, s + 0.1), is_significant=s > 0.3) for n, s in (("a", 0.5), ("b", 0.1))
    )
    figure = paper.ranking(found(lines, trusted=("a",)))
    (axes,) = figure.axes
    dots = [line for line in axes.lines if line.get_marker() == "o"]
    assert [dot.get_xdata()[0] for dot in dots] == [0.5, 0.1]
    assert [dot.get_markerfacecolor() == dot.get_markeredgecolor() for dot in dots] == [True, False]
    assert [dot.get_markeredgecolor() == BLUE for dot in dots] == [True, False]
    assert [line.get_xdata()[0] for line in axes.lines if line.get_marker() == "s"] == [0.3]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["a", "face-centre", "b"]


def found(lines: tuple[HeadlineLine, ...], trusted: tuple[str, ...] = ()) -> Answer:
    """An answer with these lines and one baseline."""
    centre = (
        HeadlineLine("face-centre", Estimate(0.3, 0.1, 0.5), drop=Estimate(0.4, 0.2, 0.6), survives=lines[0].survives),
    )
    trust = {line.method: Trust(line.method, 0.01 if line.method in trusted else 0.5) for line in lines}
    return Answer((Headline(Condition("nes"), lines, centre, videos=9, needed=3),), trust)


SURVIVING = {
    "jpeg75": SurvivingFlips(Estimate(0.25, 0.03, 0.65, 8, 8), 8, 2),
    "half": SurvivingFlips(Estimate(), 0, 0),
}


def test_what_flips_outlive_stands_beside_the_flip_rate() -> None:
    line = HeadlineLine("LIME", Estimate(0.5, 0.4, 0.6), flip_rate=Estimate(0.4, 0.2, 0.6), survives=SURVIVING)
    headline = Headline(Condition("nes"), (line,))
    text = latex(found((line,)))
    assert r"\begin{tabular}{lrrrrr}" in text
    assert r"Drop & Flipped & jpeg75 & half \\" in text
    assert r"$40$ $[20, 60]$ & $25$ $[3, 65]$ of $8$ & -- \\" in text
    assert "jpeg75 and half: the share of flips" in text
    row = paper.summary_table([headline]).iloc[0]
    assert (row["survives_jpeg75_share"], row["survives_jpeg75_share_low"]) == (0.25, 0.03)
    assert (row["survives_jpeg75_flips"], row["survives_jpeg75_survived"], row["survives_half_flips"]) == (8, 2, 0)
    assert "By flips" not in text
    without = latex(found((replace(line, survives={}, flips=Estimate(0.5)),)))
    assert r"\begin{tabular}{lrrrr}" in without
    assert r"Explanation & Score & By flips & Drop & Flipped \\" in without
    assert "share of flips" not in without


def test_the_summary_holds_every_line(run: FinishedRun) -> None:
    headlines = plausible.headlines(run)
    table = paper.summary_table(headlines)
    assert len(table) == sum(len(each.lines) + len(each.baselines) for each in headlines)
    first = headlines[0].ranked[0]
    row = table.iloc[0]
    assert (row["attack"], row["family"], row["method"]) == ("nes", "", first.method)
    assert (row["score"], row["score_low"], row["score_high"]) == (first.score.value, first.score.low, first.score.high)
    assert set(table["verdict"]) <= {
        "trust most", "trust; highest score", "trust; not told apart from the highest", "trust, but surpassed",
        "beats random; not shown to beat face-centre", "beats random; not shown jointly", "beats random under nes only",
        "not shown to beat random",
        "misleads; worse than random", "no score can be given", "baseline: knows nothing of the detector",
    }  # fmt: skip


def test_the_latex_table_is_complete() -> None:
    lines = (
        HeadlineLine("LIME_adv", Estimate(0.71, 0.62, 0.79), is_significant=True, frames=9, videos=3),
        HeadlineLine("RISE", Estimate(-0.04, -0.2, 0.1), frames=9, videos=3),
    )
    text = latex(found(lines, trusted=("LIME_adv",)))
    assert r"\textbf{LIME\_adv}$^{*}$ & $71$ $[62, 79]$ & -- & -- \\" in text
    assert r"RISE & $-4$ $[-20, 10]$ & -- & -- \\" in text
    assert r"face-centre & $30$ $[10, 50]$ & $0.40$ $[0.20, 0.60]$ & -- \\" in text
    assert text.count(r"\begin{") == text.count(r"\end{") == 2
    assert [text.count(rule) for rule in (r"\toprule", r"\midrule", r"\bottomrule")] == [1, 2, 1]


def table_of(*lines: HeadlineLine) -> tuple[str, str]:
    """The LaTeX table of some lines, those that differ from 0 trusted, and its caption."""
    trust = {line.method: Trust(line.method, 0.01 if line.is_significant else 0.5) for line in lines}
    text = latex(Answer((Headline(Condition("nes"), lines, videos=9, needed=3),), trust, (), 3))
    (caption,) = [line for line in text.splitlines() if line.startswith(r"\caption")]
    return text, caption


def test_the_latex_caption_speaks_of_what_its_table_holds() -> None:
    drop = Estimate(0.2, 0.1, 0.3)
    certain = HeadlineLine("A", Estimate(0.7, 0.6, 0.8), drop=drop, is_significant=True, frames=9, videos=9)
    unsure = HeadlineLine("B", Estimate(0.1, -0.2, 0.3), drop=drop, frames=9, videos=9, stability=0.4)
    alone = HeadlineLine("C", Estimate(0.4), drop=Estimate(0.2), frames=4, videos=1)
    nothing = HeadlineLine("D", Estimate(), drop=Estimate(0.2), frames=4, videos=1)
    said = {"Score (", "differs from 0", "old: to be trusted", "bootstrap", "ame on a re-run: "}
    scale, star, bold, spread, again = (
        "Score (",
        "differs from 0",
        "old: to be trusted",
        "bootstrap",
        "ame on a re-run: ",
    )
    for lines, there in (
        ((certain, unsure), {scale, star, bold, spread, again}),
        ((unsure,), {scale, spread, again}),
        ((alone,), {scale}),
        ((nothing,), set()),
        ((), set()),
    ):
        text, caption = table_of(*lines)
        assert {each for each in said if each in caption} == there
        assert (r"\textbf" in text) == (bold in there)
        assert ("$^{*}$ &" in text) == (star in there)
        assert (r"& Same on a re-run \\" in text) == (again in there)
        assert caption.endswith(".}")
    assert "Attack nes, n = 4 frames from 1 video." in table_of(nothing)[1]


def test_the_latex_caption_names_no_fill_of_methods_that_the_table_lacks(run: FinishedRun) -> None:
    assert words.adversarial_fill(run.rows, run.frames, ["LIME_adv", "RISE"])
    assert words.adversarial_fill(run.rows, run.frames, ["LIME", "RISE"]) == ""


def test_the_latex_caption_says_on_what_share_a_fill_is_adversarial(run: FinishedRun, tmp_path: Path) -> None:
    said = words.adversarial_fill(run.rows, run.frames)
    assert "flips the verdict on" in said
    paper.write_paper_files(tmp_path, run, plausible.headlines(run))
    (caption,) = [line for line in (tmp_path / "headline.tex").read_text().splitlines() if r"\caption" in line]
    assert caption.endswith(escape(said) + "}")
    assert r"(" in caption
    assert " %" not in caption.replace(r"\%", "")


def test_hostile_names_are_plain_text_in_latex() -> None:
    line = HeadlineLine(HOSTILE, Estimate(0.5))
    text = latex(Answer((Headline(Condition(HOSTILE), (line,)),), {HOSTILE: Trust(HOSTILE)}))
    assert r"\input{" not in text
    assert r"\textbackslash{}input\{/etc/passwd\}" in text
    assert r"100\% \#1" in text
    assert escape("a_b & c\x00\u202e") == r"a\_b \& c"
    body = text.split(r"\midrule")[1].split(r"\bottomrule")[0]
    assert body.count("&") - body.count(r"\&") == 3  # the columns, and no more
    assert len(body.strip().splitlines()) == 1


def test_hostile_names_are_drawn_as_they_are(run: FinishedRun, tmp_path: Path) -> None:
    rows = run.rows.assign(method=run.rows["method"].replace("LIME", HOSTILE))
    headline = Headline(Condition("nes"), (HeadlineLine(HOSTILE, Estimate(0.5, 0.4, 0.6)),))
    files = paper.write_paper_files(tmp_path, replace(run, rows=rows), [headline])
    figure = paper.curves(rows, "nes")
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert " ".join(HOSTILE.split()) in [label.strip() for label in labels]
    with Image.open(next(path for path in files if path.name == "ranking.png")) as picture:
        assert np.asarray(picture.convert("L")).min() < 50


@pytest.mark.parametrize("score", [Estimate(0.5, 0.4, 0.6), Estimate()])
def test_all_words_of_a_ranking_are_inside_it_and_an_empty_one_says_so(score: Estimate) -> None:
    lines = tuple(HeadlineLine(name, score) for name in ("SOBOL_adv", "LIME"))
    trust = {line.method: Trust(line.method) for line in lines}
    figure = paper.ranking(Answer((Headline(Condition("nes"), lines),), trust))
    figure.savefig(io.BytesIO())
    (axes,) = figure.axes
    says = [text.get_text() for text in axes.texts]
    assert says == ([] if score.value == score.value else ["no score can be given"])
    for text in (axes.xaxis.label, *axes.texts, *axes.get_xticklabels(), *axes.get_yticklabels()):
        extent = text.get_window_extent()
        assert 0 <= extent.x0 <= extent.x1 <= figure.bbox.width
        assert 0 <= extent.y0 <= extent.y1 <= figure.bbox.height


def test_a_summary_is_read_back_as_it_was(run: FinishedRun, tmp_path: Path) -> None:
    paper.write_paper_files(tmp_path, run, plausible.headlines(run))
    table = pd.read_csv(tmp_path / "summary.csv", keep_default_na=False)
    assert table["score"].tolist() == paper.summary_table(plausible.headlines(run))["score"].tolist()
