"""What searches for settings found: the finalists, Optuna's pictures, and accuracy against cost."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from shearbench.records import is_finished
from shearbench.report.blocks import Block, Cell, Column, Heading, Picture, Pictures, Prose, Section, Table
from shearbench.report.findings import listed, p_value, percent, points

_TITLE = "Tuning"
_TEXT = """A search sees the tuning part alone: training digits that no fold holds out where its result is used
(`training.use_tuned` in `params.yaml`). Trials are compared at the same epoch and the poorer ones stopped (successive
halving); the best three and the present setting are then trained in full and cross-validated, on digits of the tuning
part that scored no trial. Found is the finalist of the highest mean. Whether it is really better than the present
setting is said by the corrected resampled t-test, Holm-adjusted over the finalists. `docs/tuning.md` has the rest."""
_COLUMNS = (
    Column("dataset"),
    Column("model"),
    Column("finalist", help="found won; present is the setting of params.yaml; the others were trials"),
    Column("learning rate", True),
    Column("batch", True),
    Column("width", True, "multiplies the channels or units of the network"),
    Column("accuracy", True, "mean ± standard deviation over the folds of the tuning part, in %"),
    Column("weights", True),
    Column("seconds", True, "of training one fold, on the machine that searched, under the load it had"),
    Column("against present", True, "difference in points and its interval, corrected resampled t"),
    Column("p (Holm)", True),
    Column("is"),
)
_PICTURES = {
    "curves.png": "Accuracy on the inner part after each epoch, a line a trial. Short lines were stopped at a rung.",
    "history.png": "Accuracy after the first rung, trial by trial.",
    "importance.png": "How much of the spread of that accuracy each parameter explains over the space: fANOVA.",
    "slices.png": "That accuracy against each parameter.",
    "parallel.png": "That accuracy and the parameters, a line a trial.",
    "timeline.png": "When each trial ran, waiting for its bracket's rung included.",
}


def read(root: Path, rows: Sequence[Mapping[str, Any]]) -> Section:
    """Return the section."""
    found = sorted(_found(root))
    missing = list(_missing(rows, {(dataset, model) for dataset, model, _ in found}))
    if not found:
        return Section("tuning", _TITLE, [], missing)
    table = Table(_COLUMNS, [line for dataset, model, tuned in found for line in _lines(dataset, model, tuned)])
    blocks: list[Block] = [Prose(_TEXT), table, *_costs(root, sorted({dataset for dataset, _, _ in found}))]
    for dataset, model, tuned in found:
        blocks += _search(root, dataset, model, tuned)
    return Section("tuning", _TITLE, blocks, missing)


def _missing(rows: Sequence[Mapping[str, Any]], found: Collection[tuple[str, str]]) -> Iterator[str]:
    """Yield the searches that nobody has run, a dataset each: a default run makes none."""
    for dataset in dict.fromkeys(row["dataset"] for row in rows):
        cells = [(row["dataset"], row["model"]) for row in rows if row["dataset"] == dataset]
        models = [model for _, model in cells if (dataset, model) not in found]
        if models:
            yield f"searches on {dataset} for {listed(models)} (`make tune MODEL={models[0]} DATASET={dataset}`)"


def _found(root: Path) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Yield dataset, model and what was found of every search that has left a result."""
    for path in sorted((root / "tuned").glob("*.yaml")):
        if path.name != "dvc.yaml":
            for dataset, tuned in yaml.safe_load(path.read_text()).items():
                yield dataset, path.stem, tuned


def _lines(dataset: str, model: str, tuned: Mapping[str, Any]) -> Iterator[list[Cell | str]]:
    """Yield a row for each finalist, the best first."""
    for score in sorted(tuned["finalists"], key=lambda score: -score.get("accuracy", 0.0)):
        setting = score["setting"]
        names = [name for name, key in (("found", "setting"), ("present", "present")) if tuned[key] == setting]
        yield [
            dataset,
            model,
            Cell(", ".join(names) or f"trial {score['trial']}", strong="found" in names),
            Cell(f"{setting['learning_rate']:.3g}", setting["learning_rate"]),
            Cell(str(setting["batch"]), setting["batch"]),
            Cell(f"{setting['width']:g}", setting["width"]),
            _accuracy(score),
            Cell(f"{score['parameters']:,}", score["parameters"]),
            Cell(f"{score['seconds']:.1f}", score["seconds"]),
            *(_against(tuned.get("difference")) if "found" in names else ("", "", "")),
        ]


def _accuracy(score: Mapping[str, Any]) -> Cell:
    if "accuracy" not in score:
        return Cell("failed", help=score["reason"])
    return Cell(f"{percent(score['accuracy'])} ± {percent(score['sd'])}", score["accuracy"])


def _against(difference: Mapping[str, Any] | None) -> tuple[Cell, Cell, Cell]:
    if difference is None:
        return Cell(""), Cell(""), Cell("the present setting")
    interval = f"{points(difference['low'])} to {points(difference['high'])}"
    return (
        Cell(f"{points(difference['mean'])} ({interval})", difference["mean"]),
        Cell(p_value(difference["p_holm"]), difference["p_holm"]),
        Cell(difference["verdict"], strong=True, help=difference["rule"]),
    )


def _costs(root: Path, datasets: Sequence[str]) -> Iterator[Block]:
    folder = root / "build" / "tuning" / "pareto"
    pictures = [
        Picture.of(
            folder / f"{dataset}.png",
            f"Accuracy against weights and against seconds of every search on {dataset}",
            f"{dataset}: which size of which network is worth its cost. The line joins the finalists that no other "
            "beats in both.",
            [folder / f"{dataset}.csv"],
        )
        for dataset in datasets
        if (folder / f"{dataset}.png").is_file()
    ]
    if pictures:
        yield Heading("What accuracy costs")
        yield Pictures(pictures, wide=True)


def _search(root: Path, dataset: str, model: str, tuned: Mapping[str, Any]) -> Iterator[Block]:
    """Yield what one search spent and Optuna's pictures of it, where they have been drawn."""
    folder = root / "build" / "tuning" / "results" / dataset / model
    search = tuned["search"]
    yield Heading(f"{model} on {dataset}")
    yield Prose(
        f"{search['trials']} trials: {search['complete']} trained in full, {search['stopped_early']} stopped early, "
        f"{search['failed']} failed; {search['epochs']} epochs in all, of them those of {len(tuned['finalists'])} "
        f"finalists in {search['folds']} folds, scored on {search['digits_scored']} of {tuned['saw']['digits']} digits."
    )
    if is_finished(folder):
        pictures = [
            Picture.of(folder / file, f"{model} on {dataset}: {text}", text)
            for file, text in _PICTURES.items()
            if (folder / file).is_file()
        ]
        yield Pictures(pictures)
    else:
        yield Prose(f"Its pictures are not here: `make tune MODEL={model} DATASET={dataset}` draws them.")
