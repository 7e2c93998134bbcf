"""The structure that docs/architecture.md promises, checked from the source and from dvc.yaml.

Layers (a module imports only from above it), the one file for each outside service, a size budget, stages whose
``deps`` cover what their code imports and whose ``params`` cover what it reads, and the seal on the test set.
"""

import ast
import statistics
from pathlib import Path

import pytest
import yaml

from shearbench.models import ARCHITECTURES

REPOSITORY = Path(__file__).parents[1]
SOURCE = REPOSITORY / "src"
PACKAGE = SOURCE / "shearbench"
LAYERS = [
    "errors strict seeds records execution torchvision_ops",
    "mechanics",
    "statistics",
    "data",
    "models",
    "training",
    "evaluation",
    "handwriting",
    "tracking",
    "tuning",
    "report",
    "params",
    "stages",
    "cli",
]
RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names.split()}
ONLY_IN = {
    "mlflow": "tracking",
    "optuna": "tuning",
    "joblib": "execution",
    "dask": "execution",
    "typer": "cli",
    "dvc": "report",
}
# No number depends on these: what a new settings key does reaches DVC through `params:`.
# Of execution only device and precision change numbers; a cell is named by the command, its parts by the templates.
BY_PARTS = {"execution", "tracking", "cells"}
CANNOT_CHANGE_A_RESULT = {"errors", "strict", "execution", "params", "tracking", "stages", "__init__"}
FILES = sorted(PACKAGE.rglob("*.py"))
STAGES = {
    name: stage
    for file in ("dvc.yaml", "tuned/dvc.yaml")
    for name, stage in yaml.safe_load((REPOSITORY / file).read_text())["stages"].items()
}


def _module(path):
    parts = path.relative_to(SOURCE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _path(module):
    path = SOURCE.joinpath(*module.split("."))
    for candidate in (path.with_suffix(".py"), path / "__init__.py"):
        if candidate.is_file():
            return candidate
    return None


def _imports(path):
    """Every module that a file imports, inside functions too, as dotted names."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names if _path(f"{node.module}.{alias.name}"))


def _part(module):
    """mechanics for shearbench.mechanics.newton, and so on."""
    return module.split(".")[1] if "." in module else "__init__"


@pytest.mark.parametrize("path", FILES, ids=_module)
def test_a_module_imports_only_from_above_it(path):
    own = _part(_module(path))
    if own == "__init__":
        return
    for module in _imports(path):
        if module.startswith("shearbench.") and _part(module) != own:
            assert RANK[_part(module)] <= RANK[own], f"{_module(path)} imports {module}"
            assert RANK[_part(module)] < RANK[own] or RANK[own] == 0, f"{_module(path)} imports its neighbour {module}"


@pytest.mark.parametrize("path", FILES, ids=_module)
def test_each_service_has_one_door(path):
    own = _part(_module(path))
    outside = {module.split(".")[0] for module in _imports(path)}
    assert {service for service in outside if ONLY_IN.get(service, own) != own} == set()
    assert not (own == "report" and outside & {"torch", "torchvision"}), "the report is made from records"
    assert "pickle" not in outside


def _functions(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            body = node.body[1:] if ast.get_docstring(node) else node.body
            lines = body[-1].end_lineno - body[0].lineno + 1 if body else 0
            yield f"{_module(path)}.{node.name}", lines


def test_small_files_and_small_functions():
    assert [path for path in FILES if len(path.read_text().splitlines()) > 400] == []
    sizes = dict(size for path in FILES for size in _functions(path))
    assert {name: lines for name, lines in sizes.items() if lines > 60} == {}
    assert statistics.median(sizes.values()) <= 10


def _closure(module):
    """Every file of ours that a module can reach by imports, without those that cannot change a result."""
    found, todo = set(), [module]
    while todo:
        path = _path(todo.pop())
        if path is None or path in found:
            continue
        found.add(path)
        ours = [name for name in _imports(path) if name.startswith("shearbench.")]
        if path == PACKAGE / "models" / "__init__.py":
            ours += ARCHITECTURES.values()  # imported by these names when a network is built
        todo += [
            name for name in ours if name.startswith("shearbench.stages.") or _part(name) not in CANNOT_CHANGE_A_RESULT
        ]
    return found


def _stage(name):
    return STAGES[name].get("do", STAGES[name])


def _deps(name):
    return _stage(name)["deps"]


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_depends_on_the_code_it_runs(name):
    deps = [REPOSITORY / dep for dep in _deps(name) if dep.startswith("src/")]
    assert all(dep.exists() for dep in deps)
    closure = _closure(f"shearbench.stages.{name}")
    uncovered = {path for path in closure if not any(path == dep or dep in path.parents for dep in deps)}
    assert {str(path.relative_to(REPOSITORY)) for path in uncovered} == set()
    assert ("networks" in _deps(name)) == (PACKAGE / "models" / "own.py" in closure), "networks of a user's own"
    idle = {dep for dep in deps if not any(path == dep or dep in path.parents for path in closure)}
    assert {str(dep.relative_to(REPOSITORY)) for dep in idle} == set()


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_declares_the_parameters_it_reads(name):
    tree = ast.parse((PACKAGE / "stages" / f"{name}.py").read_text())
    read = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "params"
    }
    declared = {key.split(".")[0] for key in _stage(name).get("params", [])}
    assert read - BY_PARTS <= declared


@pytest.mark.parametrize("name", ["explore", "train", "experiment", "tune"])
def test_the_test_set_is_sealed_until_evaluate(name):
    assert not [dep for dep in _deps(name) if "test" in Path(dep).name]
    assert not [dep for dep in _deps(name) if dep in ("build/digits", "build/datasets", "build/fields", "data")]
    source = (PACKAGE / "stages" / f"{name}.py").read_text()
    assert '"test"' not in source
    assert "test.npz" not in source


def test_the_seal_is_opened_by_evaluate():
    assert "build/datasets/${item.dataset}/test.npz" in _deps("evaluate")
