"""How well a network reads its share of the test digits under each corruption at each severity."""

import numpy as np

from shearbench.evaluation.answer import Answer
from shearbench.evaluation.corruptions import SEVERITIES, corrupt, corruptions_of
from shearbench.evaluation.subject import Subject
from shearbench.seeds import generator_for


def corruption(subject: Subject) -> Answer:
    """Return ``rows`` (n,), ``clean`` (n,) and ``correct`` (corruptions, severities, n): whether the class is right.

    What is drawn for a digit (a direction, a place) is the same for every network of a fold and at all severities.
    """
    rows, kinds = subject.share, corruptions_of(subject.entry)
    inputs, labels = subject.test.inputs[rows], subject.test.labels[rows]
    correct = np.empty((len(kinds), SEVERITIES, len(rows)), np.bool_)
    for place, (name, kind) in enumerate(kinds.items()):
        for severity in range(1, SEVERITIES + 1):
            generator = generator_for(subject.record["seed"], "evaluate", "corruption", name, subject.fold)
            corrupted = corrupt(inputs, kind, severity, subject.entry, generator)
            correct[place, severity - 1] = subject.read(corrupted).argmax(axis=1) == labels
    clean = subject.read(inputs).argmax(axis=1) == labels
    facts = {"corruptions": list(kinds), "digits": len(rows)}
    return Answer({"rows": rows, "clean": clean, "correct": correct}, facts)
