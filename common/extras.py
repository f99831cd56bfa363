"""Libraries that only some users need: an extra of the package each, asked for by name where it is missing."""

import importlib
from typing import Any

from common.errors import InputError


def extra(module: str, name: str, who: str) -> Any:
    """The module of an optional library.

    Args:
        module: its dotted name.
        name: of the extra that installs it.
        who: what needs it, for the message.

    Raises:
        InputError: it is not installed; how to install it.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        library = module.partition(".")[0]
        if error.name is None or error.name.partition(".")[0] != library:
            raise
        raise InputError(f"{who} needs {library}: pip install -e '.[{name}]'") from error
