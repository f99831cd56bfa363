"""`python -m data`: prepare, store and select frames."""

from common.console import application, run
from data.lmdb_command import lmdb_app
from data.sample import sample

app = application("Prepare, store and select frames.")
app.command()(sample)
app.add_typer(lmdb_app, name="lmdb")


def main() -> None:
    """Runs the command line."""
    run(app)


if __name__ == "__main__":
    main()
