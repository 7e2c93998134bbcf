"""Variables, encodings, names and files of a user's surroundings decide nothing, and are no reason to fail."""

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

import shearbench
from shearbench import records
from shearbench.cli import app, settle
from shearbench.commands import predict
from shearbench.commands.verify import _meaning, cache_of
from shearbench.comparison import printed
from shearbench.data.raw import OBJECTS, listing, tree_of
from shearbench.errors import InputError, shown
from shearbench.records import locked, provenance, write_text
from shearbench.tracking import store

REPOSITORY = Path(__file__).parents[2]
REDIRECTING = ("MLFLOW_REGISTRY_URI", "MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME", "MLFLOW_RUN_ID", "GIT_DIR")
REDIRECTING += ("OPTUNA_STORAGE", "DASK_SCHEDULER_ADDRESS", "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE")
REDIRECTING += ("ONEDNN_DEFAULT_FPMATH_MODE", "DNNL_DEFAULT_FPMATH_MODE", "NVIDIA_TF32_OVERRIDE")


def test_a_variable_that_redirects_is_taken_out_and_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*REDIRECTING, "MLFLOW_TRACKING_PASSWORD", "ATEN_CPU_CAPABILITY"):
        monkeypatch.setenv(name, "default")
    found = settle()
    assert set(REDIRECTING) <= set(found)
    assert not set(REDIRECTING) & os.environ.keys()
    assert {"MLFLOW_TRACKING_PASSWORD", "ATEN_CPU_CAPABILITY"} <= os.environ.keys(), "logins, and what is recorded"


@pytest.mark.filterwarnings("ignore")
def test_a_registry_of_another_project_is_not_written_to(tmp_path: Path) -> None:
    other = tmp_path / "other.db"
    program = (
        "from shearbench.cli import settle; settle()\n"
        "from pathlib import Path; from shearbench.tracking.store import attempt\n"
        "assert attempt(Path.cwd(), 'default', lambda s: s.client.create_registered_model('mnist'))"
    )
    environment = {**os.environ, "MLFLOW_REGISTRY_URI": f"sqlite:///{other}", "MLFLOW_EXPERIMENT_ID": "77"}
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, env=environment, check=True, timeout=3600)
    assert not other.exists()
    assert (tmp_path / "mlruns" / "mlflow.db").is_file()


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252"])
def test_output_that_cannot_be_encoded_is_no_failure(encoding: str) -> None:
    program = (
        "from shearbench.cli import settle; settle()\n"
        "from rich import print as shows; shows('[red]Δ ± – 7 → \u2713[/]'); print('Δ – é')"
    )
    environment = {**os.environ, "PYTHONIOENCODING": encoding}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, timeout=3600)
    assert done.returncode == 0, done.stderr


def test_a_warning_of_a_library_is_no_failure() -> None:
    environment = {**os.environ, "PYTHONWARNINGS": "error"}
    program = (
        "from shearbench.cli import settle; settle(); import os, warnings\n"
        "warnings.warn('old', FutureWarning); assert 'PYTHONWARNINGS' not in os.environ"
    )
    subprocess.run([sys.executable, "-c", program], env=environment, check=True, timeout=3600)


def test_the_commit_is_the_projects_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = provenance()["commit"]
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    monkeypatch.setenv("GIT_DIR", str(tmp_path / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(tmp_path))
    assert provenance()["commit"] == own


def test_a_file_has_the_permissions_of_the_users_mask(tmp_path: Path) -> None:
    program = "import sys, pathlib, shearbench.records as r; r.write_text(pathlib.Path(sys.argv[1]), 'x')"
    for mask, mode in (("077", 0o600), ("022", 0o644), ("002", 0o664)):
        command = f'umask {mask}; exec "{sys.executable}" -c "{program}" "{tmp_path / mask}"'
        subprocess.run(["sh", "-c", command], check=True, timeout=3600)
        assert (tmp_path / mask).stat().st_mode & 0o777 == mode


def test_what_file_managers_leave_is_no_data(tmp_path: Path) -> None:
    write_text(tmp_path / "mnist" / "images", "digits")
    before = tree_of(tmp_path)
    for name in (".DS_Store", "Thumbs.db", "mnist/._images", "mnist/desktop.ini", "mnist/.DS_Store"):
        (tmp_path / name).write_text("litter")
    assert tree_of(tmp_path) == before
    write_text(tmp_path / "mnist" / "labels", "digits")
    assert tree_of(tmp_path) != before


def test_dvc_passes_over_what_we_pass_over(tmp_path: Path) -> None:
    shutil.copy(REPOSITORY / ".dvcignore", tmp_path)
    dvc = [sys.executable, "-m", "dvc"]
    environment = {**os.environ, "DVC_NO_ANALYTICS": "1"}
    subprocess.run([*dvc, "init", "--no-scm", "-q"], cwd=tmp_path, env=environment, check=True, timeout=3600)
    names = [".DS_Store", "Thumbs.db", "thumbs.db", "._x", "desktop.ini", "Desktop.ini", ".directory", ".localized"]
    asked = [f"data/{name}" for name in (*names, "7-2-4.png")]
    done = subprocess.run(
        [*dvc, "check-ignore", *asked], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=3600
    )
    assert done.stdout.split() == asked[:-1]


@pytest.mark.parametrize("command", ["ui", "serve"])
def test_a_taken_port_is_said_and_is_a_failure(command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = CliRunner().invoke(app, [command, "--port", str(port)])
    assert done.exit_code == 1
    assert f"port {port} on 127.0.0.1 is in use" in done.stderr
    assert "Open" not in done.stdout


def test_a_command_works_in_another_folder_as_git_does(tmp_path: Path) -> None:
    shutil.copy(REPOSITORY / "params.yaml", tmp_path)
    here = Path.cwd()
    try:
        done = CliRunner().invoke(app, ["-C", str(tmp_path), "results"])
    finally:
        os.chdir(here)
    assert f"{tmp_path / 'reports' / 'comparison.json'} is missing" in done.stderr.replace("\n", "")
    assert CliRunner().invoke(app, ["-C", str(tmp_path / "none"), "results"]).exit_code == 2


def test_code_of_another_folder_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(REPOSITORY / "params.yaml", tmp_path)
    (tmp_path / "src" / "shearbench").mkdir(parents=True)
    done = CliRunner().invoke(app, ["results"])
    assert done.exit_code == 2
    assert "this project's code is" in done.stderr
    (tmp_path / "src" / "shearbench").rmdir()
    (tmp_path / "src" / "shearbench").symlink_to(REPOSITORY / "src" / "shearbench")
    assert "comparison.json is missing" in CliRunner().invoke(app, ["results"]).stderr


def test_a_copy_that_dvc_works_in_runs_the_code_of_its_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "src").symlink_to(REPOSITORY / "src")
    copy = tmp_path / ".dvc" / "tmp" / "exps" / "standalone" / "tmpabc"
    package = shutil.ignore_patterns("__pycache__")
    shutil.copytree(Path(shearbench.__file__).parent, copy / "src" / "shearbench", ignore=package)
    shutil.copy(REPOSITORY / "params.yaml", copy)
    monkeypatch.chdir(copy)
    assert "comparison.json is missing" in CliRunner().invoke(app, ["results"]).stderr
    with (copy / "src" / "shearbench" / "seeds.py").open("a") as file:
        file.write("# edited since\n")
    assert "this project's code is" in CliRunner().invoke(app, ["results"]).stderr


def test_names_are_shown_without_their_escape_sequences() -> None:
    assert shown("a\x1b[31m\n\u202egnp.7\x9b") == "a\\x1b[31m\\n\\u202egnp.7\\x9b"
    assert shown("Ünïcode 数字") == "Ünïcode 数字"
    assert shown("one\ntwo\x07", keep="\n") == "one\ntwo\\x07"


def test_markup_in_a_files_name_is_text(capsys: pytest.CaptureFixture[str]) -> None:
    images = [{"file": "[/b]7\x1b[2J.png", "unread": "[/] no such file"}]
    named = {"model": "mlp", "dataset": "mnist", "fold": 0, "predictions": 1, "temperature": 1.0, "threshold": None}
    predict.print_result({"images": images, "model": {**named, "coverage": 0, "demanded": 0.9}}, quiet=False)
    assert "[/b]7\\x1b[2J.png" in capsys.readouterr().out


def test_a_lock_says_who_holds_it_and_does_not_wait_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("shearbench.records._TELL_AFTER", 0.0)
    monkeypatch.setattr("shearbench.records._LONGEST_WAIT", 0.3)
    with (
        locked(tmp_path / "lock"),
        pytest.raises(InputError, match=f"process {os.getpid()} has held .*lock for"),
        locked(tmp_path / "lock"),
    ):
        pass
    assert f"waiting for process {os.getpid()}" in capsys.readouterr().err


def test_the_cache_is_where_dvc_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    subprocess.run(["dvc", "init", "--no-scm", "-q"], cwd=tmp_path, check=True, timeout=3600)
    assert cache_of(tmp_path).resolve() == (tmp_path / ".dvc/cache").resolve()
    subprocess.run(["dvc", "cache", "dir", "-q", "--local", "../elsewhere"], cwd=tmp_path, check=True, timeout=3600)
    assert cache_of(tmp_path).resolve() == (tmp_path.parent / "elsewhere").resolve()


def test_verify_never_advises_what_loses_a_run() -> None:
    for name in ("dvc.lock", "reports/comparison.json", "params.yaml", "tuned/mlp.yaml"):
        assert "restore" not in _meaning(name)
        assert "checkout" not in _meaning(name)


@pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
def test_make_takes_what_a_user_gives_as_it_is_written(tmp_path: Path) -> None:
    shutil.copy(REPOSITORY / "Makefile", tmp_path)
    (tmp_path / ".venv/bin").mkdir(parents=True)
    for name in ("requirements.lock", "requirements.hashes", "pyproject.toml", ".venv/.installed"):
        (tmp_path / name).touch()
    for name in ("shearbench", "dvc"):
        (tmp_path / f".venv/bin/{name}").write_text('#!/bin/sh\nprintf "<%s>" "$@"; echo\n')
        (tmp_path / f".venv/bin/{name}").chmod(0o755)
    hostile = """a 'b' "c" `touch pwned` $(shell touch pwned) $$(touch pwned); touch pwned #"""
    for words in (
        ["handwriting", "DIR"],
        ["handwriting", "JSON"],
        ["handwriting", "LABELS"],
        ["tune", "MODEL"],
        ["ui", "PORT"],
        ["repro", "PROFILE"],
    ):
        given = {"DIR": "folder", "MODEL": "mlp"} | {words[1]: hostile}
        command = ["make", "-s", words[0], *(f"{name}={value}" for name, value in given.items())]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=3600)
        assert f"<{hostile}>" in done.stdout, (words, done)
    for words in (["handwriting", "STUDY"], ["handwriting", "FINE_TUNE"], ["tune", "REPLACE"], ["setup", "ADOPT"]):
        given = {"DIR": "folder", "MODEL": "mlp"} | {words[1]: hostile}
        command = ["make", "-s", words[0], *(f"{name}={value}" for name, value in given.items())]
        subprocess.run(command, cwd=tmp_path, capture_output=True, check=True, timeout=3600)
    assert not (tmp_path / "pwned").exists()


def test_a_percent_sign_in_a_path_is_one(tmp_path: Path) -> None:
    assert store.default_uri(tmp_path / "50%20off").endswith("50%2520off/mlruns/mlflow.db")


@pytest.mark.parametrize("long", ["resnet18", "a_network_whose_name_is_forty_characters"])
def test_a_narrow_terminal_folds_names_and_never_cuts_a_number(long: str, capsys: pytest.CaptureFixture[str]) -> None:
    row = dict.fromkeys(("cv_accuracy_mean", "test_accuracy_mean", "cv_accuracy_low", "cv_accuracy_high"), 0.98765)
    row |= {"cv_accuracy_sd": 0.01234, "test_accuracy_sd": 0.01234, "accuracy_drop": 0.1234, "parameters": 11_176_512}
    rows = [{**row, "dataset": long[::-1], "model": long, "seconds_per_fold": 12345.6, "hardware": "cpu, fp32, AVX2"}]
    printed.print_table(rows)
    pair = {"low": -0.12345, "high": 0.12345, "difference": -0.11111, "p_adjusted": 0.0312, "verdict": "not told apart"}
    pairs = [{**pair, "within": long, "a": long, "b": long[::-1]}]
    printed.print_pairs({"refused": None, "rows": pairs, "unpaired": []})
    said = capsys.readouterr().out
    assert "…" not in said
    for number in ("98.77 ± 1.23", "98.8–98.8", "12.34", "11.18M", "12345.6", "-11.11", "-12.35 to +12.35", "0.031"):
        assert number in said, number
    assert max(map(len, said.splitlines())) <= 80


def test_a_commit_that_git_refuses_to_tell_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        environment = {**os.environ, "GIT_TEST_ASSUME_DIFFERENT_OWNER": "1"}  # git's own test of another owner
        subprocess.run(["git", "-C", REPOSITORY, "status"], env=environment, capture_output=True, text=True, check=True)

    monkeypatch.setattr(records, "_git", refuse)
    assert provenance()["commit"] == "unknown: git refuses a folder of another owner"


def _command(*words: str, folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from shearbench.warm import main; main()", *words]
    environment = {**os.environ, **variables}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=3600)


@pytest.mark.parametrize("content", ["raise ImportError('broken')", "import no_such_module", "from numpy import no"])
def test_a_broken_library_on_the_pythonpath_is_one_sentence(tmp_path: Path, content: str) -> None:
    shutil.copy(REPOSITORY / "params.yaml", tmp_path)
    (tmp_path / "broken" / "numpy").mkdir(parents=True)
    (tmp_path / "broken" / "numpy" / "__init__.py").write_text(content)
    own = str(Path(shearbench.__file__).parents[1])
    done = _command("check", folder=tmp_path, PYTHONPATH=f"{tmp_path / 'broken'}{os.pathsep}{own}")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "a library cannot be imported" in done.stderr
    assert f"unset PYTHONPATH, which puts {tmp_path / 'broken'} first" in done.stderr


@pytest.mark.parametrize("module", ["shearbench.cli", "shearbench.stages", "shearbench.commands.doctor"])
def test_ctrl_c_while_modules_are_imported_is_one_line(tmp_path: Path, module: str) -> None:
    """The interrupt comes when the import of a module begins: of the commands, before one, and in one."""
    shutil.copy(REPOSITORY / "params.yaml", tmp_path)
    program = (
        "import os, signal, sys\n"
        "class Finder:\n"
        "    def find_spec(self, name, *_):\n"
        f"        if name == {module!r}: os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.meta_path.insert(0, Finder())\n"
        "sys.argv = ['shearbench', 'check']\n"
        "from shearbench.warm import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, timeout=3600)
    assert done.returncode == 130
    (line,) = done.stderr.splitlines()
    assert line.startswith("shearbench: stopped")


@pytest.mark.parametrize(
    ("removed", "words", "said"),
    [
        ("networks", ["check"], ""),
        ("reports", ["results"], "comparison.json is missing; run `dvc repro`"),
        ("data", ["stage", "prepare"], "shearbench data"),
        ("tuned", ["stage", "training_configs"], ""),
    ],
)
def test_a_removed_folder_is_no_traceback(finished: Path, removed: str, words: list[str], said: str) -> None:
    shutil.rmtree(finished / removed, ignore_errors=True)
    here = Path.cwd()
    try:
        done = CliRunner().invoke(app, ["-C", str(finished), *words])
    finally:
        os.chdir(here)
    assert done.exit_code == (2 if said else 0), done.output
    assert said in " ".join(done.stderr.split())


@pytest.mark.skipif(os.getuid() == 0 and shutil.which("setpriv") is None, reason="root may write anywhere")
def test_a_package_that_cannot_be_written_needs_no_home(tmp_path: Path) -> None:
    program = (
        "from shearbench.cli import settle; settle()\n"
        "import os; print(os.environ['NUMBA_CACHE_DIR']); import shearbench.mechanics.kernels"
    )
    package = tmp_path / "package" / "shearbench"
    shutil.copytree(Path(shearbench.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__"))
    for folder in (package, package / "mechanics", tmp_path / "package"):
        folder.chmod(0o555)
    (tmp_path / "free").mkdir()
    environment = {name: value for name, value in os.environ.items() if name != "NUMBA_CACHE_DIR"}
    environment |= {"PYTHONPATH": str(package.parent), "TMPDIR": str(tmp_path / "free"), "HOME": str(package)}
    command = [sys.executable, "-c", program]
    if os.getuid() == 0:  # as a user without its privileges
        command = ["setpriv", "--inh-caps=-all", "--bounding-set=-all", *command]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=3600)
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.strip()).parent == tmp_path / "free"


@pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
def test_make_says_that_the_environment_was_moved(tmp_path: Path) -> None:
    shutil.copy(REPOSITORY / "Makefile", tmp_path)
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    (tmp_path / ".venv" / "bin" / "shearbench").write_text(f"#!{tmp_path}/before/.venv/bin/python\n")
    for goal, status in (("check", 2), ("help", 0)):
        done = subprocess.run(["make", goal], cwd=tmp_path, capture_output=True, text=True, timeout=3600)
        assert done.returncode == status
        assert ("run `rm -rf .venv && make setup`" in done.stderr) == (status == 2)


@pytest.mark.parametrize("content", ["[]", "null", "5", '[{"md5": "x"}]', "[null]", "{"])
def test_a_damaged_list_of_dvc_says_nothing(tmp_path: Path, content: str) -> None:
    write_text(tmp_path / OBJECTS / "ab" / "cd.dir", content)
    assert listing(tmp_path, "abcd.dir") == {}


@pytest.mark.parametrize(
    ("name", "content"),
    [
        *(("comparison", content) for content in ("{}", "null", "5", "[{}]", '["a"]')),
        *(("pairs", content) for content in ("{}", "null", "[]", '{"refused": null, "rows": [{}], "unpaired": []}')),
    ],
)
def test_a_table_of_another_shape_is_refused(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / "reports").mkdir()
    whole = {"comparison": "[]", "pairs": '{"refused": null, "rows": [], "unpaired": []}'}
    for each, text in (whole | {name: content}).items():
        (tmp_path / "reports" / f"{each}.json").write_text(text)
    with pytest.raises(InputError, match=f"{name}.json is not what the pipeline wrote"):
        printed.read_tables(tmp_path)
