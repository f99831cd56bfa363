"""The one error for input that a user can mend."""

LONGEST = 2000  # characters of a message; a name in a broken file may be as long as the file


class InputError(ValueError):
    """A user's input cannot be used: says what is wrong, in which file, and what to do.

    Its message is always one printable line, whatever the names and texts from files in it. Commands print it and
    exit with status 1; anything else that escapes is a bug and keeps its traceback.
    """

    def __init__(self, message: str) -> None:
        super().__init__(one_line(message))


def one_line(text: str) -> str:
    """A text on one printable line of at most LONGEST characters: spaces for line breaks, the middle left out."""
    line = printable(" ".join(text.split()))
    return line if len(line) <= LONGEST else f"{line[: LONGEST * 2 // 3]} ... {line[-LONGEST // 4 :]}"


def printable(text: str) -> str:
    """A text with what no terminal should be sent (control characters, lone surrogates) escaped, but line breaks."""
    if text.isprintable():
        return text
    return text.translate({ord(m): ascii(m)[1:-1] for m in set(text) if not m.isprintable() and m != "\n"})
