"""The differences from the published evaluation, each as a switch: a run with them shows what they are worth.

docs/methods.md lists them. A switch changes what a run is made of (its methods, settings and attack), and nothing that
scores frames knows of it.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from statistics import NormalDist

from attacks import NES, RegionAttack
from attacks.published_nes import PublishedNES
from common.errors import InputError
from detectors import Detector
from runs.run_options import EvaluationOptions
from runs.usable_attacks import names_thresholds
from scoring.protocol import EVERY, NONE, Protocol
from xai.designs import PLAIN
from xai.explanation_settings import ExplanationSettings, parse_override
from xai.methods import ADVERSARIAL, SUFFIX, Method
from xai.published_segments import NormalisedSegments, Quickshift
from xai.rise import RISE

LIME_ROW, SWAPPED_ROWS, UNBOUNDED, NO_CLAMP = "lime-row", "swapped-rows", "unbounded-sum", "no-clamp"
TWO_SOFTMAXES, RISE_KEEP, DROPPED, OWN_SEGMENTS = "two-softmaxes", "rise-keep", "dropped-frames", "own-segments"
ON_P, LAST_IMAGE = "nes-on-p", "test-before"

DIFFERENCES: Mapping[str, str] = {
    LIME_ROW: "the row LIME is LIME_adv on quickshift's segments",
    SWAPPED_ROWS: "the rows of SOBOL and RISE are swapped",
    UNBOUNDED: "NES steps in normalised space and nothing bounds their sum",
    NO_CLAMP: "an attacked image may leave [0, 1]",
    TWO_SOFTMAXES: "LIME and RISE explain a softmax of the softmax",
    RISE_KEEP: "RISE keeps a cell with probability 0.54",
    DROPPED: "LIME leaves out frames with fewer than three positive segments",
    OWN_SEGMENTS: "SHAP, SOBOL and RISE are ranked over segments of the normalised image",
    ON_P: "NES climbs p(Real), not log p(Real)",
    LAST_IMAGE: "NES tests for Real before each step, and its last image counts, not its best",
}
"""What each switch brings back, by its name."""

THREE = 3
FEW = 3  # names that a mark has room for
OF_ATTACK = (UNBOUNDED, NO_CLAMP, ON_P, LAST_IMAGE)
KEEP = NormalDist().cdf(0.1)  # a standard normal draw is below 0.1 with this probability, 0.5398


@dataclass(frozen=True)
class AsPublished:
    """The switches that are on, in the order of DIFFERENCES; none in a run as it should be."""

    names: tuple[str, ...] = ()

    def __contains__(self, name: str) -> bool:
        return name in self.names

    @property
    def mark(self) -> str:
        """ "As published: lime-row, rise-keep": what tables and pictures of such a run show; "" without a switch."""
        missing = [name for name in DIFFERENCES if name not in self]
        if not self.names:
            return ""
        if not missing:
            return f"As published: all {len(DIFFERENCES)} differences"
        if len(self.names) <= FEW:
            return f"As published: {', '.join(self.names)}"
        if len(missing) <= FEW:
            return f"As published, without {', '.join(missing)}"
        return f"As published: {len(self.names)} differences of {len(DIFFERENCES)}, see config.json"

    def methods(
        self, methods: Sequence[Method], settings: ExplanationSettings, detector: Detector
    ) -> tuple[Method, ...]:
        """The methods as the switches have them, in the same order of names."""
        changed = [self._changed(method, settings, detector) for method in methods]
        if SWAPPED_ROWS in self:
            changed = [replace(method, name=_swapped(method.name)) for method in changed]
        order = {method.name: place for place, method in enumerate(methods)}
        return tuple(sorted(changed, key=lambda method: order[method.name]))

    def _changed(self, method: Method, settings: ExplanationSettings, detector: Detector) -> Method:
        own, explainer = method, method.explainer
        if LIME_ROW in self and method.name == "LIME":
            own = replace(own, fill=ADVERSARIAL, segments=Quickshift())
        if OWN_SEGMENTS in self and explainer in ("SHAP", "SOBOL", "RISE"):
            own = replace(own, segments=NormalisedSegments(settings.segments, detector.mean, _std(detector)))
        if TWO_SOFTMAXES in self and explainer in ("LIME", "RISE"):
            own = replace(own, softmaxes=2)
        if DROPPED in self and explainer == "LIME":
            own = replace(own, fewest_positive=THREE)
        return own

    def settings(self, settings: ExplanationSettings, detector: Detector) -> ExplanationSettings:
        """The explanations' settings as the switches have them. Raises InputError for draws that need another keep."""
        rise = settings.explainers.get("RISE")
        if RISE_KEEP in self and isinstance(rise, RISE):
            if rise.draws != PLAIN:
                raise InputError(f"--as-published {RISE_KEEP}: RISE's draws are {rise.draws}; --set RISE.draws={PLAIN}")
            settings = replace(settings, explainers={**settings.explainers, "RISE": replace(rise, keep=KEEP)})
        return replace(settings, adversarial=self._nes(settings.adversarial, detector))

    def protocol(self, options: EvaluationOptions, protocol: Protocol) -> Protocol:
        """The protocol without flip thresholds, which are found by PGD.

        Raises InputError for an option that the published evaluation lacks and that would not be what it says.
        """
        named = [text for text in options.overrides if names_thresholds(text)]
        if named and protocol.finds_thresholds:
            raise InputError(f"--set {named[0]}: a run with --as-published finds no flip thresholds; leave one out")
        given = {".".join(parse_override(text)[:2]) for text in options.overrides}
        conflicts = {
            "--metric": bool(options.metrics),
            "--budget": bool(options.budgets) and UNBOUNDED in self,
            "--segments": bool(options.segments) and (OWN_SEGMENTS in self or LIME_ROW in self),
            "--set RISE.keep": RISE_KEEP in self and "RISE.keep" in given,
            "--set nes.epsilon": UNBOUNDED in self and "nes.epsilon" in given,
            "--set adversarial.epsilon": UNBOUNDED in self and "adversarial.epsilon" in given,
        }
        for option in (option for option, given in conflicts.items() if given):
            raise InputError(f"{option} does not go with --as-published {' '.join(self.names)}; leave one out")
        return replace(protocol, flip_thresholds=(NONE,))

    def attacks(self, attacks: Mapping[str, RegionAttack], detector: Detector) -> dict[str, RegionAttack]:
        """The attacks as the switches have them."""
        return {
            name: self._nes(attack, detector) if isinstance(attack, NES) else attack for name, attack in attacks.items()
        }

    def _nes(self, attack: NES, detector: Detector) -> NES:
        if not any(name in self for name in OF_ATTACK):
            return attack
        return PublishedNES(
            **{field.name: getattr(attack, field.name) for field in fields(NES)},
            scale=_std(detector) if UNBOUNDED in self else PublishedNES.scale,
            bounded=UNBOUNDED not in self,
            clamped=NO_CLAMP not in self,
            climbs_log=ON_P not in self,
            keeps_best=LAST_IMAGE not in self,
        )


def parse_differences(texts: Sequence[str], methods: Sequence[Method], attacks: Sequence[str]) -> AsPublished:
    """The switches that a command line names: of DIFFERENCES, or "All" for those that the run has.

    Args:
        texts: as given.
        methods: of the run.
        attacks: of the run, by name.

    Raises:
        InputError: there is no such switch, or the run has no method or attack that it is about.
    """
    names = {method.name for method in methods}
    for text in texts:
        if text != EVERY and text not in DIFFERENCES:
            raise InputError(
                f"--as-published {text}: there is no such difference; known: {EVERY}, {', '.join(DIFFERENCES)}"
            )
        if text != EVERY and (missing := _missing(text, names, attacks)):
            raise InputError(f"--as-published {text}: {DIFFERENCES[text]}, and {missing}")
    chosen = {name for name in DIFFERENCES if name in texts or (EVERY in texts and not _missing(name, names, attacks))}
    if texts and not chosen:
        raise InputError(
            f"--as-published {EVERY}: the run has no method or attack that one of the differences is about"
        )
    return AsPublished(tuple(name for name in DIFFERENCES if name in chosen))


def _missing(difference: str, methods: Collection[str], attacks: Sequence[str]) -> str:
    """What a run lacks that the difference is about; "" where it lacks nothing."""
    if difference in OF_ATTACK:
        return "" if set(attacks) == {"nes"} else "the run attacks with another attack than nes alone"
    return _LACKS[difference](methods)


def _needs(*explainers: str) -> Callable[[Collection[str]], str]:
    wanted = {name + suffix for name in explainers for suffix in ("", SUFFIX)}
    return lambda methods: "" if wanted & set(methods) else f"the run has no method of {', '.join(explainers)}"


def _lacks_pairs(methods: Collection[str]) -> str:
    alone = [name for name in methods if _swapped(name) != name and _swapped(name) not in methods]
    pairs = any(_swapped(name) != name for name in methods)
    if alone:
        return f"the run has {alone[0]} without {_swapped(alone[0])}"
    return "" if pairs else "the run has neither"


_LACKS: Mapping[str, Callable[[Collection[str]], str]] = {
    LIME_ROW: lambda methods: "" if "LIME" in methods else "the run has no method LIME",
    SWAPPED_ROWS: _lacks_pairs,
    TWO_SOFTMAXES: _needs("LIME", "RISE"),
    RISE_KEEP: _needs("RISE"),
    DROPPED: _needs("LIME"),
    OWN_SEGMENTS: _needs("SHAP", "SOBOL", "RISE"),
}


def _swapped(name: str) -> str:
    """The name of the row that a method's numbers go to where SOBOL and RISE are swapped."""
    suffix = SUFFIX if name.endswith(SUFFIX) else ""
    other = {"SOBOL": "RISE", "RISE": "SOBOL"}.get(name.removesuffix(SUFFIX))
    return name if other is None else other + suffix


def _std(detector: Detector) -> tuple[float, float, float]:
    if detector.std is None:
        raise InputError(
            f"{type(detector).__name__} does not say what its normalisation divides by: give it the attribute std "
            "(see detectors.base.Detector), or leave out --as-published "
            f"{UNBOUNDED} and {OWN_SEGMENTS}"
        )
    return detector.std
