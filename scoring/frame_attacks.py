"""The attacks on the regions of one frame: their rows, the oracle that follows from them, and flip thresholds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from attacks import RegionAttack
from attacks.budgets import fraction
from attacks.proposals import remark_on_proposals
from attacks.registry import is_own
from common.console import warn
from scoring.attacked_alone import require_same_alone
from scoring.attempts import Attempts
from scoring.baselines import oracle
from scoring.baselines.table import ORACLE
from scoring.costs import CostTracker
from scoring.explaining import Explained
from scoring.flip_threshold import THRESHOLD_DEPTH, FlipThresholdSearch
from scoring.protocol import Protocol
from scoring.recording import Recorder
from scoring.records import FlipThreshold, Row, TransformedVerdict
from scoring.region_attacker import Outcome, RegionAttacker
from scoring.transformed_pictures import TransformedPictures
from xai.regions import RankedRegion, digest_of


@dataclass(frozen=True, eq=False)
class AttackedFrame:
    """What the attacks on a frame gave.

    Attributes:
        rows: of every attack that did not fail.
        ranked_regions: what was attacked, with the oracle's regions under the first attack.
        images: by method, the frame with the region that its pictures show attacked, by the first attack.
        transformed: what the detector says of the frame and of every flip after each transform.
    """

    rows: list[Row]
    ranked_regions: list[RankedRegion]
    images: dict[str, Tensor]
    transformed: list[TransformedVerdict]


@dataclass(frozen=True, eq=False)
class FrameAttacks:
    """Attacks the regions of one frame, in one trial of it.

    Attributes:
        variants: every attack at every budget, by name, the main one first.
        names_budgets: whether a failure says at which budget it was.
        protocol: whether there is an oracle, how deep it goes, and how thresholds are found.
        attacker: attacks each region once.
        transformed: asks about every flip again, after each transform.
        recorder: makes rows of what happened.
        tracker: counts what each attack cost.
        attempts: keeps what fails.
    """

    variants: Sequence[tuple[str, RegionAttack]]
    names_budgets: bool
    protocol: Protocol
    attacker: RegionAttacker
    transformed: TransformedPictures
    recorder: Recorder
    tracker: CostTracker
    attempts: Attempts

    def __call__(self, ranked_regions: list[RankedRegion], explained: Explained | None, image: Tensor) -> AttackedFrame:
        """Attacks every region by every attack; one that fails has no rows, and the first is the first that does not.

        Args:
            ranked_regions: of the methods and baselines, all but the oracle's.
            explained: the frame's explanations; None where the verdict is Real and nothing is explained.
            image: (3, S, S), the frame.
        """
        rows: list[Row] = []
        transformed = self.transformed.of_frame(image) if explained else []
        first: tuple[list[RankedRegion], dict[str, Tensor]] | None = None
        pictured = explained.shown if explained and THRESHOLD_DEPTH in self.protocol.depths else {}
        shown = {method: digest_of(region) for method, region in pictured.items()}
        for name, attack in self.variants:
            at_budget = f" at {fraction(attack.epsilon)}" if self.names_budgets else ""
            with self.attempts.at(f"attack {name}{at_budget}"):
                with self.tracker.stage(f"attack {name}"):
                    regions = {ranked_region.digest: ranked_region.region for ranked_region in ranked_regions}
                    kept = () if first else shown.values()
                    outcomes, images = self.attacker.outcomes(name, attack, regions, kept)
                    with_oracle = ranked_regions + (
                        self._oracle(name, attack, ranked_regions, explained, outcomes) if explained else []
                    )
                self._remark_on_proposals(name, outcomes)
                if is_own(name):
                    require_same_alone(name, attack, regions, outcomes, self.attacker)
                transformed += self.transformed.of_flips(name, attack.epsilon, with_oracle, outcomes)
                rows += [
                    self.recorder.row(ranked_region, name, attack.epsilon, outcomes[ranked_region.digest])
                    for ranked_region in with_oracle
                ]
                first = first or (
                    with_oracle,
                    {method: images[digest] for method, digest in shown.items() if digest in images},
                )
        return AttackedFrame(rows, *(first or (ranked_regions, {})), transformed)

    def flip_thresholds(self, ranked_regions: Sequence[RankedRegion], segments: np.ndarray) -> list[FlipThreshold]:
        """How much it takes to flip the verdict in each region, and by the oracle; none where finding it fails.

        Args:
            ranked_regions: as `AttackedFrame` has them.
            segments: (S, S) labels.
        """
        (_, main), *_ = self.variants
        found: list[FlipThreshold] = []
        with self.attempts.at("grades"), self.tracker.stage("grades"):
            search = FlipThresholdSearch(self.attacker, segments, self.protocol, main.epsilon)
            thresholds = search([region for region in ranked_regions if region.ranking.method != ORACLE])
            if self.protocol.has(ORACLE):
                thresholds += oracle.thresholds(thresholds)
            found = [self.recorder.flip_threshold(*threshold) for threshold in thresholds]
        return found

    def _remark_on_proposals(self, name: str, outcomes: Mapping[str, Outcome]) -> None:
        """Warns of proposals that are no numbers. Raises NoProposalError where the attack made no other."""
        made, broken, lost = (sum(outcome.proposals[i] for outcome in outcomes.values()) for i in range(3))
        if remark := remark_on_proposals(name, made, broken, lost):
            warn(f"{self.recorder.frame.key}: {remark}")

    def _oracle(
        self,
        name: str,
        attack: RegionAttack,
        ranked_regions: list[RankedRegion],
        explained: Explained,
        outcomes: dict[str, Outcome],
    ) -> list[RankedRegion]:
        """The oracle's regions under this attack; what attacking them and its candidates did goes to `outcomes`.

        Segments are joined only where nothing seen flips the verdict: an attack ends at the flip, so that no region can
        do more than flip it.
        """
        protocol, segments = self.protocol, explained.segments
        if not protocol.has(ORACLE):
            return []

        def attacked(regions: list[np.ndarray]) -> list[Outcome]:
            digests = [digest_of(region) for region in regions]
            new = {d: region for d, region in zip(digests, regions, strict=True) if d not in outcomes}
            outcomes.update(self.attacker.outcomes(name, attack, new)[0])
            return [outcomes[digest] for digest in digests]

        seen = [*ranked_regions, oracle.whole(segments)]
        attacked([ranked_region.region for ranked_region in seen])
        if not any(outcomes[ranked_region.digest].flipped for ranked_region in seen):
            tried = oracle.candidates(segments, [c.ranking for c in ranked_regions], protocol.oracle_pool)
            seen += oracle.joined(segments, tried, oracle.most_joined(protocol.depths), attacked)
        return oracle.at_depths(oracle.best(seen, outcomes), protocol.depths)
