"""The report in a real browser: no error, no request, every picture loads, sorting, filtering and the keyboard work."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from reporting.page.write import write_page
from tests.reporting.page import plausible
from tests.reporting.page.test_page import HOSTILE

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

BROWSERS = ("chromium", "google-chrome")
QUIET = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip
FOREST = "#answer > .scroll table.forest"
PATIENCE = 120_000  # milliseconds, on a machine that has other things to do
METHODS = ("LIME", "LIME_adv", "SHAP", "RISE")
FRAMES = 24

FOCUSED = """(() => {
  const e = document.activeElement, within = e.closest("table, form, .legend, .card, details");
  return e === document.body ? "" : e.id || e.name || within?.className || e.tagName;
})()"""

Open = Callable[..., "Page"]


@pytest.fixture(scope="module")
def browser() -> Iterator["Browser"]:
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    found = next((path for path in map(shutil.which, BROWSERS) if path), None)
    if found is None:
        pytest.skip(f"none of {', '.join(BROWSERS)} is installed (apt-get install chromium): the report is not opened")
    with api.sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=found, args=list(QUIET))
        yield running
        running.close()


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    run = plausible.finished(FRAMES, METHODS)
    plausible.fill_gallery(folder, run, FRAMES, METHODS)
    return write_page(folder, run, plausible.headlines(run))


@pytest.fixture
def opened(browser: "Browser") -> Iterator[Open]:
    """Opens a page and, when the test is over, checks that nothing went wrong and nothing left the machine."""
    wrong: list[str] = []
    pages = []

    def open_page(path: Path, width: int = 1280, **settings: str) -> "Page":
        page = browser.new_page(viewport={"width": width, "height": 900}, **settings)
        page.on("console", lambda message: wrong.append(f"console: {message.text}"))
        page.on("pageerror", lambda error: wrong.append(f"error: {error}"))
        page.on("requestfailed", lambda request: wrong.append(f"failed: {request.url[:99]}"))
        page.on("dialog", lambda dialog: wrong.append("dialog"))
        page.on("request", lambda request: _check(request.url, wrong))
        pages.append(page)
        page.set_default_timeout(PATIENCE)
        page.goto(path.as_uri())
        return page

    yield open_page
    for page in pages:
        page.close()
    assert not wrong


def _check(url: str, wrong: list[str]) -> None:
    if not url.startswith(("file:", "blob:")):
        wrong.append(f"request: {url[:99]}")


def column(page: "Page", table: str, place: int) -> list[str]:
    return page.eval_on_selector_all(
        f"{table} tbody tr", f"rows => rows.map(row => row.cells[{place}].textContent.trim())"
    )


def shown(page: "Page") -> list[str]:
    return page.eval_on_selector_all(".card:not([hidden])", "cards => cards.map(card => card.id)")


def test_it_opens_and_shows_the_answer_on_the_first_screen(opened: Open, report: Path) -> None:
    page = opened(report)
    assert page.locator("h1").is_visible()
    box = page.locator("#answer table").first.bounding_box()
    assert box is not None
    assert box["y"] + box["height"] < 900  # the whole ranking, without scrolling
    assert page.locator("html.js").count() == 1


def wait_until(page: "Page", condition: str, seconds: float = 20.0) -> None:
    """Waits until a condition holds; asked from outside, since the page's policy lets nothing be evaluated inside."""
    for _ in range(int(20 * seconds)):
        if page.evaluate(condition):
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"never so: {condition}")


def test_every_picture_loads(opened: Open, report: Path) -> None:
    page = opened(report)
    assert (
        page.evaluate("document.querySelectorAll('.card img[src]').length") < FRAMES * 10
    )  # only those near the screen
    for number in range(1, FRAMES + 1):
        page.evaluate(f"document.getElementById('f{number}').scrollIntoView()")
        wait_until(
            page,
            f"[...document.querySelectorAll('#f{number} img')].every(each => each.complete && each.naturalWidth > 0)",
        )
    assert page.evaluate("[...document.images].every(each => each.complete && each.naturalWidth > 128)")
    assert page.evaluate("document.images.length") == FRAMES * (2 + 2 * len(METHODS))


def test_each_tile_shows_its_own_part_of_the_sprite(opened: Open, report: Path) -> None:
    page = opened(report)
    page.evaluate("document.getElementById('f1').scrollIntoView()")
    wait_until(page, "[...document.querySelectorAll('#f1 img')].every(each => each.naturalWidth > 0)")
    places = page.eval_on_selector_all("#f1 img", "all => all.map(each => getComputedStyle(each).objectPosition)")
    assert len(places) == len(set(places)) == 2 + 2 * len(METHODS)
    assert places[:2] == ["0px 0px", "-128px 0px"]
    assert places[6] == "0px -128px"


def test_every_full_size_figure_is_there(opened: Open, report: Path) -> None:
    page = opened(report)
    links = page.eval_on_selector_all(".card p a", "all => all.map(each => each.getAttribute('href'))")
    assert len(set(links)) == FRAMES
    assert all((report.parent / link).is_file() for link in links)


def test_tables_sort_both_ways_and_say_so(opened: Open, report: Path) -> None:
    page = opened(report)
    head = page.locator("#answer thead th").nth(2)
    assert head.get_attribute("aria-sort") == "descending"
    best_first = column(page, FOREST, 0)
    head.locator("button").click()
    assert head.get_attribute("aria-sort") == "ascending"
    assert column(page, FOREST, 0) == best_first[::-1]
    head.locator("button").click()
    assert head.get_attribute("aria-sort") == "descending"
    assert column(page, FOREST, 0) == best_first
    page.locator("#answer thead th").nth(0).locator("button").click()
    assert column(page, FOREST, 0) == sorted(best_first, key=str.lower)
    assert head.get_attribute("aria-sort") == "none"


def test_the_gallery_filters_by_family_method_outcome_and_name(opened: Open, report: Path) -> None:
    page = opened(report)
    every = shown(page)
    assert len(every) == FRAMES
    page.select_option("#filters [name=family]", label="FaceSwap")
    ours = shown(page)
    assert 0 < len(ours) < FRAMES
    assert all("/FaceSwap/" in page.locator(f"#{card} h3").text_content() for card in ours)
    assert page.locator("#shown").inner_text() == f"{len(ours)} of {FRAMES} frames"
    page.select_option("#filters [name=family]", label="all")

    page.select_option("#filters [name=method]", label="RISE")
    assert page.locator("#f1 figure[data-m]:not([hidden])").count() == 1
    for outcome, words in (("verdict flipped", "flips with"), ("verdict stood", "stands")):
        page.select_option("#filters [name=outcome]", label=outcome)
        found = shown(page)
        assert found
        for card in found:
            assert words in page.locator(f"#{card} figure[data-m]:not([hidden])").text_content()
    page.select_option("#filters [name=method]", label="all")
    page.select_option("#filters [name=outcome]", label="any")
    page.fill("#filters [name=name]", "00003_0")
    assert shown(page) == ["f4"]


def test_curves_show_one_attack_and_family_at_a_time(opened: Open, report: Path) -> None:
    page = opened(report)
    assert page.locator(".panel:visible").count() == 1
    page.select_option("#pick-attack", label="pgd")
    page.select_option("#pick-family", label="Deepfakes")
    assert page.locator(".panel:visible h3").inner_text().startswith("pgd, Deepfakes")
    page.locator(".legend button", has_text="RISE").click()
    assert page.locator(".panel:visible .chart").first.locator(".series.on").count() == 1
    page.locator(".legend button", has_text="RISE").click()
    assert page.locator(".series.on").count() == 0


def test_dark_and_light(opened: Open, report: Path) -> None:
    def paper(page: "Page") -> int:
        return int(page.evaluate("getComputedStyle(document.body).backgroundColor.match(/\\d+/)[0]"))

    light, dark = opened(report, color_scheme="light"), opened(report, color_scheme="dark")
    assert paper(light) > 200
    assert paper(dark) < 60
    for page, before in ((light, "false"), (dark, "true")):
        assert page.locator("#theme").get_attribute("aria-pressed") == before
        page.locator("#theme").click()
    assert paper(light) < 60
    assert paper(dark) > 200


def test_everything_is_reached_by_keyboard(opened: Open, report: Path) -> None:
    page = opened(report)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "answer"
    reached = set()
    for _ in range(400):
        page.keyboard.press("Tab")
        found = page.evaluate(FOCUSED)
        reached.add(found)
        if found == "card":
            break
    assert {"forest sortable", "pick-attack", "pick-family", "legend", "how", "family", "method", "outcome", "name",
            "card"} <= reached  # fmt: skip
    ring = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert ring == "solid"


def test_enter_sorts_a_table(opened: Open, report: Path) -> None:
    page = opened(report)
    head = page.locator("#answer thead th").nth(3)
    head.locator("button").focus()
    page.keyboard.press("Enter")
    assert head.get_attribute("aria-sort") == "descending"


@pytest.mark.parametrize("width", [360, 768, 1920])
def test_it_fits_every_screen(opened: Open, report: Path, width: int) -> None:
    page = opened(report, width=width)
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_it_prints_in_light_without_the_gallery(opened: Open, report: Path) -> None:
    page = opened(report, color_scheme="dark")
    page.emulate_media(media="print")
    assert not page.locator("#cards").is_visible()
    assert page.locator(".print-only").is_visible()
    assert page.locator("h1").is_visible()
    assert page.locator(".panel:visible").count() == 2  # all manipulations, under each attack
    assert page.pdf(format="A4").startswith(b"%PDF")


def test_names_from_files_run_nothing(opened: Open, tmp_path: Path) -> None:
    methods = (f"LIME{HOSTILE}", f"LIME{HOSTILE}_adv")
    run = plausible.finished(8, methods, names=(f"FaceSwap{HOSTILE}", "Deepfakes"), prefix=HOSTILE)
    run = replace(run, failures={HOSTILE: HOSTILE}, configuration={HOSTILE: HOSTILE, "detector": {"name": HOSTILE}})
    plausible.fill_gallery(tmp_path, run, 2, methods)
    page = opened(write_page(tmp_path, run, plausible.headlines(run), notes=[HOSTILE]))
    page.evaluate("document.getElementById('gallery').scrollIntoView()")
    wait_until(page, "[...document.images].every(each => each.naturalWidth > 0)")
    assert page.evaluate("typeof window.hacked") == "undefined"
    assert page.locator("img[onerror], #answer script").count() == 0
    assert HOSTILE in page.locator("#f1 h3").text_content()
    page.select_option("#filters [name=method]", label=methods[0])
    assert len(shown(page)) == 2


def test_the_policy_stops_what_is_not_ours(browser: "Browser", report: Path) -> None:
    """Even where a script or a picture got into the page, it would not run or load."""
    page = browser.new_page()
    refused: list[str] = []
    page.on("console", lambda message: refused.append(message.text))
    page.goto(report.as_uri())
    page.evaluate(
        "for (const [tag, name, value] of [['script', 'textContent', 'window.hacked = 1'],"
        " ['img', 'src', 'https://example.org/a.png']])"
        " document.body.append(Object.assign(document.createElement(tag), {[name]: value}))"
    )
    page.wait_for_timeout(200)
    assert page.evaluate("typeof window.hacked") == "undefined"
    assert len([text for text in refused if "Content Security Policy" in text]) == 2
    page.close()
