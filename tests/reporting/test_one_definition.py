"""Drop, flip rate and n are the same in every product of a run: terminal, report, CSV and LaTeX are compared."""

import re
from pathlib import Path

import pandas as pd
import pytest

from analysis import score_subsets
from analysis.attackable_frames import first_flip
from analysis.grids import controls
from analysis.method_ranking import rank_methods
from analysis.summary import summarise_methods
from analysis.trust import answer
from common.console import console
from data.frames import SHORT_NAMES
from reporting import answer_words, flip_rate_figure
from reporting.latex_table import escape
from reporting.page.write import write_page
from reporting.paper import write_paper_files
from reporting.products import RunResults
from reporting.tables import published, write_tables
from reporting.terminal import show_results
from runs.score_table import as_score_table
from tests.reporting.page import plausible

METHODS = ("LIME", "LIME_adv")
BASELINES = ("face-centre", "edges")


@pytest.fixture(scope="module")
def products(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, pd.DataFrame, str]:
    """A run's folder, what its terminal said, its rows, and the answer; nothing flips one of its frames."""
    folder = tmp_path_factory.mktemp("run")
    run = plausible.finished(48, METHODS)
    rows, lines = run.rows[run.rows["epsilon"] == plausible.MAIN].copy(), run.frames.copy()
    extra = rows[(rows["method"] == "random-area") & (rows["of"] == "LIME")]
    rows = pd.concat([rows, *(extra.assign(of=name) for name in BASELINES)], ignore_index=True)
    key = rows.loc[rows["predicted"] != "Real", "key"].iloc[0]
    rows.loc[rows["key"] == key, ["flipped_to_real", "drop"]] = [False, 0.0]
    lines["attackable"] = pd.array(lines["key"] != key, dtype="boolean")
    scores = as_score_table(rows)
    summary, headlines = summarise_methods(scores), rank_methods(scores, 0)
    content = plausible.FinishedRun(scores, configuration=run.configuration, frames=lines)
    files = write_tables(folder, "All", scores, summary)
    files += [write_page(folder, content, headlines), *write_paper_files(folder, content, headlines)]
    empty = as_score_table(rows.iloc[:0])
    results = RunResults(scores, empty, empty, summary, headlines, {}, tuple(files))
    with console.capture() as text:
        show_results(results, 0, folder)
    return folder, text.get(), rows, answer_words.sentence(answer(headlines))


Products = tuple[Path, str, pd.DataFrame, str]


def truth(rows: pd.DataFrame, attack: str, method: str) -> tuple[float, float]:
    """The drop and the flip rate by their definition, of all frames called fake."""
    chosen = rows[(rows["attack"] == attack) & (rows["method"] == method) & rows["depth"].isin(["1", "2", "3"])]
    chosen = chosen[chosen["predicted"] != "Real"]
    return chosen["drop"].mean(), chosen["flipped_to_real"].mean()


def test_the_answer_is_the_same_sentence_everywhere(products: Products) -> None:
    folder, said, _, sentence = products
    assert " ".join(said.split()).startswith(sentence)
    assert f">{sentence}</h1>" in (folder / "report.html").read_text()
    assert escape(sentence) in (folder / "headline.tex").read_text()


@pytest.mark.parametrize("attack", ["nes", "pgd"])
@pytest.mark.parametrize("method", [*METHODS, *BASELINES])
def test_drop_and_flip_rate_are_the_same_in_the_tables(products: Products, attack: str, method: str) -> None:
    folder, _, rows, _ = products
    drop, flipped = truth(rows, attack, method)
    long = pd.read_csv(folder / "summary_All.csv").query("attack == @attack and method == @method and top == 'mean'")
    short = pd.read_csv(folder / "summary.csv", keep_default_na=False).query(
        "attack == @attack and method == @method and family == ''"
    )
    n = rows.loc[rows["predicted"] != "Real", "key"].nunique()
    for table in (long, short):
        assert len(table) == 1
        assert (float(table["drop"].iloc[0]), float(table["flip_rate"].iloc[0])) == pytest.approx((drop, flipped))
        assert int(table["frames"].iloc[0]) == n


@pytest.mark.parametrize("method", [*METHODS, *BASELINES])
def test_drop_flip_rate_and_score_are_the_same_in_what_is_read(products: Products, method: str) -> None:
    folder, said, rows, _ = products
    drop, flipped = truth(rows, "nes", method)
    table = pd.read_csv(folder / "summary.csv", keep_default_na=False)
    score = float(table.query("attack == 'nes' and family == '' and method == @method")["score"].iloc[0])
    shown = f"{drop:.2f}", f"{100 * flipped:.0f}", f"{100 * score:.0f}"
    (terminal,) = [re.split(r"[│|]", line)[1:-1] for line in _first_table(said) if re.search(rf"[│|] {method} ", line)]
    assert (terminal[-3].strip(), terminal[-4].strip(), re.split(r"[ \\[*]", terminal[1].strip())[0]) == shown
    (latex,) = [
        line.split(" & ") for line in (folder / "headline.tex").read_text().splitlines()
        if re.match(rf"(\\textbf{{)?{re.escape(escape(method))}[}}$ ]", line)
    ]  # fmt: skip
    assert (latex[-2].split("$")[1], latex[-1].split("$")[1], latex[1].split("$")[1]) == shown
    page = (folder / "report.html").read_text()
    (row,) = re.findall(rf"<tr role=\"row\".*?<bdi>{method}</bdi>.*?</tr>", page.partition("</table>")[0], re.DOTALL)[
        -1:
    ]
    cells = [float(value) for value in re.findall(r'data-v="([^"]*)"', row.rpartition("<bdi>")[2])]
    assert (cells[0], cells[-4], cells[-3]) == pytest.approx((score, drop, flipped))
    (control,) = re.findall(
        rf"<th scope=\"row\">[^\n]*\n?<bdi>{method}</bdi>\s*</th>(.*?)</tr>", _controls(page), re.DOTALL
    )
    area, rate, mean = (float(value) for value in re.findall(r'data-v="([^"]*)"', control)[:3])
    assert (rate, mean) == pytest.approx((flipped, drop))
    assert area > 0


def test_how_many_frames_stands_beside_the_numbers(products: Products) -> None:
    folder, said, rows, _ = products
    fakes = rows[rows["predicted"] != "Real"]
    n = f"n = {fakes['key'].nunique()} frames from {fakes['video'].nunique()} videos"
    assert n in " ".join(said.split())
    assert n in (folder / "headline.tex").read_text()
    assert n in (folder / "report.html").read_text()


def _first_table(said: str) -> list[str]:
    """The lines of the table of the first attack."""
    return said.partition("Attack pgd on the best")[0].splitlines()


def _controls(page: str) -> str:
    return page.partition('id="controls"')[2].partition("</section>")[0]


def told(folder: Path, run: plausible.FinishedRun, rows: pd.DataFrame) -> tuple[str, str]:
    """What the terminal and the page say of a run with these rows; the files of a paper are in the folder."""
    scores, empty = as_score_table(rows), as_score_table(rows.iloc[:0])
    summary, headlines = summarise_methods(scores), rank_methods(scores, 0)
    content = plausible.FinishedRun(scores, configuration=run.configuration, frames=run.frames)
    page = write_page(folder, content, headlines).read_text()
    write_paper_files(folder, content, headlines)
    with console.capture() as text:
        show_results(RunResults(scores, empty, empty, summary, headlines, {}, ()), 0, folder)
    return " ".join(text.get().split()), page


def test_where_nothing_flips_every_product_says_that_the_share_is_unknown(tmp_path: Path) -> None:
    run = plausible.finished(24, METHODS)
    rows = run.rows[run.rows["epsilon"] == plausible.MAIN].assign(flipped_to_real=False)
    said, page = told(tmp_path, run, rows)
    assert "Nothing that was attacked flips a verdict under nes" in said
    assert "nothing that was attacked flips a verdict" in page
    assert "of what the best possible regions do to the verdict" not in said + page
    assert pd.read_csv(tmp_path / "summary.csv")[["score", "flips"]].isna().all(axis=None)
    assert r"LIME & -- &" in (tmp_path / "headline.tex").read_text()


def test_where_seeds_and_budgets_are_missing_on_some_frames_all_products_agree(tmp_path: Path) -> None:
    """A method fails at the second seed of every other frame: each frame still weighs the same."""
    run = plausible.finished(24, METHODS)
    rows = run.rows[run.rows["epsilon"] == plausible.MAIN]
    keys = sorted(rows["key"].unique())[::2]
    again = rows.assign(seed=1, drop=rows["drop"] / 2)
    rows = pd.concat([rows, again[~((again["method"] == "LIME") & again["key"].isin(keys))]], ignore_index=True)
    scores = as_score_table(rows)
    long = summarise_methods(scores).of("nes", "mean")
    for name, cells in controls(score_subsets.under(scores, "nes")).lines:
        assert cells[2].value == pytest.approx(long[name].drop.value)
        assert cells[0].value == pytest.approx(long[name].area)
    fakes = rows[(rows["attack"] == "nes") & (rows["predicted"] != "Real") & (rows["method"] == "LIME")]
    first = published(scores.with_columns(scores.columns["attack"] == "nes")).loc["LIME"]
    for short, family in SHORT_NAMES.items():
        part = fakes[(fakes["family"] == family) & (fakes["depth"] == "1")].groupby("key")["drop"].mean()
        assert first[f"Sufficiency {short} Top 1"] == pytest.approx(part.mean(), abs=5e-4, nan_ok=True)


@pytest.mark.parametrize("depths", [("2", "4", "10"), ("5%", "30%"), ("1", "12", "15%")])
def test_whatever_the_depths_the_tables_are_of_those_that_are_averaged(depths: tuple[str, ...]) -> None:
    run = plausible.finished(12, METHODS)
    rows = run.rows[(run.rows["epsilon"] == plausible.MAIN) & run.rows["depth"].isin(["1", "2", "3", "all"])]
    names = dict(zip(("1", "2", "3"), depths, strict=False))
    rows = rows[rows["depth"].isin([*names, "all"])].assign(
        depth=lambda rows: rows["depth"].map({**names, "all": "all"})
    )
    scores = as_score_table(rows)
    wanted = tuple(depth for depth in depths if "%" not in depth) or depths
    assert score_subsets.averaged(scores) == wanted
    long = summarise_methods(scores).of("nes", "mean")
    for name, cells in controls(score_subsets.under(scores, "nes")).lines:
        assert (cells[1].value, cells[2].value) == pytest.approx((long[name].flip_rate.value, long[name].drop.value))
    fakes = rows[(rows["attack"] == "nes") & (rows["predicted"] != "Real") & rows["depth"].isin(wanted)]
    flips = fakes[(fakes["method"] == "LIME") & fakes["flipped_to_real"].astype(bool)]
    first = flips.assign(place=flips["depth"].map(wanted.index)).groupby("key")["place"].min()
    found = first_flip(scores, "nes")
    for key in fakes["key"].unique():
        assert found[key, "LIME"] == (wanted[first[key]] if key in first else "")


def test_a_row_of_fewer_frames_says_so_in_every_product(tmp_path: Path) -> None:
    """LIME failed on every other frame, and comes first; masks are known on a third."""
    run = plausible.finished(24, METHODS)
    rows = run.rows[run.rows["epsilon"] == plausible.MAIN]
    keys = sorted(rows["key"].unique())
    rows = rows[~((rows["method"] == "LIME") & rows["key"].isin(keys[::2]))]
    rows = rows[~((rows["method"] == "mask") & ~rows["key"].isin(keys[::3]))]
    summary = summarise_methods(as_score_table(rows))
    line, mask = (summary.of("nes", "mean")[name] for name in ("LIME", "mask"))
    whole = max(each.frames for each in summary.of("nes", "mean").values())
    classed = max(each.accuracy_frames for each in summary.of("nes", "mean").values())
    assert line.frames < whole
    said, page = told(tmp_path, run, rows)
    assert f"n = {whole} frames" in said
    assert f"LIME (drop and flips of {line.frames} of {whole}, accuracy of {line.accuracy_frames} of {classed})" in said
    assert f"mask (drop and flips of {mask.frames} of {whole}, accuracy of {mask.accuracy_frames} of {classed})" in said
    assert f"LIME (drop and flips of {line.frames} of {whole})." in (tmp_path / "headline.tex").read_text()
    assert f'<span class="dim">of {line.frames} frames</span>' in page
    assert flip_rate_figure.caption(summary).splitlines()[1].startswith(f"{whole} frames from ")
