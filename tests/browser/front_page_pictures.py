"""The pictures of README.md: `python tests/browser/front_page_pictures.py` in a checkout whose `make repro` has ended.

Writes ``docs/images/report.png`` and ``mlflow-compare.png``, or both into the folder that is named; needs Chromium.
"""

import sys
from pathlib import Path

from opened import MISSING, SECONDS, chromium, compare_all, served, where
from playwright.sync_api import Browser

from shearbench.records import read_json

PROJECT = Path(__file__).parents[2]


def main(folder: Path) -> None:
    """Draw both."""
    path = where()
    if path is None:
        sys.exit(MISSING)
    rows = read_json(PROJECT / "reports" / "comparison.json")
    with chromium(path) as browser:
        _report(browser, folder / "report.png")
        with served(PROJECT) as address:
            _comparison(browser, address, len(rows), folder / "mlflow-compare.png")


def _report(browser: Browser, picture: Path) -> None:
    page = browser.new_page(viewport={"width": 1280, "height": 900}, color_scheme="light")
    page.goto((PROJECT / "reports" / "index.html").as_uri())
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
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else PROJECT / "docs" / "images")
