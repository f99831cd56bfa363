"""The one error for input that a user can mend, and errors of users' own code in words."""

from asyncio import CancelledError

FAILED = (Exception, BaseExceptionGroup, SystemExit, GeneratorExit, CancelledError)
"""What a user's own code may raise without it being Ctrl-C: all that ends a part of the work and not the program."""

LONGEST = 2000  # characters of a message; a name in a broken file may be as long as the file


class InputError(ValueError):
    """A user's input cannot be used: says what is wrong, in which file, and what to do.

    Its message is always one printable line, whatever the names and texts from files in it. Commands print it and
    exit with status 1; anything else that escapes is a bug and keeps its traceback.
    """

    def __init__(self, message: str) -> None:
        super().__init__(one_line(message))


def is_interrupt(error: BaseException) -> bool:
    """Whether an error is Ctrl-C: any other is a failure, as one that a user's code derives from BaseException is."""
    return isinstance(error, KeyboardInterrupt)


def described(error: BaseException) -> str:
    """An error's type and words on one line, whatever its own `__str__` does."""
    name = one_line(type(error).__name__)
    return f"{name}: {text}" if (text := words(error)) else name


def words(error: BaseException) -> str:
    """An error's own words on one line; where it cannot say them, that."""
    try:
        return one_line(str(error))
    except FAILED as fault:
        return f"(its __str__ raises {one_line(type(fault).__name__)})"


def one_line(text: str) -> str:
    """A text on one printable line of at most LONGEST characters: spaces for line breaks, the middle left out."""
    line = printable(" ".join(text.split()))
    return line if len(line) <= LONGEST else f"{line[: LONGEST * 2 // 3]} ... {line[-LONGEST // 4 :]}"


def printable(text: str) -> str:
    """A text with what no terminal should be sent (control characters, lone surrogates) escaped, but line breaks."""
    if text.isprintable():
        return text
    return text.translate({ord(m): ascii(m)[1:-1] for m in set(text) if not m.isprintable() and m != "\n"})
