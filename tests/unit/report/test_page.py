"""The page in a real browser: nothing is loaded, nothing breaks out, it can be read on every screen and on paper."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from PIL import Image, ImageChops
from playwright.sync_api import Browser, Page

from tests.support.browser import Watched, chromium, watched
from tests.support.made_up_build import HOSTILE, hostile_build, shown_papers

DESKTOP, PHONE = {"width": 1200, "height": 900}, {"width": 360, "height": 740}
PLOTS = {"loss", "learning-rate", "gradient-norm", "differences", "size-quality", "kl"}
LEAST_CONTRAST = 4.5

CONTRAST = """() => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgb = (colour) => {
    canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const light = ([r, g, b]) => {
    const part = (c) => { c /= 255; return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4; };
    return 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
  };
  const ground = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const found = rgb(getComputedStyle(at).backgroundColor);
      if (found[3] === 255) return found;
    }
    return [255, 255, 255, 255];
  };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT), found = {};
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    if (!node.data.trim()) continue;
    const element = node.parentElement, style = getComputedStyle(element);
    const colour = element.closest("svg") ? style.fill : style.color;
    const [a, b] = [light(rgb(colour)), light(ground(element))].sort((x, y) => y - x);
    found[`${element.tagName} ${element.className.baseVal ?? element.className} ${colour}`] = (a + 0.05) / (b + 0.05);
  }
  return found;
}"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The papers of a made-up build, as a person finds them."""
    root = tmp_path_factory.mktemp("page")
    (root / "shown" / "published").mkdir(parents=True)
    for name, data in shown_papers(hostile_build(root / "store"), root / "shown").items():
        (root / "shown" / "published" / name).write_bytes(data)
    return root / "shown"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium without a window."""
    with chromium() as found:
        yield found


@pytest.fixture
def desktop(browser: Browser, folder: Path) -> Iterator[Watched]:
    """The page on a wide screen."""
    with watched(browser, (folder / "report.html").as_uri(), viewport=DESKTOP, color_scheme="light") as found:
        yield found


def opened(page: Page) -> None:
    """Unfold everything."""
    page.evaluate("() => document.querySelectorAll('details').forEach((one) => { one.open = true; })")


def picture(page: Page) -> Image.Image:
    """What the whole page looks like."""
    return Image.open(io.BytesIO(page.screenshot(full_page=True))).convert("RGB")


def test_nothing_is_loaded_and_nothing_is_wrong(desktop: Watched, folder: Path) -> None:
    """One request, for the page itself; no error and no warning, neither of scripts nor of the page's policy."""
    opened(desktop.page)
    desktop.page.wait_for_timeout(300)
    assert desktop.requests == [(folder / "report.html").as_uri()]
    assert desktop.problems == []


def test_hostile_texts_are_texts(desktop: Watched) -> None:
    """A title that is a script is shown as a title; what turns text around is made visible."""
    page = desktop.page
    assert page.locator("script, img, iframe, object, embed, link").count() == 0
    assert page.get_by_text(HOSTILE.replace("\u202e", "�"), exact=True).count() == 1
    assert page.evaluate("() => document.body.textContent.includes('\\u202e')") is False


def test_every_plot_is_there_with_a_sentence(desktop: Watched) -> None:
    """Drawn, not blank, in its place, and told to who cannot see it."""
    page = desktop.page
    names = {str(one.get_attribute("id")).removeprefix("plot-") for one in page.locator("figure").all()}
    assert names == PLOTS
    for name in PLOTS:
        svg = page.locator(f"#plot-{name} svg")
        label = str(svg.get_attribute("aria-label"))
        assert svg.get_attribute("role") == "img"
        assert len(label) > 20
        drawn = Image.open(io.BytesIO(svg.screenshot())).convert("RGB")
        ground = drawn.getpixel((0, 0))
        marked = sum(count for count, colour in drawn.getcolors(10**7) or () if colour != ground)
        assert 0.004 < marked / (drawn.width * drawn.height) < 0.5, name
        assert len(page.locator(f"#plot-{name} text").all()) > 4
    ids = page.evaluate("() => [...document.querySelectorAll('[id]')].map((one) => one.id)")
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_text_stands_out_from_its_ground(browser: Browser, folder: Path, theme: str, viewport: dict[str, int]) -> None:
    """A contrast of 4.5 or more, labels of plots included."""
    with watched(browser, (folder / "report.html").as_uri(), viewport=viewport, color_scheme=theme) as found:
        opened(found.page)
        contrasts = found.page.evaluate(CONTRAST)
        assert len(contrasts) > 10
        assert {name: value for name, value in contrasts.items() if value < LEAST_CONTRAST} == {}


def test_the_dark_theme_is_dark(browser: Browser, folder: Path) -> None:
    """Ground and plots: the page is not the light one, and most of it is dark."""
    pictures = {}
    for theme in ("light", "dark"):
        with watched(browser, (folder / "report.html").as_uri(), viewport=DESKTOP, color_scheme=theme) as found:
            pictures[theme] = picture(found.page)
            figure = Image.open(io.BytesIO(found.page.locator("#plot-loss svg").screenshot())).convert("L")
            assert (_mean(figure.crop((0, 0, 4, 4))) > 200) is (theme == "light")
    assert pictures["light"].size == pictures["dark"].size
    brightness = {theme: _mean(image) for theme, image in pictures.items()}
    assert brightness["light"] > 200
    assert brightness["dark"] < 70


def _mean(image: Image.Image) -> float:
    histogram = image.convert("L").histogram()
    return sum(value * count for value, count in enumerate(histogram)) / sum(histogram)


def test_a_phone_scrolls_in_one_direction(browser: Browser, folder: Path) -> None:
    """The page is as wide as the screen; wide tables scroll by themselves, answers stand in blocks."""
    with watched(browser, (folder / "report.html").as_uri(), viewport=PHONE) as found:
        opened(found.page)
        assert found.page.evaluate("() => document.documentElement.scrollWidth") == PHONE["width"]
        beyond = found.page.evaluate(
            "() => [...document.querySelectorAll('main p, main h2, main h3, main dd, main .cards td, main svg')]"
            ".filter((one) => one.getBoundingClientRect().right > innerWidth + 1)"
            ".map((one) => one.outerHTML.slice(0, 80))"
        )
        assert beyond == []


def test_headings_nest_and_tables_have_headers(desktop: Watched) -> None:
    """What a screen reader goes by: one title, no level left out, headers with scopes, links that lead somewhere."""
    page = desktop.page
    levels = [int(one.evaluate("(h) => h.tagName[1]")) for one in page.locator("h1, h2, h3, h4, h5, h6").all()]
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    assert page.locator("table:not(:has(th[scope=col]))").count() == 0
    assert page.locator("th:not([scope])").count() == 0
    targets = page.evaluate("() => [...document.querySelectorAll('a')].map((one) => one.getAttribute('href'))")
    assert [target for target in targets if page.locator(str(target)).count() != 1] == []
    assert page.evaluate("() => document.documentElement.lang") == "en"
    assert page.locator("[lang=ja]").count() > 10


def test_the_page_prints(desktop: Watched) -> None:
    """As PDF, folded parts unfolded, without the bar of links."""
    page = desktop.page
    page.emulate_media(media="print")
    assert not page.locator("nav").is_visible()
    data = page.pdf(format="A4")
    assert data.startswith(b"%PDF")
    assert len(data) > 50_000
    assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")


def test_two_renders_look_the_same(browser: Browser, folder: Path, tmp_path: Path) -> None:
    """The same build elsewhere: each paper that the stage publishes has the same bytes, and the page looks the same."""
    for name, data in shown_papers(hostile_build(tmp_path / "other" / "store"), tmp_path / "shown").items():
        assert data == (folder / "published" / name).read_bytes(), name
    pictures = []
    for where in (folder, tmp_path / "shown"):
        with watched(browser, (where / "report.html").as_uri(), viewport=DESKTOP, color_scheme="light") as found:
            pictures.append(picture(found.page))
    assert pictures[0].size == pictures[1].size
    difference = ImageChops.difference(*pictures).convert("L").point(lambda value: 255 if value > 8 else 0)
    assert _mean(difference) / 255 < 0.0005, "of the pixels differ"


def test_the_sections_stand_in_their_places(desktop: Watched) -> None:
    """A layout: one column, each section under the one before, figures as wide as the text, none of height zero."""
    boxes = desktop.page.evaluate(
        "() => [...document.querySelectorAll('main > section, main > details')].map((one) => {"
        " const box = one.getBoundingClientRect(); return [one.id, box.left, box.top, box.right, box.bottom]; })"
    )
    assert [name for name, *_ in boxes][:3] == ["what-needs-attention", "files", "how-to-run-it"]
    assert [name for name, *_ in boxes][-2:] == ["measured-on-this-machine", "environments"]
    assert len({(round(left), round(right)) for _, left, _, right, _ in boxes}) == 1
    for before, after in pairwise(boxes):
        assert before[4] <= after[2] + 1
        assert before[4] - before[2] > 20


def test_rows_that_the_recipe_keeps_are_in_no_paper(tmp_path: Path) -> None:
    """Neither inputs, nor references, nor dropped rows, nor answers that are rows; and no table of answers."""
    shown_papers(hostile_build(tmp_path / "store"), tmp_path / "shown", show_rows=False)
    for paper in (tmp_path / "shown").iterdir():
        text = paper.read_text(encoding="utf-8")
        assert "焚き火" not in text, paper.name
        assert '{"title": "1"}' not in text, paper.name
        assert "「節約」" not in text, paper.name
    assert "{theme}" in (tmp_path / "shown" / "report.html").read_text(encoding="utf-8")


def test_every_number_of_the_page_is_in_the_record(desktop: Watched, folder: Path) -> None:
    """Each figure that the page shows stands in report.json, as a number."""
    numbers: set[float] = set()

    def walk(value: object) -> None:
        if isinstance(value, bool):
            return
        if isinstance(value, int | float):
            numbers.add(float(value))
        elif isinstance(value, dict):
            for one in value.values():
                walk(one)
        elif isinstance(value, list):
            for one in value:
                walk(one)

    walk(json.loads((folder / "report.json").read_text(encoding="utf-8")))
    texts = set(desktop.page.locator("main .value").all_text_contents())
    plain = {text for text in texts if text.replace(",", "").replace(".", "").lstrip("+-").isdigit()}
    assert len(plain) > 50
    known = {f"{number:.4g}" for number in numbers} | {f"{number:.6g}" for number in numbers}
    missing = [
        text
        for text in plain
        if (value := float(text.replace(",", ""))) not in numbers
        and f"{value:.4g}" not in known
        and not any(abs(number - value) <= 0.5 * 10 ** -len(text.partition(".")[2]) for number in numbers)
    ]
    assert missing == []
