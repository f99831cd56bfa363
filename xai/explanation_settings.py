"""Every setting of the explanations: presets, overrides by name, and what goes into config.json."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from attacks.nes import NES
from common.console import warn
from common.errors import FAILED, InputError, described
from common.memory import place
from common.settings import override
from detectors.base import Detector
from detectors.checks.detector_state import require_unchanged, state_of
from detectors.checks.gradient_check import remark_on_gradient
from detectors.memory import ran_out
from xai.base import DetectorSpecificExplainer, Explainer, FrameExplainer, FrameSpecificExplainer
from xai.designs import BALANCED
from xai.fills import Background, Blur, Mean, SegmentMean, Zero
from xai.lime import LIME
from xai.methods import ADVERSARIAL, Method, load_explainer
from xai.partition_shap import SHAP
from xai.rise import RISE
from xai.segments import Segments
from xai.sobol import SOBOL
from xai.stopping import Stopping

STOPPING = "stopping"
"""The component of the stopping rule, in settings."""

TAKE_ALL = Stopping()
FILLS: Mapping[str, Background] = {"zero": Zero(), "mean": Mean(), "segment_mean": SegmentMean(), "blur": Blur()}


@dataclass(frozen=True)
class ExplanationSettings:
    """How frames are explained.

    Attributes:
        segments: the superpixels.
        explainers: by name; others under `captum:NAME`, ..., or a user's own `package.module:Name`.
        fills: the backgrounds by name.
        adversarial: the attack on the whole image that makes the adversarial fill.
        stopping: when LIME, SOBOL and RISE have enough samples; by default, when they have taken all.
    """

    segments: Segments
    explainers: Mapping[str, Explainer | FrameExplainer]
    adversarial: NES
    fills: Mapping[str, Background] = dataclasses.field(default_factory=lambda: FILLS)
    stopping: Stopping = TAKE_ALL

    def is_kept(self, method: Method) -> bool:
        """Whether a method's map of a frame is kept from elsewhere: of another image or detector it cannot be made."""
        return isinstance(self.explainers.get(method.explainer), FrameExplainer)

    def follows_gradient(self, method: Method) -> bool:
        """Whether a method's maps follow the detector's gradient."""
        return bool(getattr(self.explainers.get(method.explainer), "follows_gradient", False))

    def components(self) -> dict[str, Any]:
        """Everything with settings of its own, by the name that an override gives it."""
        return {
            "segments": self.segments,
            **self.explainers,
            **self.fills,
            ADVERSARIAL: self.adversarial,
            STOPPING: self.stopping,
        }


PRESETS: Mapping[str, ExplanationSettings] = {
    "published": ExplanationSettings(
        segments=Segments(),
        explainers={"LIME": LIME(), "SHAP": SHAP(), "SOBOL": SOBOL(), "RISE": RISE()},
        adversarial=NES(steps=80),
    ),
    "efficient": ExplanationSettings(
        segments=Segments(),
        explainers={
            "LIME": LIME(draws=BALANCED),
            "SHAP": SHAP(),
            "SOBOL": SOBOL(),
            "RISE": RISE(draws=BALANCED, centred=True),
        },
        adversarial=NES(steps=80),
        stopping=Stopping(probability=0.95),
    ),
    "quick": ExplanationSettings(
        segments=Segments(),
        explainers={
            "LIME": LIME(samples=100),
            "SHAP": SHAP(evaluations=150, batch=16),
            "SOBOL": SOBOL(grid=6, designs=4),
            "RISE": RISE(samples=150, centred=True),
        },
        adversarial=NES(steps=80),
    ),
}

OTHERS: Mapping[str, Mapping[str, Mapping[str, Any]]] = {
    "published": {},
    "quick": {
        "captum:KernelShap": {"n_samples": 150},
        "captum:Lime": {"n_samples": 100},
        "captum:ShapleyValueSampling": {"n_samples": 4},
    },
    "efficient": {},
}
"""Settings of libraries' explainers that differ from their own by preset: as many forwards as SHAP and LIME here."""


_QUERIES: Mapping[type, str] = {LIME: "samples", SHAP: "evaluations", SOBOL: "designs", RISE: "samples"}


def with_share_of_queries(settings: ExplanationSettings, share: float) -> ExplanationSettings:
    """The same settings with LIME, SHAP, SOBOL and RISE asking so large a share of their queries; others as they are.

    Four at least; SOBOL's designs are a power of two, the largest within the share.
    """
    explainers = {}
    for name, explainer in settings.explainers.items():
        if (field := _QUERIES.get(type(explainer))) is not None:
            count = max(4, round(share * getattr(explainer, field)))
            count = 1 << count.bit_length() - 1 if isinstance(explainer, SOBOL) else count
            explainer = dataclasses.replace(explainer, **{field: count})  # type: ignore[type-var]
        explainers[name] = explainer
    return dataclasses.replace(settings, explainers=explainers)


def build_settings(
    preset: str, overrides: Mapping[str, Mapping[str, Any]] | None = None, methods: Sequence[Method] = ()
) -> ExplanationSettings:
    """The settings of a preset, with the explainers of users' own `methods` added and `overrides` applied.

    `overrides` maps a component ("LIME", "segments", "blur", "adversarial", ...) to new values of its fields, which
    may be strings from a command line. Raises InputError for an unknown preset, component or field, and for a value
    that a field cannot take.
    """
    if preset not in PRESETS:
        raise InputError(f"unknown preset {preset!r}; known: {', '.join(PRESETS)}")
    base = PRESETS[preset]
    own = {method.explainer: load_explainer(method.explainer) for method in methods if ":" in method.explainer}
    settings = dataclasses.replace(base, explainers={**base.explainers, **own})
    for component in own.keys() & OTHERS[preset].keys():
        settings = _replace(settings, component, OTHERS[preset][component])
    for component, values in (overrides or {}).items():
        settings = _replace(settings, component, values)
    return settings


def check_settings(settings: ExplanationSettings, detector: Detector, image: Tensor | None = None) -> None:
    """Raises InputError where explainers do not suit the detector; it names all of them. Arguments as `unsuitable`."""
    if problems := unsuitable(settings, detector, image):
        raise InputError("; ".join(problems))


def unsuitable(settings: ExplanationSettings, detector: Detector, image: Tensor | None = None) -> list[str]:
    """What does not suit a detector: a sentence for each such explainer. Warns of a gradient that misleads.

    Args:
        settings: with the explainers.
        detector: what they are to explain.
        image: (3, S, S) float32 in [0, 1], a frame as the detector prepares it: what is tried at noise is tried at the
            first one, too, once for a detector, and a detector that fails there is left to fail when the frame's turn
            comes. None to try noise alone.
    """
    problems, following = list[str](), list[str]()
    every = settings.explainers.items()
    checked = {name: explainer for name, explainer in every if isinstance(explainer, DetectorSpecificExplainer)}
    before = state_of(detector) if checked else {}
    for name, explainer in checked.items():
        try:
            explainer.check(detector)
            following += [name] if getattr(explainer, "follows_gradient", False) else []
        except InputError as error:
            problems.append(str(error) if name in str(error) else f"{name}: {error}")
        except FAILED as error:
            if ran_out(error):
                raise
            problems.append(f"method {name}: its check fails ({described(error)}, at {place(error)})")
    if checked:
        require_unchanged(detector, before, "an explainer's check of the detector")
    if not problems:
        remark_on_gradient(detector, following)
    if not problems and image is not None:
        problems = _unsuitable_on_frame(settings, detector, image, following)
    return problems


def _unsuitable_on_frame(
    settings: ExplanationSettings, detector: Detector, image: Tensor, following: Sequence[str]
) -> list[str]:
    problems = list[str]()
    try:
        remark_on_gradient(detector, following, image)
    except FAILED as error:
        if ran_out(error):
            raise
    for name, explainer in settings.explainers.items():
        if isinstance(explainer, FrameSpecificExplainer):
            try:
                explainer.check_on_frame(detector, image)
            except InputError as error:
                problems.append(str(error))
            except FAILED as error:
                if ran_out(error):
                    raise
                warn(f"method {name}: whether it suits the detector's first frame cannot be tried ({described(error)})")
    return problems


def parse_override(text: str) -> tuple[str, str, str]:
    """An override from the command line, "LIME.samples=500", as (component, field, value).

    Raises InputError where it has another form.
    """
    name, equals, value = text.partition("=")
    component, dot, field = name.strip().rpartition(".")
    if not (equals and dot and component and field and value.strip()):
        raise InputError(f"cannot read the setting {text!r}; write it as COMPONENT.FIELD=VALUE, as LIME.samples=500")
    return component, field, value.strip()


def describe_settings(settings: ExplanationSettings) -> dict[str, dict[str, Any]]:
    """Every value by component and field, as plain data for config.json."""
    return {name: _describe(component) for name, component in settings.components().items()}


def _replace(settings: ExplanationSettings, component: str, values: Mapping[str, Any]) -> ExplanationSettings:
    current = settings.components()
    if component not in current:
        names = [name for name, value in current.items() if _has_fields(value)]
        raise InputError(f"no settings are named {component!r}; known: {', '.join(names)}")
    if not dataclasses.is_dataclass(current[component]):
        raise InputError(f"{component!r} has no settings: only the fields of a dataclass can be set")
    changed = override(current[component], values, component)
    if component in settings.explainers:
        return dataclasses.replace(settings, explainers={**settings.explainers, component: changed})
    if component in settings.fills:
        return dataclasses.replace(settings, fills={**settings.fills, component: changed})
    return dataclasses.replace(settings, **{component: changed})


def _has_fields(component: Any) -> bool:
    return dataclasses.is_dataclass(component) and bool(dataclasses.fields(component))


def _describe(component: Any) -> dict[str, Any]:
    if dataclasses.is_dataclass(component) and not isinstance(component, type):
        values = dataclasses.asdict(component)
        return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}
    return {}
