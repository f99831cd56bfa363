"""`flipscope COMMAND ...`: every command of the project under one name; each gets its arguments as they are."""

import difflib
import importlib
import sys
from collections.abc import Mapping
from pathlib import Path

from common import console

COMMANDS: Mapping[str, tuple[str, str]] = {
    "evaluate": ("evaluate", "Score explanations: attack what each calls important, and say which can be trusted."),
    "visualize": ("visualize", "Look at one frame: its verdict, and what each explanation points at."),
    "efficiency": ("efficiency", "Compare what explanations cost."),
    "examine": ("examine", "Examine one film or picture: which heat map of its verdict to believe."),
    "data": ("data.__main__", "Make, prepare, store and select frames."),
    "detectors": ("detectors.__main__", "Train and test detectors."),
    "attribution_model": ("attribution_model.__main__", "Train and test the attribution classifier."),
    "attacks": ("attacks.__main__", "Make attacks: 2D-Malafide's filters."),
    "robustness": ("robustness.__main__", "Attack whole frames, and compare hardened detectors."),
}
"""What each command is called, the module that has it as `app`, and what it does."""
HELP = ("-h", "--help")
WITHOUT_VALUE = {"evaluate": ("--ray", "local")}
"""Options that may stand without a value, which is then this, by command."""


def main() -> None:
    """Runs the command that the command line names, and exits with its status: 2 where there is no such command."""
    given = sys.argv[1:] or ["--help"]
    if given[0] in HELP:
        console.say(_help())
        return
    if given[0] not in COMMANDS:
        near = difflib.get_close_matches(given[0], COMMANDS, n=1)
        hint = f" (did you mean {near[0]}?)" if near else ""
        console.fail(f"unknown command {given[0]!r}{hint}; known: {', '.join(COMMANDS)}")
        sys.exit(2)
    sys.path.append(str(Path.cwd()))  # for a user's own package.module:Name
    name, arguments = given[0], given[1:]
    if name in WITHOUT_VALUE:
        arguments = console.with_default(arguments, *WITHOUT_VALUE[name])
    console.run(importlib.import_module(COMMANDS[name][0]).app, arguments, f"flipscope {name}")


def _help() -> str:
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {does}" for name, (_, does) in COMMANDS.items()]
    return "\n".join(
        [
            "Usage: flipscope COMMAND [OPTIONS]",
            "",
            "Which explanation of a deepfake detector can be trusted?",
            "",
            "Commands (flipscope COMMAND --help says more):",
            *lines,
        ]
    )


if __name__ == "__main__":
    main()
