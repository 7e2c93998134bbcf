"""MLflow's pages in Chromium: the experiment explains itself, runs are compared, pictures and report are there."""

import json
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import numpy as np
import page_checks as checks
import pytest
from opened import PROGRAM, RUN_LINKS, SECONDS, compare_all, served
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from shearbench.records import read_json

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def project(finished_once: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small project with its report, sent to MLflow."""
    root = tmp_path_factory.mktemp("mlflow") / "project"
    shutil.copytree(finished_once, root)
    for words in (("stage", "report"), ("track",)):
        subprocess.run([*PROGRAM, *words], cwd=root, check=True)
    return root


@pytest.fixture(scope="module")
def address(project: Path) -> Iterator[str]:
    """What ``shearbench ui`` says to open, once it answers."""
    with served(project) as found:
        yield found


@pytest.fixture
def opened(browser: Browser, address: str) -> Iterator[checks.Visit]:
    """The page of the experiment, as ``shearbench ui`` says to open it."""
    # The table draws the columns in view, and an assistant opens beside it.
    found = checks.visit(browser, address, width=2400)
    found.page.set_default_timeout(SECONDS)
    yield found
    assert [url for url in found.requests if not url.startswith((address.split("#")[0], "data:", "blob:"))] == []
    found.page.context.close()


def _tick(page: Page, column: str) -> None:
    """Show a column of the table, as the experiment's description says."""
    page.get_by_role("button", name="Columns").click()
    page.get_by_placeholder("Search columns").fill(column)
    page.get_by_text(column, exact=True).last.click()
    page.keyboard.press("Escape")


def test_the_experiment_page_shows_the_networks_best_first_and_the_columns_that_are_ticked(
    project: Path, opened: checks.Visit
) -> None:
    page = opened.page
    rows = sorted(read_json(project / "reports" / "comparison.json"), key=lambda row: -row["cv_accuracy_mean"])
    expect(page.locator(RUN_LINKS)).to_have_count(len(rows), timeout=SECONDS)
    names = page.locator(RUN_LINKS).all_inner_texts()  # in any order where two networks tie
    accuracy = {f"{row['dataset']}-{row['model']}": row["cv_accuracy_mean"] for row in rows}
    assert sorted(names) == sorted(accuracy)
    assert [accuracy[name] for name in names] == [row["cv_accuracy_mean"] for row in rows]
    for column in ("cv_accuracy_mean", "test_accuracy_mean"):
        _tick(page, column)
        cells = page.locator(f"[role=gridcell][col-id='metrics.`{column}`']")
        expect(cells).to_have_count(len(rows), timeout=SECONDS)
        shown = dict(zip(names, map(float, cells.all_inner_texts()), strict=True))
        assert shown == pytest.approx({f"{row['dataset']}-{row['model']}": row[column] for row in rows})
    # MLflow 3 asks itself for a login that it does not have, and gets 404.
    assert [text for text in opened.complaints if "404" not in text and "ResizeObserver" not in text] == []


def test_the_description_leads_to_the_report(project: Path, opened: checks.Visit) -> None:
    page = opened.page
    expect(page.get_by_text("Which model is best")).to_be_visible(timeout=SECONDS)
    link = page.get_by_role("link", name="The report").first
    page.goto(address_of(page, link.get_attribute("href") or ""))
    frame = page.frame_locator("iframe")
    expect(frame.get_by_role("heading", level=1)).to_contain_text("Which model is best", timeout=SECONDS)


def address_of(page: Page, reference: str) -> str:
    """Return where a link leads."""
    resolved: str = page.evaluate("reference => new URL(reference, location.href).href", reference)
    return resolved


def test_the_networks_are_compared_side_by_side(project: Path, opened: checks.Visit) -> None:
    page = opened.page
    compare_all(page, 3)
    text = page.locator("body")
    for row in read_json(project / "reports" / "comparison.json"):
        expect(text).to_contain_text(f"{row['dataset']}-{row['model']}")
    expect(text).to_contain_text("test_accuracy_mean")


def test_all_runs_are_there_without_a_banner_of_a_shared_view(opened: checks.Visit) -> None:
    page = opened.page
    expect(page.locator(RUN_LINKS)).to_have_count(3, timeout=SECONDS)
    expect(page.get_by_text("shared view")).to_have_count(0)


def test_the_pictures_of_an_evaluation_are_drawn(project: Path, opened: checks.Visit, address: str) -> None:
    page, front = opened.page, address.split("#")[0]
    api = f"{front}ajax-api/2.0/mlflow/runs/search"
    wanted = {"experiment_ids": ["1"], "filter": "tags.`shearbench.kind` = 'evaluation'"}
    runs = json.loads(page.request.post(api, data=wanted).text())["runs"]
    assert len(runs) == 3
    for run in runs:
        page.goto("about:blank")
        page.goto(f"{front}#/experiments/1/runs/{run['info']['run_id']}/artifacts/figures/gradcam.png")
        picture = page.get_by_role("img", name="figures/gradcam.png")
        expect(picture).to_be_visible(timeout=SECONDS)
        page.wait_for_function("image => image.naturalWidth > 500", arg=picture.element_handle())


def test_the_pictures_of_the_front_page_can_be_made(project: Path, tmp_path: Path) -> None:
    script = Path(__file__).with_name("front_page_pictures.py")
    subprocess.run([sys.executable, script, tmp_path, "--project", project], check=True, timeout=3600)
    for name, size in (("report", (1280, 900)), ("mlflow-compare", (1280, 1000))):
        with Image.open(tmp_path / f"{name}.png") as picture:
            assert picture.size == size
            shades = np.asarray(picture.convert("L"))
        assert 0.02 < (shades < 200).mean() < 0.5, f"{name}.png is empty, or dark"


def test_other_hosts_are_refused(address: str) -> None:
    front = address.split("#")[0]
    asked = urllib.request.Request(f"{front}?{urlencode({})}", headers={"Host": "evil.example"})
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(asked, timeout=10)
    assert caught.value.code == 403
    caught.value.close()
