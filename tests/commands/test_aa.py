"""``shearbench aa``: trains what is missing, writes the rates that it prints, and says whether the claims hold."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from shearbench.commands import aa
from shearbench.params import Params, SameNetwork
from shearbench.training.same_network import DrawsTask

SETTINGS = {"dataset": "mnist", "draws": 12, "samples": 20, "tests": 20, "trials": 100}


@pytest.fixture
def asked(small_params: Params, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was run, in this process: the worker processes have their own tests."""
    labels = []

    def in_this_process(function: Any, tasks: list[Any], *, label: str, **rest: Any) -> list[Any]:
        labels.append(f"{label} ({len(tasks)})")
        return [function(task, lambda units: None) for task in tasks]

    monkeypatch.setattr(aa, "run_tasks", in_this_process)
    return labels


@pytest.fixture
def params(small_params: Params) -> Params:
    settings = SameNetwork.model_validate(
        {**SETTINGS, "model": small_params.models["mlp"].model_dump(exclude={"search"})}
    )
    return small_params.model_copy(update={"aa": settings})


def test_rates_are_written_and_training_goes_on_where_it_stopped(
    finished: Path, params: Params, asked: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    holds = aa.main(params, finished)
    written = json.loads((finished / "reports/aa.json").read_text())
    table = pd.read_csv(finished / "reports/aa.csv")
    assert table["test"].tolist() == [rate["test"] for rate in written["rates"]]
    assert table["rate"].tolist() == pytest.approx((table["false_positives"] / table["trials"]).tolist())
    assert holds == all(rate["holds"] is not False for rate in written["rates"])
    assert written["settings"]["draws"] == 12
    assert written["variance"]["seed"] > 0
    assert (finished / "reports/aa.png").read_bytes().startswith(b"\x89PNG")
    assert "naive paired t" in " ".join(capsys.readouterr().out.split())
    assert asked[0] == "aa: 12 draws of 4 x 2 networks (2)"

    (block,) = (finished / "build/aa").glob("*/draws-10-12.npz")
    block.unlink()
    first = (finished / "reports/aa.csv").read_bytes()
    aa.main(params, finished)
    assert asked[3] == "aa: 12 draws of 4 x 2 networks (1)"
    assert (finished / "reports/aa.csv").read_bytes() == first


def test_the_sealed_test_set_is_not_opened(finished: Path, params: Params, asked: list[str]) -> None:
    (finished / "build/datasets/mnist/test.npz").unlink()
    aa.train(params, finished)
    assert isinstance(asked[0], str)


def test_other_settings_are_other_draws(finished: Path, params: Params, monkeypatch: pytest.MonkeyPatch) -> None:
    outs: list[Path] = []

    def note(function: Any, tasks: list[DrawsTask], **rest: Any) -> None:
        outs.extend(task.out for task in tasks)
        raise KeyboardInterrupt

    monkeypatch.setattr(aa, "run_tasks", note)
    changed = params.aa.model_copy(update={"samples": 30})
    for each in (params, params.model_copy(update={"aa": changed}), params.model_copy(update={"seed": 9})):
        with pytest.raises(KeyboardInterrupt):
            aa.train(each, finished)
    assert len({out.parent for out in outs}) == 3
