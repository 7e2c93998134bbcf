"""``python -m shearbench.cli``, if the command is not on the PATH."""

from shearbench.cli import app

app()
