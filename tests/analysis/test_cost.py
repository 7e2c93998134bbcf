"""Floating point operations against closed forms; latency is a time and only has to be one."""

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from torch import nn

import small_model
from shearbench.analysis.cost import section
from shearbench.analysis.cost.measure import cost
from shearbench.records import write_json


def _cost_of(network: nn.Module, fold: int = 0):
    inputs = np.zeros((10, 1, 28, 28), np.uint8)
    return cost(small_model.trained_of(network, inputs, np.arange(10), fold=fold))


def test_operations_of_linear_layers_and_convolutions() -> None:
    linear = nn.Sequential(nn.Flatten(), nn.Linear(784, 30), nn.ReLU(), nn.Linear(30, 10))
    assert _cost_of(linear).facts["flops"] == 2 * (784 * 30 + 30 * 10)
    convolution = nn.Sequential(nn.Conv2d(1, 4, 5), nn.Flatten(), nn.Linear(4 * 24 * 24, 10))
    assert _cost_of(convolution).facts["flops"] == 2 * (24 * 24 * 4 * 25 + 4 * 24 * 24 * 10)


def test_latency_per_image_of_the_first_fold_alone() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(784, 10))
    seconds = _cost_of(network).facts["seconds"]
    assert seconds.keys() == {"1", "64"}
    assert all(value > 0 for value in seconds.values())
    assert _cost_of(network, fold=1).facts == {}


def test_an_ablation_of_training_sizes_has_its_numbers_in_a_table(tmp_path: Path) -> None:
    folder = tmp_path / "build" / "ablation_results" / "sizes"
    (folder / "figures").mkdir(parents=True)
    Image.new("L", (8, 8)).save(folder / "figures" / "train_size.png")
    write_json(folder / "record.json", {"folds": 3})
    numbers = "mnist,mlp,200,2396,0.7788,0.678,0.8547"
    (folder / "train_size.csv").write_text(f"dataset,curve,train_size,n,mean,low,high\n{numbers}\n")
    table: Any = list(section._curves(tmp_path))[-1]
    ((dataset, model, size, accuracy, n),) = table.rows
    assert [dataset, model, size.text, accuracy.text, accuracy.note, n.text] == [
        *("mnist", "mlp", "200", "77.9", "67.8 to 85.5", "2,396")
    ]
