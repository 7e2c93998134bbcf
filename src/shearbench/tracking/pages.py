"""What MLflow's pages show before anyone has clicked: the experiment's description, its view of the runs, the report.

The view is what MLflow's own *Share view* keeps: a tag of the experiment, opened by its key in the address. Its keys
are those of MLflow 3's page of runs.
"""

import json
import sqlite3
from pathlib import Path
from urllib.parse import quote, urlencode

from shearbench.predictions.contents import Content, Node
from shearbench.records import sha256_of
from shearbench.tracking.store import ABLATION, Store, database

REPORT = "report"
_WIDTH = 165  # pixels of a column: the longest name of a metric is not cut off
VIEW = "networks"
_VIEW_TAG = f"mlflow.sharedViewState.{VIEW}"
_NOTE_TAG = "mlflow.note.content"
_SHOWN = ("cv_accuracy_mean", "cv_accuracy_sd", "test_accuracy_mean", "test_accuracy_low", "test_accuracy_high")
_BEHIND = ("cv_loss_mean", "parameters", "seconds_per_fold")
_PARAMS = ("dataset", "model", "epochs", "batch", "learning_rate", "augment")
_FILTER = "tags.`shearbench.kind` = 'cell' and tags.`shearbench.superseded` = 'no'"
_NOTE = """{report}Which network still reads digits that leave the clean world of MNIST, and is the difference real?

A run `<dataset>-<model>` (tag `shearbench.kind` = `run`) is one network on one dataset; its folds and its
evaluation are nested beneath it. `comparison` has the tests of all pairs; `experiment ...` are questions of their own.

- **The networks side by side**: [{view}](#{path}). `cv_accuracy_mean` is over the folds held out (± `cv_accuracy_sd`),
  `test_accuracy_mean` over the sealed test set, both as fractions; `_low` and `_high` bound its 95 % interval for the
  choice of the test digits. To compare, tick runs and press *Compare*.
- A run with the tag `shearbench.superseded` = `yes` has been made again since.
- The best network of each dataset, by cross-validation, is a registered model with the alias `champion`.

This is a copy: the results themselves are the files under `build/` and `reports/`."""


def report_node(root: Path) -> Node | None:
    """Return the run that holds the report, or None where there is no report yet."""
    page = root / "reports" / "index.html"
    if not page.is_file():
        return None
    tables = [path for path in sorted(page.parent.glob("*.csv")) if path.is_file()]
    tags = {"shearbench.kind": "report", "dvc.stage": "report", _NOTE_TAG: "The report: *Artifacts*, `index.html`."}
    return Node(REPORT, sha256_of(page), Content({}, tags, {}, [], [page, *tables]))


def describe(store: Store) -> None:
    """Write the experiment's description, with a link to the newest report, and its view of the networks."""
    newest = store.client.search_runs(
        [store.experiment],
        filter_string="tags.`shearbench.kind` = 'report' and tags.`shearbench.superseded` = 'no'",
        max_results=1,
    )
    report = ""
    if newest:
        address = f"/experiments/{store.experiment}/runs/{newest[0].info.run_id}/artifacts/index.html"
        report = f"**[The report](#{address})** answers: "
    note = _NOTE.format(report=report, view="their accuracies", path=_path(store.experiment))
    store.client.set_experiment_tag(store.experiment, _NOTE_TAG, note)
    store.client.set_experiment_tag(store.experiment, _VIEW_TAG, json.dumps(_view()))


def address(root: Path, port: int) -> str:
    """Return the address to open: the networks side by side, or MLflow's front page while there is no experiment."""
    experiment, path = None, database(root)
    if path.is_file():
        connection = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)
        asked = "select experiment_id from experiments where name = ?"
        experiment = connection.execute(asked, (ABLATION,)).fetchone()
        connection.close()
    front = f"http://127.0.0.1:{port}/"
    return front if experiment is None else f"{front}#{_path(str(experiment[0]))}"


def _path(experiment: str) -> str:
    query = urlencode({"workflowType": "machine_learning", "viewStateShareKey": VIEW}, quote_via=quote)
    return f"/experiments/{experiment}/runs?{query}"


def _view() -> dict[str, object]:
    """Return the page's state: the latest networks, best first, the metrics that matter before the others."""
    shown = [f"metrics.`{name}`" for name in (*_SHOWN, *_BEHIND)] + [f"params.`{name}`" for name in _PARAMS]
    return {
        "searchFilter": _FILTER,
        "orderByKey": "metrics.`cv_accuracy_mean`",
        "orderByAsc": False,
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "datasetsFilter": [],
        "modelVersionFilter": "All Runs",
        "selectedColumns": shown,
        "columnOrder": shown,
        "columnWidths": dict.fromkeys(shown, _WIDTH),
        "runsExpanded": {},
    }
