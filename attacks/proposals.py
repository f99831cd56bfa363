"""What became of an attack's proposals: values that are no numbers change nothing, and that is said."""

from common.errors import InputError


class NoProposalError(InputError):
    """An attack proposed nothing but NaN and infinity: that nothing flipped says nothing about its regions."""


def remark_on_proposals(name: str, made: int, broken: int, lost: int) -> str | None:
    """What is to be said of an attack's proposals on a frame, in one sentence; None where all their values are numbers.

    Args:
        name: of the attack.
        made: how many images it proposed.
        broken: in how many of them a value inside the region is NaN or infinite.
        lost: in how many of them every value there is.

    Raises:
        NoProposalError: all of them are lost, so that the attack did nothing at all.
    """
    if made and lost == made:
        raise NoProposalError(
            f"all {made} proposals of {name} are NaN or infinite in the whole region, so that it attacked nothing; "
            "mend its propose"
        )
    if not broken:
        return None
    whole = f", {lost} of them everywhere in the region" if lost else ""
    return f"{broken} of {made} proposals of {name} have values that are NaN or infinite{whole}; these change nothing"
