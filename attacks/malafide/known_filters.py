"""Whether a filter is the one that was trained in its folder: config.json beside it keeps the SHA-256 of its file.

Folders of earlier versions keep none; there last.ckpt says what the best filter was.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from attacks.malafide.filter_files import StoredFilter, load, spec_as_json
from attacks.malafide.filter_results import CHECKPOINT, CONFIG, FILTER, FINISHED, read_json, write_json
from attacks.malafide.training import EPOCHS, TIME
from common.console import warn
from common.errors import InputError
from detectors.loading.checkpoints import read_torch

_OF_A_TRAINING = frozenset({"detector", "manipulations", "size", "epochs", "seed"})
_SHA256, _MINUTES = "sha256", "max_minutes"


@dataclass(frozen=True)
class Finished:
    """What config.json says of the filter that was finished in its folder.

    Attributes:
        sha256: of its file.
        max_minutes: the time limit that it was trained with, or None.
    """

    sha256: str
    max_minutes: float | None


def load_known(path: str | Path) -> StoredFilter:
    """Reads a filter that is to be used.

    A file of another name, or in a folder where nothing was trained, stands for itself. Raises InputError, in one
    line, as `load` does, and where the filter is not the one that its folder knows of.
    """
    stored = load(path)
    config = _config_beside(stored.path)
    if config is None:
        return stored
    if is_earlier(config):
        best = is_best_of(stored.path.parent / CHECKPOINT, stored, config)
        if best is False or not was_made_by(stored, config):
            raise _unknown(stored.path, CHECKPOINT if best is False else CONFIG)
        if best is None:
            warn(doubt(stored.path))
        return stored
    known = finished_in(config)
    if known is None:
        raise InputError(
            f"{stored.path.parent}: its filter is not finished; the same `python -m attacks malafide train` finishes it"
        )
    if known.sha256 != stored.sha256:
        raise _unknown(stored.path, CONFIG)
    return stored


def is_earlier(config: Mapping[str, Any]) -> bool:
    """Whether a config.json is of an earlier version, which does not say what was finished."""
    return FINISHED not in config


def finished_in(config: Mapping[str, Any]) -> Finished | None:
    """Which filter a config.json knows to be finished; None for none."""
    known = config.get(FINISHED)
    return Finished(str(known.get(_SHA256)), known.get(_MINUTES)) if isinstance(known, dict) else None


def keep_as_finished(config: Path, stored: StoredFilter, max_minutes: float | None) -> None:
    """Writes into a folder's config.json which filter was finished there, with which time limit."""
    write_json(config, {**read_json(config), FINISHED: {_SHA256: stored.sha256, _MINUTES: max_minutes}})


def doubt(path: Path) -> str:
    """What is to be said of a filter that nothing vouches for."""
    return f"{path} is of an earlier version, and nothing beside it says whether it is still what it was"


def was_made_by(stored: StoredFilter, config: Mapping[str, Any]) -> bool:
    """Whether what a filter says of its training is what a config.json or checkpoint says."""
    facts = stored.facts
    if facts is None:
        return False
    made = {
        **spec_as_json(stored.filter.spec),
        "detector": facts.trained_on,
        "input_size": facts.input_size,
        "manipulations": list(facts.manipulations),
        "split_by": facts.split,
        "seed": facts.seed,
        **({"epochs": facts.epochs} if facts.ended == EPOCHS else {}),
    }
    return all(key in config and config[key] == value for key, value in made.items())


def is_best_of(checkpoint: Path, stored: StoredFilter, config: Mapping[str, Any]) -> bool | None:
    """Whether a filter is the best one in the checkpoint of the training that `config` describes.

    None where the checkpoint cannot say: there is none, it is damaged, or the time ended the training in a later epoch.
    """
    try:
        state = read_torch(checkpoint)
    except (InputError, OSError):
        return None
    identity, best = (state.get("identity"), state.get("best")) if isinstance(state, Mapping) else (None, None)
    facts = stored.facts
    if not isinstance(identity, Mapping) or not isinstance(best, Mapping) or facts is None:
        return None
    same = all(key in config and config[key] == value for key, value in identity.items())
    if not same or not was_made_by(stored, identity):
        return False
    if facts.ended == TIME and facts.best_epoch > state.get("epoch", 0):
        return None
    numbers = (best.get("epoch"), best.get("eer"), best.get("loss"), state.get("epoch"))
    weight = best.get("weight")
    return (
        isinstance(weight, torch.Tensor)
        and weight.dtype == stored.filter.weight.dtype
        and torch.equal(weight, stored.filter.weight)
        and numbers == (facts.best_epoch, facts.eer, facts.loss, facts.epochs)
    )


def _config_beside(path: Path) -> dict[str, Any] | None:
    """What the folder of a filter says made it; None where it is no folder of a training."""
    beside = path.parent / CONFIG
    if path.name != FILTER or not beside.exists():
        return None
    config = read_json(beside)
    return config if isinstance(config, dict) and config.keys() >= _OF_A_TRAINING else None


def _unknown(path: Path, by: str) -> InputError:
    return InputError(
        f"{path} is not the filter that {by} beside it knows of: put that one back, or give the command that trained "
        "it again, which makes it anew"
    )
