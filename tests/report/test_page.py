"""The page: self-contained, escaped, honest about what is missing, and the same bytes each time."""

import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from shearbench.errors import InputError
from shearbench.params import Params, load
from shearbench.records import read_json, write_json
from shearbench.report.blocks import Pictures
from shearbench.report.page import _commands, read, render
from shearbench.stages import report


class Tags(HTMLParser):
    """Collects what a page refers to, its ids and whether every element is closed."""

    VOID = ("meta", "img", "link", "br")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.references: list[str] = []
        self.ids: set[str] = set()
        self.open: list[str] = []
        self.images: list[dict[str, str | None]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.references += [value or "" for name, value in attrs if name in ("src", "href")]
        self.ids |= {values["id"] or ""} if "id" in values else set()
        self.images += [values] if tag == "img" else []
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"</{tag}> does not close the last element"


@pytest.fixture(scope="module")
def contents(finished_once: Path) -> dict[str, Any]:
    """What the small project's page shows."""
    return read(finished_once, load(finished_once / "params.yaml").seed)


@pytest.fixture(scope="module")
def page(contents: dict[str, Any]) -> str:
    """The small project's page."""
    return render(contents)


@pytest.fixture(scope="module")
def changed(finished_once: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The page without one evaluation, and with a row whose model has the name of a script."""
    root = tmp_path_factory.mktemp("changed") / "project"
    shutil.copytree(finished_once, root)
    shutil.rmtree(root / "build" / "evaluation" / "mnist" / "cnn2")
    path = root / "reports" / "comparison.json"
    rows = read_json(path)
    write_json(path, [*rows, {**rows[0], "model": "<script>alert(1)</script>"}])
    return render(read(root, seed=1))


def test_page_needs_nothing_beside_it(page: str, contents: dict[str, Any]) -> None:
    tags = Tags(page)
    assert not tags.open
    blocks = [block for section in contents["sections"] for block in section.blocks]
    assert len(tags.images) == sum(len(block.images) for block in blocks if isinstance(block, Pictures)) > 12
    assert all(image["alt"] for image in tags.images)
    assert all(int(image["width"] or 0) > 0 and int(image["height"] or 0) > 0 for image in tags.images)
    for reference in tags.references:
        kinds = ("image/png;base64,", "image/webp;base64,", "text/csv;charset=utf-8,", "text/csv;base64,")
        assert reference.startswith(("#", *(f"data:{kind}" for kind in kinds)))
        assert not reference.startswith("#") or reference[1:] in tags.ids
    assert "http:" not in page
    assert "https:" not in page
    assert "url(" not in page


def test_page_shows_every_row_and_says_what_is_missing(page: str, finished_once: Path) -> None:
    for row in read_json(finished_once / "reports" / "comparison.json"):
        assert f"{100 * row['test_accuracy_mean']:.1f} ± {100 * row['test_accuracy_sd']:.1f}" in page
    assert "the exploration of mnist (<code>dvc repro explore@mnist</code>); the exploration of mechanical" in page
    assert "No Grad-CAM: no feature map" in page
    named = page[page.index('<p class="missing">') : page.index("<main>")]
    assert '<a href="#datasets">Datasets</a>' in named
    assert "#noise" not in named


def test_the_stage_writes_the_same_page_again(page: str, finished: Path, small_params: Params) -> None:
    report.main(small_params, finished)
    assert (finished / "reports" / "index.html").read_text() == page


def test_missing_evaluation_is_listed_and_the_rest_is_shown(changed: str) -> None:
    assert "the evaluation of cnn2 on mnist" in changed
    shown = [image["alt"] or "" for image in Tags(changed).images]
    assert any(text.endswith(" of mlp on mnist") for text in shown)
    assert not any(text.endswith(" of cnn2 on mnist") for text in shown)


def test_names_are_escaped(changed: str) -> None:
    assert "&lt;script&gt;alert" in changed
    assert "<script>alert" not in changed


def test_without_a_comparison_there_is_no_report(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"comparison\.json is missing"):
        read(tmp_path, seed=1)


def test_an_own_project_is_not_told_to_check_out_a_commit_of_the_package(tmp_path: Path) -> None:
    records = [{"training": {"commit": "abc123"}}] * 2
    assert _commands(Path(__file__).parents[2], records) == ["git checkout abc123", "make repro"]
    assert _commands(tmp_path, records) == ["make repro    # with shearbench at its commit abc123"]
