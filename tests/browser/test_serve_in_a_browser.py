"""The page of ``shearbench serve`` in Chromium: a digit drawn, dropped or chosen is read; no picture is told."""

import base64
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest
from opened import PROGRAM, SECONDS, free_port
from page_checks import WIDTHS, against_aa, broken_images, over_the_edge, visit
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from shearbench.commands import handwriting

sys.path.insert(0, str(Path(__file__).parents[1] / "handwriting"))
from forty_pictures import PICTURES, write

pytestmark = pytest.mark.slow
SEVEN = [(0.25, 0.2), (0.72, 0.18), (0.55, 0.5), (0.45, 0.85)]
DROP = """([name, content]) => {
  const bytes = Uint8Array.from(atob(content), character => character.charCodeAt(0));
  const files = new DataTransfer();
  files.items.add(new File([bytes], name));
  document.dispatchEvent(new DragEvent("drop", { dataTransfer: files, bubbles: true, cancelable: true }));
}"""
LEAST_DIGITS, MOST_SECONDS = 10, 0.3


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, psutil.Process]]:
    """The address of ``shearbench serve`` in an empty folder, and its process."""
    command = [*PROGRAM, "serve", "--port", str(free_port())]
    running = subprocess.Popen(command, cwd=tmp_path_factory.mktemp("empty"), stdout=subprocess.PIPE, text=True)
    assert running.stdout is not None
    said = re.search(r"http://\S+", running.stdout.readline())
    assert said is not None
    try:
        yield said.group(), psutil.Process(running.pid)
    finally:
        running.send_signal(signal.SIGINT)
        running.wait(3600)
        running.stdout.close()


def _draw(page: Page, points: list[tuple[float, float]]) -> None:
    box = page.locator("#sheet").bounding_box()
    assert box is not None
    places = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in points]
    page.mouse.move(*places[0])
    page.mouse.down()
    for place in places[1:]:
        page.mouse.move(*place, steps=8)
    page.mouse.up()


def _drop(page: Page, name: str, content: bytes) -> None:
    page.evaluate(DROP, [name, base64.b64encode(content).decode()])


@pytest.mark.parametrize("width", WIDTHS.values(), ids=list(WIDTHS))
def test_a_digit_drawn_dropped_or_chosen_is_read(
    width: int, server: tuple[str, psutil.Process], browser: Browser, tmp_path: Path
) -> None:
    opened = visit(browser, server[0], width=width)
    page, said = opened.page, opened.page.locator("#result")
    _draw(page, SEVEN)
    expect(said).to_contain_text("Predicted as 7", timeout=SECONDS)
    for name in ("prepared", "seen"):
        shown = page.locator(f"#{name}")
        expect(shown).to_be_visible()
        assert np.ptp(np.asarray(Image.open(_decoded(shown.get_attribute("src"), tmp_path)).convert("L"))) > 100
    assert over_the_edge(page) == broken_images(page) == against_aa(page) == []
    page.get_by_role("button", name="Clear").click()
    expect(said).to_have_text("Nothing yet.")
    expect(page.locator("#prepared")).to_be_hidden()
    _drop(page, "photo.jpg", PICTURES["4-shadow.jpg"][0]())
    expect(said).to_contain_text("Predicted as 4", timeout=SECONDS)
    page.locator("#file").set_input_files(
        {"name": "a.png", "mimeType": "image/png", "buffer": PICTURES["3-marker.png"][0]()}
    )
    expect(said).to_contain_text("Predicted as 3", timeout=SECONDS)
    _drop(page, "two.png", PICTURES["3-two.png"][0]())
    expect(said).to_contain_text("2 digits in one picture", timeout=SECONDS)
    assert opened.complaints == []
    outside = [url for url in opened.requests if not url.startswith((server[0], "data:", "blob:"))]
    assert outside == []
    _drop(page, "notes.txt", b"hello")
    expect(said).to_contain_text("This file is neither a PNG nor a JPEG", timeout=SECONDS)
    expect(page.locator("#prepared")).to_be_hidden()
    assert against_aa(page) == []
    page.context.close()


_BROKEN_WORDS = """all => all.flatMap(cell => [...cell.firstChild.data.matchAll(/\\S+/g)].filter(word => {
  const range = document.createRange();
  range.setStart(cell.firstChild, word.index);
  range.setEnd(cell.firstChild, word.index + word[0].length);
  return range.getClientRects().length > 1;
}).map(word => word[0]))"""


@pytest.fixture(scope="module")
def teachers_page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page that ``shearbench handwriting`` makes of the forty pictures."""
    folder = tmp_path_factory.mktemp("class") / "drawn by us"
    folder.mkdir()
    write(folder)
    handwriting.predict_class(folder.parent, folder)
    (page,) = (folder.parent / "build" / "handwriting").glob("*/index.html")
    return page


@pytest.mark.parametrize("width", [*WIDTHS.values(), 320], ids=[*WIDTHS, "small phone"])
def test_the_teachers_page_fits_each_width_and_breaks_no_rule(
    width: int, teachers_page: Path, browser: Browser
) -> None:
    opened = visit(browser, teachers_page.as_uri(), width=width)
    expect(opened.page.locator("h1")).to_have_text("drawn by us")
    expect(opened.page.get_by_text("2 digits in one picture").first).to_be_visible()
    hidden = opened.page.locator(".scroll").evaluate_all("all => all.map(each => each.scrollWidth - each.clientWidth)")
    assert set(hidden) == {0}, "a table scrolls sideways"
    assert opened.page.locator("th").evaluate_all(_BROKEN_WORDS) == []
    assert over_the_edge(opened.page) == broken_images(opened.page) == against_aa(opened.page) == []
    assert opened.complaints == []
    assert all(url.startswith(("file:", "data:")) for url in opened.requests)
    opened.page.context.close()


def _decoded(source: str | None, folder: Path) -> Path:
    assert source is not None
    path = folder / "shown.png"
    path.write_bytes(base64.b64decode(source.partition(",")[2]))
    return path


def test_a_digit_takes_less_than_300_ms_of_the_servers_processor(
    server: tuple[str, psutil.Process], browser: Browser
) -> None:
    page = visit(browser, server[0], width=WIDTHS["desktop"]).page
    names = [name for name in PICTURES if name.endswith("-pen.png")]
    assert len(names) >= LEAST_DIGITS
    before = sum(server[1].cpu_times()[:2])
    for name in names:
        _drop(page, name, PICTURES[name][0]())
        expect(page.locator("#result")).to_contain_text(f"Predicted as {name[0]}", timeout=SECONDS)
    seconds = (sum(server[1].cpu_times()[:2]) - before) / len(names)
    print(f"{1000 * seconds:.0f} ms of processor time a digit")
    assert seconds < MOST_SECONDS
    page.context.close()
