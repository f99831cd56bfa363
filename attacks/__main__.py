"""`python -m attacks`: attacks that are made before they are used."""

import sys
from pathlib import Path

from attacks.malafide.command import malafide_app
from common.console import application, run

app = application("Make attacks.")
app.add_typer(malafide_app, name="malafide")


@app.callback()
def attacks() -> None:
    """Make attacks."""


def main() -> None:
    """Runs the command line."""
    run(app)


if __name__ == "__main__":
    sys.path.append(str(Path.cwd()))  # for a user's own package.module:Name
    main()
