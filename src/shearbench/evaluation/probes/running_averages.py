"""Would a network with batch normalisation read the test digits otherwise with other statistics, and the same weights?

See :mod:`shearbench.evaluation.diagnosis`. Recalibration sees the inputs of some training digits, held out or not, and
no label.
"""

import numpy as np

from shearbench.evaluation.answer import Answer
from shearbench.evaluation.diagnosis import drawn_from, read, ways_of
from shearbench.evaluation.subject import Subject
from shearbench.evaluation.ways import AS_TRAINED
from shearbench.training.running_averages import layers_of


def running_averages(subject: Subject) -> Answer:
    """Return ``correct_<way>`` (n,) for every way but the one of all predictions; a network may have no other."""
    if not layers_of(subject.network):
        return Answer({}, {"skipped": "no batch normalisation"})
    batch, test = int(subject.record["config"]["recipe"]["batch"]), subject.test
    drawn = subject.train.inputs[drawn_from(np.arange(len(subject.train.ids)))]
    ways = ways_of(subject.reader, subject.normaliser, drawn, batch=batch, hardware=subject.hardware)
    device = subject.hardware.device
    said = {
        way: read(network, way, test.inputs, subject.normaliser, batch=batch, device=device)
        for way, network in ways.items()
        if way != AS_TRAINED
    }
    correct = {f"correct_{way}": probabilities.argmax(axis=1) == test.labels for way, probabilities in said.items()}
    return Answer(correct, {"calibration": len(drawn)})
