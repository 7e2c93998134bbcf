"""Where the work runs, as params.yaml says, and the files that travel."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from shearbench.errors import InputError
from shearbench.execution import Cluster
from shearbench.execution.files import FileContent, Item, Manifest, files_of, moved, packed, put_in_place
from shearbench.execution.settings import Execution

AUTO = {"workers": "auto", "device": "auto", "precision": "auto"}
SCHEDULER = "tcp://10.0.0.1:8786"


def test_this_machine_is_the_default():
    execution = Execution(**AUTO)
    assert (execution.backend, execution.pool, execution.device_of_tasks) == ("local", "auto", "auto")
    assert not list(execution.faults())


def test_on_a_cluster_auto_is_the_cpu_for_every_worker():
    execution = Execution(**AUTO).on(SCHEDULER)
    assert execution.backend == "dask"
    assert execution.pool == Cluster(SCHEDULER, "auto", gpu=False)
    assert execution.device_of_tasks == "cpu"


def test_cuda_on_a_cluster_asks_for_a_gpu_a_task():
    execution = Execution(workers=4, device="cuda", precision="fp32").on(SCHEDULER)
    assert execution.pool == Cluster(SCHEDULER, 4, gpu=True)


@pytest.mark.parametrize(
    "address", ["10.0.0.1:8786", "http://10.0.0.1:8786", "tcp://10.0.0.1", "tcp://:8786", "tcp://h:0"]
)
def test_an_address_without_scheme_host_or_port_is_refused(address):
    with pytest.raises(InputError, match=r"execution.scheduler must be tcp://HOST:PORT"):
        Execution(**AUTO).on(address)


def test_what_does_not_go_together_is_named():
    assert [field for field, _ in Execution(**AUTO, scheduler=SCHEDULER).faults()] == ["scheduler"]
    assert [field for field, _ in Execution(**AUTO, backend="dask").faults()] == ["scheduler"]
    with pytest.raises(InputError, match=r"execution.precision must be fp32 or bf16"):
        Execution(**{**AUTO, "device": "cuda"}).on(SCHEDULER)


@dataclass(frozen=True)
class _Task:
    data: Path
    out: Path
    seed: int


def test_files_go_there_and_back_whole(tmp_path):
    here, there = tmp_path / "here", tmp_path / "there"
    (here / "data").mkdir(parents=True)
    (here / "data/a.npz").write_bytes(b"a")
    (here / "data/.hidden").write_bytes(b"h")
    manifest = Manifest()
    (item,) = manifest.of([here / "data", here / "absent"])
    assert manifest.by_hash[item.sha256] == item.path == here / "data/a.npz"

    task = moved(_Task(here / "data", here / "out", 7), there)
    assert task == _Task(there / str(here / "data")[1:], there / str(here / "out")[1:], 7)
    task.out.mkdir(parents=True)
    for name in ("record.json", "weights"):
        (task.out / name).write_text(name)
    writes = (here / "out", here / "out/record.json")
    files = packed(writes, there)
    assert [file.item.path.name for file in files] == ["weights", "record.json"], "what vouches comes last"
    put_in_place(files, writes)
    assert [path.read_text() for path in files_of([here / "out"])] == ["record.json", "weights"]


def test_a_damaged_or_foreign_file_writes_nothing(tmp_path):
    good = FileContent(
        Item(tmp_path / "out/a", "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"), b"a"
    )
    damaged = FileContent(Item(tmp_path / "out/b", good.item.sha256), b"b")
    for path in (tmp_path / "elsewhere", tmp_path / "out/../elsewhere"):
        foreign = FileContent(Item(path, good.item.sha256), b"a")
        with pytest.raises(InputError, match=r"which its task does not write"):
            put_in_place([good, foreign], [tmp_path / "out"])
    with pytest.raises(InputError, match=r"damaged on its way"):
        put_in_place([good, damaged], [tmp_path / "out"])
    assert not list(tmp_path.iterdir())
