"""What a page in a real browser is held to: each function returns what it found wrong, as sentences; none is good."""

from dataclasses import dataclass, field
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

WIDTHS = {"desktop": 1280, "phone": 390}
"""Widths in pixels at which pages are looked at."""
AA = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
"""The rules of axe-core that make up WCAG 2.2 level AA, contrast of text among them."""

_BROKEN_IMAGES = """async () => {
  const images = [...document.images];
  for (const image of images) { image.loading = "eager"; await image.decode().catch(() => {}); }
  const broken = images.filter(image => !(image.complete && image.naturalWidth > 0));
  return broken.map(image => image.alt || image.src.slice(0, 80));
}"""
# An element is over the edge unless something around it scrolls or clips sideways, as a wide table's box does.
_OVER_THE_EDGE = """() => {
  const width = document.documentElement.clientWidth;
  const held = element => {
    for (let around = element.parentElement; around && around !== document.body; around = around.parentElement)
      if (getComputedStyle(around).overflowX !== "visible") return true;
    return false;
  };
  const end = element => element.getClientRects().length ? Math.round(element.getBoundingClientRect().right) : 0;
  return [...document.body.querySelectorAll("*")]
    .filter(element => end(element) > width + 1 && !held(element))
    .map(element => `${element.tagName} ${element.className} ends at ${end(element)} of ${width} pixels`);
}"""


@dataclass
class Visit:
    """A page that is open, and what the browser complained of since."""

    page: Page
    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)


def visit(browser: Browser, url: str, *, width: int, scheme: str = "light", wait: str = "load") -> Visit:
    """Open ``url`` in a window ``width`` pixels wide, as one who prefers a light or a dark ``scheme``."""
    options: dict[str, Any] = {"viewport": {"width": width, "height": 900}, "color_scheme": scheme}
    opened = Visit(browser.new_context(**options, reduced_motion="reduce").new_page())
    page = opened.page
    page.on("console", lambda told: opened.complaints.append(told.text) if told.type == "error" else None)
    page.on("pageerror", lambda error: opened.complaints.append(str(error)))
    page.on("requestfailed", lambda asked: opened.complaints.append(f"{asked.url} failed: {asked.failure}"))
    page.on("request", lambda asked: opened.requests.append(asked.url))
    page.goto(url, wait_until=wait)
    return opened


def open_everything(page: Page) -> None:
    """Unfold what is folded, so that it is looked at too."""
    page.evaluate("() => document.querySelectorAll('details').forEach(each => { each.open = true; })")


def broken_images(page: Page) -> list[str]:
    """Name the images that have not been drawn."""
    found: list[str] = page.evaluate(_BROKEN_IMAGES)
    return found


def over_the_edge(page: Page) -> list[str]:
    """Name what makes the page wider than its window."""
    found: list[str] = page.evaluate(_OVER_THE_EDGE)
    if not found and page.evaluate("() => document.documentElement.scrollWidth > document.documentElement.clientWidth"):
        found = ["the page is wider than its window"]
    return found


def against_aa(page: Page) -> list[str]:
    """Name what breaks WCAG 2.2 level AA, each with one place where it does."""
    found = Axe().run(page, options={"runOnly": {"type": "tag", "values": AA}}).response["violations"]
    return [
        f"{rule['id']} at {node['target']}: {node['failureSummary']}" for rule in found for node in rule["nodes"][:3]
    ]
