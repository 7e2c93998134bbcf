"""``python -m shearbench.cli``, where the command is not on the PATH."""

from shearbench.cli import app

app()
