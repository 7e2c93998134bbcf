"""Studies: the search for a model's hyperparameters. The only part that imports optuna.

``search`` runs brackets of trials by successive halving, ``study`` stores the trials and ``trial`` trains one of them.
``job`` runs a search from end to end and cross-validates the best trials. All of them use the tuning part alone.
``tuned`` reads and writes the result, ``tuned/<model>.yaml``; ``results``, ``pareto`` and ``contents`` show it.
"""
