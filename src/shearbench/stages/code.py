"""Stage ``code``: write the code of each stage of ``dvc.yaml`` and ``tuned/dvc.yaml``, ``build/code/<stage>.txt``.

A text has a line for each source that its stage reaches by imports, with a hash of what that source does. A stage with
a model or an ablation in its name has a text for each, so an edit of a user's network affects only that network.
``dvc repro`` always starts with this stage, so it imports no library except YAML's.
"""

import shutil
from pathlib import Path

from shearbench import code
from shearbench.pipeline import sent
from shearbench.pipeline.dvc import texts

RESULTS = Path("build") / "ablation_results"
OF_NO_STAGE = (Path("build") / "ablations", RESULTS)
"""Folders that stages depend on. Without ablations in ``params.yaml``, no other stage makes them."""


def main(root: Path) -> None:
    """Write the text of each stage, and let ``track`` run again if MLflow lacks records.

    Unchanged texts are not rewritten. Texts of removed stages are deleted, and results of removed ablations. DVC's
    cache has them if the ablation comes back.

    Raises:
        InputError: if ``params.yaml`` is not YAML, or has no models or ablations.
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
    for result in (root / RESULTS).iterdir():
        if result.is_dir() and folder / "ablation_result" / f"{result.name}.txt" not in written:
            shutil.rmtree(result)  # else the report would show it beside newer results
    code.remember()
    sent.remove_if_outdated(root)
