"""Every command that a message or a page advises exists, and so does the target of every link."""

import re
from pathlib import Path

import pytest
import typer.main
import yaml

from shearbench.cli import app

REPOSITORY = Path(__file__).parents[1]
FILES = [
    *sorted((REPOSITORY / "src").rglob("*.py")),
    *(path for path in sorted((REPOSITORY / "docs").glob("*.md")) if path.name != "cluster.md"),
    *(REPOSITORY / name for name in ("README.md", "CONTRIBUTING.md", "dvc.yaml", "params.yaml")),
]
STAGES = set(yaml.safe_load((REPOSITORY / "dvc.yaml").read_text())["stages"])
COMMANDS = set(typer.main.get_command(app).commands)  # type: ignore[attr-defined]
TARGETS = set(re.findall(r"^([a-z-]+):", (REPOSITORY / "Makefile").read_text(), re.MULTILINE))


@pytest.mark.parametrize(
    ("pattern", "known"),
    [
        (r"(?m)(?:`|^ *)dvc repro(?: --?[a-z-]+)* ([a-z_]+)\b(?!/)", STAGES),
        (r"`shearbench(?: -C \S+)? ([a-z][a-z-]*)", COMMANDS),
        (r"(?m)(?:`|^ *)shearbench stage ([a-z_]+)", STAGES),
        (r"(?m)(?:`|^ *)make ([a-z-]+)", TARGETS),
    ],
)
def test_what_is_advised_exists(pattern: str, known: set[str]) -> None:
    found = [(path, name) for path in FILES for name in re.findall(pattern, path.read_text())]
    assert len(found) > 2, "the pattern finds the advice"
    assert [(str(path.relative_to(REPOSITORY)), name) for path, name in found if name not in known] == []


def test_every_link_of_a_page_leads_somewhere() -> None:
    pages = [*REPOSITORY.glob("*.md"), *REPOSITORY.glob("docs/*.md"), *REPOSITORY.glob("reports/**/README.md")]
    found = [
        (page, *link)
        for page in pages
        for link in re.findall(r"\]\((?!http)([^)#\s]*)(?:#([^)\s]*))?\)", page.read_text())
    ]
    assert len(found) > 50, "the pattern finds the links"
    assert [(str(page), path) for page, path, _ in found if not (page.parent / path).exists()] == []
    for page, path, anchor in found:
        if anchor:
            headings = re.findall(r"^#+ (.*)$", (page.parent / path if path else page).read_text(), re.MULTILINE)
            assert anchor in {re.sub(r"[^\w\- ]", "", each.lower()).replace(" ", "-") for each in headings}, (
                page,
                anchor,
            )
