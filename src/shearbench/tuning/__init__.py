"""Studies: the search for a model's hyperparameters. The only part that imports optuna.

``search`` runs brackets of trials by successive halving, ``study`` stores the trials and ``trial`` trains one of them.
``finalists`` cross-validates the best. All of them use the tuning part alone. ``tuned`` reads and writes the result,
``tuned/<model>.yaml``; ``pictures``, ``pareto`` and ``contents`` show it.
"""
