"""The ways in which a network with batch normalisation can read: with which statistics it normalises.

Without torch, for those who only name them; :mod:`shearbench.analysis.batch_norm.predict` reads.
"""

AS_TRAINED, BATCH, RECALIBRATED = "as_trained", "batch_statistics", "recalibrated"
BN_STATISTICS = (AS_TRAINED, BATCH, RECALIBRATED)
