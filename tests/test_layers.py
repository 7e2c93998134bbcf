"""The structure that docs/architecture.md promises, checked from the source and from dvc.yaml.

Layers (a module imports only from above it), the one file for each outside service, a size budget, stages that depend
on the text of their own code and declare the parameters that it reads, and the seal on the test set.
"""

import ast
import statistics
from pathlib import Path

import pytest
import yaml

from shearbench.code import PACKAGE, imports

REPOSITORY = Path(__file__).parents[1]
SOURCE = REPOSITORY / "src"
LAYERS = [
    "errors code strict seeds records execution torchvision_ops yaml12",
    "mechanics",
    "statistics",
    "data",
    "models",
    "training",
    "predictions",
    "plotting",
    "blocks",
    "analysis",
    "comparison ablation",
    "params",
    "handwriting",
    "tracking",
    "tuning",
    "report",
    "pipeline",
    "stages",
    "api",
    "commands",
    "cli",
    "warm",
]
BLOCKS = ("blocks", "card", "comparison", "findings")
"""What a section of the report is made of; the topics of ``analysis/`` bring sections, so these stand below them."""
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
# Of execution only device and precision change numbers; a run is named by the command, its parts by the templates.
BY_PARTS = {"execution", "tracking", "runs"}
FILES = sorted(PACKAGE.rglob("*.py"))
STAGES = {
    name: stage
    for file in ("dvc.yaml", "tuned/dvc.yaml")
    for name, stage in yaml.safe_load((REPOSITORY / file).read_text())["stages"].items()
}


def _module(path):
    parts = path.relative_to(SOURCE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _imports(path):
    """Every module that a file imports, or a name in one, inside functions and for type checkers too."""
    found = list(imports(ast.parse(path.read_text())))
    assert not [name for name in found if name.startswith(".")], f"{path}: relative import"
    return found


def _part(module):
    """mechanics for shearbench.mechanics.newton, and so on."""
    if module == "shearbench.report" or (module.startswith("shearbench.report.") and module.split(".")[2] in BLOCKS):
        return "blocks"
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
    assert not ((own in ("report", "blocks") or path.name == "section.py") and outside & {"torch", "torchvision"}), (
        "the report is made from records"
    )
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


def _stage(name):
    return STAGES[name].get("do", STAGES[name])


def _deps(name):
    return _stage(name).get("deps", [])


@pytest.mark.parametrize("name", sorted(STAGES.keys() - {"code"}))
def test_a_stage_depends_on_the_text_of_its_code_and_on_no_source(name):
    of = {"runs": "/${item.model}", "models": "/${key}", "ablations": "/${key}"}
    foreach = STAGES[name].get("foreach", "")[2:-1]
    assert f"build/code/{name}{of.get(foreach, '')}.txt" in _deps(name)
    assert not [dep for dep in _deps(name) if dep.startswith(("src", "networks"))]


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


@pytest.mark.parametrize("name", ["explore", "train", "ablation", "tune"])
def test_the_test_set_is_sealed_until_evaluate(name):
    assert not [dep for dep in _deps(name) if "test" in Path(dep).name]
    assert not [dep for dep in _deps(name) if dep in ("build/samples", "build/datasets", "build/fields", "data")]
    source = (PACKAGE / "stages" / f"{name}.py").read_text()
    assert '"test"' not in source
    assert "test.npz" not in source


def test_the_leakage_is_opened_by_evaluate():
    assert "build/datasets/${item.dataset}/test.npz" in _deps("evaluate")
