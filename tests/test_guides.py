"""The guides of ``docs/``, followed as they stand: whole in a fresh small clone, and quickly what can be read alone."""

import ast
import re
from pathlib import Path

import pytest
import yaml

import guides
from shearbench.params import load
from shearbench.report.claims import read_claim
from small_clone import REPOSITORY, make_clone, repro, run

PAGES = ("add-a-model", "add-a-dataset", "add-an-analysis", "add-a-claim", "use-your-own-digits")
BUILT = {"add-a-claim", "use-your-own-digits"}  # its reader has run the benchmark
WRITES = {"python", "yaml"}


def _page(name: str) -> Path:
    return REPOSITORY / "docs" / f"{name}.md"


def _shorten_searches(path: Path) -> None:
    params = yaml.safe_load(path.read_text())
    params["tuning"].update(reduction=2, rungs=2, finalists=1, folds=2, inner_fraction=0.4)
    path.write_text(yaml.safe_dump(params, sort_keys=False))


@pytest.mark.slow
@pytest.mark.parametrize("name", PAGES)
def test_a_guide_works_step_by_step(name: str, tmp_path: Path) -> None:
    clone, digits = tmp_path / "a clone", tmp_path / "digits"
    clone.mkdir()
    digits.mkdir()
    make_clone(clone, digits)
    _shorten_searches(clone / "params.yaml")
    run(clone, "shearbench", "data", "--adopt")
    if name in BUILT:
        repro(clone)
    guides.follow(_page(name), clone)


@pytest.mark.parametrize("name", PAGES)
def test_what_a_guide_has_written_can_be_read(name: str, tmp_path: Path) -> None:
    documents = {"params.yaml": yaml.safe_load((REPOSITORY / "params.yaml").read_text())}
    found = guides.blocks(_page(name))
    assert {block.language for block in found} <= {*WRITES, "sh", "text"}
    for block in found:
        if block.language == "python":
            ast.parse(block.text)
        if block.language == "yaml":
            (file,) = block.words
            documents[file] = guides.merged(documents.get(file), yaml.safe_load(block.text))
            (tmp_path / Path(file).name).write_text(yaml.safe_dump(documents[file], sort_keys=False))
            reads = {"params.yaml": load, "claims": read_claim}  # at the size of the default run, run small as a whole
            reads[Path(file).parts[0]](tmp_path / Path(file).name)


def test_the_entries_of_the_front_page_can_be_added(tmp_path: Path) -> None:
    document = yaml.safe_load((REPOSITORY / "params.yaml").read_text())
    entries = re.findall(r"^```yaml\n(.*?)^```$", (REPOSITORY / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    assert entries
    for entry in entries:
        document = guides.merged(document, yaml.safe_load(entry))
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(document, sort_keys=False))
    load(tmp_path / "params.yaml")


def test_the_front_page_has_every_stage_and_every_verb() -> None:
    text = (REPOSITORY / "README.md").read_text()
    stages = yaml.safe_load((REPOSITORY / "dvc.yaml").read_text())["stages"]
    assert [name for name in stages if not re.search(rf"^\|.*`{name}[`@].*\|", text, re.MULTILINE)] == []
    verbs = re.findall(r"^([a-z-]+):.*## ", (REPOSITORY / "Makefile").read_text(), re.MULTILINE)
    unsaid = {"help", "setup", "lock", "hashes", "audit"}  # `make` prints them; a reader needs none of them
    assert [verb for verb in verbs if verb not in unsaid and f"`make {verb}" not in text] == []


@pytest.mark.parametrize("name", PAGES)
def test_every_guide_is_found_from_the_front_page(name: str) -> None:
    assert f"docs/{name}.md" in (REPOSITORY / "README.md").read_text()


def test_output_is_compared_line_by_line_in_order() -> None:
    printed = "mnist      mlp   92.1\nmechanical cnn2  88.0\nReport: here"
    assert guides.first_missing("mnist ... 92.1\nReport: ...", printed) is None
    assert guides.first_missing("mnist mlp\nmnist cnn2", printed) == "mnist cnn2"
    assert guides.first_missing("Report:\nmnist", printed) == "mnist"


def test_a_step_that_fails_or_prints_something_else_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    for text, complaint in (
        ("```sh\nfalse\n```\n", "ended with 1"),
        ("```sh fails\ntrue\n```\n", "ended with 0"),
        ("```sh\nfalse | true\n```\n", "ended with 1"),
        ("```sh\necho one\n```\n\n```text\ntwo\n```\n", "'two' is not in"),
        ("```ruby x.rb\n1\n```\n", "ruby"),
        ("```\nsomething\n```\n", "without a language"),
    ):
        page.write_text(f"# A page\n\n{text}")
        with pytest.raises(AssertionError, match=complaint):
            guides.follow(page, tmp_path)


def test_entries_are_merged_and_sources_replaced() -> None:
    old = {"sources": {"mnist": {"kind": "path", "path": "x"}}, "runs": {"a": {"dataset": "d"}}}
    new = {"sources": {"mnist": {"kind": "bundled"}}, "runs": {"b": {"dataset": "e"}}}
    assert guides.merged(old, new) == {
        "sources": {"mnist": {"kind": "bundled"}},
        "runs": {"a": {"dataset": "d"}, "b": {"dataset": "e"}},
    }


def _prose(text: str) -> list[str]:
    """Return the lines of a page outside code blocks, tables, headings, pictures and HTML."""
    fenced, lines = False, []
    for line in text.splitlines():
        fence = line.lstrip().startswith("```")
        fenced ^= fence
        if not (fence or fenced or line.startswith("    ") or line.lstrip().startswith(("|", "#", "![", "<"))):
            lines.append(line)
    return lines


@pytest.mark.parametrize(
    "page",
    [
        *(REPOSITORY / "README.md", REPOSITORY / "CONTRIBUTING.md"),
        *sorted((REPOSITORY / "docs").glob("*.md")),
        *sorted((REPOSITORY / "reports").rglob("*.md")),
    ],
    ids=lambda page: str(page.relative_to(REPOSITORY)),
)
def test_prose_wraps_at_100_characters(page: Path) -> None:
    assert [line for line in _prose(page.read_text()) if len(line) > 100] == []
