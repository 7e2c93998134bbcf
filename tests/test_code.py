"""The code of a result: what a stage reaches by imports, and a hash of what that does. Edits run what they concern."""

import json
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml
from dvc.repo import Repo

from shearbench import code
from shearbench.models import ARCHITECTURES
from shearbench.params import load
from shearbench.stages.code import main as write_texts
from shearbench.stages.code import texts
from small_clone import environment

REPOSITORY = Path(__file__).parents[1]


def _write(folder: Path, files: Mapping[str, str]) -> None:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small package that stands for ours, in a project with networks of the user's own, and nothing remembered."""
    files = {
        "__init__.py": "",
        "errors.py": "A = 1\n",
        "low.py": "A = 1\n",
        "typed.py": "A = 1\n",
        "late.py": "A = 1\n",
        "named.py": "A = 1\n",
        "page/__init__.py": "A = 1\n",
        "page/write.py": "FOLDER = __file__\n",
        "page/style.css": "p {}",
        "page/vendor/sort.js": "sort()",
        "page/part/__init__.py": "",
        "page/part/other.css": "b {}",
        "data/normalise.py": "from shearbench.data import trend\n",
        "data/trend.py": "A = 1\n",
        "models/net.py": "from shearbench.low import A\n",
        "stages/__init__.py": "from shearbench import named\n",
        "stages/other.py": "A = 1\n",
        "stages/one.py": "from typing import TYPE_CHECKING\nfrom importlib import import_module\n"
        "import shearbench.errors\nfrom shearbench.low import A\nfrom shearbench.stages import other\n"
        "from shearbench.data import normalise\n"
        "if TYPE_CHECKING:\n    from shearbench import typed\n"
        "def run():\n    from shearbench.page.write import FOLDER\n    import_module('shearbench.late')\n",
    }
    _write(tmp_path / "shearbench", files)
    networks = {
        "mine.py": "from helpers.blocks import Block\nimport torch\n",
        "helpers/__init__.py": "from . import blocks\n",
        "helpers/blocks.py": "from .sizes import SIZE\n",
        "helpers/sizes.py": "SIZE = 1\n",
        "unused.py": "A = 1\n",
        "broken.py": "def Net(:\n",
    }
    _write(tmp_path / "networks", networks)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(code, "PACKAGE", tmp_path / "shearbench")
    return tmp_path / "shearbench"


def _reached(*architectures: str, also: tuple[str, ...] = ()) -> set[str]:
    return set(code.closure("shearbench.stages.one", architectures, also))


ONE = {
    *("shearbench/low.py", "shearbench/late.py", "shearbench/stages/one.py", "shearbench/stages/other.py"),
    *("shearbench/data/normalise.py", "shearbench/page/__init__.py", "shearbench/page/write.py"),
    *("shearbench/page/style.css", "shearbench/page/vendor/sort.js"),
}


def test_a_closure_has_all_that_is_imported_and_no_more(package: Path) -> None:
    assert _reached() == ONE
    assert _reached(also=(code.TREND,)) == ONE | {"shearbench/data/trend.py"}
    assert _reached("net") == ONE | {"shearbench/models/net.py"}


def test_a_network_of_the_users_own_counts_with_its_helpers(package: Path) -> None:
    own = {"mine.py", "helpers/__init__.py", "helpers/blocks.py", "helpers/sizes.py"}
    assert _reached("mine.Net") == ONE | own
    assert _reached("helpers.blocks.Block") == ONE | own - {"mine.py"}
    assert _reached("broken.Net") == ONE | {"broken.py"}
    assert _reached("nobody.Net") == ONE | {"nobody missing"}


def test_libraries_beside_an_installed_package_are_not_its_code(package: Path) -> None:
    own = _reached("mine.Net")
    _write(package.parent, {"typing.py": "A = 1\n", "torch/__init__.py": "A = 1\n"})
    assert (_reached(), _reached("mine.Net")) == (ONE, own)


def test_an_installed_network_counts_with_its_distribution(package: Path) -> None:
    (line,) = _reached("skfem.Net") - ONE
    name, version, record = line.split()
    assert name == "skfem"
    assert version[0].isdigit()
    assert len(record) == 64


SOURCE = 'import os\n\n\ndef run(a, b=1):\n    """Return."""\n    return a + b\n'


@pytest.mark.parametrize(
    ("edited", "same"),
    [
        ("# a comment\n" + SOURCE, True),
        (SOURCE.replace("Return.", "Give."), True),
        (SOURCE.replace('    """Return."""\n', ""), True),
        (SOURCE.replace("a, b=1", "\n    a,\n    b = 1\n"), True),
        (SOURCE + '"""About the above."""\n', True),
        (SOURCE + "from typing import TYPE_CHECKING\n", False),
        (SOURCE.replace("b=1", "b=2"), False),
        (SOURCE.replace("b=1", "b=1.0"), False),
        (SOURCE.replace("a + b", "a - b"), False),
        (SOURCE.replace("a + b", "a + 'b'"), False),
        (SOURCE.replace("return a + b", "a + b"), False),
        (SOURCE.replace("import os", "import sys"), False),
    ],
)
def test_a_hash_is_of_what_the_code_does(tmp_path: Path, edited: str, same: bool) -> None:
    (tmp_path / "before.py").write_text(SOURCE)
    (tmp_path / "after.py").write_text(edited)
    before, after = (code.parse(tmp_path / f"{name}.py").does for name in ("before", "after"))
    assert (before == after) == same


def test_what_is_remembered_is_what_would_be_parsed(package: Path) -> None:
    code._parsed.cache_clear()
    first = code.closure("shearbench.stages.one", ["mine.Net"])
    code.remember()
    code._parsed.cache_clear()
    assert {source.does for source in code._parsed().values()} >= {first["mine.py"], first["shearbench/low.py"]}
    assert code.closure("shearbench.stages.one", ["mine.Net"]) == first
    (package / "low.py").write_text("A = 2\n")
    assert code.closure("shearbench.stages.one", ["mine.Net"]) != first
    code.PARSED.write_text("damaged")
    code._parsed.cache_clear()
    assert code.closure("shearbench.stages.one", ["mine.Net"]) != first


def test_networks_of_ours_are_the_modules_of_their_names() -> None:
    assert {name: f"shearbench.models.{name}" for name in ARCHITECTURES} == ARCHITECTURES


def test_no_import_goes_through_a_door_that_opens_late() -> None:
    """A package whose ``__getattr__`` imports hides from a closure what its names come from."""
    doors = [path for path in code.PACKAGE.rglob("__init__.py") if "def __getattr__" in path.read_text()]
    assert [path.parent.name for path in doors] == ["shearbench"], "it is for users alone"
    modules = {f"shearbench.mechanics.{path.stem}" for path in (code.PACKAGE / "mechanics").glob("*.py")}
    found = {name for path in code.PACKAGE.rglob("*.py") for name in code.parse(path).imports}
    named = {name for name in found if name.rpartition(".")[0] == "shearbench.mechanics"}
    assert named <= modules
    of_package = {name for name in found if name.rpartition(".")[0] == "shearbench"}
    assert of_package <= {f"shearbench.{path.stem}" for path in code.PACKAGE.iterdir()}


@pytest.mark.parametrize(("folder", "stage"), [("report", "report"), ("data", "prepare")])
def test_data_files_are_in_the_code_of_the_stage_that_opens_them(folder: str, stage: str) -> None:
    data = [
        path
        for path in (code.PACKAGE / folder).rglob("*.*")
        if path.suffix not in (".py", ".typed") and path.parent.name != "__pycache__"
    ]
    reached = set(code.closure(f"shearbench.stages.{stage}"))
    assert data
    assert {path.relative_to(code.PACKAGE.parent).as_posix() for path in data} <= reached


def test_folders_of_ablations_are_there_without_an_ablation(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text("datasets: {}\nmodels: {}\nablations: {}\n")
    stages = yaml.safe_load((REPOSITORY / "dvc.yaml").read_text())["stages"]
    made = [out for stage in stages.values() if stage.get("foreach") == "${ablations}" for out in stage["do"]["outs"]]
    parents = {str(Path(next(iter(out)) if isinstance(out, dict) else out).parent) for out in made}
    needed = parents & {dep for stage in stages.values() for dep in stage.get("do", stage).get("deps", ())}
    assert len(needed) == 2
    write_texts(tmp_path)
    assert all((tmp_path / folder).is_dir() for folder in needed)


def test_results_of_an_ablation_that_was_removed_from_the_parameters_go(project: Path) -> None:
    results = project / "build" / "ablation_results"
    shutil.copytree(results / "channels", results / "former")
    _hash_code(project)
    assert [path.name for path in results.iterdir() if path.is_dir()] == ["channels"]


@pytest.mark.parametrize("name", ["params.yaml", "profiles/full.yaml", "profiles/hour.yaml"])
def test_every_stage_of_our_own_parameters_has_a_text(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(REPOSITORY)
    params = load(REPOSITORY / name)
    named = dict(texts(REPOSITORY / name))
    assert {f"train/{model}" for model in params.models} <= named.keys()
    assert {f"ablation/{ablation}" for ablation in params.ablations} <= named.keys()
    assert "shearbench/models/cnn3.py" in named["ablation/regularisation"], "by way of a base"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose stages are all up to date, without a source beside it: the package is elsewhere."""
    folder = tmp_path_factory.mktemp("project")
    shutil.copytree(code.PACKAGE, folder / "installed" / "shearbench", ignore=shutil.ignore_patterns("__pycache__"))
    calibration = [f"reports/calibration.{end}" for end in ("csv", "json", "png")]
    for name in ("dvc.yaml", "params.yaml", ".dvc/config", "reports/full", "reports/joined", *calibration):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        copy = shutil.copytree if (REPOSITORY / name).is_dir() else shutil.copy
        copy(REPOSITORY / name, folder / name)
    params = yaml.safe_load((folder / "params.yaml").read_text())
    mine = params["models"]["mlp"] | {"architecture": "mine.Net"}
    params["models"] = {"mlp": params["models"]["mlp"], "mine": mine}
    params["runs"] = {f"mnist-{name}": {"dataset": "mnist", "model": name} for name in params["models"]}
    params["ablations"] = {"channels": params["ablations"]["channels"]}
    (folder / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    _write(folder / "networks", {"mine.py": "from blocks import Net\n", "blocks.py": "class Net: ...\n"})
    (folder / "data" / "class_digits").mkdir(parents=True)
    subprocess.run(["git", "init", "-q", folder], check=True)
    _hash_code(folder)
    with Repo(folder) as repo:
        named = [Path(each.fs_path) for stage in repo.index.stages for each in (*stage.deps, *stage.outs)]
    for path in sorted(named, key=lambda path: -len(path.parts)):  # first those within others
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.suffix and not path.exists():
            path = path / "made"
            path.parent.mkdir()
        if not path.exists():
            path.write_text("made")
    subprocess.run(["dvc", "commit", "-q", "--force"], cwd=folder, env=environment(), check=True)
    assert _stale(folder) == set()
    return folder


def _hash_code(folder: Path) -> None:
    surroundings = environment() | {"PYTHONPATH": str(folder / "installed")}
    command = [sys.executable, "-m", "shearbench.cli", "stage", "code"]
    subprocess.run(command, cwd=folder, env=surroundings, check=True)


def _stale(folder: Path) -> set[str]:
    """Return the stages that ``dvc status`` names, but for those that always run."""
    _hash_code(folder)
    command = ["dvc", "status", "--json"]
    done = subprocess.run(command, cwd=folder, env=environment(), capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout)) - {"code", "track"}


MLP, MINE = ({f"{stage}@mnist-{model}" for stage in ("train", "evaluate")} for model in ("mlp", "mine"))
READERS = {"transfer", "handwriting"}
SIMULATING = {"simulate", "severity", "datasets", "explore@mnist", "explore@mechanical", "transfer", "compare"}
SIMULATING |= {
    "evaluate@mnist-mlp",
    "evaluate@mnist-mine",
    "ablation@channels",
    "ablation_result@channels",
    "handwriting",  # it makes the data of its ablation again, to hold them against those of the trainings
}  # no training


CODE = "\nEDITED = True\n"


@pytest.mark.parametrize(
    ("file", "added", "expected"),
    [
        ("installed/shearbench/training/loop.py", "\n# a comment\n", set()),
        ("installed/shearbench/report/page.css", "b {}\n", {"report"}),
        ("installed/shearbench/analysis/corruption/compare.py", CODE, {"compare"}),
        ("installed/shearbench/statistics/verdict.py", CODE, {"compare", "report", "ablation_result@channels"}),
        (
            "installed/shearbench/models/layers.py",
            CODE,
            MLP | READERS | {"ablation@channels", "ablation_result@channels"},
        ),
        ("installed/shearbench/models/mlp.py", CODE, MLP | READERS),
        ("networks/blocks.py", CODE, MINE | READERS),
        ("installed/shearbench/mechanics/newton.py", CODE, SIMULATING),
    ],
    ids=["comment", "style", "caption", "statistic", "layer", "network", "own helper", "solver"],
)
def test_an_edit_runs_the_stages_it_concerns(project: Path, file: str, added: str, expected: set[str]) -> None:
    path = project / file
    original = path.read_text()
    path.write_text(original + added)
    try:
        assert _stale(project) == expected
    finally:
        path.write_text(original)
