"""Copy finished records to MLflow; nothing is read back.

This is the only package that imports mlflow, and only inside its functions: with ``uri="off"`` it is never loaded. If
MLflow is down, a warning is printed; results are not affected, and :func:`track_all` sends the missing records later.
A record is sent once. The tag ``shearbench.record`` of its MLflow run has its hash.

In MLflow, a run has nested runs for its folds and its evaluation. The stage ``track`` sends them together. The start
pages in MLflow are the description of the experiment, the compared runs (:func:`address`) and the report.
"""

import base64
import sqlite3
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import numpy as np
from numpy.typing import NDArray

from shearbench.comparison.table import best_of_each_dataset
from shearbench.data import dataset as datasets
from shearbench.execution.calls import progress_bar
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
from shearbench.tracking.models import register_champion, send_models
from shearbench.tracking.store import ABLATIONS, EXPERIMENT, Store, attempt, database, default_uri, send_node

NOTE_TAG = "mlflow.note.content"
_FILTER = "tags.`shearbench.kind` = 'run' and tags.`shearbench.superseded` = 'no'"
_NOTE = """{report}Which model is best, and is the difference real?

A run `<dataset>-<model>` (tag `shearbench.kind` = `run`) is one model on one dataset. Its folds and its
evaluation are nested below it. `comparison` has the tests of all pairs.

- **The models side by side**: [the compared runs](#{path}), best first. Under *Columns* tick `cv_accuracy_mean`,
  `cv_accuracy_sd`, `cv_accuracy_low`, `cv_accuracy_high`, `test_accuracy_mean`, `parameters`, `seconds_per_fold`,
  `epochs`, `batch` and `learning_rate`. `cv_accuracy_mean` is over the held-out folds (± `cv_accuracy_sd`),
  `test_accuracy_mean` over the test set, both as fractions; `_low` and `_high` bound the 95 % interval of each for
  other samples and another training. To compare runs, select them and press *Compare*.
- Ablations are in the experiment `shearbench-ablations`.
- A run with the tag `shearbench.superseded` = `yes` was made again later.
- The best model of each dataset, by cross-validation, is a registered model with the alias `champion`.

MLflow has a copy. The results are the files in `build/` and `reports/`."""
_INTERVAL = ("cv_accuracy_low", "cv_accuracy_high")  # of the evaluation; a run shows them beside its cv_accuracy_mean
_EXAMPLE = 4  # rows; with 1 row, torch.export would fix the batch size at 1


def track_all(root: Path, params: Params, others: Sequence[Node] = ()) -> bool:
    """Send all missing finished records to MLflow; return True if it has them all afterwards.

    These are runs, datasets, the comparison, ablations, the report, ``others`` (handwriting and searches), and the
    models of all runs. The champion of each dataset is registered. An earlier record of the same name is marked as
    superseded.

    Raises:
        InputError: if a record is damaged.
    """
    if params.tracking.uri == "off":
        return False
    runs = list(_finished(root, params))
    comparison = root / "reports" / "comparison.json"
    rows = read_json(comparison) if comparison.is_file() else []
    nodes = [*_nodes(root, params, rows), *others, *report_node(root)]

    def send(store: Store) -> None:
        with progress_bar("MLflow: records and models", 0, len(nodes) + 2 * len(runs)) as show:
            steps, sent = count(1), []
            for run, fold_runs in runs:
                sent.append((send_node(store, _run_node(root, run, fold_runs)), run, fold_runs))
                show(next(steps))
            for node in nodes:
                send_node(store, node)
                show(next(steps))
            describe(store)
            cards = {run_id: _card(root, run, rows) for run_id, run, _ in sent}
            for run_id, text in cards.items():
                if text:
                    store.client.set_tag(run_id, NOTE_TAG, text)
            best = best_of_each_dataset(rows)
            for run_id, run, fold_runs in sent:
                send_models(store, fold_runs, run_id, partial(_example, root, run))
                if best.get(run.dataset) == run.model:
                    register_champion(store, fold_runs, run_id, cards[run_id], demanded=params.predict.accuracy)
                show(next(steps))

    done = [name for name in params.ablations if is_finished(root / "build" / "ablation_results" / name)]
    return attempt(root, params.tracking.uri, send) and track_ablations(root, params, done)


def track_ablations(root: Path, params: Params, names: Sequence[str]) -> bool:
    """Send ablations to an experiment of their own, so that MLflow's first page lists only the compared runs."""
    nodes = [ablation_result_node(root / "build", name) for name in names]

    def send(store: Store) -> None:
        for node in nodes:
            send_node(store, node)

    return not nodes or attempt(root, params.tracking.uri, send, experiment=ABLATIONS)


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


def _finished(root: Path, params: Params) -> Iterator[tuple[Run, list[FoldRun]]]:
    for run in params.runs.values():
        folder = root / "build" / "runs" / run.dataset / run.model
        if all(is_finished(folder / f"fold-{fold}") for fold in range(params.cv.networks)):
            yield run, read_fold_runs(folder, params.cv.networks)


def _nodes(root: Path, params: Params, rows: Sequence[Mapping[str, Any]]) -> Iterator[Node]:
    if rows and is_finished(root / "build" / "comparison"):
        yield comparison_node(root / "build" / "comparison", rows)
    for name in params.datasets:
        if (root / "build" / "explore" / name / "summary.json").is_file():
            yield dataset_node(root / "build", name)


def _run_node(root: Path, run: Run, fold_runs: Sequence[FoldRun]) -> Node:
    name, times = f"{run.dataset}-{run.model}", [times_of(fold_run.record) for fold_run in fold_runs]
    children = [
        Node(f"{name} fold {fold_run.fold}", fold_run.digest, replace(fold_content(fold_run), times=taken))
        for fold_run, taken in zip(fold_runs, times, strict=True)
    ]
    content = replace(
        run_content(fold_runs),
        times=(min(start for start, _ in times), max(end for _, end in times)),
        data=(run.dataset, fold_runs[0].record["hashes"]["data"], "training"),
    )
    digests = [fold_run.digest for fold_run in fold_runs]
    return Node(name, hash_of(digests), content, [*children, *_evaluation_node(root, run, digests)])


def _evaluation_node(root: Path, run: Run, digests: Sequence[str]) -> Iterator[Node]:
    """Yield the evaluation of a run unless it is missing or of earlier folds; its run shows a part of it too."""
    folder = _evaluation(root, run)
    if not is_finished(folder):
        return
    record = read_record(folder)
    if record["fold_records"] == digests:
        content = evaluation_content(folder, record)
        content = replace(content, data=(run.dataset, record["hashes"]["test"], "test"))
        figures = [path for path in content.files if path.name in ("confusion.png", "gradcam.png")]
        scores = {name: content.metrics[name] for name in content.metrics if name.startswith(("test_", *_INTERVAL))}
        shown = Content({}, {}, scores, [], figures)
        name = f"{run.dataset}-{run.model} evaluation"
        yield Node(name, sha256_of(folder / RECORD), content, shown_by_parent=shown)


def _evaluation(root: Path, run: Run) -> Path:
    return root / "build" / "evaluation" / run.dataset / run.model


def _card(root: Path, run: Run, rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the card of a run, empty before its evaluation and comparison."""
    found = [row for row in rows if (row["dataset"], row["model"]) == (run.dataset, run.model)]
    return card(root, found[0]) if found and is_finished(_evaluation(root, run)) else ""


def _example(root: Path, run: Run) -> NDArray[np.float32]:
    data = datasets.load(root / "build" / "datasets" / run.dataset, "train")
    return data.inputs[:_EXAMPLE].astype(np.float32)


def report_node(root: Path) -> Iterator[Node]:
    page = root / "reports" / "index.html"
    if page.is_file():
        tables = [path for path in sorted(page.parent.glob("*.csv")) if path.is_file()]
        tags = {"shearbench.kind": "report", "dvc.stage": "report", NOTE_TAG: "The report: *Artifacts*, `index.html`."}
        yield Node("report", sha256_of(page), Content({}, tags, {}, [], [page, *tables]))


def describe(store: Store) -> None:
    """Write the description of the experiment, with links to the newest report and to the compared runs."""
    newest = store.client.search_runs(
        [store.experiment],
        filter_string="tags.`shearbench.kind` = 'report' and tags.`shearbench.superseded` = 'no'",
        max_results=1,
    )
    report = ""
    if newest:
        address = f"/experiments/{store.experiment}/runs/{newest[0].info.run_id}/artifacts/index.html"
        report = f"**[The report](#{address})** answers: "
    note = _NOTE.format(report=report, path=_path(store.experiment))
    store.client.set_experiment_tag(store.experiment, NOTE_TAG, note)


def address(root: Path, port: int) -> str:
    """Return the address to open: the compared runs, or MLflow's front page if there is no experiment."""
    experiment, path = None, database(root)
    if path.is_file():
        query = "select experiment_id from experiments where name = ?"
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as connection:
            experiment = connection.execute(query, (EXPERIMENT,)).fetchone()
    front = f"http://127.0.0.1:{port}/"
    return front if experiment is None else f"{front}#{_path(str(experiment[0]))}"


def _path(experiment: str) -> str:
    """Return the path of the page of current compared runs, best first; MLflow stores this state in the address."""
    query = {
        "searchFilter": _FILTER,
        "orderByKey": "metrics.`cv_accuracy_mean`",
        "orderByAsc": "false",
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "modelVersionFilter": "All Runs",
        "datasetsFilter": base64.b64encode(b"[]").decode(),
        "workflowType": "machine_learning",
    }
    return f"/experiments/{experiment}/runs?{urlencode(query, quote_via=quote)}"
