"""Measure the accuracy of a network on its share of the test samples, corrupted and under Gaussian noise; tabulate it.

The noise of a draw is the same for every network of a fold and scales with the level. Both channels of a doubled image
have the same noise. Nothing is clipped.
"""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from shearbench.analysis.corruption.corruptions import CLEAN, SEVERITIES, corrupt, corruptions_of, grey_ends, grey_scale
from shearbench.analysis.evaluation import Evaluation, Measured
from shearbench.analysis.trained import TrainedModel
from shearbench.plotting.files import Files, table
from shearbench.predictions.scores import accuracy_of
from shearbench.seeds import generator_for


def corruption(trained: TrainedModel) -> Measured:
    """Return ``rows`` (n,), ``clean`` (n,) and ``correct`` (corruptions, severities, n): whether the class is right.

    The random part for a sample (a direction, a place) is the same for every network of a fold and at all severities.
    """
    rows, kinds = trained.share, corruptions_of(trained.entry)
    inputs, labels, ends = trained.test.inputs[rows], trained.test.labels[rows], grey_ends(trained.test.inputs)
    correct = np.empty((len(kinds), SEVERITIES, len(rows)), np.bool_)
    for place, (name, kind) in enumerate(kinds.items()):
        for severity in range(1, SEVERITIES + 1):
            generator = generator_for(trained.record["seed"], "evaluate", "corruption", name, trained.fold)
            corrupted = corrupt(inputs, kind, severity, trained.entry, generator, ends=ends)
            correct[place, severity - 1] = trained.correct(corrupted, labels)
    arrays = {"rows": rows, "clean": trained.correct(inputs, labels), "correct": correct}
    return Measured(arrays, {"corruptions": list(kinds), "samples": len(rows)})


def noise(trained: TrainedModel) -> Measured:
    """Return ``rows`` (n,), ``clean`` (n,) and ``correct`` (strengths, draws, n): whether the class is right.

    Strengths are first ``noise.levels``, then ``noise.raw`` of the config. Facts: the input's own ``deviation`` of
    each channel, in its units, and ``scale``, the factor of the raw levels: the grey scale, or one pixel.
    """
    rows, config = trained.share, trained.settings.noise
    inputs, labels = trained.test.inputs[rows].astype(np.float32), trained.test.labels[rows]
    deviation, scale = own_deviation(trained.test.inputs), 1.0 if trained.is_field else grey_scale(trained.test.inputs)
    drawn_channels = inputs.shape[1] if trained.is_field else 1
    strengths = config.strengths(deviation, scale)
    correct = np.empty((len(strengths), config.draws, len(rows)), np.bool_)
    for draw in range(config.draws):
        generator = generator_for(trained.record["seed"], "evaluate", "noise", trained.fold, draw)
        unit = generator.standard_normal((len(rows), drawn_channels, *inputs.shape[2:]), dtype=np.float32)
        for place, strength in enumerate(strengths):
            noisy = inputs + strength[:, None, None].astype(np.float32) * unit
            correct[place, draw] = trained.correct(noisy, labels)
    facts = {"deviation": deviation.tolist(), "scale": scale, "samples": len(rows)}
    return Measured({"rows": rows, "clean": trained.correct(inputs, labels), "correct": correct}, facts)


def own_deviation(inputs: NDArray[Any]) -> NDArray[np.float64]:
    """Return the deviation of inputs (n, channels, h, w) between samples, (channels,).

    It is the root mean square, over the pixels of a channel, of the standard deviation over the samples. Parts
    that are the same in every sample (the frame of an image, the shear of the whole block) do not count.
    """
    deviation: NDArray[np.float64] = np.sqrt(inputs.var(axis=0, dtype=np.float64).mean(axis=(1, 2)))
    return deviation


def corruption_tables(evaluation: Evaluation) -> Files:
    """Return two tables; both begin with the uncorrupted inputs, corruption ``none`` at severity 0.

    ``corruptions.csv``, one row per corruption and severity: ``corruption, measure, severity, value``, then the columns
    of :func:`accuracy_of`. ``corruption_errors.csv``, the same by fold: ``fold, corruption, severity, n, errors``.
    """
    rows, correct = (evaluation.stacked("corruption", name) for name in ("rows", "correct"))
    conditions = [(CLEAN, "", 0, 0.0, evaluation.stacked("corruption", "clean"))]
    for place, (name, kind) in enumerate(corruptions_of(evaluation.entry).items()):
        for level, value in enumerate(kind.values):
            conditions.append((name, kind.measure, level + 1, value, correct[:, place, level]))
    summary, errors = [], []
    for name, measure, severity, value, hits in conditions:
        facts = {"corruption": name, "measure": measure, "severity": severity, "value": value}
        summary.append({**facts, **accuracy_of(hits, rows)})
        for fold_run, of_fold in zip(evaluation.fold_runs, hits, strict=True):
            counts = {"n": of_fold.size, "errors": int((~of_fold).sum())}
            errors.append({"fold": fold_run.fold, "corruption": name, "severity": severity, **counts})
    return {"corruptions.csv": table(pd.DataFrame(summary)), "corruption_errors.csv": table(pd.DataFrame(errors))}


def noise_table(evaluation: Evaluation) -> Files:
    """Return ``noise.csv``: one row per strength.

    Columns: ``scale`` (``own``: in units of the input's own deviation; ``raw``: shares of the grey scale, or pixels of
    displacement), ``level`` (0 is no noise), ``sd_<channel>`` in the input's units, then those of
    :func:`accuracy_of`, where readings are networks x draws.
    """
    facts, config = evaluation.facts("noise"), evaluation.settings.noise
    correct, rows, clean = (evaluation.stacked("noise", name) for name in ("correct", "rows", "clean"))
    deviation = np.array(facts["deviation"])
    named = [*(("own", level) for level in config.levels), *(("raw", level) for level in config.raw)]
    conditions = [(scale, 0.0, 0 * deviation, clean) for scale in ("own", "raw")]
    for place, sd in enumerate(config.strengths(deviation, facts["scale"])):
        conditions.append((*named[place], sd, correct[:, place]))
    made = [
        {
            "scale": scale,
            "level": level,
            **{f"sd_{channel}": float(value) for channel, value in enumerate(sd)},
            **accuracy_of(hits, rows),
        }
        for scale, level, sd, hits in conditions
    ]
    return {"noise.csv": table(pd.DataFrame(made).sort_values(["scale", "level"]))}
