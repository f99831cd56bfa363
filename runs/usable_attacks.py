"""A run's attacks as they can run on its detector, by what its gradient is worth on the first frame."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from torch import Tensor

from attacks import NES, RegionAttack
from attacks.derivatives import usable_attacks
from attacks.pgd import PGD
from attacks.registry import unusable
from common.errors import FAILED, InputError
from detectors import Detector, Queries
from detectors.preparing import prepared
from runs.earlier_names import renamed_protocol
from runs.selection import Selection
from scoring.protocol import NONE
from xai.explanation_settings import parse_override
from xai.methods import ADVERSARIAL

THRESHOLDS = "flip thresholds"
PROTOCOL = "protocol"  # the component that `--set protocol.draws=5` overrides
WITHOUT_THRESHOLDS = f"{PROTOCOL}.flip_thresholds={NONE}"
_WITHOUT = {THRESHOLDS: f"--set {WITHOUT_THRESHOLDS}"}


@dataclass(frozen=True)
class UsableAttacks:
    """What a run attacks with.

    Attributes:
        attacks: by name.
        adversarial: the attack that makes the adversarial image; None where no fill needs it.
        flip_thresholds: whether PGD finds flip thresholds, too.
        optional: attacks that are rather left out than refused where they cannot run, by name.
    """

    attacks: Mapping[str, RegionAttack]
    adversarial: NES | None = None
    flip_thresholds: bool = False
    optional: Collection[str] = ()


def names_thresholds(override_text: str) -> bool:
    """Whether an override says which flip thresholds are found, under either of the setting's names."""
    component, field, _ = parse_override(override_text)
    return component == PROTOCOL and "flip_thresholds" in renamed_protocol({field: ""})


def usable_on_first_frame(
    asked: UsableAttacks, image: Tensor | None, detector: Detector, batch_size: int, problems: Sequence[str] = ()
) -> UsableAttacks:
    """A run's attacks with finite differences, and without flip thresholds, where the detector's gradient is of no use.

    What cannot work at all is refused here, before any frame is scored and all of it together.

    Args:
        asked: what the run is to attack with.
        image: (3, S, S), the `first_frame` of the whole selection, not of a shard alone, so that workers and shards
            agree; None where there is none, and then nothing is tried.
        detector: what is attacked.
        batch_size: images in a forward pass.
        problems: what else of the run cannot work on the detector, a sentence each.

    Raises:
        InputError: there are problems, attacks cannot work on the detector (`attacks.RegionAttack.check`), or as
            `attacks.derivatives.usable_attacks`.
    """
    every: dict[str, RegionAttack] = {**asked.attacks}
    if asked.adversarial is not None:
        every[ADVERSARIAL] = asked.adversarial
    if asked.flip_thresholds:
        every[THRESHOLDS] = PGD()
    others = " ".join(f"--attack {name}" for name in asked.attacks if name not in asked.optional)
    without = _WITHOUT | dict.fromkeys(asked.optional, others)
    found = [*problems, *unusable(every, detector)]
    usable = every
    if every and image is not None:
        try:
            usable = usable_attacks(every, detector, image, batch_size, without)
        except InputError as error:
            found.append(str(error))
    if found:
        raise InputError("; ".join(found))
    return UsableAttacks(
        {name: usable[name] for name in asked.attacks if name in usable},
        cast(NES | None, usable.get(ADVERSARIAL)),
        THRESHOLDS in usable,
    )


def first_frame(selection: Selection, detector: Detector) -> tuple[str, Tensor] | None:
    """The key of the first frame that can be prepared and that the detector answers, and its input (3, S, S).

    None where none can be prepared. Raises InputError where some can, and it answers none of them.
    """
    unanswered: InputError | None = None
    for index, key in enumerate(selection.keys):
        try:
            image = prepared(detector, selection.frame(index).image)
        except FAILED:
            continue  # it becomes a failure of the run when its turn comes
        try:
            Queries(detector).logits(image[None])
        except InputError as error:
            unanswered = unanswered or error
            continue
        return key, image
    if unanswered is not None:
        raise unanswered
    return None
