"""Which networks are ahead over all datasets, where there are enough of them to say."""

import base64
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from shearbench.plotting.canvas import png
from shearbench.records import read_json
from shearbench.report.blocks import Block, Cell, Column, Picture, Pictures, Prose, Section, Table
from shearbench.report.figures_statistics import critical_difference_figure
from shearbench.report.findings import p_value

_TITLE = "Over all datasets"
_TEXT = """Each dataset ranks the networks by their out-of-fold accuracy; ties share a rank. Friedman's test asks
whether any network differs: p {p} over {datasets} datasets. {verdict} Datasets that are made of the same digits are
not independent: the ranking then describes these datasets and does not generalise."""
_TOLD = """Mean ranks that are further apart than the critical difference (Nemenyi) are told apart; a bar joins those
that are not."""
_NOT_TOLD = "It does not say so, and then no two networks are told apart."
_NONE = "There is no ranking over the datasets: {reason}."
_LEFT_OUT = "Left out, as not every dataset has been read by them: {names}."


def read(root: Path, rows: Sequence[Mapping[str, Any]]) -> Section:
    """Return the section."""
    path = root / "reports" / "ranking.json"
    if not path.is_file():
        return Section("ranking", _TITLE, [], ["the ranking over the datasets (`dvc repro compare`)"])
    ranking = read_json(path)
    left_out = [Prose(_LEFT_OUT.format(names=", ".join(ranking["left_out"])))] if ranking["left_out"] else []
    if ranking["reason"]:
        return Section("ranking", _TITLE, [Prose(_NONE.format(reason=ranking["reason"])), *left_out])
    verdict = _TOLD if ranking["p"] < ranking["alpha"] else _NOT_TOLD
    p = p_value(ranking["p"])
    text = _TEXT.format(p=p if p.startswith("<") else f"= {p}", datasets=ranking["datasets"], verdict=verdict)
    encoded = base64.b64encode(png(critical_difference_figure(ranking))).decode()
    picture = Picture(f"data:image/png;base64,{encoded}", "Mean ranks of the networks, with the critical difference")
    blocks: list[Block] = [Prose(text), *left_out, Pictures([picture], wide=True), _table(ranking)]
    return Section("ranking", _TITLE, blocks)


def _table(ranking: Mapping[str, Any]) -> Table:
    ranked = sorted(zip(ranking["mean_ranks"], ranking["networks"], strict=True))
    columns = (Column("network"), Column("mean rank", True, "over the datasets; 1 is best"))
    return Table(columns, [[name, Cell(f"{rank:.2f}", rank)] for rank, name in ranked])
