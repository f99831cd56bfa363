"""The report as a file: whole, self-contained, the same every time, and safe with any name."""

import base64
import hashlib
import itertools
import re
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest

from analysis.headline import Condition, Headline
from reporting.page.cards import cards
from reporting.page.write import flat_configuration, render_page, write_page
from runs.finished_run import FinishedRun
from runs.gallery import sprites
from runs.gallery.sprites import figure_file, sprite_file
from tests.reporting.page import plausible

METHODS = ("LIME", "LIME_adv", "RISE")
HOSTILE = '</script><script>window.hacked=1</script>"\'><img src=x onerror="window.hacked=1">{{7*7}}'


class Elements(HTMLParser):
    """Every element of a page with its attributes, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attributes)))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def of(self, tag: str) -> Iterator[dict[str, str | None]]:
        return (attributes for name, attributes in self.found if name == tag)


@pytest.fixture(scope="module")
def run() -> FinishedRun:
    return plausible.finished(12, METHODS)


@pytest.fixture(scope="module")
def folder(run: FinishedRun, tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("run")
    plausible.fill_gallery(made, run, 5, METHODS)
    return made


@pytest.fixture(scope="module")
def page(run: FinishedRun, folder: Path) -> str:
    return write_page(folder, run, plausible.headlines(run), notes=["Few videos."]).read_text("utf-8")


def test_nothing_is_fetched_and_only_our_script_and_style_run(page: str) -> None:
    elements = Elements(page)
    for tag, attributes in elements.found:
        assert tag not in ("link", "iframe", "object", "embed", "base")
        assert "src" not in attributes
        assert not [name for name in attributes if name.startswith("on") or name == "style"]
        assert re.fullmatch(r"#[\w-]+|figures/[\w.-]+\.webp", attributes.get("href") or "#x")
    assert [each for each in elements.of("script") if each.get("type") != "application/octet-stream"] == [{}]
    (policy,) = [each["content"] for each in elements.of("meta") if each.get("http-equiv") == "Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; img-src blob:; ")
    assert "unsafe" not in policy
    for tag in ("style", "script"):
        (text,) = re.findall(rf"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy


def test_the_answer_comes_first(page: str) -> None:
    elements = Elements(page)
    assert page.index("<h1") < page.index("<h2")
    question, curves = "Which explanation of this detector can be trusted?", "How far verdicts fall"
    assert elements.texts.index(question) < elements.texts.index(curves)
    assert "Few videos." in page


def test_it_is_built_for_keyboard_and_screen_reader(page: str) -> None:
    elements = Elements(page)
    tags = [tag for tag, _ in elements.found]
    assert (tags.count("main"), tags.count("h1"), tags.count("header"), tags.count("footer")) == (1, 1, 1, 1)
    assert next(elements.of("html"))["lang"] == "en"
    ids = [attributes["id"] for _, attributes in elements.found if "id" in attributes]
    assert len(ids) == len(set(ids))
    for tag, attributes in elements.found:
        for each in (attributes.get("aria-labelledby") or "").split():
            assert each in ids
        if (attributes.get("href") or "").startswith("#"):
            assert attributes["href"][1:] in ids
        if tag == "img":
            assert attributes["alt"]
        if tag == "svg":
            assert attributes.get("aria-hidden") == "true" or attributes.get("role") == "img"
    assert tags.count("caption") == tags.count("table")
    levels = [int(tag[1]) for tag in tags if re.fullmatch("h[1-6]", tag)]
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))


def test_the_same_run_gives_the_same_bytes(run: FinishedRun, folder: Path, page: str) -> None:
    again = write_page(folder, run, plausible.headlines(run), notes=["Few videos."])
    assert again.read_text("utf-8") == page


def test_cards_are_of_the_frames_with_albums(run: FinishedRun, folder: Path) -> None:
    made = cards(run.rows, folder)
    keys = run.rows["key"].drop_duplicates().tolist()
    assert [card.key for card in made] == keys[:5]
    for card in made:
        assert (folder / card.figure).is_file()
        assert base64.b64decode(card.sprite)[8:12] == b"WEBP"
        assert [each.method for each in card.judged] == list(METHODS)
        places = [picture.index for each in (*card.judged,) for picture in each.pictures]
        assert places == [2, 3, 4, 5, 6, 7]


def test_five_hundred_frames_take_less_than_40_megabytes(run: FinishedRun, folder: Path) -> None:
    """With eight methods, and every sprite as large as it may be."""
    card = cards(run.rows, folder)[0]
    judged = tuple(replace(each, number=number) for number in range(8) for each in card.judged[:1])
    largest = replace(card, judged=judged, sprite="A" * (sprites.SPRITE * 4 // 3))
    text = render_page(
        run, plausible.headlines(run), [replace(largest, key=f"{card.key}{n}") for n in range(sprites.MOST)]
    )
    assert text.count("<article") == 500
    assert len(text.encode()) < 40_000_000


def test_outcomes_are_those_of_the_rows(run: FinishedRun, folder: Path) -> None:
    rows = run.rows.copy()
    first, second, third, fourth = rows["key"].drop_duplicates().tolist()[:4]
    rows["flipped_to_real"] = rows["method"] == "whole"
    rows.loc[rows["key"] == first, "predicted"] = "Real"
    rows.loc[(rows["key"] == second) & (rows["method"] == "whole"), "flipped_to_real"] = False
    rows.loc[rows["key"].isin([second, third, fourth]), "predicted"] = "Deepfakes"
    rows.loc[(rows["key"] == third) & (rows["method"] == "RISE") & (rows["depth"] == "3"), "flipped_to_real"] = True
    known = [(second, "v", "F", "F", 0, "s", False), (third, "v", "F", "F", 0, "s", True)]
    lines = pd.DataFrame(known, columns=["key", "video", "family", "predicted", "seed", "segmentation", "attackable"])
    assert {card.outcome for card in cards(rows, folder)} == {"real", "flipped", "stood"}
    found = {card.key: card for card in cards(rows, folder, lines)}
    outcomes = [found[key].outcome for key in (first, second, third, fourth)]
    assert outcomes == ["real", "unattackable", "flipped", "stood"]
    assert {each.method: each.words for each in found[third].judged} == {
        "LIME": "stands", "LIME_adv": "stands", "RISE": "flips with 3 regions"}  # fmt: skip


def test_a_damaged_album_leaves_its_frame_out_with_a_warning(
    run: FinishedRun, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    keys = run.rows["key"].drop_duplicates().tolist()[:2]
    for key in keys:
        target = sprite_file(tmp_path, key)
        target.parent.mkdir(exist_ok=True)
        target.write_bytes(sprite_file(folder, key).read_bytes()[: 100 if key == keys[0] else None])
    figure = figure_file(tmp_path, keys[1])
    figure.parent.mkdir()
    for content, link in ((b"another", ""), (figure_file(folder, keys[1]).read_bytes(), f"figures/{figure.name}")):
        figure.write_bytes(content)
        assert [(card.key, card.figure) for card in cards(run.rows, tmp_path)] == [(keys[1], link)]
        told = capsys.readouterr().err
        assert "leaves the frame out" in told
        assert ("the report does not show it" in told) == (not link)
    assert "full-size figure" in write_page(tmp_path, run, plausible.headlines(run)).read_text("utf-8")
    sprite_file(tmp_path, keys[1]).rename(tmp_path / "elsewhere")
    assert cards(run.rows, tmp_path) == ()
    assert f"has lost the pictures of 1 frame, as of {keys[1]}, whose figures are" in capsys.readouterr().err
    (tmp_path / "elsewhere").rename(sprite_file(tmp_path, keys[1]))
    figure.unlink()
    assert "full-size figure" not in write_page(tmp_path, run, plausible.headlines(run)).read_text("utf-8")


def test_any_name_stays_text(tmp_path: Path) -> None:
    methods = (f"LIME{HOSTILE}", f"own:{HOSTILE}_adv")
    run = plausible.finished(8, methods, names=(f"FaceSwap{HOSTILE}", "Deepfakes\u202e"), prefix=HOSTILE)
    failures, configuration = {f"half a pair \udcff {HOSTILE}": HOSTILE}, {"detector": {"name": HOSTILE}}
    run = replace(run, failures=failures, configuration=configuration)
    plausible.fill_gallery(tmp_path, run, 3, methods)
    text = write_page(tmp_path, run, plausible.headlines(run), notes=[HOSTILE]).read_text("utf-8")
    elements = Elements(text)
    assert not [tag for tag, attributes in elements.found if attributes.get("src") or "onerror" in attributes]
    assert [each for each in elements.of("script") if each.get("type") != "application/octet-stream"] == [{}]
    assert text.count("window.hacked=1") == text.count("window.hacked=1&lt;/script") * 2  # each name holds it twice
    assert "{{7*7}}" in text
    assert r"Deepfakes\u202e" in text
    assert r"half a pair \udcff" in text
    assert {mark for mark in text if not mark.isprintable()} == {"\n"}
    assert len(cards(run.rows, tmp_path)) == 3


def test_a_run_with_the_least_there_is(run: FinishedRun) -> None:
    """One attack, one method, no family, no graded scores, metrics, costs, masks or pictures."""
    rows = plausible.rows(plausible.keys(4), ("LIME",), ("nes",)).assign(family=None, mask_precision=float("nan"))
    rows = rows[(rows["epsilon"] == 16 / 255) & rows["method"].isin(["LIME", "random-area"])]
    text = render_page(FinishedRun(rows), plausible.headlines(replace(run, rows=rows), ("nes",)))
    for absent in ('id="effort"', 'id="cost"', 'id="localisation"', 'id="metrics"', "over budget"):
        assert absent not in text
    for present in ("Every frame could be scored.", "No pictures of frames were kept for this run."):
        assert present in text


def test_maps_that_do_not_add_up_are_counted(run: FinishedRun) -> None:
    rows = run.rows.copy()
    rows.loc[rows["method"] == "RISE", "completeness_error"] = 0.5
    text = render_page(replace(run, rows=rows), plausible.headlines(run))
    assert re.search(
        r"<li><bdi>How far the sum of a map is .*: RISE 50 %, beyond 5 % on (\d+) of \1 frames\.</bdi>", text
    )
    assert "How far the sum of a map" not in render_page(run, plausible.headlines(run))


def test_what_nothing_flips_is_told_apart_from_what_one_attack_does_not_flip(run: FinishedRun) -> None:
    rows, lines = run.rows.copy(), run.frames.copy()
    fakes = rows.loc[rows["predicted"] != "Real", "key"].drop_duplicates().tolist()
    whole, main = rows["method"] == "whole", rows["epsilon"] == 16 / 255
    rows["flipped_to_real"] = whole & (rows["predicted"] != "Real")
    rows.loc[rows["key"].isin(fakes[:3]), "flipped_to_real"] = False
    rows.loc[(rows["key"] == fakes[2]) & (rows["method"] == "RISE") & main, "flipped_to_real"] = True
    lines["attackable"] = pd.array(lines["key"] != fakes[0], dtype="boolean")
    headlines = plausible.headlines(run)
    text = render_page(replace(run, rows=rows, frames=lines), headlines)
    assert "1 frame unattackable: nothing in this run flips the verdict, though at least 2 different attacks" in text
    for attack in ("nes", "pgd"):
        assert f"1 frame not flipped by <bdi>{attack}</bdi> anywhere, not even as a whole</summary>" in text
        assert f"1 frame flipped by <bdi>{attack}</bdi> in some region but not as a whole: there the whole" in text
    one = replace(run, rows=rows[rows["attack"] == "nes"], frames=lines.assign(attackable=pd.NA, whole_attacks=1))
    text = render_page(one, plausible.headlines(one, ("nes",)))
    assert "2 frames not flipped by <bdi>nes</bdi> anywhere, not even as a whole; a second attack would tell" in text
    assert "unattackable:" not in text


def test_a_fill_is_called_adversarial_only_with_its_share(run: FinishedRun) -> None:
    flags = run.frames["adversarial_flipped"].dropna()
    share = f"flips the verdict on {int(flags.sum())} of {len(flags)} frames ({100 * flags.mean():.0f} %)"
    assert 0 < flags.sum() < len(flags)
    headlines = plausible.headlines(run)
    assert render_page(run, headlines).count(f"{share}; on the others the fill is noise that is not adversarial.") == 2
    text = render_page(replace(run, frames=run.frames.assign(adversarial_flipped=pd.NA)), headlines)
    assert "It is not known on how many frames the adversarial image flips the verdict." in text
    plain = replace(run, rows=run.rows[run.rows["fill"] != "adversarial"])
    assert "adversarial image flips" not in render_page(plain, headlines)


def test_curves_have_bands_where_intervals_are_given(run: FinishedRun) -> None:
    headlines = plausible.headlines(run)
    text = render_page(run, headlines, interval=lambda values, videos: (float(values.mean()) - 0.1, 1.0))
    assert text.count('class="band"') > 100
    assert "to see its 95 % intervals" in text
    assert 'class="band"' not in render_page(run, headlines)


def test_a_configuration_is_flat() -> None:
    lines = flat_configuration({"seed": 0, "frames": {"split": None, "count": 3}, "methods": ["LIME", "RISE"]})
    assert lines == [("seed", "0"), ("frames.split", "-"), ("frames.count", "3"), ("methods", "LIME, RISE")]


def test_without_a_headline_there_is_no_report(run: FinishedRun) -> None:
    with pytest.raises(ValueError, match="needs a headline of all frames"):
        render_page(run, [Headline(Condition("nes", "FaceSwap"), ())])


def test_flip_thresholds_of_the_whole_frame_alone_are_no_curves(run: FinishedRun) -> None:
    """As of queries, which are counted on the three best segments, where other depths were attacked."""
    thresholds = run.flip_thresholds
    assert isinstance(thresholds, pd.DataFrame)
    whole = thresholds[thresholds["method"] == "LIME"].assign(method="whole")
    assert "queries" in set(whole["measure"])
    text = render_page(replace(run, flip_thresholds=whole), plausible.headlines(run))
    assert "Queries needed" not in text
