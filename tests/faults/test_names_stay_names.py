"""Names and texts of users do not break out of a path, a command, a query, a table or a page."""

import csv
import io
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image
from rich.text import Text
from typer.testing import CliRunner

from shearbench.cli import app
from shearbench.errors import InputError, without_secrets
from shearbench.handwriting.folder import manifest_csv, read_folder
from shearbench.handwriting.output import heading
from shearbench.params import Params, load
from shearbench.predictions.contents import Content, Node
from shearbench.stages import code
from shearbench.tracking import mirror
from shearbench.tracking.store import EXPERIMENT, SUPERSEDED_TAG

REPOSITORY = Path(__file__).parents[2]
HOSTILE = [
    *("../../x", "a/b", "/etc", "..", "", "-rf", "a b", "a;touch canary;", "$(touch canary)", "`touch canary`", "a|b"),
    *("a'--", 'a"', "a' or '1'='1", "<script>alert(1)</script>", "=cmd()", "@x", "a\nb", "a\x00b", "a\\b", "${seed}"),
    *("x" * 10_000, "ünï", "CON", "a.b", "*"),
]


@pytest.fixture
def document() -> dict[str, Any]:
    """The project's own parameters."""
    loaded: dict[str, Any] = yaml.safe_load((REPOSITORY / "params.yaml").read_text())
    return loaded


@pytest.mark.parametrize("part", ["datasets", "models", "runs", "ablations"])
def test_a_name_is_lower_case_letters_digits_and_underscores(
    tmp_path: Path, document: dict[str, Any], part: str
) -> None:
    document[part] |= dict.fromkeys(HOSTILE, next(iter(document[part].values())))
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump(document, sort_keys=False))
    with pytest.raises(InputError) as caught:
        load(path)
    for name in HOSTILE:
        assert f"{part}.{name}" in str(caught.value)
    assert str(caught.value).count("should match pattern") == len(HOSTILE)


def test_every_stage_with_a_name_in_its_command_waits_for_the_one_that_refuses_bad_names(
    tmp_path: Path, document: dict[str, Any]
) -> None:
    """DVC puts names into a shell's command as they stand; `code` always runs, and reads params.yaml first."""
    stages = yaml.safe_load((REPOSITORY / "dvc.yaml").read_text())["stages"]
    assert stages["code"]["always_changed"]
    assert all("${" not in stage["cmd"] for stage in stages.values() if "cmd" in stage)
    named = {name: stage for name, stage in stages.items() if "foreach" in stage}
    for name, stage in named.items():
        assert any(dep.startswith("build/code/") for dep in stage["do"]["deps"]), name
    for part in {stage["foreach"][2:-1] for stage in named.values()} | {
        "models"
    }:  # runs name them, and paths hold them
        for bad in HOSTILE:
            changed = document | {part: document[part] | {bad: next(iter(document[part].values()))}}
            (tmp_path / "params.yaml").write_text(yaml.safe_dump(changed, sort_keys=False))
            with pytest.raises(InputError, match=part):
                code.main(tmp_path)
    assert not (tmp_path / "build").exists()


def test_a_name_on_the_command_line_is_looked_up_and_nothing_else(
    finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(finished)
    for name in ("../../x", "/etc", "a;touch canary;", "$(touch canary)", "`touch canary`", "-rf", "${seed}", ""):
        for words in (["stage", "train", "--", name], ["stage", "--", name], ["tune", "--", name]):
            result = CliRunner().invoke(app, words)
            assert result.exit_code == 2, result.output
            assert result.exception is None or isinstance(result.exception, SystemExit)
    assert not (finished / "canary").exists()


FILES = [
    *("=cmd|' /C calc'!A0.png", "+1.png", "-1.png", "@SUM(A1).png", "\t=1.png", "a\nb.png", "a\rb.png", "\x1b[2J.png"),
    *("<script>alert(1)</script>.png", "a,b.png", 'a"b.png', "[bold]x[/].png", "[/].png", "-rf", "$(touch canary).png"),
    *("\u202egnp.exe", "a\udcff.png", "7-1-1.png"),
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder whose file names are out to do harm; one of them is a digit."""
    path = tmp_path / "class"
    path.mkdir()
    for name in FILES:
        file = io.BytesIO()
        Image.fromarray(np.eye(28, dtype=np.uint8) * 255).save(file, "PNG")
        (path / name.replace("/", "\u2215")).write_bytes(file.getvalue())
    return path


def test_no_file_name_is_a_formula_or_a_second_line_in_a_table(folder: Path) -> None:
    text = manifest_csv(read_folder(folder, workers=1))
    rows = list(csv.reader(io.StringIO(text)))
    assert len(rows) == len(os.listdir(folder)) + 1
    assert len(text.splitlines()) == len(rows), "no name goes on in a line of its own"
    for one_run in (one_run for row in rows[1:] for one_run in row):
        assert one_run.isprintable()
        if one_run.startswith(("=", "+", "-", "@")):
            float(one_run)  # a number
    text.encode()  # a name that is no text is shown as one


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("http://user:pass@host:5000/x failed", "http://***@host:5000/x failed"),
        ("postgresql+psycopg://u:p%40ss@db/x?sslpassword=s&y=1", "postgresql+psycopg://***@db/x?sslpassword=***&y=1"),
        ("url: /api?access_token=abc'", "url: /api?access_token=***'"),
        ("https://host/a@b is no login", "https://host/a@b is no login"),
    ],
)
def test_a_login_is_cut_out_of_a_text(text: str, shown: str) -> None:
    assert without_secrets(text) == shown


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")  # of mlflow's own making
@pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning")
def test_a_folders_name_is_no_part_of_a_query(tmp_path: Path, small_params: Params) -> None:
    names = ["handwriting-a", "handwriting-a' or attributes.run_name != '", 'handwriting-"`%; drop table runs;--']
    for round_ in range(2):
        nodes = [Node(name, f"{place}-{round_}", Content({}, {}, {}, [], [])) for place, name in enumerate(names)]
        assert mirror.track_all(tmp_path, small_params, [nodes[1], nodes[2]] if round_ else nodes)
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{tmp_path}/mlruns/mlflow.db")
    runs = client.search_runs([client.get_experiment_by_name(EXPERIMENT).experiment_id])
    superseded = sorted((run.info.run_name, run.data.tags[SUPERSEDED_TAG]) for run in runs)
    assert superseded == sorted([(names[0], "no"), *((name, word) for name in names[1:] for word in ("no", "yes"))])


def test_a_folders_name_is_no_markup_of_the_terminal() -> None:
    files = {"all": 1, "read": 1, "rejected": {"reading": 0}}
    line = heading({"folder": "[bold]a[/x]", "stand_in": False, "files": files, "writers": 1, "groups": 1})
    assert Text.from_markup(line).plain.startswith("[bold]a[/x]: 1 files")
