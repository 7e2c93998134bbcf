"""Studies: the search for a model's hyperparameters. The only part that imports optuna.

``search`` runs brackets of trials by successive halving (``halving``); ``study`` is where they are kept, and ``trial``
trains one of them. The best go through a cross-validation of their own (``finalists``). All of it sees the tuning part
alone (``part``). ``tuned`` reads and writes the result, ``tuned/<model>.yaml``; ``pictures``, ``pareto`` and
``contents`` show it.
"""
