"""Copy finished records to MLflow; nothing is read back.

This is the only package that imports mlflow, and only inside its functions: with ``uri="off"`` it is never loaded. If
MLflow is down, a warning is printed; results are not affected, and :func:`track_all` sends the missing records later.
A record is sent once. The tag ``shearbench.record`` of its MLflow run has its hash.

In MLflow, a run has nested runs for its folds and its evaluation. The stage ``track`` sends them together.
"""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shearbench.comparison.table import best_of_each_dataset
from shearbench.data import dataset as datasets
from shearbench.params import Params, Run
from shearbench.predictions.contents import (
    Content,
    Node,
    ablation_result_node,
    comparison_node,
    dataset_node,
    evaluation_content,
    fold_content,
    run_content,
    times_of,
)
from shearbench.predictions.folds import FoldRun, read_fold_runs
from shearbench.records import RECORD, hash_of, is_finished, read_json, read_record, sha256_of
from shearbench.report.card import card
from shearbench.tracking.networks import register_champion, send_networks, send_readers
from shearbench.tracking.pages import NOTE_TAG, describe, report_node
from shearbench.tracking.store import (
    ABLATIONS,
    Store,
    attempt,
    default_uri,
    log,
    log_input,
    restore_files,
    run_of,
    supersede,
)

OFF = "off"
_EXAMPLE = 4  # rows; with 1 row, torch.export would fix the batch size at 1


@dataclass(frozen=True)
class _Run:
    """A run with finished folds: its names, root folder and folds."""

    root: Path
    dataset: str
    model: str
    fold_runs: Sequence[FoldRun]

    @property
    def name(self) -> str:
        """The name of the run."""
        return f"{self.dataset}-{self.model}"

    @property
    def evaluation(self) -> Path:
        """The folder of the evaluation."""
        return self.root / "build" / "evaluation" / self.dataset / self.model

    def example(self) -> NDArray[np.float32]:
        """Return a few training inputs of the run."""
        data = datasets.load(self.root / "build" / "datasets" / self.dataset, "train")
        return data.inputs[:_EXAMPLE].astype(np.float32)


def track_all(root: Path, params: Params, others: Sequence[Node] = ()) -> bool:
    """Send all missing finished records to MLflow; return True if it has them all afterwards.

    These are runs, datasets, the comparison, ablations, the report, ``others``, and the networks of all runs. The
    champion of each dataset is registered.

    Args:
        root: the project's folder; the records are under ``build/``.
        params: runs, folds and the address of the store, from ``params.yaml``.
        others: further records, such as those of handwriting and searches.

    Raises:
        InputError: if a record is damaged.
    """
    if params.tracking.uri == OFF:
        return False
    found = [run for names in params.runs.values() if (run := _finished(root, names, params.cv.networks))]
    comparison, folder = root / "reports" / "comparison.json", root / "build" / "comparison"
    rows = read_json(comparison) if comparison.is_file() else []
    explored = [name for name in params.datasets if (root / "build" / "explore" / name / "summary.json").is_file()]
    nodes = [
        *([comparison_node(folder, rows)] if rows and is_finished(folder) else []),
        *(dataset_node(root / "build", name) for name in explored),
        *others,
        *([page] if (page := report_node(root)) else []),
    ]

    def send(store: Store) -> None:
        sent = [(run, _send(store, run)) for run in found]
        _send_nodes(store, nodes, None)
        describe(store)
        cards = {run.name: text for run, _ in sent if (text := _card(run, rows))}
        for run, run_id in sent:
            if run.name in cards:
                store.client.set_tag(run_id, NOTE_TAG, cards[run.name])
        _send_networks(store, params, sent, best_of_each_dataset(rows), cards)

    done = [name for name in params.ablations if is_finished(root / "build" / "ablation_results" / name)]
    return attempt(root, params.tracking.uri, send) and track_ablations(root, params, done)


def track_ablations(root: Path, params: Params, names: Sequence[str]) -> bool:
    """Send ablations to an experiment of their own, so that MLflow's first page lists only the compared runs."""
    nodes = [ablation_result_node(root / "build", name) for name in names]
    if not nodes:
        return True
    return attempt(root, params.tracking.uri, lambda store: _send_nodes(store, nodes, None), experiment=ABLATIONS)


def track_nodes(root: Path, params: Params, nodes: Sequence[Node]) -> bool:
    """Send nodes with their nested runs to MLflow, each once; return True if it has them all afterwards.

    An earlier run of the same name is marked as superseded.
    """
    if params.tracking.uri == OFF:
        return False

    def send(store: Store) -> None:
        _send_nodes(store, nodes, None)
        describe(store)

    return attempt(root, params.tracking.uri, send)


def track_readers(root: Path, params: Params) -> bool:
    """Send the readers that ship with shearbench to MLflow and register them; return True if that succeeded."""
    return params.tracking.uri != OFF and attempt(root, params.tracking.uri, send_readers)


def ui_command(root: Path, port: int) -> list[str]:
    """Return the command that serves MLflow's pages of the default store on this machine only."""
    (root / "mlruns").mkdir(exist_ok=True)
    return [
        "env",
        "MLFLOW_DISABLE_TELEMETRY=true",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false",
        *(sys.executable, "-m", "mlflow", "server"),
        *("--backend-store-uri", default_uri(root)),
        *("--host", "127.0.0.1", "--port", str(port), "--workers", "1"),
        *("--allowed-hosts", f"127.0.0.1:{port},localhost:{port}"),
    ]


def _finished(root: Path, names: Run, networks: int) -> _Run | None:
    """Return a run with its fold records, or None if a fold is missing."""
    folder = root / "build" / "runs" / names.dataset / names.model
    if not all(is_finished(folder / f"fold-{fold}") for fold in range(networks)):
        return None
    return _Run(root, names.dataset, names.model, read_fold_runs(folder, networks))


def _send(store: Store, run: _Run) -> str:
    """Send a run and its evaluation; return its MLflow run id."""
    run_id = _send_folds(store, run)
    if is_finished(run.evaluation):
        _send_evaluation(store, run, run_id)
    return run_id


def _send_networks(
    store: Store,
    params: Params,
    runs: Sequence[tuple[_Run, str]],
    best: Mapping[str, str],
    cards: Mapping[str, str],
) -> None:
    """Send the networks of runs, and register the champion of each dataset with its card."""
    for run, run_id in runs:
        send_networks(store, run.fold_runs, run_id, run.example)
        if best.get(run.dataset) == run.model:
            register_champion(store, run.fold_runs, run_id, cards.get(run.name, ""), demanded=params.predict.accuracy)


def _send_folds(store: Store, run: _Run) -> str:
    """Send a run and its folds; return its MLflow run id."""
    digest = hash_of([fold_run.digest for fold_run in run.fold_runs])
    times = [times_of(fold_run.record) for fold_run in run.fold_runs]
    whole = (min(start for start, _ in times), max(end for _, end in times))
    with run_of(store, run.name, digest, None, whole) as (run_id, is_new):
        supersede(store, run.name, run_id)
        if is_new:
            log(store, run_id, run_content(run.fold_runs))
            log_input(store, run_id, run.dataset, run.fold_runs[0].record["hashes"]["data"], "training")
        for fold_run, taken in zip(run.fold_runs, times, strict=True):
            name = f"{run.name} fold {fold_run.fold}"
            with run_of(store, name, fold_run.digest, run_id, taken) as (child, is_new_child):
                content = fold_content(fold_run)
                log(store, child, content) if is_new_child else restore_files(store, child, content)
    return run_id


def _send_evaluation(store: Store, run: _Run, parent: str) -> None:
    """Send the evaluation of a run as a nested run, and its test scores to the run itself."""
    record = read_record(run.evaluation)
    if record["fold_records"] != [fold_run.digest for fold_run in run.fold_runs]:
        return  # evaluation of an earlier training
    digest = sha256_of(run.evaluation / RECORD)
    with run_of(store, f"{run.name} evaluation", digest, parent, times_of(record)) as (child, is_new):
        content = evaluation_content(run.evaluation, record)
        if not is_new:
            restore_files(store, child, content)
        else:
            log(store, child, content)
            log_input(store, child, run.dataset, record["hashes"]["test"], "test")
            log(store, parent, _content_of_run(content))


def _card(run: _Run, rows: Sequence[Mapping[str, Any]]) -> str | None:
    """Return the card of a run, or None before its evaluation and comparison."""
    found = [row for row in rows if (row["dataset"], row["model"]) == (run.dataset, run.model)]
    return card(run.root, found[0]) if found and is_finished(run.evaluation) else None


def _content_of_run(evaluation: Content) -> Content:
    """Return the part of an evaluation that its run shows: test scores, confusion matrix and attribution maps."""
    shown = [path for path in evaluation.files if path.name in ("confusion.png", "gradcam.png")]
    test = {name: value for name, value in evaluation.metrics.items() if name.startswith("test_")}
    return Content({}, {}, test, [], shown)


def _send_nodes(store: Store, nodes: Sequence[Node], parent: str | None) -> None:
    """Send missing nodes and their children; restore deleted files and children of those already sent."""
    for node in nodes:
        with run_of(store, node.name, node.digest, parent, node.content.times) as (run_id, is_new):
            if parent is None:
                supersede(store, node.name, run_id)
            log(store, run_id, node.content) if is_new else restore_files(store, run_id, node.content)
            _send_nodes(store, node.children, run_id)
