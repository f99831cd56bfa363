"""`python -m attacks`: attacks that are made before they are used."""

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
    main()
