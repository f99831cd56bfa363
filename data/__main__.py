"""`python -m data`: make, prepare, store and select frames."""

from common.console import application, run
from data.demo.command import demo
from data.indexing.command import index
from data.lmdb_command import lmdb_app
from data.preprocess.command import preprocess
from data.sample import sample

app = application("Make, prepare, store and select frames.")
app.command(short_help="Make face crops, masks and an index from videos.")(preprocess)
app.command(short_help="Make the index of a folder of pictures.")(index)
app.command(short_help="Make demo faces and their forgeries.")(demo)
app.command()(sample)
app.add_typer(lmdb_app, name="lmdb")


def main() -> None:
    """Runs the command line."""
    run(app)


if __name__ == "__main__":
    main()
