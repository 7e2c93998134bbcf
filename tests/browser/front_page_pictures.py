"""The pictures of README.md: `python tests/browser/front_page_pictures.py` in a checkout whose `make repro` has ended.

Writes ``report.png`` and ``mlflow-compare.png`` into ``docs/images``, or another folder; needs Chromium.
"""

import argparse
import sys
from pathlib import Path

from opened import MISSING, SECONDS, chromium, compare_all, served, where
from playwright.sync_api import Browser

from shearbench.records import read_json

PROJECT = Path(__file__).parents[2]


def main(project: Path, folder: Path) -> None:
    """Draw both pages of a project into a folder."""
    path = where()
    if path is None:
        sys.exit(MISSING)
    rows = read_json(project / "reports" / "comparison.json")
    with chromium(path) as browser:
        _report(browser, project, folder / "report.png")
        with served(project) as address:
            _comparison(browser, address, len(rows), folder / "mlflow-compare.png")


def _report(browser: Browser, project: Path, picture: Path) -> None:
    page = browser.new_page(viewport={"width": 1280, "height": 900}, color_scheme="light")
    page.goto((project / "reports" / "index.html").as_uri())
    page.screenshot(path=picture)
    page.close()


def _comparison(browser: Browser, address: str, count: int, picture: Path) -> None:
    page = browser.new_page(viewport={"width": 1280, "height": 1000}, color_scheme="light", reduced_motion="reduce")
    page.set_default_timeout(SECONDS)
    page.goto(address)
    compare_all(page, count)
    page.locator(".js-plotly-plot .main-svg").first.wait_for()
    page.get_by_role("button", name="Close").click()  # of the assistant, which opens by itself
    page.wait_for_timeout(2000)  # the plot moves into its place
    page.screenshot(path=picture)
    page.close()


if __name__ == "__main__":
    words = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    words.add_argument("folder", nargs="?", type=Path, default=PROJECT / "docs" / "images", help="where they go")
    words.add_argument("--project", type=Path, default=PROJECT, help="whose pages; default: this checkout")
    given = words.parse_args()
    main(given.project, given.folder)
