"""The report as a reader sees it: opened from its file in a real browser, without a network."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from checkouts import ROOT, TINY_FIGURES, Project
from playwright.sync_api import Locator, Page, sync_playwright

from general_circuits.claims import display
from general_circuits.figures.registry import FIGURES, FRONT_PAGE
from general_circuits.report.registry import PAGES
from general_circuits.storage.files import read_text
from general_circuits.storage.schemas.verdicts import TABLE as VERDICTS
from general_circuits.storage.tables import read

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
QUIET = ("quic", "background-networking", "component-update", "sync", "gpu")
CONTENT = "#app > div > div.overflow-auto"
SHOWN = f"{CONTENT} > .p-3 > img"

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")


@pytest.fixture(scope="module")
def faults() -> list[str]:
    """Return the list that collects errors on the report's page and its requests to a network."""
    return []


@pytest.fixture(scope="module")
def page(report: Path, faults: list[str]) -> Iterator[Page]:
    """Yield the report in a browser without a network."""
    options = ["--no-sandbox", "--no-first-run", *(f"--disable-{name}" for name in QUIET)]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=options)
        context = browser.new_context(viewport={"width": 1440, "height": 900})
        context.set_offline(True)
        page = context.new_page()
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
        page.on("request", lambda request: None if _is_local(request.url) else faults.append(request.url))
        page.goto(report.as_uri())
        page.locator("#rulegraph canvas").wait_for()
        yield page
        browser.close()


@pytest.fixture
def opened(page: Page, faults: list[str]) -> Iterator[Page]:
    """Yield the report on its front page. Afterwards, assert no error and no request to a network."""
    yield page
    assert faults == []
    page.locator("nav ol a").first.click()
    page.get_by_role("link", name="Workflow", exact=True).click()


@pytest.fixture
def screenshots(tmp_path: Path) -> Path:
    """Return the folder for pictures of the report: the one that SCREENSHOTS names, or a temporary one."""
    folder = ROOT / os.environ.get("SCREENSHOTS", tmp_path)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def test_the_front_page_has_a_verdict_per_claim_that_could_be_tested(opened: Page, finished: Project) -> None:
    verdicts = read(finished.results / VERDICTS.path, VERDICTS)
    rows = display.shown(verdicts)
    assert len(rows) == 12  # claims of several parts have several rows
    assert opened.locator(f"{CONTENT} h1").inner_text() == "Does gradient descent prefer general circuits?"
    listed_rows = opened.locator("table#verdicts tbody tr")
    assert listed_rows.count() == len(rows)
    for place, row in enumerate(rows.itertuples()):
        assert listed_rows.nth(place).locator("b").first.inner_text() == row.claim
        verdict = listed_rows.nth(place).locator(".verdict")
        assert row.verdict.startswith(verdict.inner_text())  # the reason is shown on pointing at it
        assert verdict.get_attribute("title") == row.verdict
    assert display.rest(verdicts) in opened.locator(CONTENT).inner_text()


def test_pictures_of_the_front_page_load_and_carry_their_description(opened: Page, finished: Project) -> None:
    pictures = opened.locator(f"{CONTENT} .pictures img")
    assert pictures.count() == len(FRONT_PAGE)
    for picture, drawing in zip(pictures.all(), FRONT_PAGE, strict=True):
        assert picture.evaluate("picture => picture.complete && picture.naturalWidth") > 0
        words = read_text(finished.results / f"figures/{drawing}.txt")
        assert words
        assert words in (picture.get_attribute("alt") or "")


def test_the_front_page_fits_on_one_screen(opened: Page, screenshots: Path) -> None:
    opened.screenshot(path=screenshots / "front.png")
    menu = _edges(opened.locator("nav").first)["right"]
    parts = [opened.locator(f"{CONTENT} {part}").first for part in ("h1", ".front p", "table#verdicts")]
    for part in parts:
        edges = _edges(part)
        assert menu <= edges["left"] <= edges["right"] <= 1440
        assert 0 <= edges["top"] <= edges["bottom"] <= 900
        assert part.evaluate(UNCOVERED)
    for picture in opened.locator(".pictures img").all()[:2]:
        assert _edges(picture)["top"] < 900
    for box in (CONTENT, "html"):
        assert opened.locator(box).evaluate("box => box.scrollWidth <= box.clientWidth"), box


def test_the_menu_has_every_category(opened: Page) -> None:
    listed = opened.locator("nav li a").all_inner_texts()
    wanted = {entry.category for entry in (*TINY_FIGURES.values(), *PAGES.values())}
    assert wanted <= set(listed)


@pytest.mark.parametrize("name", TINY_FIGURES)
def test_a_figure_opens_and_its_toggle_shows_another_picture(name: str, opened: Page, screenshots: Path) -> None:
    figure = FIGURES[name]
    _listed(opened, figure.category, figure.title).get_by_role("link").first.click()
    sources: list[str | None] = []
    for view in figure.views:
        if figure.toggle:
            opened.locator("nav fieldset").filter(has_text=figure.toggle).get_by_text(view, exact=True).click()
        opened.wait_for_function(ANOTHER, arg=[SHOWN, sources])
        opened.screenshot(path=screenshots / f"{name}-{view}.png")
        sources.append(opened.locator(SHOWN).get_attribute("src"))
        image, content = _edges(opened.locator(SHOWN)), _edges(opened.locator(CONTENT))
        assert image["left"] >= content["left"], "the image is cut off where a reader cannot scroll"
        assert image["top"] >= 0, "the image is cut off where a reader cannot scroll"
    assert opened.locator("nav fieldset").count() == bool(figure.toggle)


@pytest.mark.parametrize("name", PAGES)
def test_a_page_opens_and_has_its_table(name: str, opened: Page, screenshots: Path) -> None:
    _listed(opened, PAGES[name].category, PAGES[name].title).get_by_role("link").first.click()
    page = opened.frame_locator("iframe")
    assert page.locator("h1").inner_text() == PAGES[name].title
    assert page.locator("table tbody tr").count() > 0
    opened.screenshot(path=screenshots / f"{name}.png")


@pytest.mark.parametrize("name", TINY_FIGURES)
def test_a_figure_is_described_with_the_numbers_of_this_run(
    name: str, opened: Page, finished: Project, screenshots: Path
) -> None:
    figure = FIGURES[name]
    _listed(opened, figure.category, figure.title).get_by_role("link").last.click()
    caption = " ".join(opened.locator("nav .prose").inner_text().split())
    assert figure.caption in caption
    words = read_text(finished.results / f"figures/{name}-{figure.views[0]}.txt")
    assert " ".join(words.split()) in caption
    opened.screenshot(path=screenshots / f"{name}-described.png")


ANOTHER = """([shown, before]) => {
    const image = document.querySelector(shown);
    return image !== null && image.naturalWidth > 0 && !before.includes(image.src);
}"""
"""JavaScript: tell whether an image has loaded that is none of the earlier ones."""

UNCOVERED = """part => {
    const {left, top, right, bottom} = part.getBoundingClientRect();
    const corners = [[left + 1, top + 1], [right - 1, top + 1], [left + 1, bottom - 1], [right - 1, bottom - 1]];
    return corners.every(([x, y]) => part.contains(document.elementFromPoint(x, y)));
}"""
"""JavaScript: tell whether all four corners of a part are visible."""


def _is_local(address: str) -> bool:
    return address.startswith(("file:", "data:", "blob:"))


def _edges(part: Locator) -> dict[str, float]:
    edges: dict[str, float] = part.evaluate("part => part.getBoundingClientRect().toJSON()")
    return edges


def _listed(opened: Page, category: str, title: str) -> Locator:
    """Open a category and return the row of a figure or a page in its list."""
    opened.get_by_role("link", name=category, exact=True).click()
    return opened.locator("nav tbody tr").filter(has=opened.get_by_role("cell", name=title, exact=True))
