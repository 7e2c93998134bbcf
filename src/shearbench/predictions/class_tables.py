"""CSV files with columns of class names, which may look like numbers or missing values."""

from pathlib import Path

import pandas as pd

CLASS_COLUMNS = dict.fromkeys(("class", "classes", "true", "predicted", "label", "suggested"), "str")


def read_table(path: Path) -> pd.DataFrame:
    """Read a CSV file: columns with class names are text, and only an empty field is a missing value."""
    return pd.read_csv(path, dtype=CLASS_COLUMNS, keep_default_na=False, na_values=[""])
