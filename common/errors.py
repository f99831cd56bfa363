"""The one error for input that a user can mend."""


class InputError(ValueError):
    """A user's input cannot be used: says what is wrong, in which file, and what to do.

    Commands print its message as one line and exit with status 1; anything else that escapes is a bug and
    keeps its traceback.
    """
