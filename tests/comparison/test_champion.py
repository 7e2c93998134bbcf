"""When a network answers: the threshold is the least at which answers are right often enough, found by brute force."""

from pathlib import Path

import numpy as np
import pytest
from scipy.stats import binomtest

from shearbench.comparison.champion import (
    abstention_of,
    champion_of,
    least_accuracy,
    temperature_of,
    trust_of,
    trusted_predictions,
)
from shearbench.predictions.calibration import apply_temperature
from shearbench.predictions.folds import FoldRun
from shearbench.records import write_npz
from shearbench.seeds import generator_for


def run_of(folder: Path, probabilities: np.ndarray, labels: np.ndarray, loss: float = 1.0) -> FoldRun:
    folder.mkdir()
    ids = np.arange(len(labels))
    write_npz(folder / "out_of_fold.npz", {"ids": ids, "labels": labels, "probabilities": probabilities})
    return FoldRun(folder, {"fold": 0, "metrics": {"validation_loss": loss}}, "")


def drawn(n: int, *, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Predictions that are more often right the surer they are, a quarter of them copies of others."""
    generator = generator_for("tests", "champion", name)
    labels = generator.integers(0, 10, n)
    logits = generator.normal(size=(n, 10)) * 2
    logits[np.arange(n), labels] += 3
    logits[: n // 4] = logits[n // 2 : n // 2 + n // 4]  # equal confidences, some right and some wrong
    exponentials = np.exp(logits)
    return (exponentials / exponentials.sum(axis=1, keepdims=True)).astype(np.float32), labels


def sure(n: int, *, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Predictions of a good network: right about as often as they are sure."""
    generator = generator_for("tests", "champion", "sure", name)
    probabilities = generator.dirichlet(np.full(10, 0.02), n)
    labels = np.array([generator.choice(10, p=each) for each in probabilities])
    return probabilities.astype(np.float32), labels


@pytest.mark.parametrize("demanded", [0.8, 0.95])
def test_a_threshold_keeps_what_it_guarantees(tmp_path: Path, demanded: float) -> None:
    halves = [sure(1000, name=name) for name in "ab"]
    trust = trust_of([run_of(tmp_path / name, *half) for name, half in zip("ab", halves, strict=True)], demanded)
    probabilities, labels = (np.concatenate(each) for each in zip(*halves, strict=True))
    scaled = apply_temperature(probabilities, trust.temperature)
    confidence, correct = scaled.max(axis=1), scaled.argmax(axis=1) == labels
    answered = confidence >= trust.threshold
    assert trust.coverage == pytest.approx(answered.mean())
    assert trust.accuracy == pytest.approx(correct[answered].mean())
    assert demanded <= trust.guaranteed < trust.accuracy
    assert trust.predictions == 2000
    assert [each.answered for each in trusted_predictions(probabilities, trust)] == answered.tolist()


def test_what_is_observed_is_of_the_network_that_predicts_alone_on_other_digits(tmp_path: Path) -> None:
    halves = [sure(1000, name=name) for name in "ab"]
    runs = [run_of(tmp_path / name, *half, loss=loss) for name, half, loss in zip("ab", halves, (2, 1), strict=True)]
    new, labels = sure(400, name="test")
    trust = trust_of(runs, 0.9)
    found = abstention_of(runs, np.stack([new[::-1], new]), labels, 0.9)  # the second has the lower loss
    scaled = apply_temperature(new, trust.temperature)
    answered = scaled.max(axis=1) >= trust.threshold
    assert (found["demanded"], found["guaranteed"], found["answered"]) == (0.9, trust.guaranteed, answered.sum())
    assert found["observed"] == pytest.approx((scaled.argmax(axis=1) == labels)[answered].mean())
    assert found["coverage"] == pytest.approx(answered.mean())
    nothing = abstention_of(runs, np.stack([new, new]), labels, 0.99999)
    assert (nothing["guaranteed"], nothing["answered"], nothing["observed"]) == (None, 0, None)


def test_the_guarantee_is_missed_in_at_most_one_choice_in_twenty(tmp_path: Path) -> None:
    new, truth = sure(20_000, name="new")
    missed = answers = 0
    for number in range(40):
        trust = trust_of([run_of(tmp_path / str(number), *sure(600, name=str(number)))], 0.93)
        if trust.threshold is not None:
            scaled = apply_temperature(new, trust.temperature)
            answered = scaled.max(axis=1) >= trust.threshold
            answers += 1
            missed += (scaled.argmax(axis=1) == truth)[answered].mean() < 0.93
    assert answers > 20
    assert missed <= 5  # 99 % of binomial (40, 0.05)


def test_the_bound_is_clopper_and_pearson_s() -> None:
    # 0 errors of n: the bound is doubt ** (1 / n)
    assert least_accuracy(300, 300, doubt=0.05) == pytest.approx(0.05 ** (1 / 300))
    assert least_accuracy(297, 300, doubt=0.025) == pytest.approx(binomtest(297, 300).proportion_ci().low)


def test_a_network_that_is_never_right_never_answers(tmp_path: Path) -> None:
    probabilities, _ = drawn(60, name="wrong")
    trust = trust_of([run_of(tmp_path / "run", probabilities, (probabilities.argmax(axis=1) + 1) % 10)], 0.5)
    assert trust.threshold is None
    assert trust.accuracy is None
    assert trust.coverage == 0
    assert not any(each.answered for each in trusted_predictions(probabilities, trust))


def test_a_reading_names_the_two_most_probable_classes(tmp_path: Path) -> None:
    trust = trust_of([run_of(tmp_path / "run", *drawn(100, name="reading"))], 0.9)
    probabilities = np.array([[0.05, 0.05, 0.1, 0.6, 0.2, 0, 0, 0, 0, 0]], np.float32)
    (prediction,) = trusted_predictions(probabilities, trust)
    powers = probabilities[0].astype(float) ** (1 / trust.temperature)
    assert (prediction.label, prediction.runner_up) == (3, 4)
    assert prediction.confidence == pytest.approx(powers[3] / powers.sum())
    assert prediction.runner_up_confidence == pytest.approx(powers[4] / powers.sum())


def test_the_network_with_the_lowest_validation_loss_reads_alone(tmp_path: Path) -> None:
    fold_runs = [run_of(tmp_path / str(loss), *drawn(40, name=str(loss)), loss=loss) for loss in (0.3, 0.1, 0.2)]
    assert champion_of(fold_runs) is fold_runs[1]
    assert temperature_of(fold_runs) == trust_of(fold_runs, 0.9).temperature
