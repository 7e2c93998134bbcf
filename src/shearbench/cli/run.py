"""Commands that work: stages and tuning."""

from typing import Annotated

import typer

from shearbench import stages
from shearbench.cli.shared import explained, names_in, project, read_params

app = typer.Typer()
PANEL = "Run"
STAGE_HELP = f"{', '.join(stages.NAMES[:-1])} or {stages.NAMES[-1]}."
CELL_HELP = """A cell of params.yaml for train and evaluate, a dataset for explore, an experiment for experiment and
outcome; none for the others."""


def _stages(begun: str) -> list[str]:
    return [name for name in stages.NAMES if name.startswith(begun)]


@app.command(rich_help_panel=PANEL)
@explained
def stage(
    name: Annotated[str, typer.Argument(help=STAGE_HELP, autocompletion=_stages)],
    of: Annotated[
        str | None,
        typer.Argument(metavar="CELL", help=CELL_HELP, autocompletion=names_in("cells", "datasets", "experiments")),
    ] = None,
) -> None:
    """Run one stage of dvc.yaml as `dvc repro` does, whatever its state.

    \b
    Examples:
      shearbench stage prepare
      shearbench stage train mnist-cnn3
    """
    stages.run(name, of, params=read_params(), root=project())


@app.command(rich_help_panel=PANEL)
@explained
def tune(
    model: Annotated[str, typer.Argument(help="A model of params.yaml.", autocompletion=names_in("models"))],
    dataset: Annotated[
        str | None,
        typer.Option(help="A dataset of params.yaml; default: tuning.dataset.", autocompletion=names_in("datasets")),
    ] = None,
    trials: Annotated[int | None, typer.Option(min=1, help="Trials in all; default: tuning.trials.")] = None,
    timeout: Annotated[int | None, typer.Option(min=1, help="Seconds; default: tuning.timeout.")] = None,
) -> None:
    """Search learning rate, batch size and width of a model; Ctrl-C stops, the same command goes on.

    \b
    Examples:
      shearbench tune resnet18 --trials 40
      shearbench tune cnn3 --dataset mnist --timeout 1800
    """
    from shearbench.stages import tune as tuning

    params, root = read_params(), project()
    tuning.main(params, root, model, dataset=dataset, trials=trials, timeout=timeout)
    stages.track_searches(params, root)
