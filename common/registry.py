"""Names on the command line: a registered name, or a user's own `package.module:Name`."""

import difflib
import importlib
from collections.abc import Callable, Collection, Mapping
from typing import Any, TypeVar

from common.errors import FAILED, InputError, described
from common.memory import place, ran_out
from common.torch_patches import remark_replaced, shared

T = TypeVar("T")


def names_own_code(name: str, families: Collection[str] = ()) -> bool:
    """Whether a name is of a user's own code, `package.module:Name`, and no `family:member` of these families."""
    family, separator, _ = name.partition(":")
    return bool(separator) and family not in families


def resolve(name: str, known: Mapping[str, T], kind: str) -> T:
    """What `name` stands for: `known[name]`, or the object at `package.module:Name`.

    `kind` is the word for the message ("method", "attack", ...). Raises InputError for an unknown name (the
    nearest known ones are suggested) and for a module or attribute that cannot be found. Warns where importing the
    module replaces what all networks compute with.
    """
    if name in known:
        return known[name]
    if names_own_code(name):
        return _import(name, kind)
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    hint = f" (did you mean {near[0]}?)" if near else ""
    raise InputError(f"unknown {kind} {name!r}{hint}; known: {', '.join(known)}, or your own as package.module:Name")


def make(factory: Callable[[], T], name: str, kind: str) -> T:
    """What a class gives when called without arguments. Raises InputError where that fails.

    Warns where that replaces what all networks compute with.
    """
    before = shared()
    try:
        made = factory()
    except InputError:
        raise
    except FAILED as error:
        if ran_out(error):
            raise
        raise InputError(f"{kind} {name!r} cannot be made without arguments ({described(error)})") from error
    remark_replaced(before, f"{kind} {name!r}: making it")
    return made


def _import(name: str, kind: str) -> Any:
    module_name, _, attribute = name.partition(":")
    if not module_name or not attribute or module_name.startswith("."):
        raise InputError(f"{kind} {name!r}: expected package.module:Name")
    before = shared()
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        raise InputError(f"{kind} {name!r}: cannot import {module_name!r} ({error})") from error
    except FAILED as error:
        if ran_out(error):
            raise
        where = "" if isinstance(error, SyntaxError) else f", at {place(error)}"  # which says itself where it is
        raise InputError(
            f"{kind} {name!r}: importing {module_name!r} fails ({described(error)}{where}); mend the module"
        ) from error
    remark_replaced(before, f"{kind} {name!r}: importing {module_name!r}")
    if not hasattr(module, attribute):
        raise InputError(f"{kind} {name!r}: module {module_name!r} has no {attribute!r}")
    return getattr(module, attribute)
