"""Fuzzes a reader for a time, guided by which lines its inputs reach:

    python tests/fuzz/readers.py index --seconds 60
    python tests/fuzz/readers.py pictures --seconds 60 --corpus FOLDER

An input must be read or be refused with InputError; anything else, 20 seconds or 2 GB end the program, with status 77
(or another that is not 0) and the input in a file that is named. It begins with small sound files made here; FOLDER
keeps what it finds, to go on from another time. Needs the package atheris.
"""

import argparse
import contextlib
import resource
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import atheris

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
with atheris.instrument_imports(include=["common", "data", "PIL"]):
    from common.errors import InputError
    from data.images import decode, decode_mask, size_of
    from data.index import read_index
    from data.keys import key_problem
    from tests.survival import pictures

INDEXES = {
    "commas": "relative_path,bin_label,mc_label,split,mask_path,source_path\na/b.png,1,3,test,m/b.png,r/b.png\n",
    "spaces": 'relative_path bin_label mc_label\n"a b.png" 1 \nc.png 0 0\n',
    "others": "\ufeffmc_label,note,relative_path,bin_label\r\n3.0,x,manipulated_sequences/Deepfakes/c23/0.png,1\r\n",
}


def index(folder: Path) -> Callable[[bytes], None]:
    """Reads bytes as an index file; the keys that it gives may not leave the folder."""
    path = folder / "index.csv"

    def read(data: bytes) -> None:
        path.write_bytes(data)
        with contextlib.suppress(InputError):
            for entry in read_index(path):
                if any(key_problem(key) for key in (entry.key, entry.mask, entry.source) if key is not None):
                    raise AssertionError(f"{entry} was read")

    return read


def images(folder: Path) -> Callable[[bytes], None]:
    """Reads bytes as a picture, as a mask, and for its size, which must agree."""

    def read(data: bytes) -> None:
        with contextlib.suppress(InputError):
            size_of(data, "x")
        with contextlib.suppress(InputError):
            mask = decode_mask(data, "x")
            if mask.shape != size_of(data, "x"):
                raise AssertionError(f"{mask.shape} is not the size of the header")
        with contextlib.suppress(InputError):
            image = decode(data, "x")
            if image.shape != (*size_of(data, "x"), 3):
                raise AssertionError(f"{image.shape} is not the size of the header")

    return read


def seeds(reader: str) -> dict[str, bytes]:
    """Small sound files to begin with."""
    return {name: text.encode() for name, text in INDEXES.items()} if reader == "index" else pictures.seeds()


def main() -> None:
    """Fuzzes until the time is over."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("reader", choices=["index", "pictures"])
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--runs", type=int, default=-1, help="end after so many inputs; -1 for no end")
    parser.add_argument("--corpus", type=Path, metavar="FOLDER", help="default: a temporary one")
    parser.add_argument("--seed", type=int, default=0, help="of what is tried; 0 for another each time")
    chosen = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="fuzz-"))
    corpus = chosen.corpus or folder / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    for name, data in seeds(chosen.reader).items():
        (corpus / f"seed {name}").write_bytes(data)
    # Linux counts the peak of what started this process along
    most = 2048 + resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    limits = [
        f"-max_total_time={chosen.seconds}",
        f"-runs={chosen.runs}",
        "-timeout=20",
        f"-rss_limit_mb={most}",
        "-max_len=20000",
    ]
    options = [*limits, f"-seed={chosen.seed}", "-print_final_stats=1", f"-artifact_prefix={folder}/"]
    read = (index if chosen.reader == "index" else images)(folder)
    atheris.Setup([sys.argv[0], *options, str(corpus)], read, enable_python_coverage=True)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
