"""Score matrices and paired predictions -> estimates, intervals, tests and verdicts; numpy, scipy and baycomp only.

Pure functions with frozen results. A difference is always ``a - b`` of fractions, so positive means that ``a`` is
better. ``docs/statistics.md`` has the formulae in the notation of this code, and their sources.
"""
