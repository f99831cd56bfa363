"""Statistics for frames that come from videos: frames of one video are not independent, so videos are the unit.

Everything here takes values per frame and the video of each frame, and treats the videos as the sample. Which test,
why, and how often its intervals cover the truth: docs/statistics.md.
"""

from analysis.statistics.areas_under_curves import areas
from analysis.statistics.bootstrap import (
    LEVEL,
    Statistic,
    bootstrap_means,
    estimates,
    expanded_tail,
    intervals,
    intervals_of,
    mean_of,
)
from analysis.statistics.components import Components, variance_components
from analysis.statistics.estimate import Estimate
from analysis.statistics.method_pairs import (
    DropPair,
    FlipPair,
    cohen_d,
    compare_drops,
    compare_flips,
    compare_with_draws,
)
from analysis.statistics.paired_comparison import (
    ALPHA,
    OF_DROPS,
    OF_SHARES,
    PairedComparison,
    corrected_interval,
    paired_comparisons,
    with_holm,
)
from analysis.statistics.permutation import (
    EXACT_VIDEOS,
    PERMUTATIONS,
    against_draws_p,
    holm,
    sign_flip_p,
    sign_flip_ps,
    smallest_p,
    videos_needed,
)
from analysis.statistics.ranks import RankAgreement, Ranks, critical_difference, friedman, rank_agreements
from analysis.statistics.ratio import RatioScore, ratio_intervals, ratio_scores
from analysis.statistics.videos import DRAWS

__all__ = [
    "ALPHA",
    "DRAWS",
    "EXACT_VIDEOS",
    "LEVEL",
    "OF_DROPS",
    "OF_SHARES",
    "PERMUTATIONS",
    "Components",
    "DropPair",
    "Estimate",
    "FlipPair",
    "PairedComparison",
    "RankAgreement",
    "Ranks",
    "RatioScore",
    "Statistic",
    "against_draws_p",
    "areas",
    "bootstrap_means",
    "cohen_d",
    "compare_drops",
    "compare_flips",
    "compare_with_draws",
    "corrected_interval",
    "critical_difference",
    "estimates",
    "expanded_tail",
    "friedman",
    "holm",
    "intervals",
    "intervals_of",
    "mean_of",
    "paired_comparisons",
    "rank_agreements",
    "ratio_intervals",
    "ratio_scores",
    "sign_flip_p",
    "sign_flip_ps",
    "smallest_p",
    "variance_components",
    "videos_needed",
    "with_holm",
]
