"""The tables of faults have a line for each, with tests that exist."""

import ast
import re
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
PAGE = (REPOSITORY / "docs" / "reliability.md").read_text()
NAMED = sorted(set(re.findall(r"`([a-z_/]+\.py)::(\w+)`", PAGE)))


def test_every_fault_has_a_line_with_a_promise_and_a_test_or_a_reason() -> None:
    lines = re.findall(r"^\| (\d+) \| (.+?) \| (.+?) \| (.+?) \|$", PAGE, re.MULTILINE)
    assert sorted(int(number) for number, *_ in lines) == list(range(1, 95))
    for number, _, _, tests in lines:
        assert "::" in tests or "reason" in tests, number


@pytest.mark.parametrize(("file", "name"), NAMED)
def test_a_test_that_is_named_is_collected_and_is_slow_where_it_says_so(file: str, name: str) -> None:
    assert Path(file).name.startswith("test_"), "pytest collects no other file"
    assert name.startswith("test_"), "and no other function"
    tree = ast.parse((REPOSITORY / "tests" / file).read_text())
    (found,) = (node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == name)
    marks = [ast.unparse(mark) for mark in found.decorator_list]
    assert not [mark for mark in marks if mark.startswith(("pytest.mark.skip(", "pytest.mark.xfail", "pytest.fixture"))]
    marks += [ast.unparse(node) for node in tree.body if "pytestmark" in ast.unparse(node)]
    is_slow = any("pytest.mark.slow" in mark for mark in marks)
    says_so = re.search(rf"{re.escape(f'`{file}::{name}`')} \*\(slow", PAGE) is not None
    assert is_slow == says_so
