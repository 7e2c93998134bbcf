"""A search from end to end, in this process: what it comes to, what it leaves, and that it is not run twice."""

import fcntl
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from searching import facts, job_in
from sklearn.calibration import CalibratedClassifierCV
from sklearn.svm import SVC

from made import current_runs
from patterns import config_with, point
from shearbench.data.dataset import load
from shearbench.data.folds import read_folds
from shearbench.data.folds import write_part as write_ids
from shearbench.errors import InputError
from shearbench.params import load as load_params
from shearbench.records import read_record
from shearbench.report.blocks import Heading, Pictures, Prose, Table
from shearbench.report.sections.tuning import read, sentence, worth
from shearbench.stages import track
from shearbench.tracking.store import EXPERIMENT, default_uri
from shearbench.training.recipe import space_of
from shearbench.tuning import job
from shearbench.tuning.contents import node_of
from shearbench.tuning.job import best_of_other_widths, run
from shearbench.tuning.pareto import cost_table, draw_costs, front
from shearbench.tuning.results import conclusion, results_folder, summary, write_results
from shearbench.tuning.study import Trial
from shearbench.tuning.tuned import Difference, read_tuned, tuned_path, write_tuned

REPOSITORY = Path(__file__).parents[2]


class _Here:
    """Runs tasks in this process, and counts the epochs that they train."""

    def __init__(self):
        self.epochs = 0

    def __call__(self, function, tasks, **_):
        return [function(task, self._advance) for task in tasks]

    def _advance(self, units):
        self.epochs += units


@pytest.fixture(scope="module")
def here():
    """Tasks run here, for the whole file; the worker processes have their own tests."""
    with pytest.MonkeyPatch.context() as patch:
        runner = _Here()
        patch.setattr(job, "run_tasks", runner)
        yield runner


@pytest.fixture(scope="module")
def root(here, build, tmp_path_factory):
    """A project folder in which a search has ended, and left its results."""
    root = tmp_path_factory.mktemp("project")
    shutil.copytree(build, root / "build")
    return root


@pytest.fixture(scope="module")
def search_result(here, root):
    return run(job_in(root / "build"))


@pytest.fixture(scope="module")
def folder(root, search_result):
    """The record of the search."""
    task = job_in(root / "build")
    tuned = summary(task, search_result)
    folder = results_folder(root / "build", "patterns", "small")
    write_results(folder, task, search_result, tuned)
    write_tuned(root, "small", "patterns", tuned)
    return folder


def test_two_brackets_and_their_finalists(here, search_result):
    assert [trial.number for trial in search_result.trials] == list(range(8))
    states = [trial.state for trial in search_result.trials]
    assert states.count("complete") == 2
    assert "stopped" in states
    assert 0 in [finalist.trial for finalist in search_result.final.finalists], "the present setting is among them"
    assert 2 <= len(search_result.final.finalists) <= 3
    scored = [*search_result.final.finalists, *search_result.sizes]
    trained = sum(len(trial.curve) for trial in search_result.trials) + sum(each.epochs for each in scored)
    failed = [trial for trial in search_result.trials if trial.state == "failed"]
    assert here.epochs == trained or failed
    assert all("the loss is" in trial.failure for trial in failed)
    assert search_result.final.winner.mean == max(each.mean for each in search_result.final.finalists)


def test_the_best_trial_of_each_width_that_no_finalist_has_is_scored_as_they_are():
    order = [
        Trial(number, point(0.01, 10, width), "complete")
        for number, width in enumerate((0.5, 0.5, 2.0, 1.0, 0.25, 2.0))
    ]
    assert [trial.number for trial in best_of_other_widths(order, order[:2])] == [4, 3, 2]
    assert best_of_other_widths(order, order[:5]) == []


def test_a_search_without_other_widths_is_the_same_study_and_scores_none(root, search_result):
    without = run(job_in(root / "build", sizes=False))
    assert facts(without) == {**facts(search_result), "sizes": []}
    assert without.sizes == ()
    scored = [trial for trial in search_result.trials if trial.score is not None]
    assert search_result.sizes, "or this search is too small to show it"
    widths = [each.hyperparameters["width"] for each in (*search_result.final.finalists, *search_result.sizes)]
    assert set(widths) == {trial.hyperparameters["width"] for trial in scored}


def test_a_search_that_is_done_trains_nothing_more(here, root, search_result):
    before = here.epochs
    assert facts(run(job_in(root / "build"))) == facts(search_result)
    assert here.epochs == before
    assert not list((search_result.folder / "trials").glob("*")), "checkpoints of ended trials are gone"


def test_another_space_or_other_resources_are_another_study(root, search_result):
    task = job_in(root / "build")
    assert job.study_of(task, search_result.part)[0].name == search_result.study.name
    assert job.study_of(job_in(root / "build", rungs=2), search_result.part)[0].name != search_result.study.name
    assert (
        job.study_of(job_in(root / "build", trials=99, timeout=1), search_result.part)[0].name
        == search_result.study.name
    )


def test_two_processes_cannot_run_one_search(root, search_result):
    with (search_result.folder / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(InputError, match="another process is searching patterns-small"):
            run(job_in(root / "build"))


def test_its_file_has_what_was_found_and_what_was_seen(root, search_result, folder):
    tuned = read_tuned(tuned_path(root, "small"))["patterns"]
    assert search_result.final.winner.hyperparameters == tuned.hyperparameters
    assert tuned.search.trials == 8
    assert tuned.search.complete + tuned.search.stopped_early + tuned.search.failed == 8
    assert tuned.reserved.data == search_result.part.content_hash
    assert {trial.facts["reserved"]["data"] for trial in search_result.trials if "reserved" in trial.facts} == {
        tuned.reserved.data
    }
    assert [score.trial for score in tuned.sizes] == [finalist.trial for finalist in search_result.sizes]
    assert len(tuned_path(root, "small").read_text()) < 3000
    assert "Found" in conclusion(tuned)


def test_its_record_has_tables_and_pictures(search_result, folder):
    record = read_record(folder)
    pictures = {"curves.png", "timeline.png", "history.png", "slices.png", "parallel.png"}
    assert pictures | {"trials.csv", "curves.csv", "finalists.csv", "sizes.csv"} <= set(record["files"])
    trials, curves = pd.read_csv(folder / "trials.csv"), pd.read_csv(folder / "curves.csv")
    assert trials["accuracy"].dropna().tolist() == [t.score for t in search_result.trials if t.score is not None]
    assert len(curves) == sum(len(trial.curve) for trial in search_result.trials)
    assert record["rungs"] == [{"epochs": e, "trials": n} for e, n in ((2, 4), (3, 2), (6, 1))]


def test_mlflow_is_told_of_the_study_and_of_each_trial_with_its_curve(search_result, folder):
    node = node_of(folder)
    assert node.name == "tune patterns-small"
    assert {path.name for path in node.content.files} >= {"history.png", "trials.csv", "record.json"}
    assert node.content.metrics["trials"] == 8
    trials = {child.name: child.content for child in node.children}
    assert len(trials) == 8 + len(search_result.final.finalists) + len(search_result.sizes)
    for trial in search_result.trials:
        content = trials[f"trial {trial.number}"]
        assert content.params["learning_rate"] == pytest.approx(trial.hyperparameters["learning_rate"])
        curve = [value for name, _, value in content.curves if name == "accuracy"]
        assert curve == [point.accuracy for point in trial.curve]
    assert len({child.digest for child in node.children}) == len(node.children)


def test_parallel_coordinates_of_trials_and_finalists_have_the_searched_parameters_as_axes_alone(folder):
    searched = set(read_record(folder)["space"])
    for child in node_of(folder).children:
        assert set(child.content.params) - {"dataset", "model", "seed"} == searched
        assert ("search_accuracy" in child.content.metrics) != ("failure" in child.content.tags)


@pytest.mark.filterwarnings("ignore")
def test_track_sends_the_searches(root, folder):
    from mlflow import MlflowClient

    params = load_params(REPOSITORY / "params.yaml").model_copy(update={"runs": {}, "ablations": {}})
    assert track.send(params, root)
    sent = current_runs(MlflowClient(default_uri(root)), EXPERIMENT)
    assert set(sent) == {"tune patterns-small", *(child.name for child in node_of(folder).children)}


def test_the_front_is_drawn_through_who_is_not_beaten(root, search_result, folder):
    assert front([1, 2, 3, 3], [0.5, 0.4, 0.9, 0.8]) == [True, False, True, False]
    assert front([1, 1, 2], [0.5, 0.5, 0.5]) == [True, True, False]
    tuned = read_tuned(tuned_path(root, "small"))["patterns"]
    table = cost_table({"small": tuned})
    scored = [each for each in (*search_result.final.finalists, *search_result.sizes) if not each.reason]
    assert table["trial"].tolist() == [each.trial for each in scored]
    assert table["accuracy"].tolist() == pytest.approx([each.mean for each in scored], abs=1e-6)
    assert table["front_parameters"].any()
    assert draw_costs(table, "patterns").startswith(b"\x89PNG")


def test_the_sentence_on_costs_names_the_front_the_cheapest_first():
    table = pd.DataFrame(
        {
            "model": ["large", "small", "slow"],
            "size": ["large ×2", "small ×0.5", "slow ×1"],
            "accuracy": [0.9, 0.8, 0.7],
            "parameters": [2_000_000, 10_000, 500_000],
            "seconds": [1.0, 1.0, 3.0],
            "front_parameters": [True, True, False],
            "front_seconds": [True, False, False],
        }
    )
    assert worth("patterns", table) == (
        "Worth their cost on patterns: by parameters small ×0.5 (0.01 M, 80.0 %), large ×2 (2.00 M, 90.0 %); "
        "by seconds of training large ×2 (1.00 s, 90.0 %)."
    )


def test_the_report_shows_finalists_pictures_and_costs(root, folder):
    rows = [{"dataset": "patterns", "model": "small"}, {"dataset": "patterns", "model": "large"}]
    section = read(root, rows)
    assert section.missing == (), "a search is optional"
    assert section.blocks[-1].text == (
        "Without a search: large on patterns. `shearbench tune large --dataset patterns` makes one, if "
        "`params.yaml` gives the model a `search`."
    )
    finalists, spent = (block for block in section.blocks if isinstance(block, Table))
    tuned = read_tuned(tuned_path(root, "small"))["patterns"]
    assert len(finalists.rows) == len(tuned.finalists)
    said = f"found: {tuned.difference.verdict}" if tuned.difference else "found, present"
    assert [row[1].text for row in finalists.rows if "found" in row[1].text] == [said]
    assert [cell.text for cell in spent.rows[0][2:6]] == [
        "8",
        "2",
        str(tuned.search.stopped_early),
        str(tuned.search.failed),
    ]
    images = [image for block in section.blocks if isinstance(block, Pictures) for image in block.images]
    assert len(images) == 1 + len(list(folder.glob("*.png")))


def test_the_report_of_a_fresh_clone_shows_what_searches_elsewhere_found(root, folder, tmp_path):
    shutil.copytree(root / "tuned", tmp_path / "tuned")
    section = read(tmp_path, [])
    images = [image for block in section.blocks if isinstance(block, Pictures) for image in block.images]
    assert len(images) == 1, "what accuracy costs"
    texts = [block.text for block in section.blocks if isinstance(block, Prose)]
    assert any("ran elsewhere: small on patterns" in text for text in texts)


def test_the_report_shows_what_was_found_at_full_size_apart(root, folder, tmp_path):
    for place in ("tuned", "reports/full/tuning"):
        shutil.copytree(root / "tuned", tmp_path / place)
    section = read(tmp_path, [])
    assert next(block.text for block in section.blocks if isinstance(block, Heading)) == "On more samples"
    default, full, _ = (block for block in section.blocks if isinstance(block, Table))
    assert full.rows == default.rows


@pytest.mark.parametrize(
    ("verdict", "said"),
    [
        ("better", "On patterns: the result is better than the present hyperparameters for small (+1.00 points)."),
        (
            "undecided",
            "On patterns: the result scored higher than the present hyperparameters, which decides nothing, for",
        ),
        ("equivalent", "On patterns: result and present hyperparameters are equivalent for small"),
    ],
)
def test_the_sentence_follows_the_verdict(root, folder, verdict, said):
    tuned = read_tuned(tuned_path(root, "small"))["patterns"]
    difference = Difference(mean=0.01, low=0.0, high=0.02, p_holm=0.5, verdict=verdict, rule="")
    assert said in sentence("patterns", {"small": tuned.model_copy(update={"difference": difference})})


def test_the_interval_of_a_difference_ends_at_100_points(root, folder):
    tuned = read_tuned(tuned_path(root, "small"))["patterns"]
    difference = Difference(mean=0.709, low=0.4146, high=1.0034, p_holm=0.008, verdict="better", rule="")
    other = {**tuned.present, "batch": 7}
    assert "(+41.46 to +100.00, " in conclusion(
        tuned.model_copy(update={"difference": difference, "hyperparameters": other})
    )


def test_the_sentence_says_where_the_present_setting_won(root, folder):
    tuned = read_tuned(tuned_path(root, "small"))["patterns"]
    own = tuned.model_copy(update={"difference": None, "hyperparameters": tuned.present})
    assert sentence("patterns", {"small": own}) == "On patterns: the present hyperparameters scored highest for small."


def _classifier_job(root, search, **options):
    """Return a search of a support vector machine; 5 trials, as it has one epoch and so one rung."""
    config = config_with(architecture="sklearn.svm.SVC", width=1.0, options=options, recipe=None, features={})
    return replace(job_in(root / "build", trials=4, sizes=True), config=config, space=space_of(search))


def test_a_classifier_is_searched_over_its_own_options(root, tmp_path):
    job = _classifier_job(root, {"C": {"log": [1e-4, 1e2]}, "kernel": ["rbf", "linear"]}, C=1e-4, kernel="rbf")
    found = run(job)
    assert found.trials[0].hyperparameters == {"C": 1e-4, "kernel": "rbf"}
    assert len(found.trials) == 4
    assert {trial.state for trial in found.trials} == {"complete"}
    assert all(1e-4 <= trial.hyperparameters["C"] <= 1e2 for trial in found.trials)
    by_hand = _fitted_by_hand(job, found.trials[1].hyperparameters)
    assert found.trials[1].score == by_hand
    tuned = summary(job, found)
    assert found.sizes == ()
    write_tuned(tmp_path, "svm", "patterns", tuned)
    assert read_tuned(tuned_path(tmp_path, "svm"))["patterns"] == tuned
    write_results(tmp_path / "results", job, found, tuned)
    trials = pd.read_csv(tmp_path / "results" / "trials.csv")
    assert set(trials["kernel"]) <= {"rbf", "linear"}
    sent = node_of(tmp_path / "results").children
    assert {node.content.params["C"] for node in sent} == {*trials["C"]}


def _fitted_by_hand(job, hyperparameters):
    """Return the accuracy on the inner part of scikit-learn's own classifier, calibrated as a fold's is."""
    part, table = load(job.part, "train"), read_folds(job.part / "folds.npz")
    inner = table.reserved_rows
    rest = np.setdiff1d(np.arange(len(part.ids)), inner)
    values = part.inputs.reshape(len(part.ids), -1).astype(np.float32) / 255
    machine = CalibratedClassifierCV(SVC(**hyperparameters), method="sigmoid", cv=3, ensemble=False)
    said = machine.fit(values[rest], part.labels[rest]).predict(values[inner])
    return float((said == part.labels[inner]).mean())


def test_what_a_classifier_refuses_is_a_failed_trial(root):
    found = run(_classifier_job(root, {"C": {"log": [1e-4, 1e2]}, "kernel": ["rbf", "sinus"]}, C=1.0, kernel="rbf"))
    refused = [trial for trial in found.trials if trial.hyperparameters["kernel"] == "sinus"]
    assert refused
    assert all(trial.state == "failed" and "sinus" in trial.failure for trial in refused)


def test_a_network_is_searched_over_its_options_too(root):
    space = space_of({"dropout": {"range": [0.0, 0.5]}, "schedule": ["constant", "cosine"]})
    job = replace(job_in(root / "build", trials=4, finalists=1), space=space)
    job = replace(job, config=job.config.model_copy(update={"options": {"dropout": 0.25}}))
    found = run(job)
    assert found.trials[0].hyperparameters == {"dropout": 0.25, "schedule": "constant"}
    assert len({trial.hyperparameters["dropout"] for trial in found.trials}) > 2
    assert found.sizes == ()


def test_a_dataset_without_a_tuning_part_is_refused_with_what_to_change(build: Path, tmp_path: Path) -> None:
    shutil.copytree(build / "datasets", tmp_path / "datasets")
    write_ids(tmp_path / "datasets" / "patterns" / "tuning_part.npz", np.empty(0, np.int64))
    with pytest.raises(InputError, match=r"patterns has too few samples for a tuning part; .* change tuning\.share"):
        job.write_part(job_in(tmp_path))
