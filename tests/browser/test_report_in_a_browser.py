"""The report in Chromium, at the width of a desk and of a phone, light and dark."""

import re
import shutil
from collections.abc import Callable, Iterator
from functools import partial
from io import BytesIO
from pathlib import Path

import numpy as np
import page_checks as checks
import pytest
from PIL import Image
from playwright.sync_api import Browser, Locator, expect

from shearbench.params import load
from shearbench.records import read_json
from shearbench.stages import explore, report

pytestmark = pytest.mark.slow

_SORTED_BY = """(table, column) => [...table.tBodies[0].rows].map(row => {
  const cell = row.cells[column];
  return cell.dataset.value ?? cell.dataset.sort ?? cell.textContent.trim();
})"""
_TELL_WHEN_SORTED = """table => {
  delete table.dataset.done;
  table.addEventListener("sort-end", () => { table.dataset.done = "yes"; }, {once: true});
}"""
_WITHOUT_ANCHOR = """() => [...document.querySelectorAll("h2, h3")].filter(heading => {
  const beside = heading.closest("summary")?.nextElementSibling;
  const link = heading.querySelector("a.anchor") || (beside?.matches("a.anchor") ? beside : null);
  return !(link && document.getElementById(link.hash.slice(1)));
}).map(heading => heading.textContent.trim())"""
_BROKEN = """<!doctype html><html lang="en"><head><title>broken</title></head><body>
<p style="color: #aaa; background: #fff">Hardly to be read.</p>
<p style="width: 3000px">Too wide.</p>
<div style="overflow-x: auto"><p style="width: 3000px">Wide, in a box that scrolls.</p></div>
<img src="data:image/png;base64,AAAA" alt="no picture">
<script>console.error("a complaint"); missing();</script></body></html>"""


@pytest.fixture(scope="module")
def address(finished_once: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The report of the small project, with its data explored; opened from disk, as a reader does."""
    root = tmp_path_factory.mktemp("report") / "project"
    shutil.copytree(finished_once, root)
    params = load(root / "params.yaml")
    for dataset in params.datasets:
        explore.main(params, root, dataset)
    report.main(params, root)
    return (root / "reports" / "index.html").as_uri()


@pytest.fixture(params=[(*size, scheme) for size in checks.WIDTHS.items() for scheme in ("light", "dark")], ids=str)
def opened(request: pytest.FixtureRequest, browser: Browser, address: str) -> Iterator[checks.Visit]:
    """The report, open in a window of one width and one colour scheme."""
    _, width, scheme = request.param
    found = checks.visit(browser, address, width=width, scheme=scheme)
    yield found
    found.page.context.close()


def test_nothing_is_broken_and_everything_can_be_read(opened: checks.Visit) -> None:
    assert [url for url in opened.requests if not url.startswith(("file:", "data:"))] == []
    assert checks.over_the_edge(opened.page) == []
    checks.open_everything(opened.page)
    assert checks.broken_images(opened.page) == []
    assert opened.page.locator("img, svg").count() > 0
    assert checks.over_the_edge(opened.page) == []
    assert checks.against_aa(opened.page) == []
    assert opened.complaints == []


def test_each_entry_of_the_navigation_leads_to_its_section(opened: checks.Visit) -> None:
    page = opened.page
    links = page.locator("nav a[href^='#']")
    assert links.count() >= 5
    for number in range(links.count()):
        link = links.nth(number)
        if not link.is_visible():
            checks.open_everything(page)
        target = link.get_attribute("href") or ""
        link.click()
        assert page.evaluate("location.hash") == target
        top = page.evaluate("id => document.getElementById(id).getBoundingClientRect().top", target[1:])
        below = page.evaluate("scrollY + innerHeight >= document.documentElement.scrollHeight - 1")
        assert -2 <= top < 450 or (below and top < 900), f"{target} is {top} pixels from the top"
    assert opened.complaints == []


def test_the_entry_that_was_clicked_is_the_marked_one(browser: Browser, address: str) -> None:
    page = checks.visit(browser, address, width=1280).page
    marked = page.locator("nav a[aria-current]")
    expect(marked).to_have_attribute("href", "#result")
    links = page.locator("nav a")
    for number in range(links.count()):  # the last sections stay folded, so that no click can bring them to the top
        links.nth(number).click()
        expect(marked).to_have_count(1)
        expect(marked).to_have_attribute("href", links.nth(number).get_attribute("href") or "")
    page.context.close()


def test_every_heading_below_the_first_has_a_link_to_itself(browser: Browser, address: str) -> None:
    page = checks.visit(browser, address, width=1280).page
    checks.open_everything(page)
    assert page.locator("h2, h3").count() > 20
    assert page.evaluate(_WITHOUT_ANCHOR) == []
    page.context.close()


def test_a_click_enlarges_a_figure(browser: Browser, address: str) -> None:
    page = checks.visit(browser, address, width=1280).page
    page.locator("nav a[href='#noise']").click()
    paper, dialog = page.locator("#noise .paper").first, page.locator("dialog#enlarged")
    before = paper.locator("img").evaluate("image => image.getBoundingClientRect().width")
    paper.click()
    expect(dialog).to_be_visible()
    assert dialog.locator("img").evaluate("image => image.getBoundingClientRect().width") > before
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    page.context.close()


def test_every_column_of_every_table_sorts_up_and_down(opened: checks.Visit) -> None:
    tables = opened.page.locator("table.sortable")
    assert tables.count() >= 1
    checks.open_everything(opened.page)
    for number in range(tables.count()):
        headings = tables.nth(number).locator("thead th:not(.no-sort)")
        for column in range(headings.count()):
            heading = headings.nth(column)
            orders = [
                _sort(tables.nth(number), heading, column, press)
                for press in (heading.click, partial(heading.press, "Enter"))
            ]
            assert sorted(orders) == ["ascending", "descending"], f"table {number}, column {column}"
    assert opened.complaints == []


def _sort(table: Locator, heading: Locator, column: int, press: Callable[[], None]) -> str:
    """Press a heading; check that the rows follow the order that it then announces, empty cells last; return it."""
    table.evaluate(_TELL_WHEN_SORTED)
    press()
    expect(table).to_have_attribute("data-done", "yes")
    order = heading.get_attribute("aria-sort")
    assert order in ("ascending", "descending"), f"{heading.inner_text()} announces {order}"
    cells = table.evaluate(_SORTED_BY, column)
    values = [value for value in cells if value != ""]
    assert cells == values + [""] * (len(cells) - len(values)), "empty cells come last"
    try:
        keys = [float(value) for value in values]
    except ValueError:
        return str(order)  # words: in the order of the reader's language
    assert keys == sorted(keys, reverse=order == "descending"), heading.inner_text()
    return str(order)


def test_the_first_table_has_the_numbers_of_the_records(browser: Browser, address: str) -> None:
    page = checks.visit(browser, address, width=1280).page
    table = page.locator("#result table").first
    rows = read_json(Path(address.removeprefix("file://")).with_name("comparison.json"))
    titles = table.locator("thead tr:last-child th").all_inner_texts()
    shown = {line[0]: line for line in map(_cells, table.locator("tbody tr").all())}
    assert list(shown) == list(dict.fromkeys(row["model"] for row in rows))
    for row in rows:
        text = shown[row["model"]][titles.index(row["dataset"])]
        assert text.startswith(f"{100 * row['cv_accuracy_mean']:.1f}")
    assert table.bounding_box()["y"] < page.locator("#result .chart").bounding_box()["y"]
    page.context.close()


def _cells(row: Locator) -> list[str]:
    return row.locator("td").all_inner_texts()


def test_sections_are_folded_and_a_link_unfolds_its_own(browser: Browser, address: str) -> None:
    page = checks.visit(browser, address, width=1280).page
    folded = page.locator("main > section > details:has(h2)")
    assert folded.count() >= 15
    assert page.locator("main > section > details[open]").count() == 0
    assert page.evaluate("document.documentElement.scrollHeight") < 6000, "the summary is a few screens"
    page.locator("nav a[href='#noise']").click()
    expect(page.locator("#noise > details")).to_have_attribute("open", "")
    assert page.locator("main > section > details[open]").count() == 1
    page.get_by_role("button", name="Open all sections").click()
    assert page.locator("main > section > details:not([open]):has(h2)").count() == 0
    page.context.close()


def test_nothing_is_over_the_edge_of_a_small_phone(browser: Browser, address: str) -> None:
    page = checks.visit(browser, address, width=320).page
    page.locator("#result").evaluate("part => part.append(document.createElement('p'))")
    page.locator("#result > p:last-child").evaluate(
        "last => { last.innerHTML = `<code>${'path/'.repeat(40)}</code>`; }"
    )
    checks.open_everything(page)
    assert checks.over_the_edge(page) == []
    page.context.close()


def test_a_table_that_is_wider_than_the_page_gets_smaller_type(browser: Browser, address: str) -> None:
    for width, dense in ((1280, 0), (760, 1)):
        page = checks.visit(browser, address, width=width).page
        table = page.locator("#differences table")
        page.locator("#differences summary").first.click()
        expect(table).to_be_visible()
        expect(page.locator("#differences table.dense")).to_have_count(dense)
        page.context.close()


def test_a_model_card_fits_one_screen_of_a_phone(browser: Browser, address: str) -> None:
    page = checks.visit(browser, address, width=checks.WIDTHS["phone"]).page
    checks.open_everything(page)
    heights = page.locator("#cards .facts").evaluate_all("all => all.map(each => each.getBoundingClientRect().height)")
    assert heights
    assert max(heights) < 760, "844 pixels, less the navigation and the card's heading"
    page.context.close()


def test_figures_can_be_read_on_a_dark_page(browser: Browser, address: str) -> None:
    """No figure is a white slab: what it leaves empty has the colour of the page, and its text stands out from it."""
    page = checks.visit(browser, address, width=1280, scheme="dark").page
    page.locator("nav a[href='#noise']").click()
    figure = page.locator("#noise .paper img").first
    figure.scroll_into_view_if_needed()
    page.wait_for_function("image => image.complete && image.naturalWidth > 0", arg=figure.element_handle())
    with Image.open(BytesIO(figure.screenshot())) as drawn:
        shades = np.asarray(drawn.convert("L")).astype(int)
    ground = int(np.median(shades))
    assert ground < 60, "the ground is that of the page"
    assert 0.01 < (shades - ground > 50).mean() < 0.5, "lines and text are lighter than the ground"
    page.context.close()


def test_the_summary_prints_on_five_pages(browser: Browser, address: str) -> None:
    page = checks.visit(browser, address, width=1280).page
    printed = page.pdf(format="A4", prefer_css_page_size=True)
    assert 1 <= len(re.findall(rb"/Type\s*/Page[^s]", printed)) <= 5
    page.context.close()


def test_a_broken_page_is_found_out(browser: Browser, tmp_path: Path) -> None:
    (tmp_path / "broken.html").write_text(_BROKEN)
    found = checks.visit(browser, (tmp_path / "broken.html").as_uri(), width=390)
    assert checks.broken_images(found.page) == ["no picture"]
    assert len(checks.over_the_edge(found.page)) == 1
    assert [problem.split(" ")[0] for problem in checks.against_aa(found.page)] == ["color-contrast"]
    assert len([each for each in found.complaints if "a complaint" in each or "missing is not" in each]) == 2
    found.page.context.close()
