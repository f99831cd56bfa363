"""Statistics for frames that come from videos: frames of one video are not independent, so videos are the unit.

Everything here takes values per frame and the video of each frame, and treats the videos as the sample. Which test,
why, and how often its intervals cover the truth: docs/statistics.md.
"""

from scoring.statistics.bootstrap import (
    LEVEL,
    Statistic,
    bootstrap_means,
    estimates,
    expanded_tail,
    intervals,
    intervals_of,
    mean_of,
)
from scoring.statistics.components import Components, variance_components
from scoring.statistics.curves import areas
from scoring.statistics.estimate import Estimate
from scoring.statistics.pairs import (
    DropPair,
    FlipPair,
    cohen_d,
    compare_drops,
    compare_flips,
    compare_with_draws,
    with_holm,
)
from scoring.statistics.permutation import (
    EXACT_VIDEOS,
    PERMUTATIONS,
    against_draws_p,
    holm,
    sign_flip_p,
    sign_flip_ps,
    smallest_p,
)
from scoring.statistics.ranks import RankAgreement, Ranks, critical_difference, friedman, rank_agreements
from scoring.statistics.ratio import Headline, headlines, ratio_intervals
from scoring.statistics.videos import DRAWS

__all__ = [
    "DRAWS",
    "EXACT_VIDEOS",
    "LEVEL",
    "PERMUTATIONS",
    "Components",
    "DropPair",
    "Estimate",
    "FlipPair",
    "Headline",
    "RankAgreement",
    "Ranks",
    "Statistic",
    "against_draws_p",
    "areas",
    "bootstrap_means",
    "cohen_d",
    "compare_drops",
    "compare_flips",
    "compare_with_draws",
    "critical_difference",
    "estimates",
    "expanded_tail",
    "friedman",
    "headlines",
    "holm",
    "intervals",
    "intervals_of",
    "mean_of",
    "rank_agreements",
    "ratio_intervals",
    "sign_flip_p",
    "sign_flip_ps",
    "smallest_p",
    "variance_components",
    "with_holm",
]
