"""Stage ``code``: what each stage of ``dvc.yaml`` and ``tuned/dvc.yaml`` runs, ``build/code/<stage>.txt``.

A text has a line for each source that its stage reaches by imports, with a hash of what that source does. A stage with
a model or an ablation in its name has a text for each, so that an edit of one user's own network concerns that
network alone. ``dvc repro`` always begins with this stage, so it imports no library but YAML's.
"""

from pathlib import Path

from shearbench import code
from shearbench.pipeline.texts import texts

OF_NO_STAGE = ("build/ablations", "build/ablation_results")
"""Folders that stages depend on as a whole. Where ``params.yaml`` has no ablation, no stage makes them."""


def main(root: Path) -> None:
    """Write the text of each stage. Unchanged texts are not touched, and texts of removed stages are deleted.

    Raises:
        InputError: if ``params.yaml`` is no YAML, or has no models and ablations.
    """
    folder = root / code.FOLDER
    written = {folder / f"{name}.txt": text for name, text in texts(root / "params.yaml")}
    for path in set(folder.rglob("*.txt")) - set(written):
        path.unlink()
    for path, text in written.items():
        if not path.is_file() or path.read_text() != text:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
    for name in OF_NO_STAGE:
        (root / name).mkdir(parents=True, exist_ok=True)
    code.remember()
