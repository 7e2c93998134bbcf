"""MLflow's start pages: the description of the experiment, the compared runs, the report."""

import base64
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import quote, urlencode

from shearbench.predictions.contents import Content, Node
from shearbench.records import sha256_of
from shearbench.tracking.moved import database
from shearbench.tracking.store import EXPERIMENT, Store

NOTE_TAG = "mlflow.note.content"
_FILTER = "tags.`shearbench.kind` = 'run' and tags.`shearbench.superseded` = 'no'"
_NOTE = """{report}Which model is best, and is the difference real?

A run `<dataset>-<model>` (tag `shearbench.kind` = `run`) is one model on one dataset. Its folds and its
evaluation are nested below it. `comparison` has the tests of all pairs.

- **The models side by side**: [the compared runs](#{path}), best first. Under *Columns* tick `cv_accuracy_mean`,
  `cv_accuracy_sd`, `test_accuracy_mean`, `test_accuracy_low`, `test_accuracy_high`, `parameters`, `seconds_per_fold`,
  `epochs`, `batch` and `learning_rate`. `cv_accuracy_mean` is over the held-out folds (± `cv_accuracy_sd`),
  `test_accuracy_mean` over the test set, both as fractions; `_low` and `_high` bound its 95 % interval for other
  samples and another training. To compare runs, select them and press *Compare*.
- Ablations are in the experiment `shearbench-ablations`.
- A run with the tag `shearbench.superseded` = `yes` was made again later.
- The best model of each dataset, by cross-validation, is a registered model with the alias `champion`.

MLflow has a copy. The results are the files in `build/` and `reports/`."""


def report_node(root: Path) -> Iterator[Node]:
    """Yield the node of the report, if there is a report."""
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
