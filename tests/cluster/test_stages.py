"""Every kind of task on a cluster whose machines share no disk: what is made is what one machine makes.

Two workers on hosts of their own, which see nothing of the project, do all tasks of the stages, a search with its
finalists, class digits with fine-tuning, and a check.
"""

import subprocess
import sys
from pathlib import Path

import pytest
import steps

from hosts import needs_root, network
from made import differences, facts_of_files

pytest.importorskip("distributed", reason="dask is an optional extra")
pytestmark = [pytest.mark.slow, needs_root()]

FUNCTIONS = (
    "data.mechanical._solve",
    "training.crossval.train_fold",
    "analysis.evaluation.infer",
    "analysis.transfer.measure.transfer",
    "ablation.result.predict_fold",
    "tuning.trial.run_trial",
    "tuning.job._train_or_reason",
    "handwriting.folder._read_some",
    "handwriting.networks.predict_images",
    "handwriting.networks.distance",
    "handwriting.networks.fine_tune",
)
"""What does the work of the tasks."""


def test_a_cluster_makes_of_every_stage_what_one_machine_makes(tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    with network(tmp_path) as machines:
        hub, desk = machines.host("hub"), machines.host("desk")
        hub.start_scheduler()
        workers = [machines.host(name) for name in ("one", "two")]
        for worker in workers:
            worker.hide(tmp_path)
            worker.start_worker(hub.scheduler, tmp_path / "worker")
        steps.make(there, {"backend": "dask", "scheduler": hub.scheduler, "workers": "auto"})
        process = desk.start(sys.executable, steps.__file__, str(there))
        assert process.wait(1500) == 0, desk.log.read_text()
        for name in FUNCTIONS:
            assert any(worker.said(f"begins: shearbench.{name}\n") for worker in workers), f"{name} ran elsewhere"
    steps.make(here, {"workers": 1})
    subprocess.run([sys.executable, steps.__file__, here], check=True)
    assert not differences(facts_of_files(here), facts_of_files(there))
