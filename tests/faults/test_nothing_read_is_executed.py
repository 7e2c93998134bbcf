"""A canary in every place where a pickle, a YAML tag or a formula could hide: nothing that is read may run."""

import ast
import io
import pickle
import shutil
import zipfile
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from patterns import point, space_of_three
from shearbench.commands import verify
from shearbench.data import idx, raw
from shearbench.data.dataset import load
from shearbench.data.folds import read_folds
from shearbench.data.handwritten import Unreadable, read_file
from shearbench.data.mechanical import damaged_shards, read_bitmaps
from shearbench.errors import InputError
from shearbench.params import load as load_params
from shearbench.predictions.folds import read_fold_runs
from shearbench.records import read_json, read_npz, read_record
from shearbench.training.checkpoint import read_checkpoint
from shearbench.training.results import load_network
from shearbench.tuning.study import Ledger, Study
from shearbench.tuning.trial import Halving
from shearbench.tuning.tuned import read_tuned

PACKAGE = Path(__file__).parents[2] / "src" / "shearbench"
RUN = Path("build/runs/mnist/mlp")
PREDICTIONS = Path("build/evaluation/mnist/mlp/test_predictions.npz")


class Canary:
    """Unpickled, it makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


@pytest.fixture
def canary(tmp_path: Path) -> Path:
    """Where the canary would sing; it does where it is unpickled on purpose."""
    path = tmp_path / "canary"
    pickle.loads(pickle.dumps(Canary(path)))
    assert path.exists()
    path.unlink()
    return path


def in_array(canary: Path) -> bytes:
    """An .npy file with an object in it."""
    file = io.BytesIO()
    np.save(file, np.array([Canary(canary)], dtype=object), allow_pickle=True)
    return file.getvalue()


def in_archive(canary: Path, name: str = "ids") -> bytes:
    """An .npz file with an object in it."""
    file = io.BytesIO()
    np.savez(file, allow_pickle=True, **{name: np.array([Canary(canary)], dtype=object)})
    return file.getvalue()


def in_torch_file(canary: Path) -> bytes:
    """What torch.save would write: a zip whose data.pkl runs when torch.load trusts it."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(Canary(canary)))
        archive.writestr("archive/version", "3")
    return file.getvalue()


def plain(canary: Path) -> bytes:
    """The pickle itself."""
    return pickle.dumps(Canary(canary))


def _ledger(path: Path) -> Ledger:
    space = space_of_three((1e-4, 1e-2), (20, 40), (0.1, 0.25))
    return Ledger(Study(path, "study", "label", 1, space, point(1e-3, 20, 0.1), Halving(2, 2, 2)))


READERS: dict[str, tuple[str, Callable[[Path], object]]] = {
    "dataset": ("build/datasets/mnist/train.npz", lambda root: load(root / "build/datasets/mnist", "train")),
    "fold table": ("build/folds/mnist.npz", lambda root: read_folds(root / "build/folds/mnist.npz")),
    "predictions": (str(PREDICTIONS), lambda root: read_npz(root / PREDICTIONS)),
    "record": (f"{RUN}/fold-0/record.json", lambda root: read_record(root / RUN / "fold-0")),
    "record of a run": (f"{RUN}/fold-1/record.json", lambda root: read_fold_runs(root / RUN, 2)),
    "weights": (f"{RUN}/fold-0/weights.safetensors", lambda root: load_network(root / RUN / "fold-0")),
    "results": ("reports/comparison.json", lambda root: read_json(root / "reports/comparison.json")),
    "bitmaps": ("digits.npy", lambda root: read_bitmaps(root / "digits.npy")),
    "images": ("digits-idx3-ubyte", lambda root: idx.read_images(root / "digits-idx3-ubyte")),
    "picture": ("7-1-1.png", lambda root: read_file(root / "7-1-1.png")),
    "parameters": ("params.yaml", lambda root: load_params(root / "params.yaml")),
    "journal": ("journal.log", lambda root: _ledger(root / "journal.log")),
    "tuned settings": ("tuned/mlp.yaml", lambda root: read_tuned(root / "tuned/mlp.yaml")),
}  # fmt: skip


@pytest.mark.parametrize("make", [plain, in_array, in_archive, in_torch_file])
@pytest.mark.parametrize("place", READERS)
def test_a_pickle_is_refused_and_not_executed(
    finished_once: Path, tmp_path: Path, canary: Path, place: str, make: Callable[[Path], bytes]
) -> None:
    name, read = READERS[place]
    root = tmp_path / "project"
    root.mkdir()
    folder = Path(name).parent
    if folder.parts and (finished_once / folder).is_dir():
        shutil.copytree(finished_once / folder, root / folder)
    (root / folder).mkdir(parents=True, exist_ok=True)
    (root / name).write_bytes(make(canary))
    with pytest.raises((InputError, Unreadable)):
        read(root)
    assert not canary.exists()


@pytest.mark.parametrize("make", [plain, in_torch_file])
def test_a_pickle_is_no_checkpoint_and_no_shard(tmp_path: Path, canary: Path, make: Callable[[Path], bytes]) -> None:
    path = tmp_path / "checkpoint.safetensors"
    path.write_bytes(make(canary))
    assert read_checkpoint(path, hashes={}, device="cpu") is None
    (tmp_path / "a.npz").write_bytes(make(canary))
    (tmp_path / "a.json").write_bytes(make(canary))
    assert damaged_shards(tmp_path) == [tmp_path / "a.npz"]
    assert not canary.exists()


YAML = ("a: !!python/object/apply:os.system ['touch {}']", "a: !!python/object/new:pathlib.Path.touch [{}]")


@pytest.mark.parametrize("text", YAML)
def test_a_yaml_tag_is_refused_and_not_executed(finished_once: Path, tmp_path: Path, canary: Path, text: str) -> None:
    for name in ("params.yaml", "data.dvc", "dvc.lock", "mlp.yaml"):
        (tmp_path / name).write_text(text.format(canary))
    params = load_params(finished_once / "params.yaml")
    (tmp_path / "data").mkdir()
    with pytest.raises(InputError):
        load_params(tmp_path / "params.yaml")
    with pytest.raises(InputError):
        raw.verify(tmp_path / "data", tmp_path / "data.dvc", params.sources)
    with pytest.raises(InputError, match="not a lock file"):
        list(verify.faults(params, tmp_path))
    with pytest.raises(InputError):
        read_tuned(tmp_path / "mlp.yaml")
    assert not canary.exists()


BOMB = "\n".join(["a0: &a0 [x, x]", *(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12))])
MAPS = "\n".join(
    ["a0: &a0 {x: 1}", *(f"a{n}: &a{n} {{{', '.join(f'k{k}: *a{n - 1}' for k in range(9))}}}" for n in range(1, 12))]
)


@pytest.mark.parametrize("text", [BOMB, MAPS, "a: &a {b: *a}", "a: &a [*a]", "a: " + "[" * 5000])
def test_yaml_that_repeats_itself_without_end_is_refused_at_once(tmp_path: Path, text: str) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        load_params(path)
    assert len(str(caught.value)) < 2000


def test_parameters_that_are_not_utf8_are_refused(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_bytes(b"seed: 1\n# caf\xe9\n")
    with pytest.raises(InputError, match="not UTF-8 text"):
        load_params(tmp_path / "params.yaml")


def test_an_array_that_claims_a_terabyte_takes_no_memory(tmp_path: Path) -> None:
    file = io.BytesIO()
    header = {"descr": "|u1", "fortran_order": False, "shape": (1 << 30, 28, 28)}
    np.lib.format.write_array_header_1_0(file, header)
    (tmp_path / "digits.npy").write_bytes(file.getvalue())
    with pytest.raises(InputError, match="cannot be read as an array"):
        read_bitmaps(tmp_path / "digits.npy")
    np.savez(tmp_path / "two.npz", a=np.zeros(1), b=np.zeros(1))
    with pytest.raises(InputError, match="several arrays"):
        read_bitmaps((tmp_path / "two.npz").rename(tmp_path / "two.npy"))


_CALLS = {"eval", "exec", "compile", "__import__"}
_METHODS = {
    "torch.load", "torch.hub.load", "np.fromfile", "yaml.load", "yaml.full_load", "yaml.unsafe_load", "os.system",
    "os.popen", "pd.read_pickle", "joblib.load", "shutil.unpack_archive", "subprocess.getoutput", "pickle.loads",
}  # fmt: skip


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_code_of_ours_can_execute_what_it_reads(path: Path) -> None:
    for call in (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)):
        name = ast.unparse(call.func)
        keywords = {word.arg: ast.unparse(word.value) for word in call.keywords}
        if name == "yaml.load":
            loader = keywords.get("Loader") or ast.unparse(call.args[1])
            module = import_module(".".join(("shearbench", *path.relative_to(PACKAGE).with_suffix("").parts)))
            assert issubclass(getattr(module, loader), yaml.SafeLoader | yaml.CSafeLoader), f"{loader} is not safe"
            continue
        assert name not in _CALLS | _METHODS, f"{name} in line {call.lineno}"
        assert keywords.get("shell") in (None, "False"), f"a shell in line {call.lineno}"
        if name in ("np.load", "np.save", "np.savez"):
            assert keywords.get("allow_pickle") == "False", f"{name} in line {call.lineno}"
